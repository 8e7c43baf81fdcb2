// flowcli sample: draws from a trained model, as a picture or as numbers.
#include <memory>

#include "cli/choice.h"
#include "cli/cli.h"
#include "cli/table.h"

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
                      "FILE.png, FILE.npy, of a table FILE.csv or - (CSV to standard output) "
                      "(default: RUN/samples/sample.png, .csv where there is no picture)");
  add_scale(*command, options->scale);
  options->common.add_to(*command);
  command->footer(
      "Examples:\n  flowcli sample runs/mnist -n 100 --temperature 0.8 --out grid.png\n"
      "  flowcli sample runs/moons -n 100000 --out points.npy\n"
      "  flowcli sample runs/table -n 500 --out samples.csv\n"
      "  flowcli sample runs/table -n 5 --out - | column -s, -t\n");
  command->callback([options] {
    const Device device = options->common.apply();
    const TrainedModel model = options->model.load(options->common, device);
    const bool images = model.shape.images();
    const std::int64_t n = options->n > 0 ? options->n : (images ? 64 : 20000);
    const std::string out = out_path(options->out, model.run,
                                     data::has_picture(model.shape) ? "samples/sample.png"
                                     : images                       ? "samples/sample.npy"
                                                                    : "samples/sample.csv");
    check_out("sample", out, {".png", ".npy", ".csv"}, model.shape, options->common);
    check_picture(out, n, model.shape, 0, options->scale);
    Generator gen(options->seed);
    flows::Density& density = *model.density;
    const Tensor samples =
        decode_in_parts("sample", density, n, [&](std::int64_t, std::int64_t count) {
          return density.base().sample(gen, count, density.dims(), options->temperature);
        });
    write_samples(out, samples, model, options->scale);
    tell_result(options->common, out,
                {{"file", out}, {"count", n}, {"temperature", options->temperature}},
                str("wrote ", n, " samples to ", shown_out(out), "\n"));
  });
}

}  // namespace nf::cli
