// flowcli manifold: a sphere in latent space, decoded (NICE, figure 7).
#include <memory>

#include "cli/choice.h"
#include "cli/cli.h"
#include "cli/given.h"
#include "cli/latents.h"
#include "flows/examine/sphere.h"

namespace nf::cli {

void add_manifold(CLI::App& app) {
  struct Options {
    Common common;
    ModelOptions model;
    GivenOptions given;
    int scale = 0;
    std::string out;
    std::int64_t rows = 15, columns = 30;
    double temperature = 1;
    std::uint64_t seed = 0;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("manifold", "A random sphere in latent space, as the model decodes it");
  options->model.add_to(*command);
  options->given.add_to(*command, GivenRows::One);
  command->add_option("--rows", options->rows, "From pole to pole")
      ->check(whole(1, 1000))
      ->capture_default_str();
  command->add_option("--columns", options->columns, "Around")
      ->check(whole(1, 1000))
      ->capture_default_str();
  command->add_option("--temperature", options->temperature, "Scale of the sphere")
      ->check(real(0))
      ->capture_default_str();
  add_seed(*command, options->seed, "Of its rotation");
  command->add_option("--out", options->out, "FILE.png or FILE.npy (default: RUN/manifold.png)");
  add_scale(*command, options->scale);
  options->common.add_to(*command);
  command->footer(
      "Each row of the picture is a circle of latitude: its right end meets its left one.\n"
      "Examples:\n  flowcli manifold runs/mnist --out manifold.png\n"
      "  flowcli manifold runs/mnist --rows 8 --columns 16 --temperature 0.8 --seed 3");
  command->callback([options] {
    const Device device = options->common.apply();
    const TrainedModel model = options->model.load(options->common, device);
    const std::string out = out_path(options->out, model.run, "manifold.png");
    check_ending("manifold", out, {".png", ".npy"});
    check_picture(out, options->rows * options->columns, model.shape, options->columns,
                  options->scale);
    flows::FlowDensity& density = model.flow("manifold");
    const Tensor given = options->given.one_row(model, "manifold");
    Generator gen(options->seed);
    const Tensor z = flows::latent_sphere(density.base(), gen, density.dims(), options->rows,
                                          options->columns, options->temperature);
    const Tensor x = decode_in_parts("manifold", model, z, spread_over(given, z.dim(0)));
    write_samples(out, x, model.shape, options->columns, options->scale);
    options->common.result(
        {{"file", out},
         {"rows", options->rows},
         {"columns", options->columns},
         {"temperature", options->temperature}},
        str("wrote ", options->rows, " x ", options->columns, " samples to ", out, "\n"));
  });
}

}  // namespace nf::cli
