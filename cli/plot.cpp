// flowcli plot: a 2-D model as pictures: data, samples, density, and the grid that it bends.
#include "cli/plot.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <memory>

#include "cli/choice.h"
#include "cli/cli.h"
#include "cli/given.h"
#include "data/svg.h"
#include "flows/train/targets.h"
#include "tensor/files.h"

namespace nf::cli {

namespace {

// ln p at the middle of every pixel, (size, size), the first row on top. In f64, which tells
// columns far from 0 apart.
Tensor log_density_of_pixels(flows::FlowDensity& density, const data::Bounds& box, int size) {
  const double step_x = (box.right - box.left) / size, step_y = (box.top - box.bottom) / size;
  const Tensor columns = affine(Tensor::arange(size, DType::F64), step_x, box.left + step_x / 2);
  std::vector<Tensor> rows;
  const NoGrad no_grad;
  for (int row = 0; row < size; ++row) {
    const Tensor y = Tensor::full({size}, box.top - (row + .5) * step_y, DType::F64);
    const Tensor points = concat(std::vector{columns.unsqueeze(1), y.unsqueeze(1)}, 1);
    const Tensor log_p = density.log_prob(points.to(density.device())).value();
    rows.push_back(log_p.to(Device::CPU).to(DType::F64));
  }
  return concat(rows, 0).reshape({size, size});
}

// Where the line z_fixed = at goes in data space. A flow may stretch a short piece of it over the
// whole picture, so points are put between neighbours that are far apart there, until f32 has none
// between them.
data::Series grid_line(flows::FlowDensity& density, const data::Bounds& box, int fixed, double at,
                       double reach) {
  constexpr std::size_t kPoints = 500, kMostPoints = 20000;
  constexpr int kRounds = 14;
  constexpr double kFar = 1. / 200;  // of the picture's sides
  const double width = box.right - box.left, height = box.top - box.bottom;
  const auto decode = [&](const std::vector<double>& along) {
    const auto n = static_cast<std::int64_t>(along.size());
    const Tensor free = Tensor::from(along, {n, 1}).to(DType::F32);
    const Tensor still = Tensor::full({n, 1}, at);
    const Tensor z = concat(fixed == 0 ? std::vector{still, free} : std::vector{free, still}, 1);
    return density.decode(z.to(density.device())).to(DType::F64).to_vector<double>();
  };
  std::vector<double> along;
  for (std::size_t i = 0; i < kPoints; ++i) {
    along.push_back(reach * (2 * static_cast<double>(i) / (kPoints - 1) - 1));
  }
  std::map<double, std::pair<double, double>> points;  // position along the line -> (x, y)
  for (int round = 0; round < kRounds && !along.empty() && points.size() < kMostPoints; ++round) {
    const auto xy = decode(along);
    for (std::size_t i = 0; i < along.size(); ++i) points[along[i]] = {xy[2 * i], xy[2 * i + 1]};
    along.clear();
    for (auto b = points.begin(), a = b++; b != points.end(); a = b++) {
      const auto [ax, ay] = a->second;
      const auto [bx, by] = b->second;
      if (std::hypot((ax - bx) / width, (ay - by) / height) > kFar)
        along.push_back((a->first + b->first) / 2);
    }
  }
  data::Series line{fixed == 0 ? "first latent" : "second latent", {}, {}};
  for (const auto& [position, xy] : points) {
    line.x.push_back(xy.first);
    line.y.push_back(xy.second);
  }
  return line;
}

// The lines z_k = c for both k, and c from -3 to 3 deviations of the base.
std::vector<data::Series> grid_lines(flows::FlowDensity& density, const data::Bounds& box) {
  constexpr int kLines = 25;
  constexpr double kReach = 3, kEnds = 3.5;  // the lines go on a little beyond each other
  const double unit = density.base().deviation();
  std::vector<data::Series> lines;
  for (const int fixed : {0, 1}) {
    for (int i = 0; i < kLines; ++i) {
      const double at = unit * (-kReach + 2 * kReach * i / (kLines - 1));
      lines.push_back(grid_line(density, box, fixed, at, kEnds * unit));
    }
  }
  return lines;
}

}  // namespace

Tensor shaded(const Tensor& log_p) {
  auto sorted = log_p.to_vector<double>();
  const auto nan =
      std::count_if(sorted.begin(), sorted.end(), [](double v) { return std::isnan(v); });
  if (nan > 0) {
    throw flows::Diverged(str("[plot] the density is NaN at ", nan, " of ", sorted.size(),
                              " points; see 'flowcli check'"));
  }
  std::erase_if(sorted, [](double v) { return !std::isfinite(v); });
  if (sorted.empty()) return Tensor::zeros(log_p.shape());
  const auto high = sorted.begin() + static_cast<std::ptrdiff_t>(.999 * (sorted.size() - 1));
  std::nth_element(sorted.begin(), high, sorted.end());
  const Tensor ratio = exp(log_p - *high);
  return log(affine(ratio, 100, 1)) / std::log(101.);
}

Plots draw_plots(const TrainedModel& model, const Tensor& x, const PlotOptions& options) {
  check_usage(model.shape.dims == 2 && !model.shape.discrete, "[plot] a picture has two axes, ",
              model.run.path(), " is a model of ", model.shape.dims,
              " dimensions; 'flowcli sample' draws images, 'flowcli report' shows any run");
  flows::FlowDensity& of_model = model.flow("plot");
  const auto for_given = options.given.defined() ? of_model.conditioned_on(options.given) : nullptr;
  flows::FlowDensity& density = for_given ? *for_given : of_model;
  const auto& bounds = model.run.known().bounds;
  NF_CHECK(x.defined() || bounds, "[plot] ", model.run.path(), " does not know where its data lie");
  const data::Axes axes = model.run.known().axes();
  Plots plots{.bounds = x.defined() ? data::bounds_of(x, axes) : *bounds};
  const auto scatter = [&](const Tensor& points) {
    return data::scatter_png(points, options.size, plots.bounds);
  };
  Generator gen(options.seed);
  if (x.defined()) plots.data_png = scatter(x.narrow(0, 0, std::min(options.count, x.dim(0))));
  const Tensor samples = density.sample(gen, options.count).to(Device::CPU);
  if (!all_finite(samples)) {
    throw flows::Diverged(str("[plot] some of the ", options.count,
                              " samples are NaN or infinite; see 'flowcli check'"));
  }
  plots.samples_png = scatter(samples);
  if (!density.lossless()) return plots;  // its density is known as a bound of each row only
  plots.density_png = data::heat_png(
      shaded(log_density_of_pixels(*density.continuous(), plots.bounds, options.size)));
  const auto& columns = model.shape.columns;
  plots.grid_svg = data::map_svg({.title = "Latent grid in data space",
                                  .x = columns.size() == 2 ? columns[0] : "",
                                  .y = columns.size() == 2 ? columns[1] : ""},
                                 plots.bounds, grid_lines(density, plots.bounds));
  return plots;
}

void add_plot(CLI::App& app) {
  struct Options {
    Common common;
    PlotOptions plot;
    GivenOptions given;
    std::string run, out, data, weights = "best";
  };
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("plot", "Pictures of a 2-D model");
  command->add_option("RUN", options->run, "Run folder")->required();
  command->add_option("--out", options->out, "Folder of the pictures (default: RUN/plot)");
  command->add_option("--data", options->data, "Another data source than the run's")
      ->type_name(source_type());
  command->add_option("-n,--count", options->plot.count, "Samples")
      ->check(whole(1, 10'000'000))
      ->capture_default_str();
  command->add_option("--size", options->plot.size, "Pixels of a side")
      ->check(whole(16, 4096))
      ->capture_default_str();
  add_seed(*command, options->plot.seed, "Of the samples");
  add_weights(*command, options->weights);
  options->given.add_to(*command, GivenRows::One);
  options->common.add_to(*command);
  command->footer(
      "Writes data.png, samples.png, density.png, and grid.svg: where lines of constant latents "
      "lie\n"
      "in data space, from -3 to 3 standard deviations.\n\n"
      "Examples:\n  flowcli plot runs/moons\n  flowcli plot runs/moons --out pictures --size "
      "1024\n");
  command->callback([options] {
    const Device device = options->common.apply();
    const TrainedModel model = load_model(options->run, options->weights, options->common, device);
    options->plot.given = options->given.one_row(model, "plot");
    const bool there = !options->data.empty() || with_data_there(model.run);
    const bool target = flows::is_target(model.run.config().data.source);  // which has no data
    if (!there && !target)
      options->common.note("note: the data are not there any more: no data.png");
    const data::Dataset data = there ? load_data_for(model, options->data) : data::Dataset();
    const Plots plots =
        draw_plots(model, there ? samples_of(data, "train") : Tensor(), options->plot);
    const std::string folder = options->out.empty() ? model.run.file("plot") : options->out;
    std::error_code error;
    std::filesystem::create_directories(folder, error);
    NF_CHECK(!error, "[plot] cannot make the folder ", folder, ": ", error.message(),
             "; choose another with --out");
    Json files = Json::array();
    std::string names;
    for (const auto& [name, bytes] :
         {std::pair{"data.png", &plots.data_png}, std::pair{"samples.png", &plots.samples_png},
          std::pair{"density.png", &plots.density_png}, std::pair{"grid.svg", &plots.grid_svg}}) {
      if (bytes->empty()) continue;
      const std::string file = folder + "/" + name;
      names += (names.empty() ? "" : ", ") + std::string(name);
      atomic_write(file, *bytes);
      files.push_back(file);
    }
    if (plots.density_png.empty()) {
      options->common.note(str("note: the density of ", model.run.path(),
                               " is known as a bound of each row only: no density.png, grid.svg"));
    }
    const data::Bounds& box = plots.bounds;
    options->common.result(
        {{"files", files}, {"bounds", {box.left, box.right, box.bottom, box.top}}},
        str("wrote ", names, " to ", folder, "\n"));
  });
}

}  // namespace nf::cli
