// How exactly a flow recovers values from its output, where gradients depend on it.
#pragma once

#include "cli/cli.h"
#include "data/dataset.h"
#include "flows/density.h"

namespace nf::cli {

/// A note when what `--memory invertible` recovers differs from the values by more than a
/// thousandth of their size, on up to 64 rows of `split`: gradients are then wrong by about as
/// much.
void tell_drift(flows::Density& density, const data::Split& split, const Common& common);

}  // namespace nf::cli
