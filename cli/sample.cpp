// flowcli sample: draws from a trained model, as a picture or as numbers.
#include <memory>

#include "cli/choice.h"
#include "cli/cli.h"

namespace nf::cli {

void add_sample(CLI::App& app) {
  struct Options {
    Common common;
    ModelOptions model;
    int scale = 0;
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
  add_scale(*command, options->scale);
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
    check_picture(out, n, model.shape, 0, options->scale);
    Generator gen(options->seed);
    flows::Density& density = *model.density;
    const Tensor samples =
        decode_in_parts("sample", density, n, [&](std::int64_t, std::int64_t count) {
          return density.base().sample(gen, count, density.dims(), options->temperature);
        });
    write_samples(out, samples, model.shape, 0, options->scale);
    options->common.result({{"file", out}, {"count", n}, {"temperature", options->temperature}},
                           str("wrote ", n, " samples to ", out, "\n"));
  });
}

}  // namespace nf::cli
