// What Profile counts: a backend that tells it of each call, and hands the call on.
#include "tensor/backend.h"
#include "tensor/profile.h"

namespace nf {

namespace {

// Of each element once, also of those that a stride of 0 repeats.
double size_in_bytes(const Tensor& t) {
  if (!t.defined()) return 0;
  auto bytes = static_cast<double>(size_of(t.dtype()));
  for (int d = 0; d < t.rank(); ++d) {
    if (t.layout().strides[d] != 0) bytes *= static_cast<double>(t.dim(d));
  }
  return bytes;
}

double size_in_bytes(const Tensor* t) { return t ? size_in_bytes(*t) : 0; }

double size_in_bytes(std::span<const Tensor> tensors) {
  double bytes = 0;
  for (const Tensor& t : tensors) bytes += size_in_bytes(t);
  return bytes;
}

// Of a product: a multiply-add for each element of the output and of the dimension summed over. Of
// a convolution the padding counts like the image, as is the custom.
double product_flops(const Tensor& out, std::int64_t inner) {
  return 2 * static_cast<double>(out.numel()) * static_cast<double>(inner);
}

// What is added to, or changed in place, is read and written: it is named twice.
class CountingBackend : public Backend {
 public:
  CountingBackend(Backend& inner, Profile& profile) : inner_(inner), profile_(profile) {}

  // --- memory: copies are read here and written there -------------------------------------------
  void* allocate(std::size_t bytes) override { return inner_.allocate(bytes); }
  void release(void* data, std::size_t bytes) override { inner_.release(data, bytes); }
  void to_host(void* host, const void* device, std::size_t bytes) override {
    profile_.count(2 * static_cast<double>(bytes), 0);
    inner_.to_host(host, device, bytes);
  }
  void from_host(void* device, const void* host, std::size_t bytes) override {
    profile_.count(2 * static_cast<double>(bytes), 0);
    inner_.from_host(device, host, bytes);
  }
  std::size_t bytes_in_use() const override { return inner_.bytes_in_use(); }
  std::size_t peak_bytes() const override { return inner_.peak_bytes(); }
  void synchronize() override { inner_.synchronize(); }
  bool may_reuse(const void* data) const override { return inner_.may_reuse(data); }

  // --- elementwise and reductions ---------------------------------------------------------------
  void fill(Tensor& out, double value) override {
    count(0, out);
    inner_.fill(out, value);
  }
  void copy(Tensor& out, const Tensor& in) override {
    count(0, in, out);
    inner_.copy(out, in);
  }
  void unary(UnaryOp op, OpArgs args, const Tensor& in, Tensor& out) override {
    count(0, in, out);
    inner_.unary(op, args, in, out);
  }
  void unary_backward(UnaryOp op, OpArgs args, const Tensor& dout, const Tensor& saved,
                      Tensor& din) override {
    count(0, dout, saved, din);
    inner_.unary_backward(op, args, dout, saved, din);
  }
  void binary(BinaryOp op, const Tensor& a, const Tensor& b, Tensor& out) override {
    count(0, a, b, out);
    inner_.binary(op, a, b, out);
  }
  void binary_backward(BinaryOp op, const Tensor& dout, const Tensor& a, const Tensor& b,
                       Tensor* da, Tensor* db) override {
    count(0, dout, a, b, da, db);
    inner_.binary_backward(op, dout, a, b, da, db);
  }
  void compare(CompareOp op, const Tensor& a, const Tensor& b, Tensor& out) override {
    count(0, a, b, out);
    inner_.compare(op, a, b, out);
  }
  void where(const Tensor& condition, const Tensor& a, const Tensor& b, Tensor& out) override {
    count(0, condition, a, b, out);
    inner_.where(condition, a, b, out);
  }
  void accumulate(Tensor& out, const Tensor& in) override {
    count(0, in, out, out);
    inner_.accumulate(out, in);
  }
  void reduce(ReduceOp op, const Tensor& in, int axes, Tensor& out) override {
    count(0, in, out);
    inner_.reduce(op, in, axes, out);
  }

