// flowcli encode and decode: data to latents and back, as .npy.
#include <memory>

#include "cli/choice.h"
#include "cli/cli.h"
#include "data/npy.h"
#include "tensor/ops.h"

namespace nf::cli {

namespace {

// Largest difference of any number: in levels for pixels, in the units of the data else.
double largest_difference(const Tensor& a, const Tensor& b) {
  return max(abs(a.to(DType::F64) - b.to(DType::F64))).item();
}

Tensor read_latents(const std::string& path, std::int64_t dims) {
  const Tensor z = data::read_npy(path);
  NF_CHECK(is_float(z.dtype()) && z.rank() == 2 && z.dim(1) == dims && z.dim(0) > 0,
           "[decode] the model's latents are reals of shape (N, ", dims, "), '", path, "' holds ",
           describe(z));
  NF_CHECK(all_finite(z), "[decode] '", path, "' holds numbers that are not finite");
  return z.to(DType::F32);
}

}  // namespace

void add_encode(CLI::App& app) {
  struct Options {
    Common common;
    ModelOptions model;
    RowOptions rows;
    std::string out = "latents.npy";
  };
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("encode", "Data to latents");
  options->model.add_to(*command);
  options->rows.add_to(*command);
  command->add_option("--out", options->out, "FILE.npy: f32 (N, D)")->capture_default_str();
  options->common.add_to(*command);
  command->footer(
      "Pixels are encoded at the middle of their levels; decode gives back the same pixels.\n"
      "Examples:\n  flowcli encode runs/mnist --split test --out latents.npy\n"
      "  flowcli encode runs/table --data new.csv --out new.npy");
  command->callback([options] {
    const Device device = options->common.apply();
    const TrainedModel model = options->model.load(options->common, device);
    check_ending("encode", options->out, {".npy"});
    const Rows rows = options->rows.load(model);
    flows::Density& density = *model.density;
    const Tensor z = in_parts(rows.x, device, [&](const Tensor& x) { return density.encode(x); });
    const Tensor back =
        in_parts(z, device, [&](const Tensor& part) { return density.decode(part); });
    const double error = largest_difference(back, rows.x);
    data::write_npy(options->out, z);
    options->common.result(
        {{"file", options->out},
         {"count", z.dim(0)},
         {"dims", z.dim(1)},
         {"split", rows.split},
         {"round_trip_error", error}},
        str("wrote ", z.dim(0), " latents of ", z.dim(1), " dimensions to ", options->out,
            "; decoding them is ", error == 0 ? str("exact") : str("within ", error), "\n"));
  });
}

void add_decode(CLI::App& app) {
  struct Options {
    Common common;
    ModelOptions model;
    std::string latents, out = "decoded.npy";
  };
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("decode", "Latents to data");
  options->model.add_to(*command);
  command->add_option("LATENTS", options->latents, "FILE.npy: reals (N, D)")->required();
  command->add_option("--out", options->out, "FILE.npy or FILE.png")->capture_default_str();
  options->common.add_to(*command);
  command->footer(
      "Examples:\n  flowcli decode runs/mnist latents.npy --out digits.npy\n"
      "  flowcli decode runs/mnist latents.npy --out digits.png");
  command->callback([options] {
    const Device device = options->common.apply();
    const TrainedModel model = options->model.load(options->common, device);
    check_ending("decode", options->out, {".npy", ".png"});
    const Tensor z = read_latents(options->latents, model.density->dims());
    const Tensor x = decode_in_parts(
        "decode", *model.density, z.dim(0),
        [&](std::int64_t first, std::int64_t count) { return z.narrow(0, first, count); });
    write_samples(options->out, x, model.shape);
    options->common.result({{"file", options->out}, {"count", x.dim(0)}, {"dims", x.dim(1)}},
                           str("wrote ", x.dim(0), " samples to ", options->out, "\n"));
  });
}

}  // namespace nf::cli
