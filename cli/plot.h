// The pictures of a 2-D model, which `plot` writes and `report` shows.
#pragma once

#include <string>

#include "cli/trained_model.h"
#include "data/png.h"

namespace nf::cli {

struct PlotOptions {
  std::int64_t count = 20000;  ///< samples
  int size = 512;              ///< pixels of a side
  std::uint64_t seed = 0;      ///< of the samples
  Tensor given = {};           ///< (1, G): of a conditional model
};

/// The bytes of the files, all of the same part of the plane; no picture of data that are not
/// there.
struct Plots {
  data::Bounds bounds = {};
  std::string data_png = {}, samples_png = {}, density_png = {}, grid_svg = {};
};

/// x (N, 2): data, which sets that part; undefined: that of the training data. Throws for a model
/// of other than two real dimensions.
Plots draw_plots(const TrainedModel& model, const Tensor& x, const PlotOptions& options);

/// ln p, f64 (H, W), as brightness ln(1 + 100 p / p_max) / ln 101: a hundredth of the highest
/// density is still seen. p_max leaves out the highest 0.1 %; only the ratio is taken, p itself may
/// be beyond f32. Throws flows::Diverged for NaN.
Tensor shaded(const Tensor& log_p);

}  // namespace nf::cli
