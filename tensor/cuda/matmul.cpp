// Matrix products and the fused linear layer.
#include <algorithm>
#include <optional>

#include "tensor/cuda/cuda_backend.h"
#include "tensor/cuda/gemm.h"

namespace nf {
namespace {

using namespace nf::cuda;

const void* bytes_of(const Tensor& t) {
  return visit_float(t.dtype(), [&]<class T>() -> const void* { return t.data<T>(); });
}

void* mutable_bytes_of(Tensor& t) {
  return visit_float(t.dtype(), [&]<class T>() -> void* { return t.mutable_data<T>(); });
}

/// An operand (.., rows, cols), copied where cuBLASLt cannot read its strides.
class Operand {
 public:
  explicit Operand(const Tensor& t) : tensor_(order_of(t) ? t : t.clone()) {
    const MatrixOrder order = *order_of(tensor_);
    matrix = {bytes_of(tensor_), std::max<std::int64_t>(1, order.ld), order.transposed,
              t.rank() == 3 ? tensor_.strides()[0] : 0};
  }

  Matrix matrix;

 private:
  static std::optional<MatrixOrder> order_of(const Tensor& t) {
    const Strides& strides = t.strides();
    if (t.rank() == 3 && strides[0] < 0) return std::nullopt;  // no step for cuBLASLt
    return matrix_order(t.dim(-2), t.dim(-1), strides[t.rank() - 2], strides[t.rank() - 1]);
  }

  Tensor tensor_;  // keeps the copy
};

}  // namespace

void CudaBackend::matmul(const Tensor& a, const Tensor& b, Tensor& out) {
  const Operand left(a), right(b);
  Product p{.dtype = out.dtype(),
            .m = a.dim(-2),
            .n = b.dim(-1),
            .k = a.dim(-1),
            .batch = out.rank() == 3 ? out.dim(0) : 1,
            .a = left.matrix,
            .b = right.matrix,
            .c = mutable_bytes_of(out)};
  // One b for all, and the rows of all a's in one regular order: one tall product.
  const std::int64_t ld = p.m == 1 ? p.a.step : p.a.ld;
  if (p.batch > 1 && p.b.step == 0 && !p.a.transposed && ld >= p.k && p.a.step == p.m * ld) {
    p.a.ld = ld;
    p.a.step = 0;
    p.m *= p.batch;
    p.batch = 1;
  }
  gemm(p, precision());
}

void CudaBackend::linear(const Tensor& x, const Tensor& w, const Tensor& bias, const UnaryOp* act,
                         OpArgs args, Tensor& out) {
  const bool biased = bias.defined(), rectified = act && *act == UnaryOp::Relu;
  if (x.dim(1) == 0) {
    fill(out, 0);
    return bias_act(out, bias, act, args);
  }
  const Operand left(x), right(w.contiguous());
  Product p{.dtype = out.dtype(),
            .m = x.dim(0),
            .n = w.dim(0),
            .k = x.dim(1),
            .a = left.matrix,
            .b = {right.matrix.data, w.dim(1), true},  // w^T is w's memory, read the other way
            .c = mutable_bytes_of(out)};
  // cuBLASLt fuses for f32 what it knows; another activation takes the bias along.
  const bool fusible = p.dtype == DType::F32 && (!act || rectified);
  if (fusible) {
    p.epilogue = rectified ? (biased ? Epilogue::BiasRelu : Epilogue::Relu)
                           : (biased ? Epilogue::Bias : Epilogue::None);
    p.bias = biased ? bytes_of(bias) : nullptr;
  }
  const bool fused = gemm(p, precision()) && fusible;
  if (!fused) bias_act(out, bias, act, args);
}

}  // namespace nf
