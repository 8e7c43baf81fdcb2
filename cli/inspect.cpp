// flowcli inspect: the layers of a model or a run.
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <sstream>

#include "cli/cli.h"
#include "cli/lines.h"
#include "cli/settings.h"
#include "cli/trained_model.h"
#include "data/levels.h"
#include "tensor/text.h"

namespace nf::cli {

namespace {

std::string amount(double value) {
  const char* units[] = {"", " k", " M", " G", " T"};
  int unit = 0;
  while (value >= 1000 && unit < 4) {
    value /= 1000;
    ++unit;
  }
  char text[32];
  std::snprintf(text, sizeof text, unit == 0 ? "%.0f%s" : "%.2f%s", value, units[unit]);
  return text;
}

// "784", "32x32x3": the shape of one sample.
std::string event_text(const Shape& shape) {
  std::string text;
  for (int i = 1; i < shape.rank(); ++i) text += str(i > 1 ? "x" : "", shape[i]);
  return text;
}

// Data of a shape that a user writes, without rows: levels of pixels, or real numbers.
data::Dataset of_shape(const std::string& text) {
  constexpr std::int64_t kMost = 1'000'000;
  data::Dataset data;
  std::vector<std::int64_t> sizes;
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, 'x');) {
    std::int64_t size = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), size);
    const bool right = error == std::errc() && end == part.data() + part.size();
    sizes.push_back(right && size <= kMost ? size : 0);
  }
  const bool right =
      (sizes.size() == 1 || sizes.size() == 3) && *std::ranges::min_element(sizes) > 0;
  check_usage(right, "--shape '", printable(text), "': write 32x32x3 (height, width and channels ",
              "of images) or 784 (numbers of a row), each up to ", kMost);
  const bool channels_first =
      sizes.size() == 3 && (sizes[0] == 1 || sizes[0] == 3) && sizes[2] > 4 && sizes[1] > sizes[0];
  check_usage(!channels_first, "--shape '", printable(text),
              "': height, width and channels, in this order: ", sizes[1], "x", sizes.back(), "x",
              sizes[0], "?");
  data.dims = 1;
  for (const std::int64_t size : sizes) data.dims *= size;
  if (sizes.size() == 1) return data;
  data.discrete = true;
  data.height = sizes[0];
  data.width = sizes[1];
  data.channels = sizes[2];
  return data;
}

std::string table(const std::vector<nn::LayerInfo>& layers) {
  std::vector<std::vector<std::string>> rows = {{"layer", "kind", "output", "parameters", "FLOPs"}};
  for (const nn::LayerInfo& row : layers) {
    rows.push_back({row.name, row.kind, event_text(row.out_shape),
                    row.parameters ? str(row.parameters) : "-",
                    row.flops > 0 ? amount(row.flops) : "-"});
  }
  return table_text(rows, output_width(), {.left = 2, .shrinks = 1, .lines = true});
}

}  // namespace

void add_inspect(CLI::App& app) {
  struct Options {
    Common common;
    SettingOptions settings;
    std::string model;
    std::string shape;

    SettingOptions::Job job() const {
      if (!shape.empty()) {
        check_usage(!settings.given("source"), "--shape says what --data would: leave out one");
        check_usage(!std::filesystem::is_directory(model), "--shape is for models; the run '",
                    printable(model), "' has the shape of its data");
        return settings.configure(model, [&](const flows::Config& config) {
          data::Dataset data = of_shape(shape);
          data::reduce_bits(data, static_cast<int>(config.data.bits));
          data::binarize(data, config.data.binarize);
          return data;
        });
      }
      if (!std::filesystem::is_directory(model)) return settings.configure(model, peek_data);
      const RunFolder run = RunFolder::open(model);
      const std::string warning = flows::warning_of(run.path(), run.state());
      if (!warning.empty()) common.note("note: " + warning);
      flows::Config config = run.config();
      settings.apply(config);
      const bool other = config.data.source != run.config().data.source;
      return {config, other ? peek_data(config) : run.known().shape};
    }
  };
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("inspect", "Layers, shapes, parameters, memory, FLOPs");
  command->add_option("MODEL", options->model, "A model, a configuration (.json) or a run folder")
      ->required()
      ->type_name(model_type());
  command->add_option("--shape", options->shape,
                      "Of one sample, as 32x32x3 or 784: no data are needed");
  options->common.add_to(*command);
  options->settings.add_to(*command, ShownSettings::OfModel);
  command->footer(
      "Examples:\n  flowcli inspect nice\n  flowcli inspect glow --shape 32x32x3\n  flowcli "
      "inspect runs/mnist --json\n");
  command->callback([options] {
    options->common.apply();
    const auto [config, data] = options->job();
    const auto density = make_density(config, data);
    const std::int64_t batch = config.training.batch_size;
    std::vector<nn::LayerInfo> rows;
    density->inspect({batch, density->dims()}, "", rows);

    double flops = 0;
    Json layers = Json::array();
    for (const nn::LayerInfo& row : rows) {
      flops += row.flops;
      layers.push_back(
          {{"name", row.name},
           {"kind", row.kind},
           {"out_shape", std::vector<std::int64_t>(row.out_shape.begin(), row.out_shape.end())},
           {"parameters", row.parameters},
           {"flops", row.flops}});
    }
    const double parameters = static_cast<double>(density->parameter_count());
    const double activations = nn::kept_bytes(rows);
    const double training = 4 * parameters * sizeof(float) + activations;
    const Json json = {{"model", config.model},
                       {"layers", layers},
                       {"parameters", density->parameter_count()},
                       {"parameter_bytes", parameters * sizeof(float)},
                       {"activation_bytes", activations},
                       {"flops", flops},
                       {"batch_size", batch}};
    const std::string text =
        table(rows) + str("parameters  ", density->parameter_count(), " (", amount(parameters * 4),
                          "B)\nmemory      ", amount(training),
                          "B to train: parameters, gradients, "
                          "two moments, and ",
                          amount(activations),
                          "B of activations for a batch "
                          "of ",
                          batch, "\nFLOPs       ", amount(flops), " forward, ",
                          amount(flops / static_cast<double>(batch)),
                          " per sample; a training step "
                          "costs about ",
                          amount(3 * flops), "\n");
    options->common.result(json, text);
  });
}

}  // namespace nf::cli
