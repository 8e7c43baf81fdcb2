// flowcli encode and decode: data to latents and back, as .npy or CSV.
#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>

#include "cli/choice.h"
#include "cli/cli.h"
#include "cli/given.h"
#include "cli/latents.h"
#include "cli/table.h"
#include "data/npy.h"
#include "flows/models/model.h"
#include "tensor/ops.h"

namespace nf::cli {

namespace {

// Largest difference of any number: in levels for pixels, in the units of the data else.
double largest_difference(const Tensor& a, const Tensor& b) {
  return max(abs(a.to(DType::F64) - b.to(DType::F64))).item();
}

// Latents in parts, so that they need not fit into memory beside the data. A file of numbers has
// the shape of the data where a latent belongs to a pixel; else they are rows of `dims`.
void write_latents(const std::string& out, const data::Dataset& shape, bool of_pixels,
                   std::int64_t dims, std::int64_t n, const Tensor& given,
                   const std::function<Tensor()>& next) {
  const Shape all = of_pixels ? data::shape_of(shape, n) : Shape{n, dims};
  if (!is_csv(out)) return data::write_npy(out, DType::F32, all, next);
  write_text(out, [&](const data::CsvWriter::Sink& sink) {
    std::vector<std::string> names = latent_columns(dims);
    const std::vector<std::string> given_names = given_columns(shape);
    names.insert(names.end(), given_names.begin(), given_names.end());
    data::CsvWriter writer(sink, names, {},
                           words_of(shape, names.size(), /*with_data=*/false, given.defined()));
    for (std::int64_t left = n; left > 0;) {
      const Tensor part = next().to(DType::F32).to(Device::CPU);
      const Tensor beside = flows::given_rows(given, n - left, part.dim(0));
      writer.add(beside.defined()
                     ? concat(std::vector{part.to(DType::F64), beside.to(DType::F64)}, 1)
                     : part);
      left -= part.dim(0);
    }
  });
}

// (n, G): one row for all, or a row for each.
Tensor given_of_latents(const GivenOptions& options, const TrainedModel& model, std::int64_t n) {
  const Tensor given =
      options.file.empty()
          ? options.one_row(model, "decode",
                            ", or --given-file FILE with a row for each of the latents, which what "
                            "'flowcli encode' writes has beside them (-: both from standard input)")
          : options.rows(model);
  NF_CHECK(!given.defined() || given.dim(0) == 1 || given.dim(0) == n, "[decode] ", n,
           " latents, but ", given.defined() ? given.dim(0) : 0, " rows of what is given");
  return spread_over(given, n);
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
                      "FILE.npy: f32 (N, D), of images (N, H, W, C) where a latent belongs to a "
                      "pixel; FILE.csv or - (standard "
                      "output): columns z1,z2,... (default: RUN/latents.npy; of other rows than "
                      "the test part RUN/latents-NAME.npy of --data NAME, RUN/latents.PART.npy)");
  options->common.add_to(*command);
  command->footer(
      "Pixels are encoded at the middle of their levels; decode gives back the same pixels. A vae\n"
      "encodes as the mean of its posterior, of one with a flow as what the flow makes of the\n"
      "Gaussian's mean, and decodes as the middle of what data may be: not the same data.\n"
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
    flows::FlowDensity& density = model.flow("encode");
    constexpr std::int64_t kPart = 1000;
    const std::int64_t n = rows.x.dim(0), dims = density.latent_dims();
    std::int64_t at = 0;
    double error = 0, largest = 0;
    const bool of_pixels =
        density.lossless() && !flows::model_by_name(model.run.config().model).of_images();
    write_latents(out, model.shape, of_pixels, dims, n, rows.given, [&] {
      const Tensor x = rows.x.narrow(0, at, std::min(kPart, n - at)).to(device);
      const Tensor beside = flows::given_rows(rows.given, at, x.dim(0));
      const Var given = given_part(beside, 0, x.dim(0), device);
      at += x.dim(0);
      const Tensor z = density.encode(x, given);
      flows::check_latents("encode", density, x, z, beside);
      const Tensor back = density.decode(z, given).to(Device::CPU);
      const double off = largest_difference(back, x.to(Device::CPU));
      if (std::isnan(off)) {
        throw flows::Diverged(
            str("[encode] latents cannot be decoded: NaN, first in ",
                density.find_nonfinite_inverse(z, beside).value_or("the data itself")));
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
                    density.lossless() ? "; decoding them is "
                                       : "; they do not say all of a row: it is reconstructed ",
                    error == 0             ? str("exact", density.lossless() ? "" : "ly")
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
    GivenOptions given;
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
  options->given.add_to(*command, GivenRows::OfLatents);
  command->add_option("--out", options->out,
                      "FILE.npy, FILE.csv, FILE.png or - (CSV to standard output) (default: "
                      "RUN/decoded.npy)");
  add_scale(*command, options->scale);
  options->common.add_to(*command);
  command->footer(
      "Examples:\n  flowcli decode runs/mnist latents.npy --out digits.npy\n"
      "  flowcli decode runs/mnist latents.npy --out digits.png\n"
      "  flowcli encode runs/table --out - | flowcli decode runs/table - --out back.csv\n"
      "  flowcli encode runs/regression --out z.csv\n"
      "  flowcli decode runs/regression z.csv --given-file z.csv --out x.csv");
  command->callback([options] {
    const Device device = options->common.apply();
    const TrainedModel model = options->model.load(options->common, device);
    const std::string out = out_path(options->out, model.run, "decoded.npy");
    check_out("decode", out, {".npy", ".csv", ".png"}, model.shape, options->common);
    const Tensor z =
        read_latents(options->latents, model.shape, model.flow("decode").latent_dims());
    check_picture(out, z.dim(0), model.shape, 0, options->scale);
    const Tensor given = given_of_latents(options->given, model, z.dim(0));
    const Tensor x = decode_in_parts("decode", model, z, given);
    write_samples(out, x, model, options->scale, given);
    tell_result(options->common, out, {{"file", out}, {"count", x.dim(0)}, {"dims", x.dim(1)}},
                str("wrote ", x.dim(0), " samples to ", shown_out(out), "\n"));
  });
}

}  // namespace nf::cli
