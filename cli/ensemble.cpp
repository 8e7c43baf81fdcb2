#include "cli/ensemble.h"

#include <cmath>
#include <filesystem>

#include "cli/child.h"
#include "cli/interrupt.h"
#include "cli/lines.h"
#include "flows/ensemble.h"
#include "flows/runs/ensemble_run.h"
#include "tensor/text.h"

namespace nf::cli {

namespace {

bool is_finished(const std::string& run) {
  return flows::holds_config(run) && RunFolder::open(run).state().status == "finished";
}

// A member takes its settings from the config.json of all.
int train_member(const RunFolder& run, const flows::EnsembleMember& member, std::size_t members,
                 const Common& common) {
  const std::string folder = run.file(member.name);
  const bool begun = flows::holds_config(folder);
  std::vector<std::string> words =
      begun ? std::vector<std::string>{"resume", folder}
            : std::vector<std::string>{"train", run.file("config.json"),  "--out", folder,
                                       "--set", str("seed=", member.seed)};
  words.insert(words.end(),
               {"--device", common.device, "--threads", str(common.threads), "--quiet"});
  const double minutes = run.config().training.budget / static_cast<double>(members);
  if (!begun && minutes > 0) words.insert(words.end(), {"--budget", str(minutes)});
  return run_self("train", words);
}

// What score compares new rows with, of the mixture: members know their own scores alone.
void write_held_out_of_all(const RunFolder& run, const Common& common, Device device, Json& json) {
  const TrainedModel model = load_model(run.path(), "best", common, device);
  const data::Dataset data = load_run_data(run);
  const bool validated = data.valid.size() > 0;
  const data::Split& rows = validated ? data.valid : data.test;
  if (rows.size() == 0) return;
  const std::vector<double> scores =
      write_held_out(run, *model.density, rows, validated, model.state.step, false, common);
  const double nats = model.density->nats(flows::mean_and_error(scores).mean);
  json["together_nats"] = number(nats);
  common.note(str("together: ", short_number(nats), " nats on ", validated ? "validation" : "test",
                  " rows; a member ", short_number(model.state.best_valid_nats), " in the mean"));
}

void train_members(const RunFolder& run, const Common& common, Device device) {
  const auto members = flows::members_of(run.path());
  Json json = {{"run", run.path()}, {"members", Json::array()}};
  catch_interrupts();
  for (const flows::EnsembleMember& member : members) {
    const std::string folder = run.file(member.name);
    if (!is_finished(folder)) {
      common.note(str(member.name, " of ", members.size(), ": seed ", member.seed));
      const int status = train_member(run, member, members.size(), common);
      if (interrupted()) {
        common.note("interrupted; go on with: flowcli resume " + run.path());
        throw Interrupted();
      }
      NF_CHECK(status == kDone, "[train] ", folder, " could not be trained (status ", status,
               "); the others stay; train again with other settings, or go on with 'flowcli "
               "resume ",
               run.path(), "'");
    }
    const RunState state = RunFolder::open(folder).state();
    const bool validated = state.best_epoch > 0;
    json["members"].push_back(
        {{"run", folder},
         {"seed", member.seed},
         {"best_epoch", validated ? Json(state.best_epoch) : Json()},
         {"best_valid_nats", validated ? number(state.best_valid_nats) : Json()}});
    if (!validated) continue;
    common.note(str(member.name, ": ", short_number(state.best_valid_nats), " nats on validation"));
  }
  write_held_out_of_all(run, common, device, json);
  common.note("finished: " + run.path());
  common.result(json, "");
}

}  // namespace

void add_ensemble(CLI::App& app, std::int64_t& members) {
  app.add_option("--ensemble", members,
                 "Train so many members with seeds from --seed on, in RUN/member-1 and so on; the "
                 "model is their mixture. They share a --budget")
      ->check(whole(2, flows::kMostMembers))
      ->type_name("K");
}

bool is_ensemble(const RunFolder& run) { return !flows::members_of(run.path()).empty(); }

void train_ensemble(RunFolder run, std::int64_t members, const flows::Config& config,
                    data::Dataset& data, const Common& common, Device device) {
  const KnownData known = known_data(data, config);
  flows::write_ensemble(run.path(), members, config.training.seed);
  if (const auto baselines = fit_baselines(data, config, common)) {
    save_baselines(run, config, known, *baselines);
  }
  run.save_config(config, known);
  data = {};  // each member reads its own
  common.note(str("run folder: ", run.path(), ", of ", members, " members"));
  train_members(run, common, device);
}

void resume_ensemble(const RunFolder& run, bool other, const Common& common, Device device) {
  check_usage(!other, "[resume] members of an ensemble end as they began; resume ", run.path(),
              "/member-1, ... one by one for another end or place of the data");
  train_members(run, common, device);
}

std::string add_members(const TrainedModel& model, const Rows& rows,
                        const flows::EvaluateOptions& options, const flows::Evaluation& together,
                        Json& json) {
  auto* const ensemble = dynamic_cast<flows::Ensemble*>(model.density.get());
  if (!ensemble) return "";
  std::vector<double> nats;
  json["members"] = Json::array();
  for (const auto& member : ensemble->members()) {
    const auto scores = flows::score(*member, rows.x, rows.evaluated_with(options));
    const flows::Evaluation e = flows::evaluation_of(*member, scores, options.noise_draws);
    nats.push_back(e.nats);
    json["members"].push_back({{"nats", number(e.nats)}, {"nats_se", number(e.nats_se)}});
  }
  const auto [mean, error] = flows::mean_and_error(nats);
  const double spread = error * std::sqrt(static_cast<double>(nats.size()));
  json["members_nats"] = number(mean);
  json["members_nats_sd"] = number(nats.size() > 1 ? spread : flows::kNaN);
  return str("  ", nats.size(), " members: ", with_error(mean, spread, 4),
             " nats (standard deviation); together ", short_number(together.nats - mean),
             " nats better\n");
}

}  // namespace nf::cli
