// A trained model and its data, for the commands that use one.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "cli/run_folder.h"
#include "data/source.h"
#include "flows/flow_density.h"
#include "flows/models/build.h"
#include "nn/safetensors.h"

namespace nf::cli {

/// The data that training takes, as the settings say.
data::Dataset load_data(const flows::Config& config);
/// With the setting `pack`: writes all rows and labels into the run's folder, where its commands
/// read them from then on, and lets go of them.
void pack_data(const RunFolder& run, data::Dataset& data);
/// Only what the model must know of the data; draws next to nothing of built-in sources.
data::Dataset peek_data(const flows::Config& config);
std::shared_ptr<flows::Density> make_density(const flows::Config& config, const data::Dataset& data,
                                             Device device = Device::CPU);

/// Says in one line what of cpu_choices() is not as it was, where the state tells it.
void note_other_rounding(const RunState& state, const Common& common);
/// A density for `data`, before its training, gets the best weights of another run of the same
/// model and settings. Throws Error that names the first thing in which that run differs.
void begin_from(flows::Density& density, const flows::Config& config, const data::Dataset& data,
                const Common& common);

/// A trained model: the run's configuration with the weights of `which`: "best" (last when there is
/// no best yet) or "last". In evaluation mode.
struct TrainedModel {
  Common common;  ///< for notes
  RunFolder run;
  RunState state;
  data::Dataset shape;  ///< of the data, without rows
  std::shared_ptr<flows::Density> density;
  std::string precision;  ///< of its matrix products

  /// The density as one with latents; throws Error for `command` where it is none.
  flows::FlowDensity& flow(const char* command) const { return flows::as_flow(*density, command); }
};
/// Reads no data. A note says when training did not finish. Throws Error for what is no run or was
/// not trained yet, flows::Diverged for weights that are not finite.
TrainedModel load_model(const std::string& path, const std::string& which, const Common& common,
                        Device device);

/// The settings of a run with its files of data where they are now: the paths as they were given,
/// else the same made absolute. Nothing when one of them is at neither.
std::optional<flows::Config> with_data_there(const RunFolder& run);
/// The run's own data, cut as for its training; `moved`: where they are now. Throws Error when they
/// are not there, or are not the same any more.
data::Dataset load_run_data(const RunFolder& run, const std::string& moved = "");
/// A source of the user's, or of none given the run's own. Cut as for the training where it is the
/// same data. Throws Error when the model does not fit it. `whole`: all rows are wanted, in the
/// order of the file. `labels_may_lack`: labels that the model is given are taken where there are
/// any.
data::Dataset load_data_for(const TrainedModel& model, const std::string& source,
                            bool whole = false, bool labels_may_lack = false);
/// "train", "valid" or "test"; throws when it has no rows.
const data::Split& part_of(const data::Dataset& data, const std::string& split);
/// Its rows (N, D).
inline const Tensor& samples_of(const data::Dataset& data, const std::string& split) {
  return part_of(data, split).x;
}

/// Samples as a picture: a grid of images with so many columns (0: about square), or the density of
/// 2-D points (in the square of `like`, when given): the bytes of a PNG file. `scale`: pixels of
/// the picture for one of an image (0: as fits). Throws for data that is neither.
std::string samples_png(const Tensor& samples, const data::Dataset& shape, const Tensor& like = {},
                        std::int64_t columns = 0, int scale = 0);
void write_samples_png(const std::string& path, const Tensor& samples, const data::Dataset& shape,
                       const Tensor& like = {}, std::int64_t columns = 0, int scale = 0);

/// The same, or the numbers (N, D) as .npy: u8 for pixels, else f32.
void write_samples(const std::string& path, const Tensor& samples, const data::Dataset& shape,
                   std::int64_t columns = 0, int scale = 0);
/// Before they are computed: throws UsageError for samples that have no picture, or no pixels to
/// scale, Error for a picture that would be too large.
void check_picture(const std::string& path, std::int64_t n, const data::Dataset& shape,
                   std::int64_t columns = 0, int scale = 0);

}  // namespace nf::cli
