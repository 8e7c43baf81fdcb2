#include "cli/folds.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "cli/choice.h"
#include "cli/evaluation.h"
#include "cli/lines.h"
#include "cli/table.h"
#include "data/csv.h"
#include "tensor/files.h"
#include "tensor/text.h"

namespace nf::cli {

namespace {

/// Of the trainings with one setting each.
struct FoldMeans {
  const Trial* first;  ///< whose settings they are, but for the fold
  std::int64_t done = 0;
  double valid_nats = flows::kNaN, gaussian_nats = flows::kNaN;
  flows::MeanAndError test = {flows::kNaN, flows::kNaN};
};

FoldMeans means_of(const Trial* first, std::int64_t folds) {
  FoldMeans means{first};
  std::vector<double> valid, test, gaussian;
  for (const Trial* trial = first; trial < first + folds; ++trial) {
    if (std::isnan(trial->test_nats)) continue;
    valid.push_back(trial->valid_nats);
    test.push_back(trial->test_nats);
    gaussian.push_back(trial->gaussian_nats);
  }
  means.done = std::ssize(test);
  if (test.empty()) return means;
  means.valid_nats = flows::mean_and_error(valid).mean;
  means.gaussian_nats = flows::mean_and_error(gaussian).mean;
  means.test = flows::mean_and_error(test);
  if (test.size() < 2) means.test.error = flows::kNaN;
  return means;
}

std::string cell(double value) { return std::isfinite(value) ? fixed(value, 6) : ""; }

void write_means(const std::string& path, const std::vector<Try>& tries,
                 const std::vector<FoldMeans>& all) {
  std::string text;
  for (std::size_t i = 0; i + 1 < tries.size(); ++i) text += data::csv_field(tries[i].key) + ",";
  text += "folds,valid_nats,test_nats,test_nats_se,gaussian_nats\n";
  for (const FoldMeans& means : all) {
    for (std::size_t i = 0; i + 1 < tries.size(); ++i) {
      text += data::csv_field(means.first->values[i]) + ",";
    }
    text += str(means.done, ",", cell(means.valid_nats), ",", cell(means.test.mean), ",",
                cell(means.test.error), ",", cell(means.gaussian_nats), "\n");
  }
  atomic_write(path, text);
}

Json json_of_means(const std::vector<Try>& tries, const FoldMeans& means) {
  Json settings = Json::object();
  for (std::size_t i = 0; i + 1 < tries.size(); ++i) {
    settings[tries[i].key] = means.first->values[i];
  }
  return {{"settings", settings},
          {"folds", means.done},
          {"valid_nats", number(means.valid_nats)},
          {"test_nats", number(means.test.mean)},
          {"test_nats_se", number(means.test.error)},
          {"gaussian_nats", number(means.gaussian_nats)}};
}

}  // namespace

void check_folds(std::int64_t folds, const flows::DataSettings& data) {
  if (folds == 0) return;
  check_usage(!flows::built_in(data.source), "[sweep] --folds is for files; '", data.source,
              "' is drawn, and more of it is a test as good");
  check_usage(data.test < 0 && data.test_data.empty() && data.fold.empty(),
              "[sweep] --folds says which rows are the test: leave test, test_data and fold out");
}

void evaluate_fold(const std::string& run, const Common& common, Device device, Trial& trial) {
  if (trial.status != "finished" || trial.best_epoch == 0) return;
  Common quiet = common;
  quiet.quiet = true;
  const TrainedModel model = load_model(run, "best", quiet, device);
  RowOptions test;
  test.split = "test";
  const Rows rows = test.load(model);
  const Evaluated evaluated = evaluate_rows(model, rows, {});
  trial.test_count = evaluated.mean.count;
  trial.test_nats = evaluated.mean.nats;
  trial.test_nats_se = evaluated.mean.nats_se;
  trial.gaussian_nats = evaluated.beside.gaussian.nats;
}

std::string fold_cells(const Trial& trial) {
  return str(",", cell(trial.test_nats), ",", cell(trial.test_nats_se), ",", trial.test_count, ",",
             cell(trial.gaussian_nats));
}

Json json_of_fold(const Trial& trial) {
  return {{"test_nats", number(trial.test_nats)},
          {"test_nats_se", number(trial.test_nats_se)},
          {"test_count", trial.test_count},
          {"gaussian_nats", number(trial.gaussian_nats)}};
}

std::string cross_validate(const std::string& folder, const std::vector<Try>& tries,
                           const std::vector<Trial>& trials, std::int64_t folds, Json& json) {
  std::vector<FoldMeans> all;
  json["cross_validation"] = Json::array();
  for (std::size_t at = 0; at < trials.size(); at += static_cast<std::size_t>(folds)) {
    all.push_back(means_of(&trials[at], folds));
    json["cross_validation"].push_back(json_of_means(tries, all.back()));
  }
  const std::string csv = folder + "/cross_validation.csv";
  write_means(csv, tries, all);
  json["cross_validation_file"] = csv;
  std::string text;
  const FoldMeans* best = nullptr;
  for (const FoldMeans& means : all) {
    const std::string who = settings_text(tries, *means.first, tries.size() - 1);
    text += str(who, who.empty() ? "" : ": ", "held out, mean of ", means.done, " of ", folds,
                " folds: ", with_error(means.test.mean, means.test.error, 4), " nats; a Gaussian ",
                short_number(means.gaussian_nats), "\n");
    if (means.done == folds && (!best || means.valid_nats > best->valid_nats)) best = &means;
  }
  if (best && all.size() > 1) {
    json["best_settings"] = json_of_means(tries, *best)["settings"];
    text += "best on validation: " + settings_text(tries, *best->first, tries.size() - 1) + "\n";
  }
  return text + "the same as a table: " + csv + "\n";
}

}  // namespace nf::cli
