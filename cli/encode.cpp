// flowcli encode and decode: data to latents and back, as .npy or CSV.
#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>

#include "cli/choice.h"
#include "cli/cli.h"
#include "cli/table.h"
#include "data/npy.h"
#include "tensor/ops.h"

namespace nf::cli {

namespace {

// Largest difference of any number: in levels for pixels, in the units of the data else.
double largest_difference(const Tensor& a, const Tensor& b) {
  return max(abs(a.to(DType::F64) - b.to(DType::F64))).item();
}

// Latents in parts, so that they need not fit into memory beside the data.
void write_latents(const std::string& out, const data::Dataset& shape, std::int64_t n,
                   const std::function<Tensor()>& next) {
  if (!is_csv(out)) return data::write_npy(out, DType::F32, data::shape_of(shape, n), next);
  write_text(out, [&](const data::CsvWriter::Sink& sink) {
    data::CsvWriter writer(sink, latent_columns(shape.dims));
    for (std::int64_t left = n; left > 0;) {
      const Tensor part = next().to(DType::F32);
      writer.add(part);
      left -= part.dim(0);
    }
  });
}

}  // namespace

void add_encode(CLI::App& app) {
  struct Options {
    Common common;
    ModelOptions model;
    RowOptions rows;
    std::string out;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("encode", "Data to latents");
  options->model.add_to(*command);
  options->rows.add_to(*command);
  command->add_option("--out", options->out,
                      "FILE.npy: f32 (N, D), of images (N, H, W, C); FILE.csv or - (standard "
                      "output): columns z1,z2,... (default: RUN/latents.npy; of other rows than "
                      "the test part RUN/latents-NAME.npy of --data NAME, RUN/latents.PART.npy)");
  options->common.add_to(*command);
  command->footer(
      "Pixels are encoded at the middle of their levels; decode gives back the same pixels.\n"
      "Examples:\n  flowcli encode runs/mnist --split test --out latents.npy\n"
      "  flowcli encode runs/table --data new.csv --out new.npy\n"
      "  flowcli encode runs/table --out latents.csv\n"
      "  head -11 new.csv | flowcli encode runs/table --data - --out -");
  command->callback([options] {
    const Device device = options->common.apply();
    const TrainedModel model = options->model.load(options->common, device);
    const std::string out = options->rows.results_path(options->out, model, "latents", ".npy");
    check_out("encode", out, {".npy", ".csv"}, model.shape, options->common);
    const Rows rows = options->rows.load(model);
    flows::Density& density = *model.density;
    constexpr std::int64_t kPart = 1000;
    const std::int64_t n = rows.x.dim(0), dims = density.dims();
    std::int64_t at = 0;
    double error = 0, largest = 0;
    write_latents(out, model.shape, n, [&] {
      const Tensor x = rows.x.narrow(0, at, std::min(kPart, n - at)).to(device);
      at += x.dim(0);
      const Tensor z = density.encode(x);
      check_latents("encode", density, x, z);
      const double off = largest_difference(density.decode(z).to(Device::CPU), x.to(Device::CPU));
      if (std::isnan(off)) {
        throw flows::Diverged(str("[encode] latents cannot be decoded: NaN, first in ",
                                  density.find_nonfinite_inverse(z).value_or("the data itself")));
      }
      error = std::max(error, off);
      largest = std::max(largest, max(abs(x.to(DType::F64))).item());
      return z;
    });
    tell_result(options->common, out,
                {{"file", out},
                 {"count", n},
                 {"dims", dims},
                 {"data", rows.name},
                 {"split", rows.split},
                 {"round_trip_error", number(error)}},
                str("wrote ", n, " latents of ", dims, " dimensions to ", shown_out(out),
                    "; decoding them is ",
                    error == 0             ? str("exact")
                    : density.levels() > 0 ? str("within ", error, " levels")
                                           : str("within ", error, ", of numbers up to ", largest),
                    "\n"));
  });
}

void add_decode(CLI::App& app) {
  struct Options {
    Common common;
    ModelOptions model;
    int scale = 0;
    std::string latents, out;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("decode", "Latents to data");
  options->model.add_to(*command);
  command
      ->add_option("LATENTS", options->latents,
                   "FILE.npy: reals (N, D), of images also (N, H, W, C); CSV: z1,z2,... or no "
                   "header; -: CSV from standard input")
      ->required();
  command->add_option("--out", options->out,
                      "FILE.npy, FILE.csv, FILE.png or - (CSV to standard output) (default: "
                      "RUN/decoded.npy)");
  add_scale(*command, options->scale);
  options->common.add_to(*command);
  command->footer(
      "Examples:\n  flowcli decode runs/mnist latents.npy --out digits.npy\n"
      "  flowcli decode runs/mnist latents.npy --out digits.png\n"
      "  flowcli encode runs/table --out - | flowcli decode runs/table - --out back.csv");
  command->callback([options] {
    const Device device = options->common.apply();
    const TrainedModel model = options->model.load(options->common, device);
    const std::string out = out_path(options->out, model.run, "decoded.npy");
    check_out("decode", out, {".npy", ".csv", ".png"}, model.shape, options->common);
    const Tensor z = read_latents(options->latents, model.shape);
    check_picture(out, z.dim(0), model.shape, 0, options->scale);
    const Tensor x = decode_in_parts(
        "decode", *model.density, z.dim(0),
        [&](std::int64_t first, std::int64_t count) { return z.narrow(0, first, count); });
    write_samples(out, x, model, options->scale);
    tell_result(options->common, out, {{"file", out}, {"count", x.dim(0)}, {"dims", x.dim(1)}},
                str("wrote ", x.dim(0), " samples to ", shown_out(out), "\n"));
  });
}

}  // namespace nf::cli
