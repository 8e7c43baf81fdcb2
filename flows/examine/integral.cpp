#include "flows/examine/integral.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace nf::flows {

namespace {

constexpr std::size_t kMostDims = 3;
constexpr std::int64_t kSamples = 20'000;
constexpr std::array<std::int64_t, kMostDims + 1> kCells = {0, 512, 128, 32};  // at first, per side

using Position = std::array<double, kMostDims>;

struct Box {
  Position low{}, high{};
};

/// A sample of the density, and ln p there.
struct Sample {
  Position at;
  double log_prob;
};

struct Cell {
  Position middle;
  double side;                        // a fraction of the box's
  double mass;                        // density at the middle times volume
  std::vector<std::int32_t> samples;  // that lie in it
};

class Integrator {
 public:
  Integrator(FlowDensity& density, const Box& box, const std::vector<Position>& samples = {})
      : density_(density), box_(box), dims_(static_cast<std::size_t>(density.dims())) {
    for (std::size_t d = 0; d < dims_; ++d) volume_ *= box.high[d] - box.low[d];
    const std::vector<double> log_prob = log_prob_at(samples);
    for (std::size_t i = 0; i < samples.size(); ++i) samples_.push_back({samples[i], log_prob[i]});
  }

  Integral run(std::int64_t most) {
    std::vector<Cell> open = first_cells();
    // Together, cells may be wrong by a thousandth.
    const double allowed = 1e-3 / static_cast<double>(open.size());
    Integral out;
    while (!open.empty()) {
      std::vector<Cell> parts = halved(open);
      const std::size_t per_cell = parts.size() / open.size();
      std::vector<Cell> next;
      for (std::size_t i = 0; i < open.size(); ++i) {
        const auto first = parts.begin() + static_cast<std::ptrdiff_t>(i * per_cell);
        const auto last = first + static_cast<std::ptrdiff_t>(per_cell);
        double mass = 0;
        for (auto part = first; part != last; ++part) mass += part->mass;
        const double error = std::abs(mass - open[i].mass) + missed_mass(open[i], mass, allowed);
        if (error > allowed && points_ < most) {
          next.insert(next.end(), first, last);
        } else {
          out.value += mass;
          out.tolerance += error;
        }
      }
      open = std::move(next);
    }
    out.points = points_;
    return out;
  }

 private:
  /// All middles may lie beside a narrow peak, and then halving changes nothing, 0 = 0. Samples
  /// find it. Returns the share of the samples that lie in the cell if at one of them the density
  /// is far above the mean one that the middles tell, else 0.
  double missed_mass(const Cell& cell, double mass, double allowed) const {
    constexpr double kFar = 8;
    double most = -INFINITY;
    for (const std::int32_t i : cell.samples) {
      most = std::max(most, samples_[static_cast<std::size_t>(i)].log_prob);
    }
    const double there = std::exp(most) * volume_of(cell);
    if (there <= kFar * mass + allowed) return 0;
    return static_cast<double>(cell.samples.size()) / static_cast<double>(samples_.size());
  }

  double volume_of(const Cell& cell) const {
    return volume_ * std::pow(cell.side, static_cast<double>(dims_));
  }

  std::vector<Cell> first_cells() {
    const std::int64_t side = kCells[dims_];
    std::int64_t count = 1;
    for (std::size_t d = 0; d < dims_; ++d) count *= side;
    std::vector<Cell> cells(static_cast<std::size_t>(count));
    for (std::int64_t i = 0; i < count; ++i) {
      Cell& cell = cells[static_cast<std::size_t>(i)];
      cell.side = 1 / static_cast<double>(side);
      std::int64_t rest = i;
      for (std::size_t d = 0; d < dims_; ++d, rest /= side) {
        cell.middle[d] = at(d, (static_cast<double>(rest % side) + .5) * cell.side);
      }
    }
    for (std::size_t i = 0; i < samples_.size(); ++i) {
      std::int64_t index = 0;
      for (std::size_t d = dims_; d-- > 0;) {
        const double fraction = (samples_[i].at[d] - box_.low[d]) / (box_.high[d] - box_.low[d]);
        const auto place = static_cast<std::int64_t>(fraction * static_cast<double>(side));
        index = index * side + std::clamp(place, std::int64_t{0}, side - 1);
      }
      cells[static_cast<std::size_t>(index)].samples.push_back(static_cast<std::int32_t>(i));
    }
    measure(cells);
    return cells;
  }

  double at(std::size_t d, double fraction) const {
    return box_.low[d] + fraction * (box_.high[d] - box_.low[d]);
  }

