#include "cli/drift.h"

#include <algorithm>
#include <cstdio>

#include "flows/examine/diagnose.h"

namespace nf::cli {

void tell_drift(flows::Density& density, const data::Split& split, const Common& common) {
  constexpr std::int64_t kRows = 64;
  constexpr double kTold = 1e-3;
  const std::int64_t rows = std::min(kRows, split.size());
  auto* flow = dynamic_cast<flows::FlowDensity*>(&density);
  if (!flow || rows == 0) return;
  const Tensor x = split.x.narrow(0, 0, rows).to(density.device()).to(flow->parameter_type());
  const auto layers = diagnose_layers(*flow, x, {.given = flows::given_rows(split.given, 0, rows)});
  if (layers.empty() || layers.back().round_trip <= kTold) return;
  char text[160];
  std::snprintf(
      text, sizeof text,
      "note: values recovered from the output are off by %.1e of their size, and gradients "
      "with them; --memory tape keeps the values",
      layers.back().round_trip);
  common.note(text);
}

}  // namespace nf::cli
