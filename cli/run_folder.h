// A run folder: what training leaves on disk, and how the other commands find it again.
//
//   config.json        every setting
//   log.jsonl          one line per epoch
//   best.safetensors   weights with the best validation result
//   last.safetensors   the newest weights
//   state.safetensors  everything that resume needs, in one file
//   samples/           pictures; curve.svg: nats over epochs
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cli/cli.h"
#include "data/source.h"
#include "flows/build.h"

namespace nf::cli {

class RunFolder {
 public:
  /// A new folder with its config.json. `path` empty: runs/<model>-<data>, numbered when taken.
  /// Throws when it already holds a run, unless `overwrite`.
  static RunFolder create(const std::string& path, const flows::Config& config, bool overwrite);
  /// An existing one; throws with a hint when it is none.
  static RunFolder open(const std::string& path);

  const std::string& path() const { return path_; }
  std::string file(const std::string& name) const { return path_ + "/" + name; }
  const flows::Config& config() const { return config_; }
  void save_config(const flows::Config& config);

  void append_log(const flows::EpochReport& report) const;
  /// The reports so far; a torn last line is left out.
  std::vector<flows::EpochReport> read_log() const;
  /// Drops reports after `step`: what a resumed run will write again.
  void truncate_log(std::int64_t step) const;
  std::string curve() const;  ///< nats over epochs, as SVG
  void write_curve() const;

 private:
  std::string path_;
  flows::Config config_;
};

data::Dataset load_data(const flows::Config& config);
/// Only what the model must know of the data; draws next to nothing of built-in sources.
data::Dataset peek_data(const flows::Config& config);
flows::DataShape shape_of(const data::Dataset& data);
/// Makes the device's matrix products as `precision` says ("auto": tf32 on CUDA); returns what they
/// are then: "f32", "tf32" or "bf16". The CPU's are f32 whatever the run was trained with.
std::string set_precision(Device device, const std::string& precision);
std::shared_ptr<flows::Density> make_density(const flows::Config& config, const data::Dataset& data,
                                             Device device = Device::CPU);

/// A trained model: the run's configuration with the weights of `which`: "best" (last when there is
/// no best yet) or "last". In evaluation mode.
struct TrainedModel {
  RunFolder run;
  data::Dataset shape;  ///< geometry only
  std::shared_ptr<flows::Density> density;
  std::string precision;  ///< of its matrix products
};
TrainedModel load_model(const std::string& path, const std::string& which, Device device);

/// The data that the run was trained with, or another source. Throws when the model does not fit
/// it.
data::Dataset load_data_for(const TrainedModel& model, const std::string& source);
/// Of "train", "valid" or "test": (N, D), throws when there are none.
const Tensor& samples_of(const data::Dataset& data, const std::string& split);

/// Samples as a picture: a grid of images with so many columns (0: about square), or the density of
/// 2-D points (in the square of `like`, when given): the bytes of a PNG file. Throws for data that
/// is neither.
std::string samples_png(const Tensor& samples, const data::Dataset& shape, const Tensor& like = {},
                        std::int64_t columns = 0);
void write_samples_png(const std::string& path, const Tensor& samples, const data::Dataset& shape,
                       const Tensor& like = {}, std::int64_t columns = 0);

/// The same, or the numbers (N, D) as .npy: u8 for pixels, else f32.
void write_samples(const std::string& path, const Tensor& samples, const data::Dataset& shape,
                   std::int64_t columns = 0);

}  // namespace nf::cli
