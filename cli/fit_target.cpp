// flowcli fit-target: a flow fitted to a density that is known but for a constant, without data.
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "cli/cli.h"
#include "cli/lines.h"
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

/// A word of a command that a shell takes as it is.
std::string shell_word(const std::string& text) {
  constexpr const char* kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./:,@%";
  if (text.find_first_not_of(kPlain) == std::string::npos) return text;
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? "'\\''" : std::string(1, c);
  return out + "'";
}

std::string plus_minus(double value, double error) {
  char text[64];
  std::snprintf(text, sizeof text, "%.4f +- %.4f", value, error);
  return text;
}

constexpr const char* kFigures = "target.json";

double number_of(const Json& figures, const char* key) {
  const auto found = figures.find(key);
  return found != figures.end() && found->is_number() ? found->get<double>() : flows::kNaN;
}

/// The figures of target.json in words. Its file may have been changed: what is no number is NaN.
NamedTexts in_words(const Json& figures) {
  const auto of = [&](const char* key) { return number_of(figures, key); };
  const auto whole = [&](const char* key) { return fixed(of(key), 0); };
  const double k = of("pareto_k"), ln_z = of("log_evidence"), error = of("log_evidence_se");
  const auto normalized = figures.find("normalized");
  const bool known = normalized != figures.end() && *normalized == true;
  NamedTexts rows = {{"ELBO", plus_minus(of("elbo"), of("elbo_se")) + " nats"},
                     {"ln Z", plus_minus(ln_z, error) + (known ? " (in truth 0)" : "")},
                     {"effective draws", whole("effective_draws") + " of " + whole("draws")},
                     {"Pareto k", str(fixed(k, 2), ", ", flows::pareto_words(k))},
                     {"after", whole("steps") + " steps"}};
  if (std::isnan(of("kl_to_target"))) return rows;
  constexpr double kFar = 5;  // standard errors
  const bool far = std::abs(ln_z - of("log_z_of_grid")) > kFar * std::max(error, 1e-3);
  char outside[128];
  std::snprintf(outside, sizeof outside, "%.2g of the model's mass, |x| above %g: not in this KL",
                of("mass_outside_grid"), of("grid"));
  rows.emplace_back(
      "KL to the target",
      str(fixed(of("kl_to_target"), 4), " nats, on a grid (ln Z there ",
          fixed(of("log_z_of_grid"), 4),
          far ? ": the draws miss a part of the target, or give one too much" : "", ")"));
  rows.emplace_back("outside the grid", outside);
  return rows;
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

void report_target(const std::string& run, const Common& common, Device device,
                   const std::string& weights) {
  constexpr int kPicture = 384, kGrid = 400;
  const TrainedModel model = load_model(run, weights, common, device);
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
  const Json figures = {{"target", target.name},
                        {"family", config.model},
                        {"dims", target.dims},
                        {"steps", model.state.step},
                        {"draws", fit.draws},
                        {"elbo", number(fit.elbo.mean)},
                        {"elbo_se", number(fit.elbo.error)},
                        {"log_evidence", number(e.log_mean)},
                        {"log_evidence_se", number(e.error)},
                        {"normalized", target.normalized},
                        {"effective_draws", number(e.effective)},
                        {"pareto_k", number(e.k)},
                        {"pareto_k_says", flows::pareto_words(e.k)},
                        {"kl_to_target", grid ? number(grid->kl) : Json()},
                        {"log_z_of_grid", grid ? number(grid->log_z) : Json()},
                        {"mass_outside_grid", grid ? number(grid->outside()) : Json()},
                        {"grid", grid ? number(target.grid) : Json()}};
  if (weights == "best") atomic_write(model.run.file(kFigures), figures.dump(2) + "\n");
  Json result = {{"run", run}};
  result.update(figures);
  result["pictures"] = pictures;
  std::string text;
  for (const auto& [name, value] : in_words(figures)) {
    constexpr std::size_t kName = 18;
    text += name + std::string(kName - name.size(), ' ') + value + "\n";
  }
  common.result(result, text);
}

NamedTexts kept_of_target(const RunFolder& run) {
  constexpr std::uint64_t kMostBytes = 1 << 16;
  const std::string path = run.file(kFigures);
  if (!std::filesystem::exists(path)) return {};
  const Json figures = Json::parse(read_file(path, kMostBytes), nullptr, false);
  return figures.is_object() ? in_words(figures) : NamedTexts();
}

std::string command_of_target(const RunFolder& run) {
  const flows::Config& config = run.config();
  const std::string& source = config.data.source;
  FitTargetOptions options;
  options.family = config.model;
  options.seed = config.training.seed;
  options.steps = config.training.steps;
  data::Dataset shape = run.known().shape;
  shape.unit_scale = true;  // as flows::target_data() has it
  const flows::Config usual = config_of(options, source, shape);
  std::string text = str("flowcli fit-target ", shell_word(source.substr(source.find('/') + 1)),
                         " --dims ", run.known().shape.dims, " --family ", config.model,
                         " --steps ", options.steps, " --seed ", options.seed);
  const std::vector<flows::Field> ours = config.fields(), theirs = usual.fields();
  for (std::size_t i = 0; i < ours.size(); ++i) {
    if (ours[i].text() == theirs[i].text()) continue;
    text += " --set " + shell_word(ours[i].key + "=" + ours[i].text());
  }
  return text + " --out NEW";
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
  command
      ->add_option("--dims", options->dims,
                   "Dimensions, of a library and of funnel (default of funnel: 10)")
      ->check(whole(1, 100'000));
  command
      ->add_option("--steps", options->steps,
                   "Updates (default: planar 10000, nsf of two dimensions 3000, else 6000)")
      ->check(whole(1, 1'000'000'000));
  command->add_option("--seed", options->seed, "Of weights and draws")
      ->check(whole(0))
      ->capture_default_str();
  command->add_option("--set", options->assignments, "A setting of the model or the training")
      ->type_name("KEY=VALUE");
  command->add_flag("--overwrite", options->overwrite, "Replace the run in that folder");
  options->common.add_to(*command);
  command->footer(
      "Nothing is read: the flow draws, and learns where the target is high (reverse KL).\n"
      "U1 to U4 are the potentials of Rezende and Mohamed (2015); to U of U2 to U4, which\n"
      "do not fall off along z1, 12.5 (|z1| - 4)^2 is added beyond |z1| = 4. funnel: x1 ~\n"
      "N(0, 9), the others N(0, exp(x1)); banana: x1 ~ N(0, 4), x2 ~ N(x1^2 / 4, 1);\n"
      "eight-schools: mu, ln tau, e1 to e8, with the effects mu + tau e.\n"
      "A library exports, with C linkage,\n"
      "  double log_density(const double* x, int n, double* grad);\n"
      "which returns ln p + constant at x, finite at every x, and writes its n derivatives\n"
      "to grad; they are checked before the training. The run is one as of train: sample,\n"
      "encode, plot, check, report and resume take it. At the end, and again by eval RUN:\n"
      "the ELBO, ln Z by importance weights, and Pareto k, which says whether these can be\n"
      "trusted (below 0.7), but knows nothing of parts of the target where no draw comes.\n"
      "RUN/target.json keeps them. Of two dimensions target.png has the target's density\n"
      "beside the model's, of a library from -5 to 5; what is built in also has its KL on\n"
      "a grid there, a library has not: nobody knows where all of it lies.\n\n"
      "Examples:\n  flowcli fit-target U1 --out runs/u1\n"
      "  flowcli fit-target U4 --family planar --set layers=16\n"
      "  flowcli fit-target funnel --dims 5 --steps 3000 --json\n"
      "  flowcli fit-target ./libmine.so --dims 3\n");
  command->callback([options] { fit_target(*options); });
}

}  // namespace nf::cli
