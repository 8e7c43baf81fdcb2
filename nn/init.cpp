#include "nn/init.h"

#include <algorithm>
#include <cmath>

#include "tensor/linalg.h"
#include "tensor/ops.h"

namespace nf::nn {

Tensor initial_weight(const Init& init, Generator& gen, std::int64_t out, std::int64_t inputs,
                      std::int64_t window) {
  const std::int64_t in = inputs * window;
  const auto uniform_within = [&](double bound) {
    return affine(uniform(gen, {out, in}), 2 * bound, -bound);
  };
  switch (init.kind) {
    case Init::Kind::Uniform:
      return uniform_within(init.scale);
    case Init::Kind::Normal:
      return normal(gen, {out, in}) * init.scale;
    case Init::Kind::Kaiming:
      return uniform_within(init.scale * std::sqrt(6.0 / in));
    case Init::Kind::Xavier:
      return uniform_within(init.scale * std::sqrt(6.0 / (in + out * window)));
    case Init::Kind::Zeros:
      return Tensor::zeros({out, in});
    case Init::Kind::Orthogonal:
      break;
  }
  const std::int64_t tall = std::max(out, in), thin = std::min(out, in);
  const Tensor q = qr(normal(gen, {tall, thin}, DType::F64)).q.to(DType::F32) * init.scale;
  return (out >= in ? q : q.t()).contiguous();
}

Tensor standardizing_log_scale(const Tensor& variance) {
  constexpr double kConstant = 1e-10;
  const Tensor limit = Tensor::full({}, kConstant, variance.dtype(), variance.device());
  const Tensor scale = -log(sqrt(variance) + 1e-6);
  return where(greater(variance, limit), scale, scale.zeros_like());
}

}  // namespace nf::nn
