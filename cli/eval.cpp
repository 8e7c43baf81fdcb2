// flowcli eval: how likely the model finds data, in nats and bits per dimension.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "cli/choice.h"
#include "cli/cli.h"
#include "cli/column_table.h"
#include "cli/ensemble.h"
#include "cli/evaluation.h"
#include "cli/interrupt.h"
#include "cli/lines.h"
#include "cli/processes.h"
#include "cli/progress.h"
#include "cli/train.h"
#include "data/png.h"
#include "flows/examine/diagnose.h"
#include "flows/train/targets.h"
#include "tensor/fault.h"
#include "tensor/text.h"

namespace nf::cli {

namespace {

struct EvalOptions {
  Common common;
  ProcessOptions processes;
  ModelOptions model;
  RowOptions rows;
  EvaluateOptions evaluate;
  int importance = 0;  // draws; 0: no importance-weighted bound
};

/// A bar for `options`, until it dies; `goes_on` is asked after each draw.
class ScoringBar {
 public:
  ScoringBar(flows::EvaluateOptions& options, const char* what, const Common& common,
             std::function<bool()> goes_on)
      : progress_(common.silent()) {
    options.on_draw = [this, what, goes_on = std::move(goes_on), draws = options.noise_draws](
                          std::int64_t done, std::int64_t total) {
      progress_.step(done, total, what, str(done / draws, " of ", total / draws, " samples"));
      return goes_on();
    };
  }
  ~ScoringBar() { progress_.clear(); }
  ScoringBar(const ScoringBar&) = delete;
  ScoringBar& operator=(const ScoringBar&) = delete;

