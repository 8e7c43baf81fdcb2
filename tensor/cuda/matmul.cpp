// Matrix products and the fused linear layer.
#include <algorithm>

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

/// `t` is (.., rows, cols); the front end has seen to its strides.
Matrix as_matrix(const Tensor& t) {
  const int r = t.rank() - 2, c = t.rank() - 1;
  const bool transposed = t.strides()[c] != 1;
  const std::int64_t least = std::max<std::int64_t>(1, t.shape()[transposed ? r : c]);
  const std::int64_t ld = std::max(t.strides()[transposed ? c : r], least);
  return {bytes_of(t), ld, transposed, t.rank() == 3 ? t.strides()[0] : 0};
}

}  // namespace

void CudaBackend::matmul(const Tensor& a, const Tensor& b, Tensor& out) {
  Product p{.dtype = out.dtype(),
            .m = a.dim(-2),
            .n = b.dim(-1),
            .k = a.dim(-1),
            .batch = out.rank() == 3 ? out.dim(0) : 1,
            .a = as_matrix(a),
            .b = as_matrix(b),
            .c = mutable_bytes_of(out)};
  // One b for all, and the rows of all a's in one regular order: one tall product.
  const std::int64_t ld = p.m == 1 ? p.a.step : p.a.ld;
  if (p.batch > 1 && p.b.step == 0 && !p.a.transposed && ld >= p.k && p.a.step == p.m * ld) {
    p.a.ld = ld;
    p.a.step = 0;
    p.m *= p.batch;
    p.batch = 1;
  }
  gemm(p, precision_);
}

void CudaBackend::linear(const Tensor& x, const Tensor& w, const Tensor& bias, const UnaryOp* act,
                         OpArgs args, Tensor& out) {
  const bool biased = bias.defined(), rectified = act && *act == UnaryOp::Relu;
  if (x.dim(1) == 0) {
    fill(out, 0);
    return bias_act(out, bias, act, args);
  }
  Product p{.dtype = out.dtype(),
            .m = x.dim(0),
            .n = w.dim(0),
            .k = x.dim(1),
            .a = as_matrix(x),
            .b = {bytes_of(w), w.dim(1), true},  // w^T is w's memory, read the other way
            .c = mutable_bytes_of(out)};
  // cuBLASLt fuses for f32 what it knows; another activation takes the bias along.
  const bool fused = p.dtype == DType::F32 && (!act || rectified);
  if (fused) {
    p.epilogue = rectified ? (biased ? Epilogue::BiasRelu : Epilogue::Relu)
                           : (biased ? Epilogue::Bias : Epilogue::None);
    p.bias = biased ? bytes_of(bias) : nullptr;
  }
  gemm(p, precision_);
  if (!fused) bias_act(out, bias, act, args);
}

}  // namespace nf
