#include "flows/layers/level_cdf.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <vector>

namespace nf::flows {

LevelCdf::LevelCdf(std::int64_t dims, int levels)
    : below_(add_buffer("below", (Tensor::arange(levels + 1) / levels)
                                     .reshape({levels + 1, 1})
                                     .broadcast_to({levels + 1, dims})
                                     .clone())) {
  NF_CHECK(levels >= 2, "[LevelCdf] needs at least two levels, got ", levels);
}

// The mass is the difference of what is stored: the end of a level is the start of the next to the
// last bit, or the inverse could fall on the wrong side.
LevelCdf::Level LevelCdf::look_up(const Tensor& level) const {
  const Tensor below = gather(below_, 0, level);
  return {below, gather(below_.narrow(0, 1, below_.dim(0) - 1), 0, level) - below};
}

Mapped LevelCdf::forward(const Var& x, const Var&) {
  const std::int64_t levels = below_.dim(0) - 1, dims = below_.dim(1);
  NF_CHECK(x.rank() == 2 && x.dim(1) == dims, "[LevelCdf] expected (N, ", dims, "), got ",
           x.shape());
  const Tensor level = clamped_indices(x.value(), levels);
  const auto [below, mass] = look_up(level);
  return {below + (x - level.to(x.dtype())) * mass, sum_event(log(mass))};
}

Mapped LevelCdf::inverse(const Var& z, const Var&) {
  const std::int64_t levels = below_.dim(0) - 1, dims = below_.dim(1);
  NF_CHECK(z.rank() == 2 && z.dim(1) == dims, "[LevelCdf] expected (N, ", dims, "), got ",
           z.shape());
  // The last level whose `below` is at most z, by bisection of all elements side by side.
  const Tensor& value = z.value();
  Tensor level = value.zeros_like();
  const auto size = static_cast<std::uint64_t>(levels);
  for (std::uint64_t step = std::bit_ceil(size) / 2; step > 0; step /= 2) {
    const Tensor higher =
        clamp(level + static_cast<double>(step), 0, static_cast<double>(levels) - 1);
    const Tensor below = gather(below_, 0, clamped_indices(higher, levels));
    level = where(greater_equal(value, below), higher, level);
  }
  const auto [below, mass] = look_up(clamped_indices(level, levels));
  // Not up to 1: the sum with level 255 would round to 256 in f32.
  const Var within = clamp((z - below) / mass, 0, 1 - 0x1p-16);
  return {level + within, -sum_event(log(mass))};
}

double LevelCdf::flops(const Shape& in) const {
  return 6.0 * static_cast<double>(in.numel());  // mass, x - level, times, plus; ln and its sum
}

void LevelCdf::initialize(const Samples& x) {
  const std::int64_t levels = below_.dim(0) - 1, dims = below_.dim(1), n = x.size();
  std::vector<double> count(static_cast<std::size_t>(levels * dims), kPrior);
  x.for_each_part([&](const Tensor& part) {
    NF_CHECK(part.rank() == 2 && part.dim(1) == dims && min(part).item() >= 0 &&
                 max(part).item() < static_cast<double>(levels),
             "[LevelCdf] needs (N, ", dims, ") in [0, ", levels, "), got ", part.shape(), " from ",
             min(part).item(), " to ", max(part).item());
    const Tensor host = part.to(Device::CPU).to(DType::F32).contiguous();
    const float* const values = host.data<float>();
    for (std::int64_t i = 0; i < host.numel(); ++i) {
      const auto level = static_cast<std::int64_t>(values[i]);
      count[static_cast<std::size_t>(level * dims + i % dims)] += 1;
    }
  });
  const double total = static_cast<double>(n) + kPrior * static_cast<double>(levels);
  const auto row = static_cast<std::size_t>(dims);
  std::vector<double> below(count.size() + row, 0.0);
  for (std::size_t i = 0; i < count.size(); ++i) below[i + row] = below[i] + count[i] / total;
  std::fill(below.end() - dims, below.end(), 1.0);
  below_.copy_(Tensor::from(below, {levels + 1, dims}));
}

}  // namespace nf::flows