 private:
  Progress progress_;
};

/// The importance-weighted bound of those rows that were done before a signal came, in `json` and
/// as a line.
std::string add_importance(flows::Density& density, const Rows& rows, const EvalOptions& options,
                           Json& json) {
  flows::EvaluateOptions evaluate =
      importance_weighted(rows.evaluated_with(options.evaluate), options.importance);
  catch_interrupts();
  std::vector<double> scores;
  {
    const ScoringBar bar(evaluate, "importance", options.common, [] {
      fault_point("importance-draw", "");
      return !interrupted();
    });
    scores = score_together(density, rows.x, evaluate);
  }
  const flows::Evaluation e = flows::evaluation_of(density, scores, options.importance);
  json["importance"] = options.importance;
  json["importance_count"] = e.count;
  json["importance_nats"] = number(e.nats);
  const double unknown = flows::kNaN;
  json["importance_nats_se"] = number(e.count > 0 ? e.nats_se : unknown);
  json["importance_bits_per_dim"] = number(e.bits_per_dim);
  json["importance_bits_per_dim_se"] = number(e.count > 0 ? e.bits_per_dim_se : unknown);
  const bool all = e.count == rows.x.dim(0);
  const char* const which = processes().size() > 1 ? "" : "the first ";
  if (!all) {
    options.common.note(str("interrupted: importance weights of ", which, e.count, " of ",
                            rows.x.dim(0), " samples"));
  }
  if (e.count == 0) return "";
  return str("  ", with_error(e.nats, e.nats_se, 4), " nats, ",
             with_error(e.bits_per_dim, e.bits_per_dim_se, 5),
             " bits/dim: importance weighted, draws for each: ", options.importance,
             all ? "" : str(", of ", which, e.count, " samples"), "\n");
}

/// What lossless codes take of the same levels, in `json` and as a line: one that knows nothing,
/// and a PNG file of each image with its headers.
std::string add_codes(const TrainedModel& model, const Tensor& x, Json& json) {
  constexpr std::int64_t kMostFiles = 1000;
  const int levels = model.density->levels();
  if (levels == 0) return "";
  const double uniform = std::log2(levels);
  json["uniform_bits_per_dim"] = uniform;
  std::string line = str("  codes: uniform levels ", uniform, " bits/dim");
  const data::Dataset& shape = model.shape;
  if (x.dtype() != DType::U8 || (shape.channels != 1 && shape.channels != 3)) return line + "\n";
  const std::int64_t count = std::min(kMostFiles, x.dim(0));
  double bytes = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    const Tensor image = x.narrow(0, i, 1).reshape({1, shape.height, shape.width, shape.channels});
    bytes += static_cast<double>(data::grid_png(image, {.padding = 0}).size());
  }
  const double bits = 8 * bytes / static_cast<double>(count * shape.dims);
  json["png_bits_per_dim"] = bits;
  return line + str(", PNG files ", fixed(bits, 3), " (", count, " images)\n");
}

/// Of a table: whether its latents follow the base distribution, in `json` and as a line. Through
/// the base's distribution function they become the probability integral transform of the row.
std::string add_calibration(const TrainedModel& model, const Rows& rows, Json& json) {
  constexpr std::int64_t kMostRows = 100'000, kBatch = 1000;
  auto* const flow = dynamic_cast<flows::FlowDensity*>(model.density.get());
  if (!flow || !flow->lossless() || model.shape.discrete) return "";
  const std::int64_t n = std::min(kMostRows, rows.x.dim(0));
  const flows::LatentDiagnosis latents = flows::diagnose_latents(
      *flow, rows.x.narrow(0, 0, n), kBatch, 0, flows::given_rows(rows.given, 0, n));
  double least = 1;
  json["calibration"] = Json::array();
  for (std::size_t j = 0; j < latents.ks.size(); ++j) {
    const double p = flows::ks_p_value(latents.ks[j], static_cast<double>(n));
    if (!(p >= least)) least = p;
    json["calibration"].push_back(
        {{"latent", str("z", j + 1)}, {"ks", number(latents.ks[j])}, {"p_value", number(p)}});
  }
  const double of_all =
      std::min(1.0, least * static_cast<double>(latents.ks.size()));  // Bonferroni
  json["calibration_p_value"] = number(of_all);
  constexpr double kUsual = 0.01;
  return str(
      "  latents: Kolmogorov-Smirnov distance from the base at most ", fixed(latents.ks_worst, 4),
      " (z", latents.ks_dim + 1, "), p-value ", short_number(of_all),
      of_all >= kUsual ? ": no fault is seen\n" : ": the density is not that of these rows\n");
}

/// What rank 0 tells.
void tell_evaluation(const TrainedModel& model, const Rows& rows, const EvalOptions& options,
                     Evaluated& evaluated, const std::string& importance) {
  const flows::Evaluation& e = evaluated.mean;
  Json& json = evaluated.json;
  const std::string convention = convention_of(*model.density);
  const std::int64_t dims = model.density->dims();
  const std::string text =
      str(printable(rows.name), ", ", rows.split, " split, ", e.count, " samples of ", dims,
          dims == 1 ? " dimension\n  " : " dimensions\n  ", with_error(e.nats, e.nats_se, 4),
          " nats\n  ", with_error(e.bits_per_dim, e.bits_per_dim_se, 5), " bits/dim\n");
  const std::string members = add_members(model, rows, options.evaluate, e, json);
  const int trained_by = model.density->bound_draws();
  const std::string other = trained_by > 1 && options.importance == 0
                                ? str("  one draw of latents; what was trained is the bound",
                                      of_draws(trained_by), ": --importance ", trained_by, "\n")
                                : "";
  std::string compared;
  for (const std::string& line : evaluated.beside.lines) compared += "  " + line + "\n";
  std::string entropy;
  if (const double floor = rows.source.entropy; std::isfinite(floor)) {
    json["entropy"] = floor;
    entropy =
        str("  entropy of the data ", floor, " nats: ", -e.nats - floor, " above the floor\n");
  }
  std::string calibration;
  if (is_table(model.shape)) {
    const auto each = static_cast<double>(dims);
    const std::string bits =
        "  " + with_error(e.bits_per_dim * each, e.bits_per_dim_se * each, 4) + " bits/row\n";
    if (std::isfinite(e.nats)) calibration = bits + add_calibration(model, rows, json);
  }
  const std::string codes = add_codes(model, rows.x, json);
  options.common.result(json, text + members + other + importance + compared + calibration + codes +
                                  entropy + "  " + convention + "\n" + "  on " +
                                  name(model.density->device()) + ", matrix products in " +
                                  model.precision + "\n");
  if (std::isnan(e.nats)) {
    throw flows::Diverged("[eval] " +
                          describe_nan(*model.density, rows.x, evaluated.scores, rows.given));
  }
  const std::int64_t without =
      std::count(evaluated.scores.begin(), evaluated.scores.end(), -INFINITY);
  NF_CHECK(std::isfinite(e.nats), "[eval] the log-likelihood is ", e.nats, "; the model gives ",
           without, " of ", e.count, " samples no density",
           without > 0 ? "; 'flowcli score' tells which" : "");
}

/// A run that was fitted to a target is compared with it, unless other rows are given.
bool of_target(const TrainedModel& model, const EvalOptions& options) {
  return options.rows.data.empty() && flows::is_target(model.run.config().data.source);
}

void eval_run(const EvalOptions& options) {
  const Device device = options.common.apply();
  std::optional<TrainedModel> model;
  std::optional<Rows> rows;
  in_all([&] {
    fault_point_of_rank("data");
    model = options.model.load(options.common, device);
    if (of_target(*model, options)) return;  // it has no rows
    check_importance(*model, options.importance);
    rows = options.rows.load(*model);
  });
  if (of_target(*model, options)) {
    check_usage(options.importance == 0, "[importance] would change nothing: ", model->run.path(),
                " was fitted to a target, and is compared with it by importance weights anyway");
    return on_first(
        [&] { report_target(options.model.run, options.common, device, options.model.weights); });
  }
  Evaluated evaluated = [&] {
    flows::EvaluateOptions evaluate = options.evaluate;
    std::optional<ScoringBar>
        bar;  // of one process: several would wait for each other at each draw
    if (processes().size() == 1) bar.emplace(evaluate, "eval", options.common, [] { return true; });
    return evaluate_rows(*model, *rows, evaluate);
  }();
  const std::string importance =
      options.importance > 0 ? add_importance(*model->density, *rows, options, evaluated.json) : "";
  on_first([&] { tell_evaluation(*model, *rows, options, evaluated, importance); });
  // Several know of each other's signals by what was left out.
  const bool partly = options.importance > 0 &&
                      evaluated.json["importance_count"].get<std::int64_t>() < rows->x.dim(0);
  if (processes().size() > 1 ? partly : interrupted()) throw Interrupted();
  if (!importance.empty() && evaluated.json["importance_nats"].is_null()) {
    throw flows::Diverged(
        "[eval] the importance-weighted bound is no number: a draw of the noise gives NaN");
  }
}

}  // namespace

void add_eval(CLI::App& app) {
  auto options = std::make_shared<EvalOptions>();
  CLI::App* command = app.add_subcommand("eval", "Log-likelihood of data under a trained model");
  options->model.add_to(*command);
  options->rows.add_to(*command);
  options->evaluate.add_to(*command);
  command
      ->add_option("--importance", options->importance,
                   "Also the importance-weighted bound, ln of the mean of p/q over so many draws "
                   "of noise with density q (1 where it is uniform) for each sample: closer to the "
                   "log probability than the mean of ln p/q")
      ->check(whole(1, 1'000'000))
      ->type_name("K");
  options->processes.add_to(*command);
  options->common.add_to(*command);
  command->footer(
      "A run of fit-target is compared with its target, as at the end of the fit.\n"
      "Ctrl-C during importance weights leaves those of the samples that are done.\n"
      "Examples:\n  flowcli eval runs/mnist --split test --json\n"
      "  flowcli eval runs/glyphs --data path/to/mnist\n"
      "  flowcli eval runs/mnist --importance 128          a tighter bound for pixels\n");
  command->callback([options] {
    options->processes.start();
    eval_run(*options);
  });
}

}  // namespace nf::cli
