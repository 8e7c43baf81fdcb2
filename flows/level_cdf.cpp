#include "flows/level_cdf.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <vector>

namespace nf::flows {

LevelCdf::LevelCdf(std::int64_t dims, int levels)
    : below_(add_buffer("below", (Tensor::arange(levels) / levels)
                                     .reshape({levels, 1})
                                     .broadcast_to({levels, dims})
                                     .clone())),
      mass_(add_buffer("mass", Tensor::full({levels, dims}, 1.0 / levels))) {
  NF_CHECK(levels >= 2, "[LevelCdf] needs at least two levels, got ", levels);
}

Mapped LevelCdf::forward(const Var& x, const Var&) {
  const std::int64_t levels = below_.dim(0), dims = below_.dim(1);
  NF_CHECK(x.rank() == 2 && x.dim(1) == dims, "[LevelCdf] expected (N, ", dims, "), got ",
           x.shape());
  const Tensor level = clamp(x.value(), 0, static_cast<double>(levels) - 1).to(DType::I32);
  const Tensor mass = gather(mass_, 0, level);
  const Var within = x - level.to(x.dtype());
  return {gather(below_, 0, level) + within * mass, sum(log(mass), {1})};
}

Mapped LevelCdf::inverse(const Var& z, const Var&) {
  const std::int64_t levels = below_.dim(0), dims = below_.dim(1);
  NF_CHECK(z.rank() == 2 && z.dim(1) == dims, "[LevelCdf] expected (N, ", dims, "), got ",
           z.shape());
  // The last level whose `below` is at most z, by bisection of all elements side by side.
  const Tensor& value = z.value();
  Tensor level = value.zeros_like();
  const auto size = static_cast<std::uint64_t>(levels);
  for (std::uint64_t step = std::bit_ceil(size) / 2; step > 0; step /= 2) {
    const Tensor higher =
        clamp(level + static_cast<double>(step), 0, static_cast<double>(levels - 1));
    const Tensor fits = greater_equal(value, gather(below_, 0, higher.to(DType::I32)));
    level = where(fits, higher, level);
  }
  const Tensor index = level.to(DType::I32), mass = gather(mass_, 0, index);
  const Var within = clamp((z - gather(below_, 0, index)) / mass, 0, 1 - 0x1p-12);
  return {level + within, -sum(log(mass), {1})};
}

void LevelCdf::initialize(const Tensor& x) {
  const std::int64_t levels = below_.dim(0), dims = below_.dim(1), n = x.dim(0);
  NF_CHECK(x.rank() == 2 && x.dim(1) == dims && min(x).item() >= 0 &&
               max(x).item() < static_cast<double>(levels),
           "[LevelCdf] needs (N, ", dims, ") in [0, ", levels, "), got ", x.shape(), " from ",
           min(x).item(), " to ", max(x).item());
  const Tensor host = x.to(Device::CPU).to(DType::F32).contiguous();
  const float* const values = host.data<float>();
  std::vector<double> count(static_cast<std::size_t>(levels * dims), kPrior);
  for (std::int64_t i = 0; i < n * dims; ++i) {
    count[static_cast<std::size_t>(static_cast<std::int64_t>(values[i]) * dims + i % dims)] += 1;
  }
  const double total = static_cast<double>(n) + kPrior * static_cast<double>(levels);
  std::vector<double> below(count.size(), 0.0);
  for (std::size_t i = 0; i < count.size(); ++i) {
    const auto row = static_cast<std::size_t>(dims);
    if (i >= row) below[i] = below[i - row] + count[i - row] / total;
  }
  below_.copy_(Tensor::from(below, {levels, dims}));
  mass_.copy_(Tensor::from(count, {levels, dims}) / total);
}

}  // namespace nf::flows
