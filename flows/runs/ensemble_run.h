// A run folder that holds several trainings with different seeds, whose mixture is the model:
// RUN/ensemble.json names them, RUN/member-1, ... are plain complete runs. Config.json has the
// settings of all, and what is known of their data.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "flows/runs/saved_run.h"

namespace nf::flows {

inline constexpr const char* kEnsembleFile = "ensemble.json";
inline constexpr std::int64_t kMostMembers = 1000;

struct EnsembleMember {
  std::string name;  ///< of its folder in RUN: "member-1"
  std::int64_t seed = 0;
};

/// Writes ensemble.json: K members, with the seeds `seed`, `seed` + 1, ...
void write_ensemble(const std::string& path, std::int64_t members, std::int64_t seed);
/// Empty for a run that is no ensemble. Throws Error for a file that is damaged.
std::vector<EnsembleMember> members_of(const std::string& path);

/// How all members stand together: finished when each of them is; the steps and the epoch of the
/// one that is least far; the mean of what they reach on validation. Throws Error where one has not
/// begun.
RunState state_of_members(const std::string& path, const std::vector<EnsembleMember>& members);
/// The members' models as an Ensemble. Throws Error for members of other data or settings.
std::shared_ptr<Density> load_members(const SavedRun& run,
                                      const std::vector<EnsembleMember>& members,
                                      const std::string& which, Device device, const Note& note);

}  // namespace nf::flows
