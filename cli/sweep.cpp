// flowcli sweep: trains a model with many settings, and says which is the best on validation.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>
#include <optional>

#include "cli/child.h"
#include "cli/choice.h"
#include "cli/cli.h"
#include "cli/folds.h"
#include "cli/interrupt.h"
#include "cli/lines.h"
#include "cli/run_folder.h"
#include "cli/settings.h"
#include "cli/sweep_plan.h"
#include "cli/table.h"
#include "data/csv_cells.h"
#include "data/given.h"
#include "flows/models/model.h"
#include "tensor/files.h"
#include "tensor/random.h"
#include "tensor/text.h"

namespace nf::cli {

namespace {

struct SweepOptions {
  Common common;
  SettingOptions settings;
  std::string model, out;
  std::vector<std::string> tries;
  std::int64_t random = 0;
  std::int64_t folds = 0;  ///< 0: rows are cut once
  double minutes = 0;
  std::uint64_t draw_seed = 0;
};

// Core-minutes for all trainings together; 0: none were given.
double budget_of(const SettingOptions& settings) {
  const std::string text = settings.option_text("budget");
  check_usage(!text.empty() || !settings.given("budget"),
              "[sweep] the budget is one for all trainings: give it as --budget");
  if (text.empty()) return 0;
  const std::optional<double> value = data::cell_number(text);
  check_usage(value && std::isfinite(*value) && *value >= 0, "[sweep] --budget '", printable(text),
              "' is no number of core-minutes");
  return *value;
}

// Values that no training takes are told before any begins.
void check_values(const SweepOptions& options, const std::vector<Try>& tries) {
  const bool is_file = options.model.ends_with(".json");
  bool validates = true;
  try {
    const ConfigFile file =
        is_file ? read_config(options.model) : ConfigFile{.where = {}, .preset = options.model};
    flows::Config base = file.on(flows::preset(file.preset));
    options.settings.apply(base);
    validates = base.data.valid != 0;
    check_folds(options.folds, base.data);
    for (const Try& one : tries) {
      for (const std::string& value : one.values) {
        flows::Config config = base;
        flows::set(config, one.key + "=" + value, "--try: ");
      }
    }
  } catch (const Error& error) {
    throw UsageError(error.what());
  }
  for (const Try& one : tries) {
    check_usage(!options.settings.given(one.key), "[sweep] ", one.key,
                " is tried, and given besides; leave one of them out");
    for (const char* key : {"data", "valid_data", "test_data", "split_by", "fold", "valid", "test",
                            "missing", "na", "skip_bad"}) {
      check_usage(one.key != key, "[sweep] ", key,
                  " decides which rows validate; runs that differ in it cannot be compared");
    }
    for (const char* key :
         {"columns", "drop", "given", "label", "types", "layout", "images", "bits", "binarize"}) {
      check_usage(one.key != key, "[sweep] ", key,
                  " decides of what the density is; those of different things cannot be compared");
    }
    check_usage(options.minutes == 0 || (one.key != "epochs" && one.key != "steps"), "[sweep] ",
                one.key, " and --budget both say when a training ends");
  }
  check_usage(validates, "[sweep] valid = 0 leaves nothing to choose by");
  check_usage(options.minutes == 0 ||
                  (!options.settings.given("epochs") && !options.settings.given("steps")),
              "[sweep] --budget says how many steps there are: leave out --steps and --epochs");
}

std::optional<FileLock> lock_of(const std::string& folder) {
  long holder = 0;
  auto lock = FileLock::take(folder + "/.lock", &holder);
  NF_CHECK(lock, "[sweep] ", folder, " is in use by another sweep",
           holder > 0 ? str(" (process ", holder, ")") : "",
           "; wait for it, or give another --out");
  return lock;
}

// The folder is of this sweep, or new: what is there of another plan must not be mixed with it.
// Without --out it is the first such one of runs/sweep-MODEL, runs/sweep-MODEL-2, ...
// The lock is the sweep's as long as the result lives.
std::optional<FileLock> claim_folder(SweepOptions& options, const std::vector<Try>& tries) {
  constexpr std::uint64_t kMostBytes = 1 << 20;
  Json wanted = {
      {"model", options.model},    {"settings", options.settings.words("budget")},
      {"random", options.random},  {"draw_seed", options.random > 0 ? options.draw_seed : 0},
      {"budget", options.minutes}, {"tries", Json::object()}};
  if (options.folds > 0) wanted["folds"] = options.folds;
  for (const Try& one : tries) wanted["tries"][one.key] = one.values;
  const auto file = [&] { return options.out + "/sweep.json"; };
  const auto is_ours = [&] {
    return Json::parse(read_file(file(), kMostBytes), nullptr, /*allow_exceptions=*/false) ==
           wanted;
  };
  if (options.out.empty()) {
    const std::string name = "runs/sweep-" + std::filesystem::path(options.model).stem().string();
    options.out = name;
    for (int i = 2; std::filesystem::exists(options.out); ++i) {
      if (std::filesystem::exists(file()) && is_ours()) break;
      options.out = str(name, "-", i);
    }
  }
  if (std::filesystem::exists(file())) {
    NF_CHECK(
        is_ours(), "[sweep] ", options.out,
        " is of another sweep (sweep.json); give the same settings to go on, or another --out");
    return lock_of(options.out);
  }
  NF_CHECK(!std::filesystem::exists(options.out) || std::filesystem::is_empty(options.out),
           "[sweep] ", options.out, " holds something else; give another --out");
  std::filesystem::create_directories(options.out);
  auto lock = lock_of(options.out);
  atomic_write(file(), wanted.dump(2) + "\n");
  return lock;
}

// --- one training -------------------------------------------------------------------------------

// What stands in the folder of a training.
void look_at(const std::string& folder, Trial& trial) {
  if (!std::filesystem::exists(folder + "/config.json")) return;
  const RunFolder run = RunFolder::open(folder);
  const RunState state = run.state();
  trial.data = flows::built_in(run.config().data.source) ? "" : run.known().shape.checksum;
  trial.status = state.status;
  trial.best_epoch = state.best_epoch;
  trial.valid_nats = state.best_epoch > 0 ? state.best_valid_nats : flows::kNaN;
}

int train(const SweepOptions& options, const std::vector<Try>& tries, const Trial& trial,
          std::size_t trials) {
  const std::string folder = options.out + "/" + trial.name;
  const Common& common = options.common;
  const bool begun = std::filesystem::exists(folder + "/config.json");
  std::vector<std::string> words = begun ? std::vector<std::string>{"resume", folder}
                                         : std::vector<std::string>{"train", options.model};
  words.insert(words.end(),
               {"--device", common.device, "--threads", str(common.threads), "--quiet"});
  if (!begun) {
    const std::vector<std::string> settings = options.settings.words("budget");
    words.insert(words.end(), settings.begin(), settings.end());
    words.insert(words.end(), {"--out", folder});
    for (std::size_t i = 0; i < tries.size(); ++i) {
      words.insert(words.end(), {"--set", tries[i].key + "=" + trial.values[i]});
    }
    const double minutes = options.minutes / static_cast<double>(trials);
    if (minutes > 0) words.insert(words.end(), {"--budget", str(minutes)});
  }
  return run_self("sweep", words);
}

// --- results ------------------------------------------------------------------------------------

// The best first; those without a result last, in the order of their numbers.
std::vector<Trial> by_result(std::vector<Trial> trials) {
  const auto value = [](const Trial& t) {
    return std::isnan(t.valid_nats) ? -INFINITY : t.valid_nats;
  };
  std::stable_sort(trials.begin(), trials.end(),
                   [&](const Trial& a, const Trial& b) { return value(a) > value(b); });
  return trials;
}

void write_sweep_table(const std::string& path, const std::vector<Try>& tries,
                       const std::vector<Trial>& trials) {
  std::string text = "run";
  for (const Try& one : tries) text += "," + data::csv_field(one.key);
  const bool folds = !tries.empty() && tries.back().key == "fold";
  text += ",status,best_epoch,valid_nats";
  text += folds ? ",test_nats,test_nats_se,test_count,gaussian_nats\n" : "\n";
  for (const Trial& trial : trials) {
    text += trial.name;
    for (const std::string& value : trial.values) text += "," + data::csv_field(value);
    const bool known = std::isfinite(trial.valid_nats);
    text += str(",", trial.status, ",", trial.best_epoch > 0 ? str(trial.best_epoch) : "", ",",
                known ? fixed(trial.valid_nats, 6) : "", folds ? fold_cells(trial) : "", "\n");
  }
  atomic_write(path, text);
}

std::string sweep_text(const std::vector<Try>& tries, const std::vector<Trial>& sorted) {
  std::vector<std::vector<std::string>> table = {{"run"}};
  for (const Try& one : tries) table[0].push_back(one.key);
  table[0].insert(table[0].end(), {"status", "best epoch", "validation nats"});
  for (const Trial& trial : sorted) {
    table.push_back({trial.name});
    for (const std::string& value : trial.values) table.back().push_back(printable(value, 40));
    table.back().insert(table.back().end(),
                        {trial.status, trial.best_epoch > 0 ? str(trial.best_epoch) : "",
                         std::isnan(trial.valid_nats) ? "" : fixed(trial.valid_nats, 4)});
  }
  return table_text(table, output_width());
}

// A file that changed between two trainings has other validation rows.
void check_data(const SweepOptions& options, const std::vector<Trial>& trials) {
  const Trial* first = nullptr;
  for (const Trial& trial : trials) {
    if (trial.data.empty()) continue;
    if (!first) first = &trial;
    NF_CHECK(trial.data == first->data, "[sweep] the data have changed: run ", trial.name, " of ",
             options.out, " was trained on others than run ", first->name,
             ", so the two cannot be compared; begin again with another --out");
  }
}

void tell_sweep(const SweepOptions& options, const std::vector<Try>& tries,
                const std::vector<Trial>& trials) {
  const std::string csv = options.out + "/sweep.csv";
  const std::vector<Trial> sorted = by_result(trials);
  Json json = {{"file", csv}, {"best", Json()}, {"runs", Json::array()}};
  for (const Trial& trial : trials) {
    Json settings = Json::object();
    for (std::size_t i = 0; i < tries.size(); ++i) settings[tries[i].key] = trial.values[i];
    json["runs"].push_back({{"run", options.out + "/" + trial.name},
                            {"settings", settings},
                            {"status", trial.status},
                            {"best_epoch", trial.best_epoch > 0 ? Json(trial.best_epoch) : Json()},
                            {"valid_nats", number(trial.valid_nats)}});
    if (options.folds > 0) json["runs"].back().update(json_of_fold(trial));
  }
  std::string text = sweep_text(tries, sorted) + "the same as a table: " + csv + "\n";
  const Trial& best = sorted.front();
  if (options.folds > 0) {
    text += cross_validate(options.out, tries, trials, options.folds, json);
  } else if (!std::isnan(best.valid_nats)) {
    const std::string run = options.out + "/" + best.name;
    json["best"] = run;
    text += str("best on validation: ", settings_text(tries, best, tries.size()), ", ",
                fixed(best.valid_nats, 4),
                " nats; on test rows, which nobody has looked at: flowcli eval ", run, "\n");
  }
  options.common.result(json, text);
}

void sweep(SweepOptions& options, Device device) {
  std::vector<Try> tries = parse_tries(options.tries);
  check_usage(!tries.empty() || options.folds > 0,
              "[sweep] there is nothing to try; give --try SETTING=A,B or --folds K");
  options.minutes = budget_of(options.settings);
  std::vector<Trial> trials = plan(tries, options.random, options.draw_seed);
  check_values(options, tries);
  if (options.folds > 0) trials = with_folds(trials, options.folds, tries);
  const auto lock = claim_folder(options, tries);
  catch_interrupts();
  std::size_t failed = 0;
  for (std::size_t i = 0; i < trials.size() && !interrupted(); ++i) {
    Trial& trial = trials[i];
    const std::string folder = options.out + "/" + trial.name;
    look_at(folder, trial);
    const bool done = trial.status == "finished" || trial.status == "diverged";
    if (!done) {
      options.common.note(str("run ", trial.name, " of ", trials.size(), ": ",
                              settings_text(tries, trial, tries.size())));
      const int status = train(options, tries, trial, trials.size());
      look_at(folder, trial);
      if (!interrupted() && status != kDone && status != kDiverged) {
        trial.status = "failed";
        ++failed;
      }
    }
    if (options.folds > 0) evaluate_fold(folder, options.common, device, trial);
    options.common.note(str("run ", trial.name, ": ", trial.status,
                            std::isnan(trial.valid_nats)
                                ? ""
                                : ", " + fixed(trial.valid_nats, 4) + " nats on validation"));
    write_sweep_table(options.out + "/sweep.csv", tries, trials);
    check_data(options, trials);
  }
  NF_CHECK(failed < trials.size(), "[sweep] no training of ", options.out, " could be done");
  tell_sweep(options, tries, trials);
  if (!interrupted()) return;
  options.common.note("interrupted; the same command goes on where it stopped");
  throw Interrupted();
}

}  // namespace

void add_sweep(CLI::App& app) {
  auto options = std::make_shared<SweepOptions>();
  CLI::App* command =
      app.add_subcommand("sweep", "Train with many settings: which are best on validation?");
  command->add_option("MODEL", options->model, "A model, or a configuration (.json)")
      ->required()
      ->type_name(model_type());
  command->add_option("--out", options->out,
                      "Folder of its runs (default: runs/sweep-MODEL, numbered when taken)");
  command
      ->add_option("--try", options->tries,
                   "Values of a setting, all combinations of which are trained; may be repeated")
      ->take_all()
      ->allow_extra_args(false)
      ->type_name("KEY=A,B,...");
  command
      ->add_option("--folds", options->folds,
                   "Cross-validation: the rows are cut into K equal folds, and each is the test of "
                   "a training on the others")
      ->check(whole(2, 100))
      ->type_name("K");
  command->add_option("--random", options->random, "So many of the combinations, drawn at random")
      ->check(whole(1, kMostRuns));
  command->add_option("--draw-seed", options->draw_seed, "Of that draw")->capture_default_str();
  options->common.add_to(*command);
  options->settings.add_to(*command);
  command->footer(
      "Each training is a run of its own, DIR/001 and so on, which all commands take. A sweep "
      "that\n"
      "was interrupted goes on with the same command; trainings that are finished stay. The best\n"
      "is chosen by validation, so its test rows still tell what it is worth. --budget is for all\n"
      "trainings together: each gets an equal share. With --folds every row is held out once: "
      "nats\n"
      "of held-out rows are told as the mean over folds with its standard error, and written to\n"
      "DIR/cross_validation.csv; settings are still chosen by validation.\n\n" +
      models_help() +
      "Examples:\n  flowcli sweep realnvp-2d --data table.csv --try couplings=4,8,16\n"
      "  flowcli sweep realnvp-2d --try lr=1e-3,5e-3 --try couplings=4,8 --random 3\n"
      "  flowcli sweep realnvp-2d --data table.csv --try lr=1e-3,5e-3 --budget 10\n"
      "  flowcli sweep tabular --data table.csv --folds 5\n"
      "  flowcli sweep nsf --data table.csv --folds 5 --try hidden_units=32,128 --json\n");
  command->callback([options] { sweep(*options, options->common.apply()); });
}

}  // namespace nf::cli
