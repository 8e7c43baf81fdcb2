// flowcli classify: the labels that Bayes' rule finds most probable.
#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>

#include "cli/choice.h"
#include "cli/cli.h"
#include "cli/lines.h"
#include "cli/progress.h"
#include "cli/table.h"
#include "data/svg.h"
#include "flows/examine/classify.h"
#include "tensor/text.h"

namespace nf::cli {

namespace {

struct ClassifyOptions {
  Common common;
  ModelOptions model;
  RowOptions rows;
  std::string out, svg, prior = "train";
  double temperature = 1;
  bool calibrate = false;
  EvaluateOptions evaluate;
};

// ln p(k) of each label.
std::vector<double> log_prior_of(const ClassifyOptions& options, const TrainedModel& model) {
  const auto classes = static_cast<std::size_t>(model.shape.given_classes);
  std::vector<std::int64_t> counts(classes, 1);
  if (options.prior == "train") {
    const std::vector<std::int64_t>& known = model.run.known().label_counts;
    if (known.empty()) {
      options.common.note(
          "note: the run does not say how often each label was trained on; all "
          "count alike");
    } else {
      counts = known;
    }
  }
  const double all = static_cast<double>(std::accumulate(counts.begin(), counts.end(), 0LL));
  std::vector<double> log_prior;
  for (const std::int64_t count : counts) {
    log_prior.push_back(std::log(static_cast<double>(count) / all));
  }
  return log_prior;
}

Tensor scores_of_rows(const ClassifyOptions& options, const TrainedModel& model, const Tensor& x,
                      const Tensor& samples, const std::string& what) {
  flows::EvaluateOptions evaluate = options.evaluate;
  evaluate.samples = samples;
  Progress progress(options.common.quiet);
  const Tensor scores = flows::label_scores(
      *model.density, x, model.shape.given_classes, evaluate,
      [&](std::int64_t done) { progress.step(done, model.shape.given_classes, what, ""); });
  progress.clear();
  return scores;
}

// The temperature that suits the validation rows of the run.
double calibrated(const ClassifyOptions& options, const TrainedModel& model, const Rows& rows,
                  const std::vector<double>& log_prior) {
  const data::Dataset data = rows.own ? rows.source : load_run_data(model.run);
  const data::Split& valid = part_of(data, "valid");
  const Tensor scores = scores_of_rows(options, model, valid.x, valid.numbers, "validation rows");
  return flows::fit_temperature(scores, log_prior, valid.labels);
}

// row, label where it is known, predicted, p_0, p_1, ...; an empty field for NaN.
void write_classes(const std::string& out, const Rows& rows, const Tensor& log_posterior,
                   const std::vector<std::int32_t>& predicted, const data::Dataset& shape) {
  const std::vector<std::string> words = words_of_given(shape);
  const auto shown = [&](std::int64_t label) {
    return words.empty() ? str(label) : data::csv_field(words[static_cast<std::size_t>(label)]);
  };
  const std::vector<std::int32_t> labels =
      rows.given.defined() ? rows.given.to_vector<std::int32_t>() : std::vector<std::int32_t>();
  const std::int64_t classes = log_posterior.dim(1);
  const std::vector<double> log_p = log_posterior.to_vector<double>();
  write_text(out, [&](const data::CsvWriter::Sink& write) {
    std::string header = labels.empty() ? "row,predicted" : "row,label,predicted";
    for (std::int64_t k = 0; k < classes; ++k) {
      header += "," + data::csv_field(
                          "p_" + (words.empty() ? str(k) : words[static_cast<std::size_t>(k)]));
    }
    write(header + "\n");
    for (std::size_t i = 0; i < predicted.size(); ++i) {
      std::string line = str(rows.number[i], ",");
      if (!labels.empty()) line += shown(labels[i]) + ",";
      if (predicted[i] >= 0) line += shown(predicted[i]);
      for (std::size_t k = 0; k < static_cast<std::size_t>(classes); ++k) {
        const double value = log_p[i * static_cast<std::size_t>(classes) + k];
        line += std::isnan(value) ? "," : str(",", std::exp(value));
      }
      write(line + "\n");
    }
  });
}

// Accuracy against confidence: the diagonal is a classifier that knows how often it is right.
void write_calibration(const std::string& path, const flows::Classification& result) {
  data::Series measured{"measured", {}, {}};
  for (const flows::Classification::Bin& bin : result.bins) {
    if (bin.count == 0) continue;
    measured.x.push_back(bin.confidence);
    measured.y.push_back(bin.accuracy);
  }
  const data::Series ideal{"perfectly calibrated", {0, 1}, {0, 1}};
  data::write_curve_svg(path,
                        {.title = "calibration",
                         .x = "probability of the predicted label",
                         .y = "accuracy",
                         .whole_range = true},
                        {ideal, measured});
}

// What true labels say of the classifier: into JSON, and as lines.
std::string judged(const flows::Classification& result, const data::Dataset& shape, Json& json) {
  const std::int64_t classes = shape.given_classes;
  const std::vector<std::string> words = words_of_given(shape);
  const auto name = [&](std::int64_t k) {
    return words.empty() ? str(k) : printable(words[static_cast<std::size_t>(k)], 16);
  };
  const auto [accuracy, accuracy_se] = result.accuracy;
  const auto [loss, loss_se] = result.cross_entropy;
  json["accuracy"] = accuracy;
  json["accuracy_se"] = number(accuracy_se);
  json["cross_entropy"] = number(loss);
  json["cross_entropy_se"] = number(loss_se);
  json["confidence"] = result.confidence;
  json["calibration_error"] = result.calibration_error;
  json["undecided"] = result.undecided;
  json["confusion"] = Json::array();
  std::vector<std::vector<std::string>> table = {{"label"}};
  for (std::int64_t k = 0; k < classes; ++k) table[0].push_back(name(k));
  for (std::int64_t k = 0; k < classes; ++k) {
    const auto from = result.confusion.begin() + k * classes;
    json["confusion"].push_back(std::vector<std::int64_t>(from, from + classes));
    table.push_back({name(k)});
    for (auto at = from; at != from + classes; ++at) table.back().push_back(str(*at));
  }
  std::string text =
      str("  accuracy ", fixed(100 * accuracy, 2), " %",
          std::isfinite(accuracy_se) ? " +- " + fixed(100 * accuracy_se, 2) : "",
          ", mean probability of what is predicted ", fixed(100 * result.confidence, 2), " %\n",
          "  calibration error ", fixed(100 * result.calibration_error, 2), " %, cross entropy ",
          fixed(loss, 4), std::isfinite(loss_se) ? " +- " + fixed(loss_se, 4) : "",
          " nats (all labels alike: ", fixed(std::log(static_cast<double>(classes)), 4), ")\n");
  constexpr std::int64_t kMostShown = 20;
  if (classes <= kMostShown) {
    text += "  predicted labels (columns) of each true label:\n" +
            table_text(table, output_width(), {.lines = true});
  }
  return text;
}

void classify(const ClassifyOptions& options, const TrainedModel& model) {
  check_usage(model.shape.given_classes > 0, "[classify] ", model.run.path(),
              " is not given a label; train one with --given label");
  const std::string out = options.rows.results_path(options.out, model, "classes", ".csv");
  if (out != kStandardOutput) check_ending("classify", out, {".csv"});
  check_stdout("classify", out, options.common);
  if (!options.svg.empty()) check_ending("classify", options.svg, {".svg"});
  const Rows rows = options.rows.load(model);
  check_usage(options.svg.empty() || rows.given.defined(), "[classify] ", rows.name,
              " has no labels, so there is no calibration to draw");
  const std::vector<double> log_prior = log_prior_of(options, model);
  const double temperature =
      options.calibrate ? calibrated(options, model, rows, log_prior) : options.temperature;
  const Tensor scores = scores_of_rows(options, model, rows.x, rows.samples, "rows");
  const Tensor log_posterior = flows::log_posterior(scores, log_prior, temperature);
  const std::vector<std::int32_t> predicted = flows::most_probable(log_posterior);
  const std::int64_t undecided = std::count(predicted.begin(), predicted.end(), -1);
  if (undecided == rows.x.dim(0)) {
    throw flows::Diverged("[classify] no row has a density under any label; see 'flowcli check'");
  }
  if (undecided > 0) {
    options.common.note(str("note: ", undecided, " rows have no density under any label"));
  }
  write_classes(out, rows, log_posterior, predicted, model.shape);
  Json json = {{"file", out},
               {"count", rows.x.dim(0)},
               {"data", rows.name},
               {"split", rows.split},
               {"trained_on", rows.trained_on ? Json(*rows.trained_on) : Json()},
               {"classes", model.shape.given_classes},
               {"class_names", words_of_given(model.shape)},
               {"prior", options.prior},
               {"temperature", temperature},
               {"noise_draws", options.evaluate.noise_draws},
               {"bound", model.density->bound()}};
  std::string text = str("wrote the labels of ", rows.x.dim(0), " rows of ", printable(rows.name),
                         " (", rows.split, ") to ", shown_out(out), "\n");
  if (temperature != 1) text += str("  temperature ", short_number(temperature), "\n");
  if (rows.given.defined()) {
    const flows::Classification result =
        flows::classification_of(log_posterior, rows.given.reshape({rows.x.dim(0)}));
    text += judged(result, model.shape, json);
    if (!options.svg.empty()) {
      write_calibration(options.svg, result);
      json["picture"] = options.svg;
      text += "  calibration: " + options.svg + "\n";
    }
    constexpr double kFarTooSure = 0.05;
    if (!options.calibrate && result.confidence > result.accuracy.mean + kFarTooSure) {
      text += "  it is surer than it is right: --calibrate mends that\n";
    }
  } else {
    text += "  these rows have no labels to compare with\n";
  }
  tell_result(options.common, out, json, text);
}

}  // namespace

void add_classify(CLI::App& app) {
  auto options = std::make_shared<ClassifyOptions>();
  options->rows.labels_may_lack = true;
  CLI::App* command =
      app.add_subcommand("classify", "The most probable label of each row, by Bayes' rule");
  options->model.add_to(*command);
  options->rows.add_to(*command);
  command->add_option("--out", options->out,
                      "FILE.csv or - (standard output): row, label, predicted, p_0, p_1, ... "
                      "(default: RUN/classes.csv)");
  command->add_option("--svg", options->svg, "Also a chart of the calibration (FILE.svg)");
  command->add_option("--prior", options->prior, "p(label): as often as in training, or alike")
      ->check(one_of({"train", "uniform"}))
      ->capture_default_str();
  auto* temperature = command
                          ->add_option("--temperature", options->temperature,
                                       "p(x | label) counts as its 1/T-th power: above 1 less sure")
                          ->check(real(1e-6, 1e9))
                          ->type_name("T")
                          ->capture_default_str();
  command
      ->add_flag("--calibrate", options->calibrate,
                 "Find the temperature that suits the validation rows best")
      ->excludes(temperature);
  options->evaluate.add_to(*command);
  options->common.add_to(*command);
  command->footer(
      "For a run that was trained with --given label. Bayes' rule makes a classifier of its\n"
      "densities: p(label | x) is proportional to p(x | label) p(label). With many dimensions it\n"
      "is far too sure of itself; --calibrate mends that, and changes the labels hardly or not at\n"
      "all. Rows without labels are classified too.\n\n"
      "Examples:\n  flowcli classify runs/digits\n"
      "  flowcli classify runs/digits --calibrate --svg calibration.svg\n"
      "  flowcli classify runs/digits --data path/to/mnist --out labels.csv");
  command->callback([options] {
    const Device device = options->common.apply();
    classify(*options, options->model.load(options->common, device));
  });
}

}  // namespace nf::cli
