// flowcli sample: draws from a trained model, as a picture or as numbers.
#include <algorithm>
#include <memory>

#include "cli/choice.h"
#include "cli/cli.h"
#include "cli/given.h"
#include "cli/latents.h"
#include "cli/table.h"
#include "tensor/memory.h"

namespace nf::cli {

namespace {

constexpr std::int64_t kMost = 10'000'000;

// -n, or what suits the model: of a file so many for each row, and a grid has as many of each
// label.
std::int64_t how_many(std::int64_t n, const TrainedModel& model, const GivenOptions& options,
                      const Tensor& given) {
  constexpr std::int64_t kImages = 64, kPoints = 20'000, kOfEach = 8;
  const bool images = model.shape.images();
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
  if (images && given.defined() && given.dim(0) > 1) return kOfEach * given.dim(0);
  return images ? kImages : kPoints;
}

// (n, D) on the CPU.
Tensor draw(const TrainedModel& model, std::int64_t n, double temperature, std::uint64_t seed,
            const Tensor& given) {
  Generator gen(seed);
  auto* const flow = dynamic_cast<flows::FlowDensity*>(model.density.get());
  if (!flow) {
    check_memory(2.0 * sizeof(float) * static_cast<double>(n * model.density->dims()),
                 str(n, " samples"), "take fewer at a time");
    return model.density->sample(gen, n, temperature, given_part(given, 0, n, {}));
  }
  const auto latents = [&](std::int64_t, std::int64_t count) {
    return flow->base().sample(gen, count, flow->dims(), temperature);
  };
  return decode_in_parts("sample", model, n, latents, given);
}

}  // namespace

void add_sample(CLI::App& app) {
  struct Options {
    Common common;
    ModelOptions model;
    GivenOptions given;
    int scale = 0;
    std::string out;
    std::int64_t n = 0;
    double temperature = 1;
    std::uint64_t seed = 0;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("sample", "Draw samples from a trained model");
  options->model.add_to(*command);
  options->given.add_to(*command, GivenRows::OfSamples);
  command
      ->add_option("-n,--count", options->n,
                   "How many (default: 64 images, 8 of each label, 20000 points)")
      ->check(whole(1, kMost));
  command->add_option("--temperature", options->temperature, "Scale of the latents")
      ->check(real(0))
      ->capture_default_str();
  add_seed(*command, options->seed, "Of the draws");
  command->add_option("--out", options->out,
                      "FILE.png, FILE.npy, of a table FILE.csv or - (CSV to standard output) "
                      "(default: RUN/samples/sample.png, .csv where there is no picture)");
  add_scale(*command, options->scale);
  options->common.add_to(*command);
  command->footer(
      "Examples:\n  flowcli sample runs/mnist -n 100 --temperature 0.8 --out grid.png\n"
      "  flowcli sample runs/moons -n 100000 --out points.npy\n"
      "  flowcli sample runs/table -n 500 --out samples.csv\n"
      "  flowcli sample runs/table -n 5 --out - | column -s, -t\n"
      "  flowcli sample runs/digits --given all --out classes.png\n"
      "  flowcli sample runs/regression --given 0.5 -n 1000 --out -\n");
  command->callback([options] {
    const Device device = options->common.apply();
    const TrainedModel model = options->model.load(options->common, device);
    const bool images = model.shape.images();
    const Tensor asked = options->given.rows(model);
    const std::int64_t n = how_many(options->n, model, options->given, asked);
    const std::string out = out_path(options->out, model.run,
                                     data::has_picture(model.shape) ? "samples/sample.png"
                                     : images                       ? "samples/sample.npy"
                                                                    : "samples/sample.csv");
    check_out("sample", out, {".png", ".npy", ".csv"}, model.shape, options->common);
    const bool in_rows = asked.defined() && asked.dim(0) > 1 && n % asked.dim(0) == 0;
    const std::int64_t across = in_rows ? n / asked.dim(0) : 0;
    check_picture(out, n, model.shape, across, options->scale);
    const Tensor given = spread_over(asked, n);
    const Tensor samples = draw(model, n, options->temperature, options->seed, given);
    write_samples(out, samples, model, options->scale, given, across);
    tell_result(options->common, out,
                {{"file", out}, {"count", n}, {"temperature", options->temperature}},
                str("wrote ", n, " samples to ", shown_out(out), "\n"));
  });
}

}  // namespace nf::cli
