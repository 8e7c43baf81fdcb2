#include "flows/runs/ensemble_run.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "flows/ensemble.h"
#include "tensor/files.h"
#include "tensor/text.h"

namespace nf::flows {

void write_ensemble(const std::string& path, std::int64_t members, std::int64_t seed) {
  nlohmann::ordered_json json = {{"version", 1}, {"members", nlohmann::ordered_json::array()}};
  for (std::int64_t k = 0; k < members; ++k) {
    json["members"].push_back({{"run", str("member-", k + 1)}, {"seed", seed + k}});
  }
  atomic_write(path + "/" + kEnsembleFile, json.dump(2) + "\n");
}

std::vector<EnsembleMember> members_of(const std::string& path) {
  constexpr std::uint64_t kMostBytes = 1 << 20;
  const std::string file = path + "/" + kEnsembleFile;
  std::error_code error;
  if (!std::filesystem::exists(file, error)) return {};
  const auto json =
      nlohmann::json::parse(read_file(file, kMostBytes), nullptr, /*allow_exceptions=*/false);
  const auto list = json.is_object() ? json.find("members") : json.end();
  const bool right = json.is_object() && list != json.end() && list->is_array() && !list->empty() &&
                     std::ssize(*list) <= kMostMembers;
  NF_CHECK(right, "[run] ", file, " is damaged: it names no members; put it back");
  std::vector<EnsembleMember> members;
  for (const auto& one : *list) {
    // A name from outside leads nowhere else.
    const std::string name = str("member-", members.size() + 1);
    NF_CHECK(one.is_object() && one.value("run", nlohmann::json()) == name &&
                 one.value("seed", nlohmann::json()).is_number_integer(),
             "[run] ", file, " is damaged: it does not tell of ", name, "; put it back");
    members.push_back({name, one["seed"].get<std::int64_t>()});
  }
  return members;
}

RunState state_of_members(const std::string& path, const std::vector<EnsembleMember>& members) {
  RunState all;
  double nats = 0;
  for (const EnsembleMember& member : members) {
    const std::string folder = path + "/" + member.name;
    NF_CHECK(holds_config(folder), "[run] ", folder,
             " has not been trained yet; go on with 'flowcli resume ", path, "'");
    const RunState state = state_of(folder);
    const bool first = &member == &members.front();
    nats += state.best_valid_nats / static_cast<double>(members.size());
    if (first) all = state;
    if (state.status != "finished" && all.status != "diverged") all.status = state.status;
    all.step = std::min(all.step, state.step);
    all.best_epoch = std::min(all.best_epoch, state.best_epoch);
  }
  all.best_valid_nats = nats;
  return all;
}

std::shared_ptr<Density> load_members(const SavedRun& run,
                                      const std::vector<EnsembleMember>& members,
                                      const std::string& which, Device device, const Note& note) {
  std::vector<std::shared_ptr<Density>> densities;
  for (const EnsembleMember& member : members) {
    const SavedRun one = open_run(run.file(member.name));
    const bool drawn = built_in(run.config.data.source);  // by the seed, which differs
    NF_CHECK(one.config.model == run.config.model &&
                 (drawn || one.known.shape.checksum == run.known.shape.checksum),
             "[run] ", one.path, " is of another model or of other data than ", run.path,
             "; put the ensemble's own members back");
    densities.push_back(load_run(one, which, device, note).density);
  }
  return std::make_shared<Ensemble>(std::move(densities));
}

}  // namespace nf::flows
