#include "flows/examine/target_fit.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace nf::flows {

TargetFit examine_target(Density& density, const Target& target, std::int64_t draws,
                         std::uint64_t seed) {
  constexpr std::int64_t kPart = 1000;
  const Examination examination(density, seed);
  Generator gen(seed, /*stream=*/0x74617267);  // "targ"
  std::vector<double> log_weights;
  for (std::int64_t at = 0; at < draws; at += kPart) {
    const auto [x, log_prob] = density.draw(gen, std::min(kPart, draws - at));
    const Tensor some = (target.log_density(x) - log_prob).value().to(DType::F64);
    for (const double weight : some.to_vector<double>()) log_weights.push_back(weight);
  }
  return {
      .elbo = mean_and_error(log_weights), .evidence = evidence_of(log_weights), .draws = draws};
}

TargetGrid on_grid(FlowDensity& density, const Target& target, double reach, int size) {
  const Examination examination(density);
  const double step = 2 * reach / size;
  const Tensor across = affine(Tensor::arange(size, DType::F64), step, -reach + step / 2);
  std::vector<Tensor> log_p, log_q;
  for (int row = 0; row < size; ++row) {
    const Tensor y = Tensor::full({size, 1}, reach - (row + .5) * step, DType::F64);
    const Tensor points = concat(std::vector{across.unsqueeze(1), y}, 1).to(density.device());
    const auto add = [&](const Var& values, std::vector<Tensor>& rows) {
      rows.push_back(values.value().to(Device::CPU).to(DType::F64).reshape({1, size}));
    };
    add(target.log_density(points), log_p);
    add(density.log_prob(points), log_q);
  }
  TargetGrid grid = {.log_p = concat(log_p, 0), .log_q = concat(log_q, 0)};
  const double cell = step * step;
  grid.log_z = logsumexp(grid.log_p).item() + std::log(cell);
  const std::vector<double> p = grid.log_p.to_vector<double>(), q = grid.log_q.to_vector<double>();
  for (std::size_t i = 0; i < q.size(); ++i) {
    const double share = std::exp(q[i]) * cell;
    if (share == 0) continue;
    grid.mass += share;
    grid.kl += share * (q[i] - p[i] + grid.log_z);
  }
  return grid;
}

}  // namespace nf::flows
