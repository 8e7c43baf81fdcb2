// flowcli compress-latents: what pictures keep without their finer latents (RealNVP, appendix D).
#include <memory>

#include "cli/cli.h"
#include "cli/latents.h"
#include "cli/picture_rows.h"
#include "flows/layers/factor_out.h"
#include "tensor/ops.h"

namespace nf::cli {

namespace {

struct CompressCommand {
  PictureOptions pictures;
  std::string rest = "noise";
  double temperature = 1;
  std::uint64_t seed = 0;
};

// "25 %: 196 of 784 latents, of scale 3" of three scales, the finest being scale 1.
std::string share_text(std::size_t scale, const std::vector<std::int64_t>& kept) {
  const double percent = 100.0 * static_cast<double>(kept[scale]) / static_cast<double>(kept[0]);
  const std::size_t first = scale + 1, last = kept.size();
  const std::string scales =
      first == last ? str("scale ", last) : str("scales ", first, " to ", last);
  if (scale == 0) return str("100 %: all ", kept[0], " latents, of ", scales);
  return str(percent, " %: ", kept[scale], " of ", kept[0], " latents, of ", scales);
}

void compress(const CompressCommand& options) {
  const PictureOptions& pictures = options.pictures;
  const Device device = pictures.common.apply();
  const TrainedModel model = pictures.model.load(pictures.common, device);
  const std::string out = out_path(pictures.out, model.run, "compressed.png");
  flows::FlowDensity& density = model.flow("compress-latents");
  const std::int64_t dims = density.latent_dims();
  const std::vector<std::int64_t> kept = flows::latents_from_scale(density, dims);
  check_usage(kept.size() > 1, "[compress-latents] the model of ", model.run.path(),
              " has one scale: none of its latents are coarser than others; realnvp, glow and "
              "image-plus have several (--levels)");
  const Rows rows = pictures.rows.load(model);
  const std::int64_t n = rows.x.dim(0), shares = std::ssize(kept);
  check_picture_rows("compress-latents", pictures, model, out, n, shares);

  const Tensor z = encode_in_parts("compress-latents", model, rows.x, rows.given);
  Generator gen(options.seed);
  const Tensor rest = options.rest == "zero"
                          ? z.zeros_like()
                          : density.base().sample(gen, n, dims, options.temperature).to(z.dtype());
  std::vector<PictureRow> lines;
  for (std::size_t scale = 0; scale < kept.size(); ++scale) {
    const std::int64_t count = kept[scale];
    const Tensor some =
        concat(std::vector<Tensor>{z.narrow(1, 0, count), rest.narrow(1, count, dims - count)}, 1);
    lines.push_back({.what = share_text(scale, kept),
                     .facts = {{"latents", count}, {"of", dims}},
                     .z = scale == 0 ? z : some,
                     .given = rows.given});
  }
  write_picture_rows("compress-latents", pictures, model, out, rows, lines,
                     {{"rest", options.rest}});
}

}  // namespace

void add_compress_latents(CLI::App& app) {
  auto options = std::make_shared<CompressCommand>();
  CLI::App* command =
      app.add_subcommand("compress-latents", "Pictures without their finer latents");
  options->pictures.add_to(*command, "compressed.png");
  command
      ->add_option("--rest", options->rest,
                   "What stands for the latents that are left out: noise of the base, or zero")
      ->check(one_of({"noise", "zero"}))
      ->capture_default_str();
  command->add_option("--temperature", options->temperature, "Scale of the noise")
      ->check(real(0))
      ->capture_default_str();
  add_seed(*command, options->seed, "Of the noise");
  command->footer(
      "The first row of the picture are the data. Each further row keeps the latents of fewer\n"
      "scales, the coarser ones; the last keeps those of the coarsest.\n"
      "Examples:\n  flowcli compress-latents runs/faces --indices 0-7 --out compressed.png\n"
      "  flowcli compress-latents runs/faces --rest zero");
  command->callback([options, command] {
    for (const char* option : {"--temperature", "--seed"}) {
      check_usage(options->rest != "zero" || command->count(option) == 0, "[compress-latents] ",
                  option, " would change nothing: --rest zero has no noise");
    }
    compress(*options);
  });
}

}  // namespace nf::cli
