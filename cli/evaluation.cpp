#include "cli/evaluation.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "cli/lines.h"
#include "cli/processes.h"
#include "data/columns.h"
#include "flows/layers/residual.h"
#include "flows/models/surprise.h"
#include "flows/runs/ensemble_run.h"
#include "nn/safetensors.h"
#include "tensor/text.h"

namespace nf::cli {

namespace {

constexpr const char* kBaselinesFile = "baselines.safetensors";

/// All that baselines depend on, beside the data as a whole.
nn::Metadata what_was_fitted(const flows::Config& config, const KnownData& known) {
  return {{"train_checksum", known.train.checksum},
          {"given", printable(join(known.shape.given, ","))},
          {"types", printable(config.data.types)}};
}

/// Throws Error for a file that is damaged, of other data or of other settings of them.
flows::TableBaselines load_baselines(const RunFolder& run) {
  const std::string path = run.file(kBaselinesFile);
  const nn::SafetensorsFile file = nn::load_safetensors(path);
  const auto data = file.metadata.find("data_checksum");
  NF_CHECK(data != file.metadata.end(), "[run] ", path, " does not say of which data it is");
  check_data_checksum(path, data->second, run.known());
  for (const auto& [key, ours] : what_was_fitted(run.config(), run.known())) {
    const auto theirs = file.metadata.find(key);  // older files do not say it
    NF_CHECK(theirs == file.metadata.end() || theirs->second == ours, "[run] ", path,
             " is of another run, with ", key, " = '", printable(theirs->second), "', not '", ours,
             "'");
  }
  return flows::TableBaselines::from(file.tensors, "[run] " + path + ": ");
}

Beside beside(const flows::Density& density, const std::vector<double>& model,
              const std::vector<double>& scores) {
  if (scores.empty()) return {};
  return {density.nats(flows::mean_and_error(scores).mean),
          flows::paired_difference(model, scores)};
}

/// "a Gaussian reaches -3.2900 nats there: the model is 0.9012 +- 0.0100 nats better"
std::string line_of(const char* who, const Beside& b) {
  std::string line = str(who, short_number(b.nats), " nats there");
  const auto [mean, error] = b.difference;
  if (!std::isfinite(mean)) return line;
  line += ": the model is " + short_number(std::abs(mean));
  if (std::isfinite(error)) line += " +- " + short_number(error);
  return line + (mean < 0 ? " nats worse" : " nats better");
}

}  // namespace

std::optional<flows::TableBaselines> fit_baselines(const data::Dataset& data,
                                                   const flows::Config& config,
                                                   const Common& common) {
  std::vector<std::int32_t> categories;
  for (const auto& values : data.categories) {
    categories.push_back(static_cast<std::int32_t>(values.size()));
  }
  const Tensor& x = data.train.x;
  if (!flows::TableBaselines::can_fit(x, categories)) {
    common.note("note: no baselines: each training row lacks a number");
    return std::nullopt;
  }
  return flows::TableBaselines(x, data::integer_columns(config.data.types, data.columns, data.dims),
                               data.train.given, data.given_classes, data.levels, categories);
}

void save_baselines(const RunFolder& run, const flows::Config& config, const KnownData& known,
                    const flows::TableBaselines& baselines) {
  nn::Metadata of = what_was_fitted(config, known);
  of["data_checksum"] = known.shape.checksum;
  nn::save_safetensors(run.file(kBaselinesFile), baselines.state(), of);
}

void Comparison::add_to(Json& json) const {
  const auto add = [&](const std::string& name, const Beside& b) {
    json[name + "_nats"] = number(b.nats);
    json[name + "_difference"] = number(b.difference.mean);
    json[name + "_difference_se"] = number(b.difference.error);
  };
  add("gaussian", gaussian);
  add("independent", independent);
}

Comparison compare_with_baselines(const TrainedModel& model, const Tensor& x, const Tensor& given,
                                  const std::vector<double>& scores) {
  const RunFolder& run = model.run;
  if (!std::filesystem::exists(run.file(kBaselinesFile))) {
    model.common.note(str("note: ", run.path(), " has no ", kBaselinesFile, ": no baselines"));
    return {};
  }
  Comparison result;
  bool conditional = false;
  std::int64_t rows = 0, fitted_rows = 0;
  try {
    const flows::TableBaselines baselines = load_baselines(run);
    conditional = baselines.conditional();
    rows = baselines.rows();
    fitted_rows = baselines.fitted_rows();
    const flows::Baselines::Scores simple = baselines.scores(x, given);
    result.gaussian = beside(*model.density, scores, simple.gaussian);
    result.independent = beside(*model.density, scores, simple.independent);
  } catch (const Error& error) {
    model.common.note(str("note: no baselines: ", error.what()));
    return {};
  }
  if (!std::isfinite(result.independent.nats)) {
    const bool gaps = conditional && flows::has_gaps(x);
    result.lines = {gaps ? "no baselines: some rows have gaps beside what is given"
                         : "no baselines: a column is constant in the training rows"};
    result.independent = {};
    return result;
  }
  result.lines.push_back(std::isfinite(result.gaussian.nats)
                             ? line_of("a Gaussian reaches ", result.gaussian)
                             : "no Gaussian: for more than 4096 dimensions none is fitted");
  result.lines.push_back(line_of("independent dimensions reach ", result.independent));
  if (fitted_rows < rows) {
    result.lines.push_back(
        str("both are fitted to the ", fitted_rows, " of ", rows, " training rows without gaps"));
  }
  const auto& types = model.run.config().data.types;
  if (!model.density->bound() && !model.shape.discrete &&
      !data::integer_columns(types, model.shape.columns, model.shape.dims).empty()) {
    result.lines.push_back(
        "both are bounds where columns hold whole numbers, the model is exact: so it is at most "
        "so much better");
  }
  const auto& categories = model.shape.categories;
  if (std::any_of(categories.begin(), categories.end(),
                  [](const auto& values) { return !values.empty(); })) {
    result.lines.push_back("both know of categories their frequencies alone");
  }
  if (!model.shape.given.empty()) {
    const std::string given_names = printable(join(model.shape.given, ", "));
    result.lines.push_back(
        !conditional           ? "both know nothing of " + given_names
        : model.shape.discrete ? "the Gaussian has a mean for each " + given_names +
                                     "; independent dimensions know nothing of it"
        : model.shape.given_classes > 0 ? "both have a mean for each " + given_names
                                        : "the means of both are linear in " + given_names);
  }
  return result;
}

Json json_of(const TrainedModel& model, const flows::Evaluation& e, const std::string& data,
             const std::string& split, std::optional<std::int64_t> trained_on) {
  return {
      {"nats", number(e.nats)},
      {"nats_se", number(e.nats_se)},
      {"bits_per_dim", number(e.bits_per_dim)},
      {"bits_per_dim_se", number(e.bits_per_dim_se)},
      {"bits_per_row", number(e.bits_per_dim * static_cast<double>(model.density->dims()))},
      {"bits_per_row_se", number(e.bits_per_dim_se * static_cast<double>(model.density->dims()))},
      {"dims", model.density->dims()},
      {"count", e.count},
      {"data", data},
      {"split", split},
      {"trained_on", trained_on ? Json(*trained_on) : Json()},
      {"status", model.state.status},
      {"noise_draws", e.noise_draws},
      {"bound", model.density->bound()},
      {"estimated", flows::estimates_log_det(*model.density)},
      {"convention", convention_of(*model.density)},
      {"device", name(model.density->device())},
      {"precision", model.precision}};
}

std::string weights_checksum(const RunFolder& run, bool best) {
  if (const auto members = flows::members_of(run.path()); !members.empty()) {
    std::string all;
    for (const auto& member : members) {
      all += weights_checksum(RunFolder::open(run.file(member.name)), best) + " ";
    }
    return all;
  }
  return nn::read_safetensors_header(run.file(best ? "best.safetensors" : "last.safetensors"))
      .checksum;
}

namespace {

// Where the Gaussian of the same columns is better on validation rows, the density of a table and
// the run's best weights become it; a note says so. `scores` are the density's of these rows.
bool become_gaussian_if_better(const RunFolder& run, flows::Density& density,
                               const data::Split& rows, const std::vector<double>& scores,
                               const Common& common) {
  constexpr std::int64_t kMostJudged = 5000;  // gaps anywhere make each row a regression of its own
  auto* const table = dynamic_cast<flows::AnyOrder*>(&density);
  if (!table || table->condition() || !std::filesystem::exists(run.file(kBaselinesFile))) {
    return false;
  }
  if (table->is_gaussian()) return true;  // as it was told before
  try {
    const auto moments = load_baselines(run).moments();
    if (!moments) return false;
    table->become_gaussian(moments->mean, moments->covariance, moments->log_frequency);
    const std::int64_t some = std::min(kMostJudged, rows.size());
    const double network = flows::mean_and_error({scores.begin(), scores.begin() + some}).mean,
                 gaussian =
                     flows::mean_and_error(flows::score(*table, rows.x.narrow(0, 0, some))).mean;
    if (gaussian > network) {
      const std::string best = run.file("best.safetensors");
      nn::save_safetensors(best, table->state(), nn::read_safetensors_header(best).metadata);
      common.note(
          str("on held-out rows the network reaches ", short_number(network), " nats, a Gaussian ",
              "of the same columns ", short_number(gaussian), ": the best weights are those of ",
              "the Gaussian; more rows, smaller hidden_units or other types (--types) may help"));
      return true;
    }
  } catch (const Error& error) {  // of a run whose baselines are lost, or of a full disk
    common.note(str("note: no Gaussian in the network's place: ", error.what()));
  }
  table->ask_network();
  return false;
}

// A note: how the scores of rows compare with those of the Gaussian, where there is one.
void tell_beside_gaussian(const RunFolder& run, const flows::Density& density,
                          const data::Split& rows, const std::vector<double>& scores,
                          const Common& common) {
  try {
    if (!std::filesystem::exists(run.file(kBaselinesFile))) return;
    const auto simple = load_baselines(run).scores(rows.x, rows.given);
    const Beside gaussian = beside(density, scores, simple.gaussian);
    const double better = gaussian.difference.mean;
    if (!std::isfinite(better)) return;
    const std::string line =
        str("on held-out rows", line_of(" a Gaussian of the same columns reaches ", gaussian));
    common.note(better >= 0 ? line
                            : str("WARNING: ", line, ": take a Gaussian, or more rows, smaller ",
                                  "hidden_units, other types (--types)"));
  } catch (const Error&) {  // of a run whose baselines are lost
  }
}

}  // namespace

std::vector<double> write_held_out(const RunFolder& run, flows::Density& density,
                                   const data::Split& rows, bool validated, std::int64_t step,
                                   bool judged, const Common& common) {
  constexpr std::int64_t kMostSurprises = 5000;
  const auto score = [&] {
    return flows::score(density, rows.x, {.samples = rows.numbers, .given = rows.given});
  };
  std::vector<double> scores = score();
  if (judged && validated && become_gaussian_if_better(run, density, rows, scores, common)) {
    scores = score();
  } else if (judged) {
    tell_beside_gaussian(run, density, rows, scores, common);
  }
  nn::StateDict tensors = {{"log_prob", Tensor::from(scores, {std::ssize(scores)})}};
  if (auto* const table = dynamic_cast<flows::AnyOrder*>(&density)) {
    const std::int64_t few = std::min(kMostSurprises, rows.size());
    tensors.emplace_back("surprises", flows::surprises(*table, rows.x.narrow(0, 0, few),
                                                       flows::given_rows(rows.given, 0, few)));
  }
  const std::string path = run.file("heldout.safetensors");
  try {
    nn::save_safetensors(path, tensors,
                         {{"split", validated ? "valid" : "test"},
                          {"best_epoch", str(run.state().best_epoch)},
                          {"step", str(step)},
                          {"weights_checksum", weights_checksum(run, validated)},
                          {"data_checksum", run.known().shape.checksum}});
  } catch (const Error& error) {
    common.note(str("note: ", error.what(), "; 'score' has no held-out scores to compare with"));
  }
  return scores;
}

std::optional<HeldOut> held_out_of(const TrainedModel& model) {
  const std::string path = model.run.file("heldout.safetensors");
  if (!std::filesystem::exists(path)) return std::nullopt;
  const nn::SafetensorsFile file = nn::load_safetensors(path);
  const auto said = [&](const char* key) {
    const auto found = file.metadata.find(key);
    return found == file.metadata.end() ? std::string() : found->second;
  };
  check_data_checksum(path, said("data_checksum"), model.run.known());
  // A training that went on and was killed has newer weights than scores.
  const bool best = model.state.best_epoch > 0;
  const std::string of = said(best ? "best_epoch" : "step");
  const std::int64_t now = best ? model.state.best_epoch : model.state.step;
  NF_CHECK(of.empty() || of == str(now), "[run] ", path, " is of other weights (",
           best ? "epoch " : "step ", printable(of), ", not ", now,
           "); end the training with 'flowcli resume ", model.run.path(), "'");
  const std::string weights = said("weights_checksum");  // older files do not say it
  NF_CHECK(weights.empty() || weights == weights_checksum(model.run, best), "[run] ", path,
           " is of other weights than those of ", model.run.path(), "; take it from the same run");
  const std::string split = said("split");
  const auto scores = file.tensors.find("log_prob");
  const std::int64_t count = model.run.known().part(split).count;
  NF_CHECK((split == "valid" || split == "test") && scores != file.tensors.end() &&
               scores->second.dtype() == DType::F64 && count > 0 &&
               scores->second.shape() == Shape({count}),
           "[run] ", path, " does not hold the scores of ", count, " rows of validation or test");
  const auto surprises = file.tensors.find("surprises");
  if (surprises == file.tensors.end()) return HeldOut{split, scores->second.to_vector<double>()};
  const Tensor& of_columns = surprises->second;
  NF_CHECK(of_columns.dtype() == DType::F64 && of_columns.rank() == 2 && of_columns.dim(0) > 0 &&
               of_columns.dim(1) == model.density->dims(),
           "[run] ", path, ": 'surprises' should be f64 rows of ", model.density->dims(),
           " columns, is ", describe(of_columns));
  return HeldOut{split, scores->second.to_vector<double>(), of_columns};
}

std::vector<double> score_together(flows::Density& density, const Tensor& x,
                                   const flows::EvaluateOptions& options) {
  comm::Group& group = processes();
  return flows::score(density, x, options, comm::Shards(group, comm::default_shards(group.size())));
}

void check_importance(const TrainedModel& model, int draws) {
  check_usage(
      draws == 0 || !flows::estimates_log_det(*model.density),
      "[importance] the log-determinants of this model are estimated at random, and weights "
      "of estimates give no bound; --noise-draws averages them");
  check_usage(draws == 0 || model.density->bound(),
              "[importance] would change nothing: the log-likelihood of this model is exact");
}

flows::EvaluateOptions importance_weighted(flows::EvaluateOptions options, int draws) {
  options.noise_draws = draws;
  options.importance = true;
  // Rows of a batch are done together, which with many draws should not take long.
  constexpr std::int64_t kTogether = 4096, kLeast = 16;
  options.batch_size = std::min(options.batch_size, std::max(kTogether / draws, kLeast));
  return options;
}

Evaluated evaluate_rows(const TrainedModel& model, const Rows& rows,
                        const flows::EvaluateOptions& options) {
  Evaluated result;
  result.scores = score_together(*model.density, rows.x, rows.evaluated_with(options));
  result.mean = flows::evaluation_of(*model.density, result.scores, options.noise_draws);
  result.json = json_of(model, result.mean, rows.name, rows.split, rows.trained_on);
  result.beside = compare_with_baselines(model, rows.x, rows.given, result.scores);
  result.beside.add_to(result.json);
  return result;
}

}  // namespace nf::cli
