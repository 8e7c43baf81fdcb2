// flowcli sample: draws from a trained model, as a picture or as numbers.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "cli/choice.h"
#include "cli/cli.h"
#include "cli/given.h"
#include "cli/latents.h"
#include "cli/partial.h"
#include "cli/quantile.h"
#include "cli/table.h"
#include "data/given.h"
#include "flows/models/resize.h"
#include "tensor/memory.h"
#include "tensor/text.h"

namespace nf::cli {

namespace {

constexpr std::int64_t kMost = 10'000'000;

// -n, or what suits the model: of a file so many for each row, and a grid has as many of each
// label.
std::int64_t how_many(std::int64_t n, const TrainedModel& model, const GivenOptions& options,
                      const Tensor& given) {
  constexpr std::int64_t kPoints = 20'000;
  const bool images = model.shape.images();
  // Of larger images as many pixels.
  const auto fewer = [&](std::int64_t count) {
    const std::int64_t trained = model.run.known().shape.dims;
    return std::clamp(count * trained / model.shape.dims, std::int64_t{1}, count);
  };
  if (!options.file.empty()) {
    const std::int64_t each = std::max<std::int64_t>(n, 1), all = each * given.dim(0);
    check_usage(all <= kMost, "[sample] ", each, " samples for each of ", given.dim(0),
                " rows are ", all, ", more than ", kMost, "; give a smaller -n");
    return all;
  }
  if (n > 0) {
    if (given.defined() && model.shape.given_classes > 0 && n < given.dim(0)) {
      check_usage(options.given != kAll, "[given] all is ", given.dim(0), " labels, for which -n ",
                  n, " is too few; give -n ", given.dim(0), " or more");
      model.common.note(str("note: ", n, " samples cannot be of all ", given.dim(0),
                            " labels; choose one with --given"));
    }
    return n;
  }
  if (images && given.defined() && given.dim(0) > 1) return fewer(8) * given.dim(0);
  return images ? fewer(64) : kPoints;
}

// Height and width of "2x", so many times those of the data, or of "64x96".
std::pair<std::int64_t, std::int64_t> size_of(const std::string& text, const data::Dataset& shape) {
  constexpr std::int64_t kTimes = 16;
  const char *at = text.data(), *const end = at + text.size();
  const auto number = [&] {
    std::int64_t value = 0;
    const auto [next, error] = std::from_chars(at, end, value);
    at = next;
    return error == std::errc() ? value : 0;
  };
  const std::int64_t first = number();
  const bool times = at < end && *at == 'x';
  at += times ? 1 : 0;
  const bool factor = times && at == end;
  const std::int64_t second = times && !factor ? number() : first;
  check_usage(times && at == end && first > 0 && second > 0, "[size] '", printable(text),
              "' is no size; say 2x, or HEIGHTxWIDTH as 64x96");
  const bool fits =
      factor ? first <= kTimes : first <= kTimes * shape.height && second <= kTimes * shape.width;
  check_usage(fits, "[size] '", printable(text), "' is more than ", kTimes, " times ", shape.height,
              " x ", shape.width, ", the size of the training");
  return factor ? std::pair{first * shape.height, first * shape.width} : std::pair{first, second};
}

// The model for images of another size, with the same weights.
TrainedModel with_size(const TrainedModel& model, const std::string& text) {
  check_usage(model.shape.images(), "[size] would change nothing: ", model.run.path(),
              " is no model of images");
  const auto [height, width] = size_of(text, model.shape);
  const flows::DataShape trained = shape_of(model.shape);
  const flows::Config config = flows::resolved(model.run.config(), trained);
  const std::int64_t step = flows::model_by_name(config.model).side_step(config);
  check_usage(height % step == 0 && width % step == 0, "[size] ", height, " x ", width,
              ": the model halves its images, so height and width must be multiples of ", step);
  const std::string stuck = flows::layer_of_one_size(config, trained, *model.density);
  check_usage(stuck.empty(), "[size] ", stuck, " has numbers of its own for each of the ",
              model.shape.height, " x ", model.shape.width,
              " pixels, so the model knows no other size; realnvp, glow, image-plus, pixelcnn and "
              "pixelrnn do, without preprocess = cdf");
  TrainedModel other = model;
  other.density = flows::resized(config, trained, *model.density, height, width);
  other.shape.height = height;
  other.shape.width = width;
  other.shape.dims = other.density->dims();
  constexpr double kAlive = 8;  // what is held at a time beside the widest of all
  check_memory(kAlive * sizeof(float) * flows::widest_layer(*other.density),
               str("an image of ", height, " x ", width), "give a smaller --size");
  return other;
}

// (n, D) on the CPU. `given`: GivenOptions::rows(), spread over the draws.
Tensor draw(const TrainedModel& model, std::int64_t n, double temperature, Generator& gen,
            const Tensor& given) {
  if (flows::AnyOrder* const density = any_order(model); density && given.defined()) {
    const Tensor x = given.to(density->device());
    return density->complete(gen, x, Tensor::ones(x.shape(), DType::F32, x.device()), temperature)
        .to(Device::CPU);
  }
  if (!dynamic_cast<flows::FlowDensity*>(model.density.get())) {
    check_memory(2.0 * sizeof(float) * static_cast<double>(n * model.density->dims()),
                 str(n, " samples"), "take fewer at a time");
    return model.density->sample(gen, n, temperature, given_part(given, 0, n, {}));
  }
  return sample_in_parts("sample", model, n, temperature, gen, given);
}

struct SampleOptions {
  Common common;
  ModelOptions model;
  GivenOptions given;
  int scale = 0;
  std::string out, size, quantiles;
  std::int64_t n = 0;
  double temperature = 1;
  std::uint64_t seed = 0;
};

void draw_samples(const SampleOptions& options, const TrainedModel& model) {
  const bool images = model.shape.images();
  const Tensor asked = options.given.rows(model);
  const std::int64_t n = how_many(options.n, model, options.given, asked);
  const std::string out = out_path(options.out, model.run,
                                   data::has_picture(model.shape) ? "samples/sample.png"
                                   : images                       ? "samples/sample.npy"
                                                                  : "samples/sample.csv");
  check_out("sample", out, {".png", ".npy", ".csv"}, model.shape, options.common);
  const bool in_rows = asked.defined() && asked.dim(0) > 1 && n % asked.dim(0) == 0;
  const std::int64_t across = in_rows ? n / asked.dim(0) : 0;
  check_picture(out, n, model.shape, across, options.scale);
  const Tensor given = spread_over(asked, n);
  Generator gen(options.seed);
  const Tensor samples = draw(model, n, options.temperature, gen, given);
  const std::int64_t numbered = options.given.file.empty() ? 0 : n / asked.dim(0);
  const Tensor beside = any_order(model) ? Tensor() : given;  // else it is among the columns
  write_samples(out, samples, model, options.scale, beside, across, numbered);
  Json result = {{"file", out}, {"count", n}, {"temperature", options.temperature}};
  if (!options.size.empty()) {
    result["height"] = model.shape.height;
    result["width"] = model.shape.width;
  }
  const std::string of_size =
      options.size.empty() ? "" : str(" of ", model.shape.height, " x ", model.shape.width);
  tell_result(options.common, out, result,
              str("wrote ", n, " samples", of_size, " to ", shown_out(out), "\n"));
}

// --- quantiles ----------------------------------------------------------------------------------

// Quantiles of each column of x (each, D) but categories, which have none, column after column,
// behind `line`.
void add_quantiles(const Tensor& x, const data::Dataset& shape,
                   const std::vector<std::pair<std::string, double>>& at,
                   const std::vector<bool>& whole, std::vector<double>& line) {
  for (std::int64_t j = 0; j < x.dim(1); ++j) {
    if (data::is_category(shape, j)) continue;
    std::vector<double> column = x.narrow(1, j, 1).to(DType::F64).to_vector<double>();
    std::sort(column.begin(), column.end());
    for (const auto& [name, value] : at) {
      line.push_back(quantile_of(column, value, whole[static_cast<std::size_t>(j)]));
    }
  }
}

// One line for each row that is given: quantiles of each column, of samples drawn for that row.
void write_quantiles(const SampleOptions& options, const TrainedModel& model) {
  constexpr std::int64_t kEach = 1000;
  check_usage(!model.shape.discrete, "[quantiles] is for columns of a table");
  check_usage(options.size.empty() && options.scale == 0, "[quantiles] draws no pictures");
  const auto at = parse_shares(options.quantiles, "quantiles");
  const std::string out = out_path(options.out, model.run, "samples/quantiles.csv");
  if (out != kStandardOutput) check_ending("sample", out, {".csv"});
  check_stdout("sample", out, options.common);
  const Tensor asked = options.given.rows(model);
  const std::int64_t rows = asked.defined() ? asked.dim(0) : 1;
  const std::int64_t each = options.n > 0 ? options.n : kEach;
  const std::vector<bool> whole = whole_columns(model);
  std::vector<std::string> names = {"given_row"};
  std::vector<bool> whole_names = {true};
  const std::vector<std::string> columns = data_columns(model.shape);
  for (std::size_t j = 0; j < columns.size(); ++j) {
    if (data::is_category(model.shape, static_cast<std::int64_t>(j))) continue;
    for (const auto& [name, value] : at) {
      names.push_back(columns[j] + "_q" + name);
      whole_names.push_back(whole[j]);
    }
  }
  const bool whole_rows = any_order(model);  // what is given is among the columns
  const std::vector<std::string> beside = given_columns(model.shape);
  names.insert(names.end(), beside.begin(), beside.end());
  whole_names.resize(names.size(), model.shape.given_classes > 0);
  Generator gen(options.seed);
  std::vector<double> table;
  for (std::int64_t row = 0; row < rows; ++row) {
    const Tensor given = asked.defined() ? asked.narrow(0, row, 1) : Tensor();
    const Tensor x = draw(model, each, options.temperature, gen, spread_over(given, each));
    table.push_back(static_cast<double>(row));
    add_quantiles(x, model.shape, at, whole, table);
    if (!given.defined() || whole_rows) continue;
    const std::vector<double> values = given.to(DType::F64).to_vector<double>();
    table.insert(table.end(), values.begin(), values.end());
  }
  write_text(out, [&](const data::CsvWriter::Sink& sink) {
    data::CsvWriter(sink, names, whole_names,
                    words_of(model.shape, names.size(), /*with_data=*/false, asked.defined()))
        .add(Tensor::from(table, {std::ssize(table)}).reshape({rows, -1}));
  });
  tell_result(options.common, out, {{"file", out}, {"count", rows}, {"samples_each", each}},
              str("wrote quantiles of ", rows, rows == 1 ? " row" : " rows", ", of ", each,
                  " samples each, to ", shown_out(out), "\n"));
}

}  // namespace

void add_sample(CLI::App& app) {
  auto options = std::make_shared<SampleOptions>();
  CLI::App* command = app.add_subcommand("sample", "Draw samples from a trained model");
  options->model.add_to(*command);
  options->given.add_to(*command, GivenRows::OfSamples);
  command
      ->add_option("-n,--count", options->n,
                   "How many (default: 64 images, 8 of each label, 20000 points)")
      ->check(whole(1, kMost));
  command
      ->add_option(
          "--quantiles", options->quantiles,
          "Not samples but quantiles of each column, as .05,.5,.95: a line for each row that "
          "is given, of -n samples (default 1000)")
      ->type_name("Q,...");
  command->add_option("--temperature", options->temperature, "Scale of the latents")
      ->check(real(0))
      ->capture_default_str();
  add_seed(*command, options->seed, "Of the draws");
  command
      ->add_option("--size", options->size,
                   "Images of another size than those of training: 2x, to 16x, or HEIGHTxWIDTH")
      ->type_name("SIZE");
  command->add_option("--out", options->out,
                      "FILE.png, FILE.npy, of a table FILE.csv or - (CSV to standard output) "
                      "(default: RUN/samples/sample.png, .csv where there is no picture, of "
                      "quantiles RUN/samples/quantiles.csv)");
  add_scale(*command, options->scale);
  options->common.add_to(*command);
  command->footer(
      "Examples:\n  flowcli sample runs/mnist -n 100 --temperature 0.8 --out grid.png\n"
      "  flowcli sample runs/moons -n 100000 --out points.npy\n"
      "  flowcli sample runs/faces --size 2x -n 4 --out large.png\n"
      "  flowcli sample runs/table -n 500 --out samples.csv\n"
      "  flowcli sample runs/table -n 5 --out - | column -s, -t\n"
      "  flowcli sample runs/digits --given all --out classes.png\n"
      "  flowcli sample runs/regression --given 0.5 -n 1000 --out -\n"
      "  flowcli sample runs/regression --given-file rows.csv -n 100 --out draws.csv\n"
      "  flowcli sample runs/people --given age=40,sex=f --out -    of tabular\n"
      "  flowcli sample runs/regression --given-file rows.csv --quantiles .1,.5,.9\n");
  command->callback([options] {
    const Device device = options->common.apply();
    const TrainedModel trained = options->model.load(options->common, device);
    const TrainedModel model = options->size.empty() ? trained : with_size(trained, options->size);
    options->quantiles.empty() ? draw_samples(*options, model) : write_quantiles(*options, model);
  });
}

}  // namespace nf::cli
