// flowcli data: describes a data source, or makes one.
#include <cmath>
#include <cstdio>
#include <memory>

#include "cli/cli.h"
#include "cli/trained_model.h"
#include "data/glyphs.h"
#include "data/png.h"
#include "data/svg.h"
#include "tensor/text.h"

namespace nf::cli {

namespace {

void describe(const Common& common, const std::string& source, const std::string& out,
              std::uint64_t seed) {
  const data::Dataset data = data::load(source, {.seed = seed});
  const Tensor values = data.train.x.to(DType::F32);
  const double low = min(values).item(), high = max(values).item();
  const double mean_value = mean(values).item(), deviation = std::sqrt(variance(values).item());
  const std::string geometry =
      data.images() ? str(data.channels, " x ", data.height, " x ", data.width, " pixels")
                    : str(data.dims, " real numbers");
  char text[512];
  std::snprintf(text, sizeof text,
                "%s: samples of %s\n  train %lld, validation %lld, test %lld; classes: %d\n"
                "  range [%g, %g], mean %.4f, standard deviation %.4f\n",
                data.name.c_str(), geometry.c_str(), static_cast<long long>(data.train.size()),
                static_cast<long long>(data.valid.size()), static_cast<long long>(data.test.size()),
                data.classes, low, high, mean_value, deviation);
  Json json = {{"name", data.name},
               {"dims", data.dims},
               {"channels", data.channels},
               {"height", data.height},
               {"width", data.width},
               {"discrete", data.discrete},
               {"classes", data.classes},
               {"columns", data.columns},
               {"train", data.train.size()},
               {"valid", data.valid.size()},
               {"test", data.test.size()},
               {"cut", data.cut},
               {"min", low},
               {"max", high},
               {"mean", mean_value},
               {"std", deviation}};
  std::string more = str("  parts: ", data.cut, "\n");
  if (!data.columns.empty()) more += "  columns: " + join(data.columns, ", ") + "\n";
  if (std::isfinite(data.entropy)) {
    json["entropy"] = data.entropy;
    more += str("  entropy ", data.entropy, " nats\n");
  }
  if (!out.empty()) {
    const std::int64_t shown =
        std::min<std::int64_t>(data.train.size(), data.images() ? 100 : 50000);
    const Tensor first = data.train.x.narrow(0, 0, shown);
    const bool table = !data.images() && data.dims > 2;  // a picture has two axes
    if (table) {
      data::write_scatter_png(out, first.narrow(1, 0, 2));
    } else {
      write_samples_png(out, first, data);
    }
    json["picture"] = out;
    more += str("  picture: ", out, table ? " (columns 1 and 2)" : "", "\n");
  }
  common.result(json, text + more + data::text_histogram(data.train.x));
}

}  // namespace

void add_data(CLI::App& app) {
  struct Options {
    Common common;
    std::string source, out, make_out;
    std::string what;
    std::uint64_t seed = 0, make_seed = 0;
    std::int64_t train = 60000, test = 10000;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("data", "Describe a data source, or make one");
  command->add_option("DATA", options->source, "A built-in name, a path, or format:path")
      ->type_name(source_type());
  command->add_option("--out", options->out, "Write a picture of the first samples (.png)");
  add_seed(*command, options->seed, "Of built-in sources");
  options->common.add_to(*command);
  command->footer(
      "Examples:\n  flowcli data path/to/mnist --out digits.png\n"
      "  flowcli data path/to/cifar-10-batches-bin --out grid.png\n"
      "  flowcli data table.csv\n"
      "  flowcli data 2spirals --out spirals.png\n"
      "  flowcli data make glyphs --out glyphs/\n");

  CLI::App* make = command->add_subcommand("make", "Write a built-in data set as files");
  make->add_option("NAME", options->what, "glyphs")->required()->check(one_of({"glyphs"}));
  make->add_option("--out", options->make_out, "Folder for the four IDX files")->required();
  add_seed(*make, options->make_seed, "Of the digits");
  make->add_option("--train", options->train, "Training images")
      ->check(whole(1, 10'000'000))
      ->capture_default_str();
  make->add_option("--test", options->test, "Test images")
      ->check(whole(1, 10'000'000))
      ->capture_default_str();

  command->callback([options, make] {
    options->common.apply();
    if (make->parsed()) {
      data::write_glyphs(options->make_out, options->make_seed, options->train, options->test);
      options->common.result(
          {{"folder", options->make_out}, {"train", options->train}, {"test", options->test}},
          str("wrote ", options->train, " + ", options->test, " images to ", options->make_out,
              "\n"));
      return;
    }
    if (options->source.empty()) throw CLI::RequiredError("DATA");
    describe(options->common, options->source, options->out, options->seed);
  });
}

}  // namespace nf::cli