  // --- matrix products and convolutions ---------------------------------------------------------
  void matmul(const Tensor& a, const Tensor& b, Tensor& out) override {
    count(product_flops(out, a.dim(a.rank() - 1)), a, b, out);
    inner_.matmul(a, b, out);
  }
  void linear(const Tensor& x, const Tensor& w, const Tensor& bias, const UnaryOp* act, OpArgs args,
              Tensor& out) override {
    count(product_flops(out, w.dim(1)), x, w, bias, out);
    inner_.linear(x, w, bias, act, args, out);
  }
  void linear_backward(const Tensor& dout, const Tensor& out, UnaryOp act, OpArgs args,
                       Tensor& dpre, Tensor* dbias) override {
    count(0, dout, out, dpre, dbias);
    inner_.linear_backward(dout, out, act, args, dpre, dbias);
  }
  void conv2d(const Tensor& x, const Tensor& w, const Tensor& bias, const ConvGeometry& geometry,
              const UnaryOp* act, OpArgs args, Tensor& out) override {
    count(product_flops(out, w.numel() / w.dim(0)), x, w, bias, out);
    inner_.conv2d(x, w, bias, geometry, act, args, out);
  }
  void conv2d_backward_data(const Tensor& dout, const Tensor& w, const ConvGeometry& geometry,
                            Tensor& dx) override {
    count(product_flops(dout, w.numel() / w.dim(0)), dout, w, dx);
    inner_.conv2d_backward_data(dout, w, geometry, dx);
  }
  void conv2d_backward_weights(const Tensor& x, const Tensor& dout, const ConvGeometry& geometry,
                               Tensor& dw) override {
    count(product_flops(dout, dw.numel() / dw.dim(0)), x, dout, dw);
    inner_.conv2d_backward_weights(x, dout, geometry, dw);
  }
  void mixture(const MixtureArgs& args, const Tensor& x, const Tensor& parameters, Tensor& value,
               Tensor& log_slope) override {
    count(0, x, parameters, value, log_slope);
    inner_.mixture(args, x, parameters, value, log_slope);
  }
  void mixture_backward(const MixtureArgs& args, const Tensor& dvalue, const Tensor& dlog_slope,
                        const Tensor& x, const Tensor& parameters, Tensor& dx,
                        Tensor& dparameters) override {
    count(0, dvalue, dlog_slope, x, parameters, dx, dparameters);
    inner_.mixture_backward(args, dvalue, dlog_slope, x, parameters, dx, dparameters);
  }
  void spline(const SplineArgs& args, const Tensor& x, const Tensor& parameters, Tensor& value,
              Tensor& log_slope) override {
    count(0, x, parameters, value, log_slope);
    inner_.spline(args, x, parameters, value, log_slope);
  }
  void spline_backward(const SplineArgs& args, const Tensor& dvalue, const Tensor& dlog_slope,
                       const Tensor& x, const Tensor& parameters, Tensor& dx,
                       Tensor& dparameters) override {
    count(0, dvalue, dlog_slope, x, parameters, dx, dparameters);
    inner_.spline_backward(args, dvalue, dlog_slope, x, parameters, dx, dparameters);
  }
  Precision precision() const override { return inner_.precision(); }
  bool has_precision(Precision p) const override { return inner_.has_precision(p); }
  void set_precision(Precision precision) override { inner_.set_precision(precision); }

  // --- indexing: of a whole tensor only what is taken -------------------------------------------
  void index_select(const Tensor& in, int axis, const Tensor& index, Tensor& out) override {
    count(0, index, out, out);
    inner_.index_select(in, axis, index, out);
  }
  void index_add(Tensor& out, int axis, const Tensor& index, const Tensor& in) override {
    count(0, index, in, in, in);
    inner_.index_add(out, axis, index, in);
  }
  void gather(const Tensor& in, int axis, const Tensor& index, Tensor& out) override {
    count(0, index, out, out);
    inner_.gather(in, axis, index, out);
  }
  void scatter_add(Tensor& out, int axis, const Tensor& index, const Tensor& in) override {
    count(0, index, in, in, in);
    inner_.scatter_add(out, axis, index, in);
  }
  void clamped_indices(const Tensor& in, std::int32_t highest, Tensor& out) override {
    count(0, in, out);
    inner_.clamped_indices(in, highest, out);
  }
  void index_range(const Tensor& index, std::int32_t* lowest, std::int32_t* highest) override {
    count(0, index);
    inner_.index_range(index, lowest, highest);
  }

