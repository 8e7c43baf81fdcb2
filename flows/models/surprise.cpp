#include "flows/models/surprise.h"

#include <algorithm>
#include <cmath>

#include "tensor/ops.h"

namespace nf::flows {

namespace {

constexpr int kKnownSets = 8;
constexpr std::int64_t kRowsAtOnce = 1000;                            // at a time
constexpr std::uint64_t kSetsSeed = 0, kSetsStream = 0x737572707269;  // "surpri"

// (1, D) of 1 and 0: columns that are known together. Each column is known in one of two sets that
// follow each other.
std::vector<Tensor> known_sets(std::int64_t dims) {
  Generator gen(kSetsSeed, kSetsStream);
  std::vector<Tensor> sets;
  for (int i = 0; i < kKnownSets; ++i) {
    const Tensor u = uniform(gen, {1, dims + 1});
    const Tensor known = less(u.narrow(1, 1, dims), u.narrow(1, 0, 1)).to(DType::F32);
    sets.push_back(known);
    sets.push_back(known * -1.0 + 1.0);
  }
  return sets;
}

}  // namespace

Tensor surprises(AnyOrder& density, const Tensor& x, const Tensor& given) {
  const Examination examination(density);
  const std::vector<Tensor> sets = known_sets(density.dims());
  const Device device = density.device();
  std::vector<Tensor> parts;
  for (std::int64_t at = 0; at < x.dim(0); at += kRowsAtOnce) {
    const std::int64_t count = std::min(kRowsAtOnce, x.dim(0) - at);
    const Tensor rows = x.narrow(0, at, count).to(device);
    const Tensor beside = given_rows(given, at, count);
    const Var context = beside.defined() ? Var(beside.to(device)) : Var();
    Tensor total = Tensor::zeros({count, density.dims()}, DType::F64);
    for (const Tensor& known : sets) {
      const Tensor log_p = density.log_conditionals(rows, known.to(device), context)
                               .value()
                               .to(Device::CPU)
                               .to(DType::F64);
      const Tensor asked = equal(known, known.zeros_like()).broadcast_to(log_p.shape());
      total = total - where(asked, log_p, log_p.zeros_like());
    }
    const Tensor cells = x.narrow(0, at, count).to(Device::CPU);
    parts.push_back(where(equal(cells, cells), total / static_cast<double>(kKnownSets),
                          Tensor::full({}, NAN, DType::F64)));
  }
  return concat(parts, 0);
}

UsualSurprises::UsualSurprises(const Tensor& held_out)
    : columns_(static_cast<std::size_t>(held_out.dim(1))) {
  NF_CHECK(held_out.dim(0) > 0, "[why] no held-out rows");
  const std::vector<double> all = held_out.to_vector<double>();
  for (std::size_t at = 0; at < all.size(); ++at) {
    if (std::isfinite(all[at])) columns_[at % columns_.size()].sorted.push_back(all[at]);
  }
  for (Column& column : columns_) {
    std::sort(column.sorted.begin(), column.sorted.end());
    const auto n = static_cast<double>(column.sorted.size());
    for (const double s : column.sorted) column.mean += s / n;
    for (const double s : column.sorted) column.squares += (s - column.mean) * (s - column.mean);
  }
  constexpr double kLevel = 0.05;
  std::vector<Surprise> largest(static_cast<std::size_t>(held_out.dim(0)));
  for (std::size_t at = 0; at < all.size(); ++at) {
    if (!std::isfinite(all[at])) continue;
    Surprise& most = largest[at / columns_.size()];
    most = std::min(most, in_column(at % columns_.size(), all[at], /*held_out=*/true));
  }
  std::sort(largest.begin(), largest.end());
  const double n = static_cast<double>(largest.size()) + 1;
  const double k = std::max(1.0, std::floor(kLevel * n));
  usual_ = largest[static_cast<std::size_t>(k) - 1];
  level_ = k / n;
}

// `held_out`: the surprise is one of the column's own, which is left out.
UsualSurprises::Surprise UsualSurprises::in_column(std::size_t column, double surprise,
                                                   bool held_out) const {
  constexpr double kLeast = 1e-6;
  const auto& [sorted, mean, squares] = columns_[column];
  const auto n = static_cast<double>(sorted.size()), others = held_out ? n - 1 : n;
  const auto first = std::lower_bound(sorted.begin(), sorted.end(), surprise);
  const double as_large = static_cast<double>(sorted.end() - first) - (held_out ? 1 : 0);
  if (others < 1) return {as_large / n, 0};
  const double off = surprise - mean;
  // Of the others: their mean is off by off / (n - 1) to the other side.
  const double above = held_out ? off * n / others : off;
  const double rest = std::max(0.0, held_out ? squares - off * off * n / others : squares);
  return {as_large / n, above / std::max(std::sqrt(rest / others), kLeast)};
}

std::vector<std::size_t> UsualSurprises::unusual(const std::vector<double>& surprises) const {
  constexpr std::size_t kMost = 3;
  std::vector<std::pair<Surprise, std::size_t>> found;
  for (std::size_t j = 0; j < columns_.size(); ++j) {
    if (std::isnan(surprises[j]) || columns_[j].sorted.empty()) continue;
    const Surprise here = in_column(j, surprises[j], /*held_out=*/false);
    if (here < usual_) found.emplace_back(here, j);
  }
  std::stable_sort(found.begin(), found.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<std::size_t> out;
  for (std::size_t i = 0; i < std::min(kMost, found.size()); ++i) out.push_back(found[i].second);
  return out;
}

}  // namespace nf::flows
