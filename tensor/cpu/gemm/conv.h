// Convolutions as products that gather their operands: nothing of im2col's size is stored.
//
// Images are (H, W, C), so for an output pixel and a row ky of the kernel the numbers (kx, c) that
// it is multiplied with lie in one run of memory. Its neighbour's run begins `stride` pixels
// further. So a tile of the product has up to kTileRows pixels of one row, and K is kh runs of kw *
// C numbers.
#pragma once

#include "tensor/conv.h"
#include "tensor/cpu/gemm/product.h"
#include "tensor/cpu/gemm/scratch.h"

namespace nf::cpu {

/// A row of twice so many outputs, or more, may be cut into parts of at least so many, where that
/// makes frames small or tasks enough.
inline constexpr Index kLeastColumns = 512;

/// Rows first, first + step, ... of a kernel, `count` of them.
struct Taps {
  Index first, count, step;
};

/// Images (N, h, w, c), their pixels `pixel` numbers apart, as a kernel sees them: `spread` pixels
/// from one to the next, with zeros between and around, `width` pixels wide and `height` high.
template <class T>
struct Frame {
  const T* data;
  Index h, w, c, pixel;
  Index top, left;  ///< where pixel (0, 0) lies
  Index height, width;
  Index spread = 1;

  /// Nothing but the image: a kernel may read it where it is.
  bool plain(Index kernel_width) const {
    return top == 0 && left == 0 && spread == 1 && height <= h && width <= w &&
           (pixel == c || kernel_width == 1);
  }
  Index image() const { return h * w * pixel; }
  /// Those of rows [begin, end) of a kernel that meet rows of the image when the kernel's first row
  /// is row y of the frame.
  Taps taps(Index y, Index begin, Index end) const;

  /// Rows [y0, y1) x columns [x0, x1) of the frame around image n, one row after the other: c
  /// numbers for each pixel, or pairs of them, the last one with a 0 where c is odd.
  template <class P>
  void copy(Index n, Index y0, Index y1, Index x0, Index x1, P* to) const;
};

/// Rows of frames that can be read: pixel (y, x) at data + y * pitch + x * pixel, that of the next
/// image `image` further.
template <class P>
struct FrameRows {
  const P* data;
  Index pitch, pixel, image;
};

/// A kernel of (kh, kw) that goes over the frames of n images in steps of `stride` and has o
/// outputs at each of oh x ow places.
template <class T>
struct Windows {
  Frame<T> in;
  Index n, oh, ow, o, kh, kw, stride;
  bool exact = false;  ///< as ConvGeometry's: no Winograd

  /// Rows [y0, y1) x columns [x0, x1) of the frames of images [n0, n1): where they are, or copied
  /// with their padding.
  template <class P>
  FrameRows<P> rows(Index n0, Index n1, Index y0, Index y1, Index x0, Index x1,
                    Scratch& scratch) const;
};

/// out (N, oh, ow, o) = the sums of products in all windows, finished as a product is. `weights`
/// are packed by pack_weights.
template <class P>
struct Convolution : Windows<NumberOf<P>> {
  const P* weights;
  NumberOf<P>* out;
  Finish<NumberOf<P>> finish = {};
};

/// Directly, or in Winograd's way or by columns where that is faster; pairs always directly.
template <class P>
void convolve(const Convolution<P>& conv);

/// Weights in the order a convolution reads them: for each panel of outputs (ky, kx, c, lane).
/// Weight (out, c, ky, kx) is data[out * out_step + c * in_step + tap(ky, kx)]; with `rotated` the
/// taps go backwards. `to` has room for packed_weights() steps.
template <class T>
struct Weights {
  const T* data;
  Index o, c, kh, kw;
  Index out_step, in_step;
  bool rotated = false;
};
template <class P>
Index packed_weights(const Weights<NumberOf<P>>& w) {
  return whole_vectors<P>(w.o) * w.kh * w.kw * steps_of<P>(w.c);
}
template <class P>
void pack_weights(const Weights<NumberOf<P>>& w, P* to);

/// dw (o, c, kh, kw) = the sum over all output pixels of dout (N, oh, ow, o), contiguous, times
/// what the kernel saw there.
template <class T>
struct WeightGradient : Windows<T> {
  const T* dout;
  T* dw;
};

template <class P>
void weight_gradient(const WeightGradient<NumberOf<P>>& g);

}  // namespace nf::cpu
