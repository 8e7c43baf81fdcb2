// Backend: what a device must be able to do. Front-end functions (ops.h, linalg.h, random.h, ...)
// check their arguments and allocate the outputs; a backend assumes that and computes.
//
// Everything here may get strided inputs. Outputs are contiguous unless said otherwise. Empty
// tensors never reach a backend. To add a device: implement this class in tensor/<device>/ and add
// it to backend_for() in backend.cpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "tensor/conv.h"
#include "tensor/elementwise.h"
#include "tensor/graph.h"
#include "tensor/random.h"
#include "tensor/reductions.h"
#include "tensor/tensor.h"
#include "tensor/update_rules.h"

namespace nf {

/// What the factors of f32 matrix products and convolutions are rounded to before they are
/// multiplied: not at all, to 10 bits (TF32), or to 7 bits (BF16) of mantissa. Sums are of f32, and
/// so are all tensors. A device may round less where that is faster.
enum class Precision : std::uint8_t { F32, TF32, BF16 };
const char* name_of(Precision precision);

/// Of a mixture of logistics (mixture.h): how many there are, and the bound of their log scales.
struct MixtureArgs {
  std::int64_t components;
  double limit;
};

/// Of a rational-quadratic spline (spline.h): its bins, on [-bound, bound], and the direction.
struct SplineArgs {
  std::int64_t bins;
  double bound;
  bool inverse = false;
};

class Backend {
 public:
  virtual ~Backend() = default;

  // --- memory -----------------------------------------------------------------------------------
  virtual void* allocate(
      std::size_t bytes) = 0;  ///< 64-byte aligned; throws Error when out of memory
  virtual void release(void* data, std::size_t bytes) = 0;
  virtual void to_host(void* host, const void* device, std::size_t bytes) = 0;
  virtual void from_host(void* device, const void* host, std::size_t bytes) = 0;
  /// Bytes in use by tensors now, and the most there ever were.
  virtual std::size_t bytes_in_use() const = 0;
  virtual std::size_t peak_bytes() const = 0;
  /// Waits until all work is done. Only timings need it: reading a value waits by itself.
  virtual void synchronize() {}
  /// May a result be written into memory that nobody looks at any more? Not where replays of a
  /// recorded step need what is there.
  virtual bool may_reuse([[maybe_unused]] const void* data) const { return true; }

  // --- elementwise: equal shapes (broadcast views have stride 0); the output may be an input
  // -------
  virtual void fill(Tensor& out, double value) = 0;      ///< out may be strided
  virtual void copy(Tensor& out, const Tensor& in) = 0;  ///< out may be strided; converts the dtype
  virtual void unary(UnaryOp op, OpArgs args, const Tensor& in, Tensor& out) = 0;
  /// din = dout * df(saved); `saved` is undefined when the op needs nothing.
  virtual void unary_backward(UnaryOp op, OpArgs args, const Tensor& dout, const Tensor& saved,
                              Tensor& din) = 0;
  virtual void binary(BinaryOp op, const Tensor& a, const Tensor& b, Tensor& out) = 0;
  /// da = dout * Op::da(a, b) and/or db = dout * Op::db(a, b): null pointers are left out. a and b
  /// are undefined when the op does not use its inputs. da is written before db, so of two only db
  /// may be dout.
  virtual void binary_backward(BinaryOp op, const Tensor& dout, const Tensor& a, const Tensor& b,
                               Tensor* da, Tensor* db) = 0;
  virtual void compare(CompareOp op, const Tensor& a, const Tensor& b,
                       Tensor& out) = 0;  ///< out u8
  virtual void where(const Tensor& condition, const Tensor& a, const Tensor& b, Tensor& out) = 0;
  /// out += in (same dtype and shape; out may be strided).
  virtual void accumulate(Tensor& out, const Tensor& in) = 0;

  // --- reductions -------------------------------------------------------------------------------
  /// Reduces the trailing `axes` dimensions of `in` (the front end has permuted them there); out
  /// has the leading ones. out is i32 for ArgMax (axes == 1), else of in's dtype.
  virtual void reduce(ReduceOp op, const Tensor& in, int axes, Tensor& out) = 0;