  // 2^D cells for each.
  std::vector<Cell> halved(const std::vector<Cell>& cells) {
    const std::size_t corners = std::size_t{1} << dims_;
    std::vector<Cell> parts;
    parts.reserve(cells.size() * corners);
    for (const Cell& cell : cells) {
      for (std::size_t corner = 0; corner < corners; ++corner) {
        Cell part{cell.middle, cell.side / 2, 0, {}};
        for (std::size_t d = 0; d < dims_; ++d) {
          const double step = part.side / 2 * (box_.high[d] - box_.low[d]);
          part.middle[d] += (corner >> d & 1) != 0 ? step : -step;
        }
        parts.push_back(std::move(part));
      }
      Cell* const own = parts.data() + (parts.size() - corners);
      for (const std::int32_t i : cell.samples) {
        std::size_t corner = 0;
        for (std::size_t d = 0; d < dims_; ++d) {
          const bool above = samples_[static_cast<std::size_t>(i)].at[d] >= cell.middle[d];
          corner |= static_cast<std::size_t>(above) << d;
        }
        own[corner].samples.push_back(i);
      }
    }
    measure(parts);
    return parts;
  }

  std::vector<double> log_prob_at(const std::vector<Position>& points) {
    constexpr std::size_t kPart = 20'000;
    std::vector<double> out;
    for (std::size_t first = 0; first < points.size(); first += kPart) {
      const std::size_t last = std::min(first + kPart, points.size());
      std::vector<double> rows;
      for (std::size_t i = first; i < last; ++i) {
        rows.insert(rows.end(), points[i].begin(),
                    points[i].begin() + static_cast<std::ptrdiff_t>(dims_));
      }
      const Tensor x = Tensor::from(
          rows, {static_cast<std::int64_t>(last - first), static_cast<std::int64_t>(dims_)});
      const Tensor log_prob = density_.log_prob(x.to(density_.device())).value();
      const auto values = log_prob.to(Device::CPU).to(DType::F64).to_vector<double>();
      out.insert(out.end(), values.begin(), values.end());
    }
    points_ += std::ssize(points);
    return out;
  }

  void measure(std::vector<Cell>& cells) {
    std::vector<Position> middles;
    for (const Cell& cell : cells) middles.push_back(cell.middle);
    const std::vector<double> log_prob = log_prob_at(middles);
    for (std::size_t i = 0; i < cells.size(); ++i) {
      cells[i].mass = std::exp(log_prob[i]) * volume_of(cells[i]);
    }
  }

  Density& density_;
  Box box_;
  std::size_t dims_;
  double volume_ = 1;
  std::vector<Sample> samples_;
  std::int64_t points_ = 0;
};

/// (20000, D), f64.
Tensor samples_of(FlowDensity& density, std::uint64_t seed) {
  Generator gen(seed, /*stream=*/0x696E7467);
  const Tensor samples = density.sample(gen, kSamples).to(Device::CPU).to(DType::F64);
  NF_CHECK(all_finite(samples), "[integrate] some samples are NaN or infinite");
  return samples;
}

std::vector<Position> positions(const Tensor& samples) {
  const std::vector<double> numbers = samples.to_vector<double>();
  const auto dims = static_cast<std::size_t>(samples.dim(1));
  std::vector<Position> out(numbers.size() / dims);
  for (std::size_t i = 0; i < numbers.size(); ++i) out[i / dims][i % dims] = numbers[i];
  return out;
}

Box box_around(const Tensor& samples, const Tensor& x) {
  const Tensor points = concat(std::vector<Tensor>{samples, x.to(Device::CPU).to(DType::F64)}, 0);
  Box box;
  for (std::int64_t d = 0; d < x.dim(1); ++d) {
    const Tensor column = points.narrow(1, d, 1);
    const double low = min(column).item(), high = max(column).item();
    const double margin = 0.1 * (high - low);
    box.low[static_cast<std::size_t>(d)] = low - margin;
    box.high[static_cast<std::size_t>(d)] = high + margin;
  }
  return box;
}

}  // namespace

Integral integrate(FlowDensity& density, const Tensor& x, const IntegralOptions& options) {
  NF_CHECK(density.dims() <= static_cast<std::int64_t>(kMostDims),
           "[integrate] a grid is for at most 3 dimensions, the density has ", density.dims());
  NF_CHECK(x.rank() == 2 && x.dim(1) == density.dims(), "[integrate] expected data (N, ",
           density.dims(), "), got ", x.shape());
  const Examination examination(density, options.seed);
  const int levels = density.levels();
  if (levels == 0) {
    const Tensor samples = samples_of(density, options.seed);
    Box box = box_around(samples, x);
    const Tensor whole = density.whole_columns();
    for (std::int64_t d = 0; whole.defined() && d < density.dims(); ++d) {  // k is [k, k + 1)
      box.high[static_cast<std::size_t>(d)] += whole.narrow(0, d, 1).item();
    }
    // A whole number stands for the cube above it: no place of a sample tells of a peak there.
    const std::vector<Position> finders =
        whole.defined() ? std::vector<Position>() : positions(samples);
    Integral out = Integrator(*density.continuous(), box, finders).run(options.points);
    out.tolerance += 3.0 / static_cast<double>(kSamples);
    return out;
  }
  Box box;
  box.high.fill(levels);
  return Integrator(*density.continuous(), box).run(options.points);
}

}  // namespace nf::flows
