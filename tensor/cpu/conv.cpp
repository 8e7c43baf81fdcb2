// Convolutions: which frame the kernel goes over, and in which order the weights are packed. The
// products are in gemm/.
#include "tensor/conv.h"

#include "tensor/cpu/cpu_backend.h"
#include "tensor/cpu/epilogue.h"
#include "tensor/cpu/factors.h"
#include "tensor/cpu/gemm/winograd.h"

namespace nf {
namespace {

using namespace nf::cpu;

/// The windows of a kernel over x, with its padding, as far as its last step goes.
template <class T>
Windows<T> windows_of(const Tensor& x, const ConvSizes& s) {
  const Frame<T> in{.data = x.data<T>(),
                    .h = s.h,
                    .w = s.w,
                    .c = s.c,
                    .pixel = x.strides()[2],
                    .top = s.pad_h,
                    .left = s.pad_w,
                    .height = (s.oh - 1) * s.stride + s.kh,
                    .width = (s.ow - 1) * s.stride + s.kw};
  return {in, s.n, s.oh, s.ow, s.o, s.kh, s.kw, s.stride, s.exact};
}

/// The windows of the kernel turned around over dout, one for each pixel of x. out[i] meets
/// x[i s - pad + k], so x[y] meets, at tap kh - 1 - k, what lies kh - 1 - pad rows into a frame in
/// which dout's rows are s apart.
template <class T>
Windows<T> windows_of_gradient(const Tensor& dout, const ConvSizes& s) {
  const Frame<T> in{.data = dout.data<T>(),
                    .h = s.oh,
                    .w = s.ow,
                    .c = s.o,
                    .pixel = s.o,
                    .top = s.kh - 1 - s.pad_h,
                    .left = s.kw - 1 - s.pad_w,
                    .height = s.h + s.kh - 1,
                    .width = s.w + s.kw - 1,
                    .spread = s.stride};
  return {in, s.n, s.h, s.w, s.c, s.kh, s.kw, 1, s.exact};
}

/// out = the kernel at all windows. Winograd's way is faster than products of pairs, where it is
/// taken.
template <class P>
void convolve_as(const Windows<NumberOf<P>>& windows, const Weights<NumberOf<P>>& weights,
                 Tensor& out, const Finish<NumberOf<P>>& finish = {}) {
  if constexpr (kIsPair<P>) {
    if (takes_winograd(windows)) return convolve_as<float>(windows, weights, out, finish);
  }
  using Stored = std::conditional_t<kIsPair<P>, std::int32_t, P>;
  Tensor memory =
      call_memory("conv2d", "packed weights", packed_weights<P>(weights), dtype_of<Stored>());
  P* const packed = reinterpret_cast<P*>(memory.mutable_data<Stored>());
  pack_weights(weights, packed);
  convolve<P>({windows, packed, out.mutable_data<NumberOf<P>>(), finish});
}

}  // namespace

void CpuBackend::conv2d(const Tensor& x, const Tensor& w, const Tensor& bias,
                        const ConvGeometry& geometry, const UnaryOp* act, OpArgs args,
                        Tensor& out) {
  const ConvSizes s = conv_sizes(x.shape(), w.shape(), geometry);
  const Index taps = s.kh * s.kw;
  visit_factors(out.dtype(), precision(), [&]<class P>() {
    using T = NumberOf<P>;
    const Weights<T> weights{w.data<T>(), s.o, s.c, s.kh, s.kw, s.c * taps, taps};
    const Epilogue<T> epilogue(bias, act, args);
    convolve_as<P>(windows_of<T>(x, s), weights, out, epilogue.finish());
  });
}

void CpuBackend::conv2d_backward_data(const Tensor& dout, const Tensor& w,
                                      const ConvGeometry& geometry, Tensor& dx) {
  const ConvSizes s = conv_sizes(dx.shape(), w.shape(), geometry);
  const Index taps = s.kh * s.kw;
  visit_factors(dx.dtype(), precision(), [&]<class P>() {
    using T = NumberOf<P>;
    const Weights<T> weights{w.data<T>(), s.c, s.o, s.kh, s.kw, taps, s.c * taps, true};
    convolve_as<P>(windows_of_gradient<T>(dout, s), weights, dx);
  });
}

void CpuBackend::conv2d_backward_weights(const Tensor& x, const Tensor& dout,
                                         const ConvGeometry& geometry, Tensor& dw) {
  const ConvSizes s = conv_sizes(x.shape(), dw.shape(), geometry);
  visit_factors(dw.dtype(), precision(), [&]<class P>() {
    using T = NumberOf<P>;
    weight_gradient<P>({windows_of<T>(x, s), dout.data<T>(), dw.mutable_data<T>()});
  });
}

}  // namespace nf