  // --- matrix products and convolutions ---------------------------------------------------------
  /// out = a b for (M, K) x (K, N), or a batch of them (B, M, K) x (B, K, N); any strides.
  virtual void matmul(const Tensor& a, const Tensor& b, Tensor& out) = 0;
  /// out = act(x w^T + bias): x (N, in) and w (out, in) with any strides, bias (out),
  /// contiguous, or undefined. `act` is null or an op whose derivative does not need its input.
  virtual void linear(const Tensor& x, const Tensor& w, const Tensor& bias, const UnaryOp* act,
                      OpArgs args, Tensor& out) = 0;
  /// dpre = dout * act'(out) and dbias = column sums of dpre, in one pass over (N, out). dbias may
  /// be null; dpre may be the same tensor as dout. `act` is not null.
  virtual void linear_backward(const Tensor& dout, const Tensor& out, UnaryOp act, OpArgs args,
                               Tensor& dpre, Tensor* dbias) = 0;
  /// out (N, OH, OW, O) = act(conv(x, w) + bias): x (N, H, W, C) with strides (H W p, W p, p, 1),
  /// p at least C, w (O, C, kh, kw) contiguous, bias and `act` as in linear(). A pixel that is not
  /// finite is in the outputs whose window holds it and in no other, but for Winograd's way
  /// (conv.h, not where `geometry` is exact): there also in those up to 5 pixels off. A weight that
  /// is not finite may also meet the zeros of the padding. A kernel of one pixel with stride 1 does
  /// not get here: that is linear().
  virtual void conv2d(const Tensor& x, const Tensor& w, const Tensor& bias,
                      const ConvGeometry& geometry, const UnaryOp* act, OpArgs args,
                      Tensor& out) = 0;
  /// dx (N, H, W, C) from dout (N, OH, OW, O), which is contiguous; of what is not finite as above.
  virtual void conv2d_backward_data(const Tensor& dout, const Tensor& w,
                                    const ConvGeometry& geometry, Tensor& dx) = 0;
  /// dw (O, C, kh, kw), x and dout as above.
  virtual void conv2d_backward_weights(const Tensor& x, const Tensor& dout,
                                       const ConvGeometry& geometry, Tensor& dw) = 0;

  // --- maps by mixtures of logistics (mixture.h) ------------------------------------------------
  /// x (.., A), parameters (.., 3K A): A logits each of K components, their means, raw log scales.
  virtual void mixture(const MixtureArgs& args, const Tensor& x, const Tensor& parameters,
                       Tensor& value, Tensor& log_slope) = 0;
  /// dx contiguous, dparameters (.., 3K A) with any strides.
  virtual void mixture_backward(const MixtureArgs& args, const Tensor& dvalue,
                                const Tensor& dlog_slope, const Tensor& x, const Tensor& parameters,
                                Tensor& dx, Tensor& dparameters) = 0;

  // --- rational-quadratic splines (spline.h) -----------------------------------------------------
  /// x (.., A), parameters (.., (3K - 1) A): A logits each of K widths, K heights, K - 1 slopes.
  virtual void spline(const SplineArgs& args, const Tensor& x, const Tensor& parameters,
                      Tensor& value, Tensor& log_slope) = 0;
  /// dx contiguous, dparameters with any strides.
  virtual void spline_backward(const SplineArgs& args, const Tensor& dvalue,
                               const Tensor& dlog_slope, const Tensor& x, const Tensor& parameters,
                               Tensor& dx, Tensor& dparameters) = 0;

  // --- precision of products --------------------------------------------------------------------
  /// Of products that this thread asks for: what is set, but for FullPrecision.
  virtual Precision precision() const { return Precision::F32; }
  virtual bool has_precision(Precision precision) const { return precision == Precision::F32; }
  /// Throws when the device does not have it.
  virtual void set_precision(Precision precision);

  // --- indexing: index is i32, contiguous, every entry checked by the front end -----------------
  /// out[.., i, ..] = in[.., index[i], ..] along `axis`.
  virtual void index_select(const Tensor& in, int axis, const Tensor& index, Tensor& out) = 0;
  /// out[.., index[i], ..] += in[.., i, ..]; repeated indices add up (on CUDA in any order).
  virtual void index_add(Tensor& out, int axis, const Tensor& index, const Tensor& in) = 0;
  /// out[i, j] = in[i, index[i, j]] (for axis 1; index has out's shape).
  virtual void gather(const Tensor& in, int axis, const Tensor& index, Tensor& out) = 0;
  /// out[i, index[i, j]] += in[i, j] (for axis 1; index has in's shape).
  virtual void scatter_add(Tensor& out, int axis, const Tensor& index, const Tensor& in) = 0;
  /// out (i32) = index_within(in, highest), see elementwise.h.
  virtual void clamped_indices(const Tensor& in, std::int32_t highest, Tensor& out) = 0;
  /// Smallest and largest entry of an i32 tensor: how the front end checks indices.
  virtual void index_range(const Tensor& index, std::int32_t* lowest, std::int32_t* highest) = 0;

