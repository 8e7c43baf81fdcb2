#include "cli/trained_model.h"

#include <algorithm>
#include <filesystem>

#include "data/columns.h"
#include "data/csv.h"
#include "data/formats.h"
#include "data/given.h"
#include "data/levels.h"
#include "data/npy.h"
#include "data/png.h"
#include "flows/models/kinds.h"
#include "flows/train/targets.h"
#include "tensor/backend.h"
#include "tensor/cpu_kernels.h"
#include "tensor/ops.h"
#include "tensor/text.h"

namespace nf::cli {

// --- data ---------------------------------------------------------------------------------------

namespace {

// How a run's own data are read: what its settings mean was said when it was trained.
data::LoadOptions own_options(const flows::Config& config) {
  data::LoadOptions options = flows::load_options(config);
  options.of_run = true;
  return options;
}

// What a run knows of its categories, for the reading of other tables.
void add_categories(const data::Dataset& shape, data::LoadOptions& options) {
  if (!options.guess_categories) return;
  options.guess_categories = false;
  options.categories = data::categories_of(shape);
}

// How another source is read than the run's: the run's columns and layout, its own parts.
data::LoadOptions options_for(const flows::Config& config, const KnownData& known, bool whole) {
  if (built_in(config.data.source)) {
    return {.seed = static_cast<std::uint64_t>(config.training.seed),
            .given = config.data.given,
            .bits = static_cast<int>(config.data.bits),
            .binarize = config.data.binarize,
            .of_run = true};
  }
  data::LoadOptions options = own_options(config);
  options.train = options.valid = options.test = -1;
  options.valid_data = options.test_data = options.fold = "";
  options.in_file_order = whole;
  options.known = known.shape.columns;
  if (!known.shape.discrete) options.names = options.known;
  add_categories(known.shape, options);
  if (known.shape.given_classes == 0) {
    options.known.insert(options.known.end(), known.shape.given.begin(), known.shape.given.end());
  }
  return options;
}

bool same_part(const KnownData::Part& part, const data::Split& split) {
  return part.count == split.size() && part.checksum == checksum_of(split);
}

bool same_data(const KnownData& known, const data::Dataset& data) {
  return data.checksum == known.shape.checksum && same_part(known.train, data.train) &&
         same_part(known.valid, data.valid) && same_part(known.test, data.test);
}

// Rows that are drawn are no file that can be put back. Where as many are drawn, with the same
// settings, it is the program that draws others.
void check_drawn(const RunFolder& run, const data::Dataset& data) {
  const KnownData& known = run.known();
  const bool drawn = built_in(run.config().data.source);
  const bool as_many = known.train.count == data.train.size() &&
                       known.valid.count == data.valid.size() &&
                       known.test.count == data.test.size();
  NF_CHECK(known.shape.levels == data.levels, "[bits] ", run.path(), " was trained on pixels of ",
           known.shape.levels, " levels; its config.json reads them with ", data.levels,
           ": give bits and binarize back what they were");
  NF_CHECK(!drawn || !as_many || same_data(known, data), "[data] the flowcli that trained ",
           run.path(), " drew other ", data.name, " than this one does (checksum ",
           known.shape.checksum, " then, ", data.checksum, " now); use that one, train again, or ",
           "give rows with --data where rows are evaluated");
}

// The parts must be those of the training: else eval would take rows that were trained on. A part
// with a file of its own is no part of the source's checksum.
void check_parts(const RunFolder& run, const data::Dataset& data) {
  const KnownData& known = run.known();
  const flows::Config& config = run.config();
  const auto check = [&](const KnownData::Part& part, const data::Split& split,
                         const std::string& own_file) {
    if (same_part(part, split)) return;
    NF_CHECK(own_file.empty(), "[data] ", own_file, " has changed since the training of ",
             run.path(), " (", part.count, " rows then, ", split.size(), " now); put the old file ",
             "back, or give the new with --data where rows are evaluated");
    fail(str("[data] ", data.name, " is cut into other parts than for the training of ", run.path(),
             "; give it with --data to take all its rows"));
  };
  check(known.train, data.train, "");
  check(known.valid, data.valid, config.data.valid_data);
  check(known.test, data.test, config.data.test_data);
}

// Each file of data with its absolute path.
std::vector<std::pair<std::string flows::DataSettings::*, std::string>> files_of(
    const KnownData& known) {
  return {{&flows::DataSettings::source, known.path},
          {&flows::DataSettings::valid_data, known.valid_path},
          {&flows::DataSettings::test_data, known.test_path}};
}

// Whether the run keeps its pictures, packed, and they are there.
bool has_packed(const RunFolder& run) {
  return run.config().data.pack && source_exists(run.file(kPackedData));
}

// The settings of a run with its packed pictures in the place of their folder, where there are
// some: nothing is done to them any more.
flows::Config settings_of(const RunFolder& run) {
  flows::Config config = run.config();
  if (!has_packed(run)) return config;
  config.data.source = run.file(kPackedData);
  config.data.images = "";
  config.data.layout = "last";
  return config;
}

// Where a file is at neither of its paths: which one; else empty.
std::string find_files(flows::Config& config, const KnownData& known) {
  for (const auto& [setting, absolute] : files_of(known)) {
    std::string& file = config.data.*setting;
    if (file.empty() || source_exists(file)) continue;
    if (absolute.empty() || !source_exists(absolute)) {
      return str("'", file, absolute.empty() ? "" : "' nor '" + absolute, "'");
    }
    file = absolute;
  }
  return "";
}

data::Dataset as_trained(const RunFolder& run, flows::Config config) {
  find_files(config, run.known());
  data::Dataset data = data::load(config.data.source, own_options(config));
  check_parts(run, data);
  return data;
}

}  // namespace

data::Dataset load_data(const flows::Config& config) {
  for (const std::string& file :
       {config.data.source, config.data.valid_data, config.data.test_data}) {
    check_usage(file != data::kStandardInput,
                "[train] a run reads its data again, and standard input is there only once; write "
                "it to a file first");
  }
  data::LoadOptions options = flows::load_options(config);
  options.keep_parts = config.data.pack;
  return data::load(config.data.source, options);
}

void pack_data(const RunFolder& run, data::Dataset& data) {
  if (data.parts) data::write_parts(run.file(kPackedData), *data.parts);
  data.parts.reset();
}

data::Dataset peek_data(const flows::Config& config) {
  data::LoadOptions options = flows::load_options(config);
  options.train = options.valid = options.test = 1;
  return data::load(config.data.source, options);
}

std::optional<flows::Config> with_data_there(const RunFolder& run) {
  flows::Config config = settings_of(run);
  if (!find_files(config, run.known()).empty()) return std::nullopt;
  return config;
}

namespace {

// A library may have been made anew since; the run keeps the checksum that it began with, by which
// its files belong together. Older runs have the beginning of it alone, without the file's.
data::Dataset target_data_of(const RunFolder& run) {
  const KnownData& known = run.known();
  data::Dataset data = flows::target_data(run.config().data.source, known.train.count);
  if (!data.checksum.starts_with(known.shape.checksum)) {
    data.notes.push_back(str("note: ", data.name, " has changed since the training of ", run.path(),
                             " began (", known.shape.checksum, " then, ", data.checksum,
                             " now); what follows is for the library as it is now"));
  }
  data.checksum = known.shape.checksum;
  return data;
}

}  // namespace

data::Dataset load_run_data(const RunFolder& run, const std::string& moved) {
  if (const std::string& source = run.config().data.source; flows::is_target(source)) {
    check_usage(moved.empty(), "[data] ", run.path(), " was fitted to a target: it has no data");
    return target_data_of(run);
  }
  const bool packed = moved.empty() && has_packed(run);
  flows::Config config = packed ? settings_of(run) : run.config();
  const KnownData& known = run.known();
  NF_CHECK(moved.empty() || source_exists(moved), "[data] '", printable(moved),
           "': no such file or folder, nor a built-in source");
  if (!moved.empty()) config.data.source = moved;
  const std::string lost = find_files(config, known);
  NF_CHECK(lost.empty(), "[data] the data of ", run.path(), " are not there any more: neither ",
           lost, "; give them with --data");
  data::Dataset data = data::load(config.data.source, own_options(config));
  // A path that was given may lead to another file from here.
  if (moved.empty() && !packed && !same_data(known, data)) {
    flows::Config absolute = config;
    for (const auto& [setting, path] : files_of(known)) {
      if (!path.empty() && source_exists(path)) absolute.data.*setting = path;
    }
    if (flows::to_json(absolute) != flows::to_json(config)) {
      data = data::load(absolute.data.source, own_options(absolute));
    }
  }
  if (moved.empty()) check_drawn(run, data);
  NF_CHECK(data.checksum == known.shape.checksum, "[data] ", data.name,
           moved.empty() ? " has changed since " : " is not what ", run.path(),
           moved.empty() ? " was trained on it (" : " was trained on (", known.train.count, " / ",
           known.valid.count, " / ", known.test.count, " rows then, ", data.train.size(), " / ",
           data.valid.size(), " / ", data.test.size(), " now, checksum ", known.shape.checksum,
           " then, ", data.checksum,
           " now); put the old data back, or give the new with --data where rows are evaluated");
  check_parts(run, data);
  return data;
}

data::Dataset load_data_for(const TrainedModel& model, const std::string& source, bool whole,
                            bool labels_may_lack) {
  const KnownData& known = model.run.known();
  data::Dataset data;
  if (source.empty() && !whole) {
    data = load_run_data(model.run);
  } else {
    flows::Config config = model.run.config();
    if (source.empty()) {
      const auto there = with_data_there(model.run);
      if (!there) return load_run_data(model.run);  // which says so
      config = *there;
    } else {
      config.data.source = source;
    }
    data::LoadOptions reading = options_for(config, known, whole);
    const data::GivenNames given = data::parse_given(reading.given);
    const bool asks = labels_may_lack && given.labels;
    if (asks) reading.given = "";
    if (known.shape.given_classes > 0) reading.class_names = known.shape.class_names;
    data = data::load(config.data.source, reading);
    const auto lacks = [](const data::Split& part) {
      return part.size() > 0 && !part.labels.defined();
    };
    if (asks && !lacks(data.train) && !lacks(data.valid) && !lacks(data.test)) {
      data::take_given(data, given, /*of_run=*/true);
    }
    if (data.checksum == known.shape.checksum && !whole) data = as_trained(model.run, config);
  }
  if (!model.shape.columns.empty()) {
    const std::string note = data::match_columns(data, model.shape.columns);
    if (!note.empty()) data.notes.push_back(note);
  }
  if (data.given_classes > 0) data::check_labels(data, model.shape.given_classes);
  for (const std::string& note : data.notes) model.common.note("note: " + note);
  const auto kind = [](const data::Dataset& d, std::int64_t dims) {
    return d.images() ? str("images of ", d.height, " x ", d.width, " x ", d.channels, " pixels")
                      : str(dims, d.discrete ? " levels a row" : "-dimensional real numbers");
  };
  NF_CHECK(data.dims == model.density->dims() && data.discrete == model.shape.discrete,
           "[data] the model is for ", kind(model.shape, model.density->dims()), ", ", data.name,
           " has ", kind(data, data.dims));
  return data;
}

const data::Split& part_of(const data::Dataset& data, const std::string& split) {
  const data::Split& part = split == "train"   ? data.train
                            : split == "valid" ? data.valid
                                               : data.test;
  const bool rows = part.size() > 0 && (data.dims == 0 || part.x.dim(1) > 0);
  NF_CHECK(rows, "[data] ", data.name, " has no ", split, " samples; ",
           data.train.size() > 0 && data.train.x.dim(1) == 0
               ? "it is a target, to which the run was fitted: give rows with --data"
               : "choose another --split");
  return part;
}

// --- models -------------------------------------------------------------------------------------

std::shared_ptr<flows::Density> make_density(const flows::Config& config, const data::Dataset& data,
                                             Device device) {
  auto density = flows::make_density(config, shape_of(data));
  density->to(device);
  return density;
}

void note_other_rounding(const RunState& state, const Common& common) {
  std::vector<std::string> changes;
  for (const auto& [name, now] : cpu_choices()) {
    const auto before = state.metadata.find(name);
    if (before == state.metadata.end() || before->second == now) continue;
    changes.push_back(str(name, " was ", printable(before->second), ", now ", now));
  }
  if (changes.empty()) return;
  common.note(str("note: ", join(changes, "; "), ": numbers may round otherwise than in one go"));
}

void begin_from(flows::Density& density, const flows::Config& config, const data::Dataset& data,
                const Common& common) {
  const RunFolder run = RunFolder::open(config.output.from);
  const data::Dataset& then = run.known().shape;
  const std::string where = "[from] " + run.path();
  const auto numbers = [](const data::Dataset& d) {
    const bool few = d.discrete && d.levels < data::kLevels;
    return str(d.dims, "-dimensional ", d.discrete ? "pixels" : "real numbers",
               few ? str(" of ", d.levels, " levels") : "");
  };
  const auto names = [](const std::vector<std::string>& columns) {
    return columns.empty() ? std::string("none") : printable(join(columns, ","));
  };
  NF_CHECK(run.config().model == config.model, where, " is a ", run.config().model, ", not a ",
           config.model, "; begin with a run of the same model");
  NF_CHECK(numbers(then) == numbers(data), where, " is for ", numbers(then), ", ", data.name,
           " has ", numbers(data), "; begin with a run on such data");
  NF_CHECK(then.columns == data.columns, where, " has the columns ", names(then.columns), ", ",
           data.name, " has ", names(data.columns), "; give the same --columns");
  NF_CHECK(then.given == data.given, where, " is given ", names(then.given), ", not ",
           names(data.given), "; give the same --given");
  NF_CHECK(then.given_classes == data.given_classes, where, " is given one of ", then.given_classes,
           " labels, ", data.name, " has ", data.given_classes,
           "; begin with a run of as many labels");
  const auto whole = [](const flows::Config& c, const data::Dataset& d) {
    std::vector<std::string> types;
    for (const data::ColumnType& type : data::column_types(c.data.types, d.columns, d.dims)) {
      types.push_back(data::type_in_words(type));
    }
    return types;
  };
  NF_CHECK(whole(run.config(), then) == whole(config, data), where, " was trained with types = '",
           printable(run.config().data.types), "', not '", printable(config.data.types),
           "'; give the same --types");
  const flows::Config full = flows::resolved(run.config(), shape_of(then));
  for (const flows::Field& field : config.fields()) {
    const std::string now = field.text();
    const std::string before = field.group == "model" ? full.text(field.key, now) : now;
    NF_CHECK(before == now, where, " has ", field.key, " = ", printable(before), ", not ",
             printable(now), "; train with the same settings, as in its config.json");
  }
  const RunState state = run.state();
  NF_CHECK(state.best_epoch == 0 || std::filesystem::exists(run.file("best.safetensors")), where,
           " has lost its best weights (best.safetensors); put the file back");
  const std::string weights = flows::weights_file(
      run.saved(), state, "best", [&](const std::string& line) { common.note(line); });
  load_weights(density, weights, run.known());
  density.mark_initialized();
  common.note("begins with the weights of " + weights);
}

TrainedModel load_model(const std::string& path, const std::string& which, const Common& common,
                        Device device) {
  RunFolder run = RunFolder::open(path);
  const std::string precision =
      set_precision(device, run.config().training.precision, Need::IfPossible);
  auto [state, shape, density] = flows::load_run(
      run.saved(), which, device, [&](const std::string& line) { common.note(line); });
  return {common, std::move(run), state, shape, density, precision};
}

// --- pictures -----------------------------------------------------------------------------------

namespace {

void check_finite_samples(const Tensor& samples) {
  if (is_float(samples.dtype()) && !all_finite(samples)) {
    throw flows::Diverged(str("[sample] some of the ", samples.dim(0),
                              " samples are NaN or infinite; see 'flowcli check'"));
  }
}

}  // namespace

std::string samples_png(const Tensor& samples, const data::Dataset& shape, const Tensor& like,
                        std::int64_t columns, int scale) {
  check_finite_samples(samples);
  if (shape.images()) {
    const Tensor pixels = data::pixels_of_levels(samples, shape.levels);
    return data::grid_png(pixels.reshape({-1, shape.height, shape.width, shape.channels}),
                          {.columns = columns, .zoom = scale});
  }
  NF_CHECK(shape.dims == 2, "[sample] data of ", shape.dims,
           " dimensions has no picture; write the samples with --out FILE.npy");
  const Tensor points = samples.to(Device::CPU);
  const data::Axes axes = shape.unit_scale ? data::Axes::OneUnit : data::Axes::OwnUnits;
  return data::scatter_png(points, 512, data::bounds_of(like.defined() ? like : points, axes));
}

void write_samples_png(const std::string& path, const Tensor& samples, const data::Dataset& shape,
                       const Tensor& like, std::int64_t columns, int scale) {
  atomic_write(path, samples_png(samples, shape, like, columns, scale));
}

void write_samples(const std::string& path, const Tensor& samples, const data::Dataset& shape,
                   std::int64_t columns, int scale) {
  if (!path.ends_with(".npy")) {
    return atomic_write(path, samples_png(samples, shape, {}, columns, scale));
  }
  if (shape.discrete) check_finite_samples(samples);  // no pixel could show it
  const Tensor values = shape.discrete ? data::pixels_of_levels(samples, shape.levels) : samples;
  data::write_npy(path, values.reshape(data::shape_of(shape, samples.dim(0))));
}

void check_picture(const std::string& path, std::int64_t n, const data::Dataset& shape,
                   std::int64_t columns, int scale) {
  if (!path.ends_with(".png")) return;
  const std::string what = shape.images() ? str("images of ", shape.channels, " channels have")
                                          : str("data of ", shape.dims, " dimensions has");
  check_usage(data::has_picture(shape), "[picture] ", what,
              " no picture; write numbers with --out FILE.npy",
              shape.images() ? "" : " or FILE.csv");
  check_usage(scale == 0 || shape.images(),
              "[scale] would change nothing: only images have pixels");
  if (!shape.images()) return;
  data::check_grid(n, shape.height, shape.width, {.columns = columns, .zoom = scale});
}

}  // namespace nf::cli
