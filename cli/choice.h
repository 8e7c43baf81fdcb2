// Which trained model, and which rows of which data: options that the commands on a run share.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cli/trained_model.h"
#include "flows/train/evaluate.h"

namespace nf::cli {

/// --weights: "best" or "last".
void add_weights(CLI::App& app, std::string& weights);
/// --split: "train", "valid" or "test".
void add_part(CLI::App& app, std::string& split, const char* help);

/// RUN and --weights.
struct ModelOptions {
  std::string run, weights = "best";

  void add_to(CLI::App& app);
  TrainedModel load(const Common& common, Device device) const {
    return load_model(run, weights, common, device);
  }
};

/// Some rows of a data source, as a model takes them.
struct Rows {
  data::Dataset source;               ///< all of it
  std::string name;                   ///< the source's, or that of the file which the part is
  std::string split;                  ///< "train", "valid", "test" or "all"
  Tensor x;                           ///< (N, D): u8 for pixels, else f32
  Tensor given = {};                  ///< (N, G), of a conditional model
  std::vector<std::int64_t> number;   ///< of each row in its split, from 0
  std::vector<std::int64_t> in_file;  ///< of each row in its file, from 0; none of what is drawn
  /// i32 (N): whose noise each row has. Its row in its file, so that it does not depend on --split,
  /// -n and --indices; of what is drawn, in its split. Undefined:
  /// 0 to N - 1.
  Tensor samples;
  bool own = false;  ///< whether `source` is the run's own data, in the parts of its training
  /// How many of x were trained on; not known for other data where the run's own cannot be read.
  std::optional<std::int64_t> trained_on;

  /// The options with the noise of these rows, and what is given with them.
  flows::EvaluateOptions evaluated_with(flows::EvaluateOptions options) const {
    options.samples = samples;
    options.given = given;
    return options;
  }
  /// "rows 3, 7 of faces.mat (test)"; of many the first ten.
  std::string text() const;
};

/// Rows of a training, to know them among others, bit for bit.
class TrainingRows {
 public:
  /// `with_given`: rows are the same when what is given with them is, too. `whole`: of the density
  /// (Density::whole_columns).
  TrainingRows(const data::Split& train, const Tensor& whole, bool with_given);
  /// Which rows of x (N, D), with `given` (N, G), are among them. Rows of a table that hold
  /// categories and whole numbers alone are not: such rows come again by chance.
  std::vector<bool> among(const Tensor& x, const Tensor& given) const;

 private:
  DType dtype_;                        // of the rows
  std::vector<std::uint64_t> sorted_;  // their checksums
  std::vector<std::int32_t> reals_;    // columns; none: all
  bool none_ = false;                  // all columns are whole
};

/// Those of a run; nothing when its data cannot be read any more.
std::optional<TrainingRows> training_rows_of(const TrainedModel& model, bool with_given);
/// A note to the user when there are any among others; `name`: where these are from.
void tell_trained_on(const TrainedModel& model, std::int64_t count, std::int64_t of,
                     const std::string& name);

/// A note when a tenth of the rows of validation or test, or more, are copies of training rows:
/// their scores are too good.
void tell_copies(const data::Dataset& data, const Tensor& whole, const Common& common);

/// How many rows of x are training rows, with a note when there are any. Of a conditional model
/// with the same `given`, where that is known.
std::optional<std::int64_t> count_trained_on(const TrainedModel& model, const std::string& name,
                                             const Tensor& x, const Tensor& given);

/// The rows of all parts, one part after the other.
data::Split all_rows(const data::Dataset& source);

/// --data and --split, and --indices and -n where a command wants few rows.
struct RowOptions {
  std::string data, split, indices;
  std::int64_t count = 0;            ///< 0: all
  bool labels_may_lack = false;      ///< of --data: Rows::given is undefined then
  std::function<bool()> asked = {};  ///< whether -n was given; a default may be more than there is

  /// `count`: at most so many rows unless -n or --indices say otherwise.
  void add_to(CLI::App& app, std::int64_t default_count = 0);
  /// The first -n rows of the split, or those of --indices. Without --split: the test part, or with
  /// --data all of it, in the order of the file. Throws Error for data that the model does not
  /// take and a part without rows, UsageError for rows that are not there. A note when rows of
  /// training are among all of them, or among those of --data.
  Rows load(const TrainedModel& model) const;
  /// Where `what` is written about these rows: `out`, else in the run's folder "scores.csv" of the
  /// test part, "scores.valid.csv" of another, "scores-NAME.csv" of another source, or
  /// "scores-FOLDER-NAME.csv" where that file is of a third one, with a note. The run's
  /// sources.json keeps which file is of which source.
  std::string results_path(const std::string& out, const TrainedModel& model,
                           const std::string& what, const std::string& ending) const;
};

/// --noise-draws, --batch-size and --seed of what is evaluated.
struct EvaluateOptions : flows::EvaluateOptions {
  void add_to(CLI::App& app);
};

/// "3,7,20-29" as numbers from 0 to size - 1, repeats kept. Throws UsageError for rows
/// that are not there and for what is no list.
std::vector<std::int64_t> parse_indices(const std::string& text, std::int64_t size);

/// ".05,.5,.95" as they are written and as numbers. Throws UsageError, naming the option, for what
/// is no number between 0 and 1.
std::vector<std::pair<std::string, double>> parse_shares(const std::string& text,
                                                         const char* option);

/// How many of the scores of x's rows are NaN, and in which layer that begins; empty when none is.
std::string describe_nan(flows::Density& density, const Tensor& x,
                         const std::vector<double>& scores, const Tensor& given = {});
/// Throws UsageError unless `path` ends in one of `endings`, naming the command.
void check_ending(const char* command, const std::string& path,
                  std::initializer_list<std::string> endings);

/// --scale of pictures that are grids of images.
CLI::Option* add_scale(CLI::App& app, int& scale);

/// Where a command writes: `out`, or `name` in the run's folder when --out was not given. Throws
/// Error when that folder takes no files.
std::string out_path(const std::string& out, const RunFolder& run, const std::string& name);

/// The convention in which a density is told, and that it is a lower bound where it is one.
std::string convention_of(const flows::Density& density);

}  // namespace nf::cli
