// flowcli fit-target: a flow fitted to a density that is known but for a constant, without data.
#include <cmath>
#include <cstdio>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "cli/cli.h"
#include "cli/plot.h"
#include "cli/train.h"
#include "data/png.h"
#include "flows/examine/target_fit.h"
#include "flows/models/build.h"
#include "flows/train/target_library.h"
#include "tensor/files.h"
#include "tensor/text.h"

namespace nf::cli {

namespace {

constexpr std::int64_t kEpochDraws = 20'000, kToldDraws = 20'000;

struct FitTargetOptions {
  Common common;
  std::string target, family, out;
  std::int64_t dims = 0, steps = 0;
  std::int64_t seed = 1;
  std::vector<std::string> assignments;
  bool overwrite = false;
};

/// What is not as for a training on data. Batch norm would know no batch where it draws.
const std::map<std::string, std::vector<std::string>>& families() {
  static const std::map<std::string, std::vector<std::string>> settings = {
      {"planar", {"formula=draws", "batch_size=500", "steps=10000"}},
      {"maf",
       {"norm=none", "layers=8", "hidden_units=64", "activation=silu", "batch_size=500",
        "steps=6000", "lr=2e-3", "clip=1"}},
      {"nsf", {"bound=5", "batch_size=500", "steps=6000", "lr=2e-3", "clip=1", "ema=0.99"}},
  };
  return settings;
}

/// Settings of data mean nothing here, and a run that has them could not be opened.
void check_no_data(flows::Config& config, const std::string& source) {
  flows::DataSettings none;
  none.source = source;
  const std::vector<flows::Field> ours = config.data.fields(), plain = none.fields();
  for (std::size_t i = 0; i < ours.size(); ++i) {
    check_usage(ours[i].text() == plain[i].text(), "--set ", ours[i].key,
                ": there are no data here; the target is named by TARGET");
  }
}

flows::Config config_of(const FitTargetOptions& options, const std::string& source,
                        const data::Dataset& data) {
  const flows::DataShape shape = flows::shape_of(data);
  const char* const usual = shape.dims == 2 ? "planar" : "nsf";  // by KL, docs/results.md
  const std::string family = options.family.empty() ? usual : options.family;
  flows::Config config = flows::preset(family, shape);
  for (const std::string& setting : families().at(family)) flows::set(config, setting);
  if (family == "nsf" && shape.dims == 2) {  // by KL, too
    for (const char* setting : {"kind=coupling", "layers=8", "clip=0.1", "steps=3000"}) {
      flows::set(config, setting);
    }
  }
  config.data.source = source;
  config.training.seed = options.seed;
  try {
    for (const std::string& setting : options.assignments) flows::set(config, setting);
    if (options.steps > 0) config.training.steps = options.steps;
    check_usage(config.training.steps > 0,
                "a training for a target ends after --steps, not after epochs");
    check_no_data(config, source);
    check_usage(config.text("norm", "") != "batch",
                "--set norm=batch: where draws are all there is, batch norm has no batch of data; "
                "norm=act learns its scale");
    flows::check_settings(config, shape);
  } catch (const UsageError&) {
    throw;
  } catch (const Error& error) {
    throw UsageError(error.what());
  }
  return flows::resolved(config, shape);
}

/// The gradient of a user's library, at points where a training begins.
void check_library(const std::string& path, std::int64_t dims, const Common& common) {
  constexpr std::int64_t kPoints = 5;
  Generator gen(1, /*stream=*/0x70726F62);  // "prob"
  flows::TargetLibrary(path, dims).check(normal(gen, {kPoints, dims}, DType::F64));
  common.note(str("the gradient of ", printable(path), " is what differences give, at ", kPoints,
                  " points"));
}

void fit_target(const FitTargetOptions& options) {
  const Device device = options.common.apply();
  const flows::Target target = flows::find_target(options.target, options.dims);
  const std::string source = flows::target_source(options.target, target);
  const bool built_in = source.find("//") == std::string::npos;
  if (!built_in) check_library(options.target, target.dims, options.common);
  data::Dataset data = flows::target_data(source, kEpochDraws);
  const flows::Config config = config_of(options, source, data);
  train_new(config, std::move(data), options.common, device, options.out, options.overwrite);
}

/// The densities side by side, the target's on the left.
std::string beside_target(const flows::TargetGrid& grid) {
  const std::int64_t size = grid.log_p.dim(0);
  const Tensor gap = Tensor::ones({size, size / 64}, DType::F64);
  return data::heat_png(
      concat(std::vector{shaded(grid.log_p), gap, shaded(grid.log_q)}, 1).to(DType::F32));
}

std::string plus_minus(double value, double error) {
  char text[64];
  std::snprintf(text, sizeof text, "%.4f +- %.4f", value, error);
  return text;
}

std::string told(const flows::Target& target, const flows::TargetFit& fit,
                 const flows::TargetGrid* grid) {
  const flows::Evidence& e = fit.evidence;
  char k[32], share[64], kl[320] = "";
  std::snprintf(k, sizeof k, "%.2f", e.k);
  std::snprintf(share, sizeof share, "%.0f of %lld", e.effective,
                static_cast<long long>(fit.draws));
  if (grid) {
    constexpr double kFar = 5;  // standard errors
    const bool far = std::abs(e.log_mean - grid->log_z) > kFar * std::max(e.error, 1e-3);
    std::snprintf(kl, sizeof kl,
                  "KL to the target  %.4f nats, on a grid (ln Z there %.4f%s)\n"
                  "outside the grid  %.2g of the model's mass, |x| above %g: not in this KL\n",
                  grid->kl, grid->log_z,
                  far ? ": the draws miss a part of the target, or give one too much" : "",
                  grid->outside(), target.grid);
  }
  return str("ELBO              ", plus_minus(fit.elbo.mean, fit.elbo.error), " nats\n",
             "ln Z              ", plus_minus(e.log_mean, e.error),
             target.normalized ? " (in truth 0)\n" : "\n", "effective draws   ", share, "\n",
             "Pareto k          ", k, ", ", flows::pareto_words(e.k), "\n", kl);
}

}  // namespace

std::unique_ptr<flows::ReverseKl> objective_of_target(flows::Density& density,
                                                      const flows::Config& config,
                                                      const data::Dataset& data) {
  if (!flows::is_target(config.data.source)) return nullptr;
  const flows::TrainingSettings& training = config.training;
  const std::int64_t draws = data.train.size();
  const bool bends = data.dims == 2 && config.text("map", "") == "spline";  // docs/results.md
  const flows::ReverseKlOptions options = {
      .samples_per_epoch = draws,
      .annealed = training.steps * training.batch_size / draws / 4,
      .seed = static_cast<std::uint64_t>(training.seed),
      .path_gradient = config.text("formula", "density") == "density" && !bends};
  return std::make_unique<flows::ReverseKl>(
      density, flows::target_of(config.data.source).log_density, options);
}

void report_target(const std::string& run, const Common& common, Device device) {
  constexpr int kPicture = 384, kGrid = 400;
  const TrainedModel model = load_model(run, "best", common, device);
  const flows::Config& config = model.run.config();
  const flows::Target target = flows::target_of(config.data.source);
  const flows::TargetFit fit = flows::examine_target(*model.density, target, kToldDraws);
  flows::FlowDensity& flow = model.flow("fit-target");
  std::optional<flows::TargetGrid> grid;
  if (target.grid > 0) grid = flows::on_grid(flow, target, target.grid, kGrid);
  Json pictures = Json::array();
  if (target.reach > 0) {
    const std::string file = model.run.file("target.png");
    atomic_write(file, beside_target(flows::on_grid(flow, target, target.reach, kPicture)));
    pictures.push_back(file);
  }
  const flows::Evidence& e = fit.evidence;
  common.result({{"run", run},
                 {"target", target.name},
                 {"family", config.model},
                 {"dims", target.dims},
                 {"steps", model.state.step},
                 {"draws", fit.draws},
                 {"elbo", number(fit.elbo.mean)},
                 {"elbo_se", number(fit.elbo.error)},
                 {"log_evidence", number(e.log_mean)},
                 {"log_evidence_se", number(e.error)},
                 {"effective_draws", number(e.effective)},
                 {"pareto_k", number(e.k)},
                 {"pareto_k_says", flows::pareto_words(e.k)},
                 {"kl_to_target", grid ? number(grid->kl) : Json()},
                 {"log_z_of_grid", grid ? number(grid->log_z) : Json()},
                 {"mass_outside_grid", grid ? number(grid->outside()) : Json()},
                 {"pictures", pictures}},
                told(target, fit, grid ? &*grid : nullptr));
}

void add_fit_target(CLI::App& app) {
  auto options = std::make_shared<FitTargetOptions>();
  CLI::App* command =
      app.add_subcommand("fit-target", "Fit a flow to a density known but for a constant");
  std::vector<std::string> names, family_names;
  for (const flows::BuiltInTarget& target : flows::built_in_targets()) names.push_back(target.name);
  for (const auto& [name, settings] : families()) family_names.push_back(name);
  command->add_option("TARGET", options->target, "What is built in, or a shared library")
      ->required()
      ->type_name(choice_type(names));
  command->add_option("--out", options->out, "Run folder (default: runs/FAMILY-TARGET)");
  command
      ->add_option("--family", options->family,
                   "The flow (default: planar in two dimensions, else nsf)")
      ->check(one_of(family_names));
  command->add_option("--dims", options->dims, "Dimensions, of a library and of funnel")
      ->check(whole(1, 100'000));
  command->add_option("--steps", options->steps, "Updates")->check(whole(1, 1'000'000'000));
  command->add_option("--seed", options->seed, "Of weights and draws")
      ->check(whole(0))
      ->capture_default_str();
  command->add_option("--set", options->assignments, "A setting of the model or the training")
      ->type_name("KEY=VALUE");
  command->add_flag("--overwrite", options->overwrite, "Replace the run in that folder");
  options->common.add_to(*command);
  command->footer(
      "Nothing is read: the flow draws, and learns where the target is high (reverse KL).\n"
      "U1 to U4 are the potentials of Rezende and Mohamed (2015); funnel, banana and\n"
      "eight-schools are tests of samplers. A library exports, with C linkage,\n"
      "  double log_density(const double* x, int n, double* grad);\n"
      "which returns ln p + constant at x and writes its n derivatives to grad; they are\n"
      "checked before the training. The run is one as of train: sample, encode, plot,\n"
      "check and resume take it. At the end: the ELBO, ln Z by importance weights, and\n"
      "Pareto k, which says whether these can be trusted (below 0.7), but knows nothing\n"
      "of parts of the target where no draw comes.\n\n"
      "Examples:\n  flowcli fit-target U1 --out runs/u1\n"
      "  flowcli fit-target U4 --family planar --set layers=16\n"
      "  flowcli fit-target funnel --dims 5 --steps 3000 --json\n"
      "  flowcli fit-target ./libmine.so --dims 3\n");
  command->callback([options] { fit_target(*options); });
}

}  // namespace nf::cli