  // --- random numbers ---------------------------------------------------------------------------
  /// Fills `out` with draws number 0, 1, ... of the sequence that starts at block `offset`.
  virtual void random(Distribution kind, std::uint64_t seed, std::uint64_t stream,
                      std::uint64_t offset, Tensor& out) = 0;
  /// Fills the rows (first dimension) of `out` with the numbers of their samples: block b of a row
  /// is philox(seed, row_counter(sample, number, b), round_stream(stream, round)).
  virtual void random_rows(Distribution kind, const RowDraw& draw, Tensor& out) = 0;
  /// out[i, j] = within_level(levels[rows[i], j], u), u the uniform draws of random_rows(): levels
  /// u8 (N, D) and contiguous, rows i32 (B) and contiguous, or null for all; out f32.
  virtual void dequantize(const Tensor& levels, const Tensor* rows, const RowDraw& draw,
                          Tensor& out) = 0;

  /// out[i] = images[rows[i]] moved by image_move() of block 0 of the row's draw: images
  /// (N, H, W, C) contiguous, rows i32 (B) and contiguous, or null for all; out (B, H, W, C) of the
  /// same type.
  virtual void move_images(const Tensor& images, const Tensor* rows, const ImageMoves& moves,
                           const RowDraw& draw, Tensor& out) = 0;

  // --- linear algebra: contiguous f64 matrices, a and b overwritten in place --------------------
  // What a training step may need does not say whether it went well, for that would be to wait:
  // the front end looks at the results, or while a step is recorded lets them go on.
  /// The lower triangle, from A's; the upper one is set to zero. What is found not positive on the
  /// diagonal becomes -infinity there.
  virtual void cholesky(Tensor& a) = 0;
  /// A zero on the diagonal gives what is not finite.
  virtual void triangular_solve(const Tensor& a, bool lower, bool transpose, bool unit,
                                Tensor& b) = 0;
  /// pivots: i32 (n), row i was swapped with pivots[i]; det: f64 (2), the determinant's sign and
  /// the logarithm of its size. A singular matrix has a zero on U's diagonal, sign 0 and -inf.
  virtual void lu(Tensor& a, Tensor& pivots, Tensor& det) = 0;
  /// out = A^-1 from the results of lu(); not finite when A is singular.
  virtual void lu_inverse(const Tensor& lu, const Tensor& pivots, Tensor& out) = 0;
  /// a (m, n), m >= n, becomes Q; r is (n, n). Returns LAPACK's info, as does eigh().
  virtual int qr(Tensor& a, Tensor& r) = 0;
  virtual int eigh(Tensor& a, Tensor& values) = 0;  ///< eigenvectors in columns, values ascending

  // --- optimizers -------------------------------------------------------------------------------
  /// One pass over all parameters, gradients and states, which are contiguous: rule(p, scale*g, m,
  /// v). `scale` is an f32 scalar tensor on this device, or undefined for 1; when it is not finite,
  /// nothing is done. m and v are empty spans when the rule has no such state. `factors` are those
  /// of each parameter (none given: all 1).
  virtual void update(UpdateRule rule, const UpdateArgs& args, const Tensor& scale,
                      std::span<Tensor> params, std::span<const Tensor> grads, std::span<Tensor> m,
                      std::span<Tensor> v, std::span<const UpdateFactors> factors = {}) = 0;

  /// out (an f64 scalar) = the Euclidean norm of all elements of contiguous floats of one dtype,
  /// added in doubles in an order that only the sizes decide. NaN and infinities come through.
  virtual void norm(std::span<const Tensor> tensors, Tensor& out) = 0;

  // --- recording --------------------------------------------------------------------------------
  /// Is a step being recorded? Then no value can be looked at.
  virtual bool recording() const { return false; }
  /// Records what `step` asks of this device; see Graph. The draws of replay number r start at the
  /// offsets that it is given, its updates take their constants from there.
  virtual std::unique_ptr<Recording> record(std::span<Generator* const> generators,
                                            const std::function<void()>& step);
};

/// The backend of a device: the only place where the device is asked for. Throws when the device is
/// not in this build or not on this machine.
Backend& backend_for(Device device);
namespace detail {
void choose_backends_anew();  ///< for this thread, which a Profile begins or ends to watch
}
inline Backend& backend_of(const Tensor& t) { return backend_for(t.device()); }

Backend& cpu_backend();   // tensor/cpu
Backend& cuda_backend();  // tensor/cuda, or its stub, which throws
bool cuda_available();    // false in the stub
/// Takes the GPU `index` modulo their number, not GPU 0: that of one of several processes on a
/// machine. Before anything is done there, else Error; nothing in the stub.
void choose_cuda_device(int index);

}  // namespace nf
