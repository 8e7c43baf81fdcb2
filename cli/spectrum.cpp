// flowcli spectrum: how far each latent dimension reaches into the data (NICE, figure 8).
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>
#include <numeric>

#include "cli/choice.h"
#include "cli/cli.h"
#include "data/svg.h"
#include "flows/compose.h"
#include "flows/layers/scaling.h"
#include "tensor/files.h"

namespace nf::cli {

namespace {

// s of the last scaling layer, (D).
std::vector<double> log_scale_of(flows::FlowDensity& density) {
  const flows::Scaling* scaling = nullptr;
  if (const auto* flow = dynamic_cast<const flows::Compose*>(&density.transform())) {
    for (const auto& [name, part] : flow->parts()) {
      if (const auto* found = dynamic_cast<const flows::Scaling*>(part.get())) scaling = found;
    }
  }
  NF_CHECK(
      scaling,
      "[spectrum] the model has no scaling layer; nice and nice-plus have one, with scaling=true");
  return scaling->log_scale().to(DType::F64).to_vector<double>();
}

void write_csv(const std::string& path, const std::vector<std::int64_t>& order,
               const std::vector<double>& sigma) {
  atomic_write(path, [&](FileWriter& out) {
    out.write("rank,dimension,sigma\n");
    for (std::size_t rank = 0; rank < order.size(); ++rank) {
      const auto i = static_cast<std::size_t>(order[rank]);
      char line[80];
      std::snprintf(line, sizeof line, "%zu,%zu,%.9g\n", rank, i, sigma[i]);
      out.write(line);
    }
  });
}

}  // namespace

void add_spectrum(CLI::App& app) {
  struct Options {
    Common common;
    ModelOptions model;
    std::string out;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("spectrum", "The sorted exp(-s) of the scaling layer, as a chart");
  options->model.add_to(*command);
  command->add_option("--out", options->out, "FILE.svg or FILE.csv (default: RUN/spectrum.svg)");
  options->common.add_to(*command);
  command->footer(
      "exp(-s) is how far a latent of 1 reaches before the couplings: where it is small, the data\n"
      "hardly vary. The number of large ones is about the dimension of the manifold.\n"
      "Examples:\n  flowcli spectrum runs/mnist --out spectrum.svg\n"
      "  flowcli spectrum runs/mnist --out spectrum.csv");
  command->callback([options] {
    options->common.apply();
    const TrainedModel model =
        options->model.load(options->common, Device::CPU);  // nothing to compute
    const std::string out = out_path(options->out, model.run, "spectrum.svg");
    check_ending("spectrum", out, {".svg", ".csv"});
    std::vector<double> sigma = log_scale_of(model.flow("spectrum"));
    for (double& s : sigma) s = std::exp(-s);
    const auto broken = std::find_if_not(sigma.begin(), sigma.end(),
                                         [](double value) { return std::isfinite(value); });
    if (broken != sigma.end()) {
      throw flows::Diverged(str("[spectrum] exp(-s) of dimension ", broken - sigma.begin(), " is ",
                                *broken, "; see 'flowcli check'"));
    }
    std::vector<std::int64_t> order(sigma.size());
    std::iota(order.begin(), order.end(), 0);
    const auto at = [&](std::int64_t i) { return sigma[static_cast<std::size_t>(i)]; };
    std::stable_sort(order.begin(), order.end(),
                     [&](std::int64_t a, std::int64_t b) { return at(a) > at(b); });
    if (out.ends_with(".csv")) {
      write_csv(out, order, sigma);
    } else {
      data::Series series{"exp(-s)", {}, {}};
      for (const std::int64_t i : order) {
        series.x.push_back(static_cast<double>(series.x.size()));
        series.y.push_back(at(i));
      }
      data::write_curve_svg(
          out,
          {"Spectrum of " + title_of(model.run.config()), "rank", "exp(-s)", /*whole_range=*/true},
          {series});
    }
    options->common.result({{"file", out},
                            {"dims", sigma.size()},
                            {"largest", at(order.front())},
                            {"median", at(order[order.size() / 2])},
                            {"smallest", at(order.back())}},
                           str("wrote ", sigma.size(), " values of exp(-s), ", at(order.front()),
                               " to ", at(order.back()), ", to ", out, "\n"));
  });
}

}  // namespace nf::cli
