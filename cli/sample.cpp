// flowcli sample: draws from a trained model, as a picture or as numbers.
#include <memory>

#include "cli/choice.h"
#include "cli/cli.h"

namespace nf::cli {

namespace {

// Large draws go through the model in parts, so that memory does not grow with their number.
Tensor sample_in_parts(flows::Density& density, Generator& gen, std::int64_t n,
                       double temperature) {
  constexpr std::int64_t kPart = 10000;
  std::vector<Tensor> parts;
  for (std::int64_t at = 0; at < n; at += kPart) {
    parts.push_back(density.sample(gen, std::min(kPart, n - at), temperature).to(Device::CPU));
  }
  return concat(parts, 0);
}

}  // namespace

void add_sample(CLI::App& app) {
  struct Options {
    Common common;
    ModelOptions model;
    std::string out;
    std::int64_t n = 0;
    double temperature = 1;
    std::uint64_t seed = 0;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("sample", "Draw samples from a trained model");
  options->model.add_to(*command);
  command->add_option("-n,--count", options->n, "How many (default: 64 images, 20000 points)")
      ->check(whole(1, 10'000'000));
  command->add_option("--temperature", options->temperature, "Scale of the latents")
      ->check(real(0))
      ->capture_default_str();
  add_seed(*command, options->seed, "Of the draws");
  command->add_option("--out", options->out,
                      "FILE.png or FILE.npy (default: RUN/samples/sample.png)");
  options->common.add_to(*command);
  command->footer(
      "Examples:\n  flowcli sample runs/mnist -n 100 --temperature 0.8 --out grid.png\n"
      "  flowcli sample runs/moons -n 100000 --out points.npy\n");
  command->callback([options] {
    const Device device = options->common.apply();
    const TrainedModel model = options->model.load(options->common, device);
    const bool images = model.shape.images();
    const std::int64_t n = options->n > 0 ? options->n : (images ? 64 : 20000);
    const std::string out = out_path(options->out, model.run, "samples/sample.png");
    check_ending("sample", out, {".png", ".npy"});
    Generator gen(options->seed);
    const Tensor samples = sample_in_parts(*model.density, gen, n, options->temperature);
    write_samples(out, samples, model.shape);
    options->common.result({{"file", out}, {"count", n}, {"temperature", options->temperature}},
                           str("wrote ", n, " samples to ", out, "\n"));
  });
}

}  // namespace nf::cli