  // --- random numbers ---------------------------------------------------------------------------
  void random(Distribution kind, std::uint64_t seed, std::uint64_t stream, std::uint64_t offset,
              Tensor& out) override {
    count(0, out);
    inner_.random(kind, seed, stream, offset, out);
  }
  void random_rows(Distribution kind, const RowDraw& draw, Tensor& out) override {
    count(0, draw.samples, out);
    inner_.random_rows(kind, draw, out);
  }
  void dequantize(const Tensor& levels, const Tensor* rows, const RowDraw& draw,
                  Tensor& out) override {
    profile_.count(size_in_bytes(rows) + size_in_bytes(draw.samples) + size_in_bytes(out) +
                       static_cast<double>(out.numel()),  // a level is a byte
                   0);
    inner_.dequantize(levels, rows, draw, out);
  }

  void move_images(const Tensor& images, const Tensor* rows, const ImageMoves& moves,
                   const RowDraw& draw, Tensor& out) override {
    profile_.count(size_in_bytes(rows) + size_in_bytes(draw.samples) + 2 * size_in_bytes(out), 0);
    inner_.move_images(images, rows, moves, draw, out);
  }

  // --- linear algebra ---------------------------------------------------------------------------
  void cholesky(Tensor& a) override {
    count(0, a, a);
    inner_.cholesky(a);
  }
  void triangular_solve(const Tensor& a, bool lower, bool transpose, bool unit,
                        Tensor& b) override {
    count(0, a, b, b);
    inner_.triangular_solve(a, lower, transpose, unit, b);
  }
  void lu(Tensor& a, Tensor& pivots, Tensor& det) override {
    count(0, a, a, pivots, det);
    inner_.lu(a, pivots, det);
  }
  void lu_inverse(const Tensor& lu, const Tensor& pivots, Tensor& out) override {
    count(0, lu, pivots, out);
    inner_.lu_inverse(lu, pivots, out);
  }
  int qr(Tensor& a, Tensor& r) override {
    count(0, a, a, r);
    return inner_.qr(a, r);
  }
  int eigh(Tensor& a, Tensor& values) override {
    count(0, a, a, values);
    return inner_.eigh(a, values);
  }

  // --- optimizers -------------------------------------------------------------------------------
  void update(UpdateRule rule, const UpdateArgs& args, const Tensor& scale,
              std::span<Tensor> params, std::span<const Tensor> grads, std::span<Tensor> m,
              std::span<Tensor> v, std::span<const UpdateFactors> factors) override {
    count(0, params, params, grads, m, m, v, v, scale);
    inner_.update(rule, args, scale, params, grads, m, v, factors);
  }
  void norm(std::span<const Tensor> tensors, Tensor& out) override {
    count(0, tensors, out);
    inner_.norm(tensors, out);
  }

  // --- recording --------------------------------------------------------------------------------
  bool recording() const override { return inner_.recording(); }
  std::unique_ptr<Recording> record(std::span<Generator* const> generators,
                                    const std::function<void()>& step) override {
    return inner_.record(generators, step);
  }

 private:
  template <class... Moved>
  void count(double flops, const Moved&... moved) {
    profile_.count((size_in_bytes(moved) + ...), flops);
  }

  Backend& inner_;
  Profile& profile_;
};

}  // namespace

Backend& Profile::counting(Backend& backend) {
  auto& counting = counting_[&backend == &cpu_backend() ? 0 : 1];
  if (!counting) counting = std::make_unique<CountingBackend>(backend, *this);
  return *counting;
}

}  // namespace nf
