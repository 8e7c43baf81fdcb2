// flowcli manifold: a surface in latent space, decoded: a sphere (NICE, figure 7), or the one
// through four samples (RealNVP, equation 19).
#include <algorithm>
#include <initializer_list>
#include <memory>

#include "cli/choice.h"
#include "cli/cli.h"
#include "cli/given.h"
#include "cli/latents.h"
#include "flows/examine/sphere.h"
#include "tensor/memory.h"
#include "tensor/ops.h"

namespace nf::cli {

namespace {

constexpr const char *kSphere = "sphere", *kFourPoint = "four-point";

struct ManifoldCommand {
  Common common;
  ModelOptions model;
  GivenOptions given;
  RowOptions samples;
  int scale = 0;
  std::string kind = kSphere, out;
  std::int64_t rows = 0, columns = 0;  // 0: as the kind has it
  double temperature = 1;
  std::uint64_t seed = 0;
};

void check_unused(const CLI::App& command, std::initializer_list<const char*> options,
                  const std::string& kind) {
  for (const char* option : options) {
    check_usage(command.count(option) == 0, "[manifold] ", option,
                " would change nothing: it is not of --kind ", kind);
  }
}

// Latents, samples, and the parts of both.
void check_grid(const TrainedModel& model, std::int64_t samples, const char* advice) {
  check_memory(4.0 * sizeof(float) * static_cast<double>(samples * model.shape.dims),
               str(samples, " samples"), advice);
}

void sphere(const ManifoldCommand& options, const TrainedModel& model, const std::string& out) {
  const std::int64_t rows = options.rows > 0 ? options.rows : 15;
  const std::int64_t columns = options.columns > 0 ? options.columns : 30;
  check_picture(out, rows * columns, model.shape, columns, options.scale);
  check_grid(model, rows * columns, "take fewer --rows or --columns");
  flows::FlowDensity& density = model.flow("manifold");
  const Tensor given = options.given.one_row(model, "manifold");
  Generator gen(options.seed);
  const Tensor z = flows::latent_sphere(density.base(), gen, density.latent_dims(), rows, columns,
                                        options.temperature);
  const Tensor x = decode_in_parts("manifold", model, z, spread_over(given, z.dim(0)));
  write_samples(out, x, model.shape, columns, options.scale);
  options.common.result({{"file", out},
                         {"kind", options.kind},
                         {"rows", rows},
                         {"columns", columns},
                         {"temperature", options.temperature}},
                        str("wrote ", rows, " x ", columns, " samples to ", out, "\n"));
}

// What is given (4, G) on the manifold of four rows, (M, G) by weights (M, 4): of columns a mean,
// whose weights are the squares, for they add up to 1; of labels that of the largest one, the first
// of equals.
Tensor given_between(const Tensor& given, const Tensor& weights) {
  const Tensor shares = square(weights);
  if (is_float(given.dtype())) return matmul(shares, given.to(DType::F64));
  const std::vector<double> all = shares.to_vector<double>();
  std::vector<std::int32_t> largest;
  for (auto at = all.begin(); at != all.end(); at += 4) {
    const double enough = *std::max_element(at, at + 4) - 1e-9;  // rounding makes equals differ
    const auto first = std::find_if(at, at + 4, [&](double share) { return share >= enough; });
    largest.push_back(static_cast<std::int32_t>(first - at));
  }
  return index_select(given, 0, Tensor::from(largest, {std::ssize(largest)}));
}

void four_point(const ManifoldCommand& options, const TrainedModel& model, const std::string& out) {
  const std::int64_t rows = options.rows > 0 ? options.rows : 8;
  const std::int64_t columns = options.columns > 0 ? options.columns : 8;
  const Rows samples = options.samples.load(model);
  const std::int64_t n = samples.x.dim(0);
  check_usage(n % 4 == 0, "[manifold] a manifold goes through four rows; ", n,
              " rows are no multiple of 4");
  check_picture(out, n / 4 * rows * columns, model.shape, columns, options.scale);
  check_grid(model, n / 4 * rows * columns, "take fewer --rows, --columns or -n");
  const Tensor ends = encode_in_parts("manifold", model, samples.x, samples.given).to(DType::F64);
  const Tensor weights = flows::four_point_weights(rows, columns);
  std::vector<Tensor> latents, given;
  for (std::int64_t at = 0; at < n; at += 4) {
    latents.push_back(matmul(weights, ends.narrow(0, at, 4)).to(DType::F32));
    if (samples.given.defined()) {
      given.push_back(given_between(samples.given.narrow(0, at, 4), weights));
    }
  }
  const Tensor x = decode_in_parts("manifold", model, concat(latents, 0),
                                   given.empty() ? Tensor() : concat(given, 0));
  write_samples(out, x, model.shape, columns, options.scale);
  const char* where = rows % 4 == 0 && columns % 4 == 0
                          ? "; the first is on the top left, the second a quarter of the way to "
                            "the right, the third a quarter down, the fourth both"
                          : "";
  options.common.result(
      {{"file", out},
       {"kind", options.kind},
       {"rows", rows},
       {"columns", columns},
       {"data", samples.name},
       {"split", samples.split},
       {"samples", samples.number}},
      str("wrote ", n == 4 ? "the manifold" : str(n / 4, " manifolds"), " of ", rows, " x ",
          columns, " samples to ", out, "\n  through ", samples.text(), where, "\n"));
}

}  // namespace

void add_manifold(CLI::App& app) {
  auto options = std::make_shared<ManifoldCommand>();
  CLI::App* command = app.add_subcommand("manifold", "A surface in latent space, decoded");
  options->model.add_to(*command);
  command
      ->add_option("--kind", options->kind,
                   "sphere: a random one; four-point: through four rows of data")
      ->check(one_of({kSphere, kFourPoint}))
      ->capture_default_str();
  command->add_option("--rows", options->rows, "From pole to pole (default: 15; four-point 8)")
      ->check(whole(1, 1000));
  command->add_option("--columns", options->columns, "Around (default: 30; four-point 8)")
      ->check(whole(1, 1000));
  command->add_option("--temperature", options->temperature, "Scale of the sphere")
      ->check(real(0))
      ->capture_default_str();
  add_seed(*command, options->seed, "Of the sphere's rotation");
  options->given.add_to(*command, GivenRows::One);
  options->samples.add_to(*command, 4);
  command->add_option("--out", options->out, "FILE.png or FILE.npy (default: RUN/manifold.png)");
  add_scale(*command, options->scale);
  options->common.add_to(*command);
  command->footer(
      "Each row of a sphere's picture is a circle of latitude: its right end meets its left one.\n"
      "Rows of data are taken in fours, each four a grid; top and bottom meet there, too.\n"
      "Of a conditional model what is given goes along; a label is that of the row that counts "
      "most.\n"
      "Examples:\n  flowcli manifold runs/mnist --out manifold.png\n"
      "  flowcli manifold runs/mnist --rows 8 --columns 16 --temperature 0.8 --seed 3\n"
      "  flowcli manifold runs/faces --kind four-point --indices 3,5,7,8");
  command->callback([options, command] {
    const bool of_rows = options->kind == kFourPoint;
    if (of_rows) {
      check_unused(*command, {"--temperature", "--seed", "--given"}, options->kind);
    } else {
      check_unused(*command, {"--data", "--split", "--count", "--indices"}, options->kind);
    }
    const Device device = options->common.apply();
    const TrainedModel model = options->model.load(options->common, device);
    const std::string out = out_path(options->out, model.run, "manifold.png");
    check_ending("manifold", out, {".png", ".npy"});
    of_rows ? four_point(*options, model, out) : sphere(*options, model, out);
  });
}

}  // namespace nf::cli
