#include "cli/step_profile.h"

#include <cstdio>
#include <map>
#include <optional>

#include "cli/lines.h"
#include "tensor/backend.h"
#include "tensor/profile.h"

namespace nf::cli {

namespace {

constexpr double kMs = 1000;

// Null where the part has no such pass.
Json pass_ms(const Profile::Part& part, Profile::Pass pass, double steps) {
  const double seconds = part.passes[pass].seconds;
  return seconds > 0 ? Json(kMs * seconds / steps) : Json();
}

Json part_line(const Profile::Part& part, const std::string& name, double steps, double step_ms) {
  const auto& [other, forward, backward] = part.passes;
  const Profile::Cost all = part.total();
  const double ms = kMs * all.seconds / steps;
  return {{"name", name},
          {"forward_ms", pass_ms(part, Profile::Forward, steps)},
          {"backward_ms", pass_ms(part, Profile::Backward, steps)},
          {"ms", ms},
          {"share", ms / step_ms},
          {"forward_bytes", forward.bytes / steps},
          {"backward_bytes", backward.bytes / steps},
          {"bytes", all.bytes / steps},
          {"forward_flops", forward.flops / steps},
          {"backward_flops", backward.flops / steps},
          {"flops", all.flops / steps},
          {"gflops", all.flops > 0 ? Json(all.flops / all.seconds / 1e9) : Json()}};
}

// The trainer's own names are labels; a module is called as inspect calls it, the one at the root,
// which has no name, by its kind.
std::map<const void*, std::string> part_names(const flows::Density& density) {
  std::map<const void*, std::string> names;
  density.for_each_module([&](const std::string& name, const nn::Module& module) {
    names.emplace(&module, name.empty() ? module.kind() : name);
  });
  return names;
}

std::string cell(const Json& value, double unit, int decimals) {
  return value.is_null() || value == 0.0 ? "-" : fixed(value.get<double>() / unit, decimals);
}

}  // namespace

Json profile_steps(flows::Density& density, const data::Dataset& data, flows::FitOptions options,
                   std::int64_t steps) {
  options.graph = false;
  flows::Trainer trainer(density, data, options);
  std::optional<Profile> profile;
  std::vector<Profile::Part> parts;
  Profile::Cost whole;
  // From the end of one step to the end of another: what run() does before and after is no step.
  trainer.run({.on_step = [&](const flows::StepReport& report) {
    if (report.step == kUnwatchedSteps) {
      backend_for(density.device()).synchronize();
      profile.emplace();
    }
    if (report.step < kUnwatchedSteps + steps) return true;
    parts = profile->parts();
    whole = profile->whole();
    profile.reset();
    return false;
  }});

  const auto count = static_cast<double>(steps);
  const double step_ms = kMs * whole.seconds / count;
  const auto names = part_names(density);
  Json lines = Json::array();
  double explained = 0;
  for (const Profile::Part& part : parts) {
    const auto name = names.find(part.of);
    lines.push_back(
        part_line(part, name == names.end() ? part.label : name->second, count, step_ms));
    explained += lines.back()["share"].get<double>();
  }
  return {{"steps", steps}, {"step_ms", step_ms}, {"explained", explained}, {"lines", lines}};
}

std::string profile_text(const Json& profile, std::size_t width) {
  std::vector<std::vector<std::string>> rows = {
      {"layer", "forward", "backward", "ms", "share", "MB", "GFLOP/s"}};
  for (const Json& line : profile["lines"]) {
    rows.push_back({line["name"].get<std::string>(), cell(line["forward_ms"], 1, 3),
                    cell(line["backward_ms"], 1, 3), fixed(line["ms"], 3),
                    fixed(100 * line["share"].get<double>(), 1) + " %", cell(line["bytes"], 1e6, 2),
                    cell(line["gflops"], 1, 1)});
  }
  char last[160];
  std::snprintf(last, sizeof last, "  These lines are %.1f %% of an eager step of %.2f ms.\n",
                100 * profile["explained"].get<double>(), profile["step_ms"].get<double>());
  return table_text(rows, width, {.lines = true}) + last;
}

}  // namespace nf::cli
