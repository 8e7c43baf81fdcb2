// flowcli data: describes a data source, or makes one.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>

#include "cli/choice.h"
#include "cli/cli.h"
#include "cli/column_table.h"
#include "cli/lines.h"
#include "cli/trained_model.h"
#include "data/csv.h"
#include "data/glyphs.h"
#include "data/idx.h"
#include "data/npy.h"
#include "data/png.h"
#include "data/setting_error.h"
#include "data/source.h"
#include "data/svg.h"
#include "flows/models/build.h"
#include "tensor/text.h"

namespace nf::cli {

namespace {

struct Summary {
  double low = INFINITY, high = -INFINITY, mean = 0, deviation = 0;
};

// Some rows at a time: as reals, pixels take eight times their memory.
Summary summary_of(const Tensor& x) {
  constexpr std::int64_t kPart = 1 << 20;  // numbers
  const std::int64_t rows = std::max<std::int64_t>(1, kPart / x.dim(1));
  const auto in_parts = [&](auto&& use) {
    for (std::int64_t at = 0; at < x.dim(0); at += rows) {
      use(x.narrow(0, at, std::min(rows, x.dim(0) - at)).to(DType::F64));
    }
  };
  Summary out;
  const auto n = static_cast<double>(x.numel());
  in_parts([&](const Tensor& part) {
    out.low = std::min(out.low, min(part).item());
    out.high = std::max(out.high, max(part).item());
    out.mean += sum(part).item() / n;
  });
  double variance = 0;
  in_parts([&](const Tensor& part) { variance += sum(square(part - out.mean)).item() / n; });
  out.deviation = std::sqrt(variance);
  return out;
}

data::Dataset load_as_asked(const std::string& source, const data::LoadOptions& reading) {
  try {
    return data::load(source, reading);
  } catch (const data::SettingError& error) {
    throw UsageError(error.what());
  }
}

// The first images or points; returns what to say of them.
std::string draw_first(const data::Dataset& data, const std::string& out, int scale) {
  check_usage(
      data.images() || data.dims >= 2, "[data] ", data.name,
      " has one column, and a picture has two axes; leave --out out: the histogram is told");
  const std::int64_t shown = std::min<std::int64_t>(data.train.size(), data.images() ? 100 : 50000);
  const Tensor first = data.train.x.narrow(0, 0, shown);
  if (data.images() || data.dims == 2) {
    write_samples_png(out, first, data, first, 0, scale);
    return "";
  }
  const Tensor points = first.narrow(1, 0, 2);  // a picture has two axes
  data::write_scatter_png(out, points, 512, data::bounds_of(points, data::Axes::OwnUnits));
  return " (columns 1 and 2)";
}

void describe(const Common& common, const std::string& source, const std::string& out, int scale,
              const data::LoadOptions& reading) {
  const data::Dataset data = load_as_asked(source, reading);
  for (const std::string& note : data.notes) common.note("note: " + note);
  const auto [low, high, mean_value, deviation] = summary_of(data.train.x);
  const std::string geometry =
      data.images() ? str(data.channels, " x ", data.height, " x ", data.width, " pixels")
                    : str(data.dims, data.discrete ? " levels" : " real numbers");
  const bool table = is_table(data);
  if (!data.form.empty()) common.note("read as CSV: " + data.form);
  std::string text = str(
      printable(data.name), ": samples of ", geometry, "\n  train ", data.train.size(),
      ", validation ", data.valid.size(), ", test ", data.test.size(), "; classes: ", data.classes,
      data.label.empty() ? "" : " (" + printable(join(data.class_names, ", "), 60) + ")", "\n");
  if (!table) {
    char range[160];
    std::snprintf(range, sizeof range, "  range [%g, %g], mean %.4f, standard deviation %.4f\n",
                  low, high, mean_value, deviation);
    text += range;
  }
  Json json = {{"name", data.name},
               {"dims", data.dims},
               {"channels", data.channels},
               {"height", data.height},
               {"width", data.width},
               {"discrete", data.discrete},
               {"classes", data.classes},
               {"class_names", data.class_names},
               {"skipped", data.skipped},
               {"form", data.form},
               {"columns", data.columns},
               {"train", data.train.size()},
               {"valid", data.valid.size()},
               {"test", data.test.size()},
               {"cut", data.cut},
               {"min", low},
               {"max", high},
               {"mean", mean_value},
               {"std", deviation},
               {"per_column", Json::array()}};
  std::string more = str("  parts: ", data.cut, "\n");
  if (std::isfinite(data.entropy)) {
    json["entropy"] = data.entropy;
    more += str("  entropy ", data.entropy, " nats\n");
  }
  check_usage(scale == 0 || (!out.empty() && data.images()),
              "[scale] would change nothing: it is for a picture of images, with --out");
  if (!out.empty()) {
    json["picture"] = out;
    more += "  picture: " + out + draw_first(data, out, scale) + "\n";
  }
  if (table) more += describe_columns(data, reading.types, json);
  // One of columns of different units would say nothing.
  if (!table || data.dims == 1) more += data::text_histogram(data.train.x);
  common.result(json, text + more);
}

struct MakeOptions {
  std::string what, out;
  std::uint64_t seed = 0;
  std::int64_t train = 60000, test = 10000;
};

void make(const Common& common, const MakeOptions& options) {
  const auto ends = [&](const char* ending) { return options.out.ends_with(ending); };
  if (!ends(".csv") && !ends(".npy") && !ends(".idx")) {
    check_usage(options.what == "glyphs", "[data] ", options.what,
                " is written as one file: --out must end in .csv, .npy or .idx");
    data::write_glyphs(options.out, options.seed, options.train, options.test);
    common.result(
        {{"folder", options.out}, {"train", options.train}, {"test", options.test}},
        str("wrote ", options.train, " + ", options.test, " images to ", options.out, "\n"));
    return;
  }
  const data::Dataset drawn = data::load(
      options.what, {.seed = options.seed, .train = options.train, .valid = 1, .test = 1});
  const Tensor& rows = drawn.train.x;
  const Tensor shaped =
      drawn.images() ? rows.reshape({rows.dim(0), drawn.height, drawn.width}) : rows;
  if (ends(".csv")) {
    std::vector<std::string> names;
    for (std::int64_t j = 1; j <= rows.dim(1); ++j) names.push_back(str("x", j));
    data::write_csv(options.out, names, rows);
  } else if (ends(".npy")) {
    data::write_npy(options.out, shaped);
  } else {
    data::write_idx(options.out, shaped);
  }
  common.result(
      {{"file", options.out}, {"count", rows.dim(0)}, {"dims", rows.dim(1)}},
      str("wrote ", rows.dim(0), " rows of ", rows.dim(1), " numbers to ", options.out, "\n"));
}

}  // namespace

void add_data(CLI::App& app) {
  struct Options {
    Common common;
    std::string source, out, columns, drop, na, missing = "refuse";
    int scale = 0;
    data::LoadOptions reading;
    MakeOptions make;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("data", "Describe a data source, or make one");
  command->add_option("DATA", options->source, "A built-in name, a path, or format:path")
      ->type_name(source_type());
  command->add_option("--out", options->out, "Write a picture of the first samples (.png)");
  add_scale(*command, options->scale);
  command->add_option("--columns", options->columns, "Columns of a table to take, as a,b,c");
  command->add_option("--drop", options->drop, "Columns of a table to leave out, as a,b");
  command->add_option("--label", options->reading.label,
                      "Column of a table, numbers or text, whose values are labels of the rows");
  command->add_option("--na", options->na, "Cells that say that a number is missing, as a,b");
  command
      ->add_option("--missing", options->missing, "Rows that lack a number: an error, or left out")
      ->check(one_of({"refuse", "drop"}))
      ->capture_default_str();
  command->add_option("--split-by", options->reading.split_by,
                      "Column whose equal values stay in one part");
  command
      ->add_option("--layout", options->reading.layout, "Which axis of images holds the channels")
      ->check(one_of({"auto", "first", "last"}))
      ->capture_default_str();
  command->add_option("--types", options->reading.types,
                      "Of columns, as a=integer,b=bounded:0:1,c=real (else guessed)");
  command->add_option("--images", options->reading.images,
                      "What is done to pictures in files, as square,resize:64");
  command->add_flag("--skip-bad", options->reading.skip_bad,
                    "Leave out pictures that cannot be read, and count them");
  add_seed(*command, options->reading.seed, "Of built-in sources");
  options->common.add_to(*command);
  command->footer(
      "Examples:\n  flowcli data path/to/mnist --out digits.png\n"
      "  flowcli data path/to/cifar-10-batches-bin --out grid.png\n"
      "  flowcli data path/to/photos --images square,resize:64 --out grid.png\n"
      "  flowcli data table.csv\n"
      "  flowcli data table.csv --drop 1 --label 3 --missing drop\n"
      "  flowcli data 2spirals --out spirals.png\n"
      "  flowcli data make glyphs --out glyphs/\n"
      "  flowcli data make moons --train 5000 --out moons.csv\n");

  CLI::App* maker = command->add_subcommand("make", "Write a built-in data set as files");
  maker->add_option("NAME", options->make.what, "A built-in source")
      ->required()
      ->check(one_of(data::built_in_sources()));
  maker
      ->add_option("--out", options->make.out,
                   "FILE.csv, .npy or .idx; of glyphs else a folder for MNIST's four files")
      ->required();
  add_seed(*maker, options->make.seed, "Of what is drawn");
  maker->add_option("--train", options->make.train, "Rows, or training images of a folder")
      ->check(whole(1, 10'000'000))
      ->capture_default_str();
  maker->add_option("--test", options->make.test, "Test images of a folder")
      ->check(whole(1, 10'000'000))
      ->capture_default_str();
  options->common.add_to(*maker);

  command->callback([options, maker] {
    options->common.apply();
    if (maker->parsed()) return make(options->common, options->make);
    if (options->source.empty()) throw CLI::RequiredError("DATA");
    options->reading.columns = flows::split_names(options->columns);
    options->reading.drop = flows::split_names(options->drop);
    options->reading.missing_words = flows::split_names(options->na);
    options->reading.drop_missing = options->missing == "drop";
    describe(options->common, options->source, options->out, options->scale, options->reading);
  });
}

}  // namespace nf::cli
