#include "flows/models/idle.h"

#include <algorithm>

#include "flows/models/build.h"
#include "tensor/error.h"

namespace nf::flows {

std::string first_idle(const std::vector<IdleRule>& rules, const std::string& key) {
  for (const IdleRule& rule : rules) {
    const bool meant = std::find(rule.keys.begin(), rule.keys.end(), key) != rule.keys.end();
    if (meant && rule.idle) return rule.why;
  }
  return "";
}

std::string why_idle(const Config& config, const DataShape& data, const std::string& key) {
  const TrainingSettings& t = config.training;
  const std::string last_weights = why_last_weights(config);
  const std::string why = first_idle(
      {
          {{"beta2", "eps"}, t.optimizer == "sgd", "optimizer = sgd has no second moment"},
          {{"lr_decay"},
           t.schedule != "exponential" && t.schedule != "step",
           str("schedule = ", t.schedule, " does not use it")},
          {{"lr_every"}, t.schedule != "step", str("schedule is ", t.schedule, ", not step")},
          {{"lr_lowest"}, t.schedule == "constant", "schedule is constant"},
          {{"epochs"},
           t.steps > 0,
           str("training ends after steps = ", t.steps, "; give one of both")},
          {{"patience"}, !last_weights.empty(), last_weights},
      },
      key);
  return why.empty() ? model_by_name(config.model).why_idle(config, data, key) : why;
}

}  // namespace nf::flows
