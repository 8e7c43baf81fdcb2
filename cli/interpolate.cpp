// flowcli interpolate: from one sample to another on a straight line between their latents.
#include <memory>

#include "cli/choice.h"
#include "cli/cli.h"
#include "cli/latents.h"
#include "tensor/ops.h"

namespace nf::cli {

namespace {

// (pairs * steps, D): z = (1 - t) a + t b, t = 0 .. 1, for rows 1 and 2, rows 3 and 4, ...
Tensor lines_between(const Tensor& ends, std::int64_t steps) {
  const std::int64_t pairs = ends.dim(0) / 2, dims = ends.dim(1);
  const Tensor both = ends.reshape({pairs, 2, dims});
  const Tensor a = both.narrow(1, 0, 1), b = both.narrow(1, 1, 1);  // (pairs, 1, D)
  const Tensor t =
      affine(Tensor::arange(steps, ends.dtype()), 1.0 / static_cast<double>(steps - 1), 0)
          .reshape({1, steps, 1});
  return (a * affine(t, -1, 1) + b * t).reshape({pairs * steps, dims});
}

// What is given along the lines: of columns the same mean of both ends, of labels that of the
// nearer end.
Tensor between(const Tensor& given, std::int64_t steps) {
  if (!given.defined()) return {};
  if (is_float(given.dtype())) return lines_between(given, steps);
  std::vector<std::int32_t> order;
  for (std::int64_t row = 0; row < given.dim(0); row += 2) {
    for (std::int64_t i = 0; i < steps; ++i) {
      order.push_back(static_cast<std::int32_t>(2 * i < steps ? row : row + 1));
    }
  }
  return index_select(given, 0, Tensor::from(order, {std::ssize(order)}));
}

}  // namespace

void add_interpolate(CLI::App& app) {
  struct Options {
    Common common;
    ModelOptions model;
    RowOptions rows;
    int scale = 0;
    std::string out;
    std::int64_t steps = 10;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("interpolate", "From one sample to another, by latents");
  options->model.add_to(*command);
  options->rows.add_to(*command, 20);
  command->add_option("--steps", options->steps, "Samples of each line, both ends included")
      ->check(whole(2, 1000))
      ->capture_default_str();
  command->add_option("--out", options->out,
                      "FILE.png, a line in each row, or FILE.npy (default: RUN/interpolation.png)");
  add_scale(*command, options->scale);
  options->common.add_to(*command);
  command->footer(
      "Rows are taken in pairs: the first goes to the second, the third to the fourth.\n"
      "Of a conditional model what is given goes along; labels change in the middle.\n"
      "Examples:\n  flowcli interpolate runs/mnist --indices 3,7 --steps 12 --out line.png\n"
      "  flowcli interpolate runs/moons -n 2 --steps 100 --out line.npy");
  command->callback([options] {
    const Device device = options->common.apply();
    const TrainedModel model = options->model.load(options->common, device);
    const std::string out = out_path(options->out, model.run, "interpolation.png");
    check_ending("interpolate", out, {".png", ".npy"});
    const Rows rows = options->rows.load(model);
    const std::int64_t n = rows.x.dim(0);
    check_usage(n % 2 == 0, "[interpolate] rows are taken in pairs; ", n, " rows have an odd one");
    check_picture(out, n / 2 * options->steps, model.shape, options->steps, options->scale);
    const Tensor ends = encode_in_parts("interpolate", model, rows.x, rows.given);
    const Tensor x = decode_in_parts("interpolate", model, lines_between(ends, options->steps),
                                     between(rows.given, options->steps));
    write_samples(out, x, model.shape, options->steps, options->scale);
    options->common.result({{"file", out}, {"lines", n / 2}, {"steps", options->steps}},
                           str("wrote ", n / 2, n == 2 ? " line of " : " lines of ", options->steps,
                               " samples to ", out, "\n"));
  });
}

}  // namespace nf::cli
