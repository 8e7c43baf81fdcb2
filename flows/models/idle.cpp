#include "flows/models/idle.h"

#include <algorithm>
#include <vector>

#include "tensor/error.h"

namespace nf::flows {

namespace {

struct Rule {
  std::vector<std::string> keys;
  bool idle;
  std::string why;
};

// Whether the data pass through a logit, whose alpha it is.
bool has_logit(const Config& config, const DataShape& data) {
  return config.preprocess == "logit" || (config.preprocess == "cdf" && data.discrete);
}

std::vector<Rule> rules(const Config& c, const DataShape& data) {
  const bool plain_momentum = c.optimizer == "sgd";
  return {
      {{"recipe"}, c.model != "nice", str("only nice has recipes, the model is ", c.model)},
      {{"hidden_layers"}, !c.depths.empty(), str("depths = ", c.depths, " says how many")},
      {{"scale_limit"}, c.coupling == "additive", "coupling = additive has no scales"},
      {{"mixing"}, c.couplings == 1, "there is only one coupling"},
      {{"whitening_last"}, c.whitening == "none", "whitening is none"},
      {{"data_init", "scale_rate"}, !c.scaling, "scaling is false"},
      {{"alpha"}, !has_logit(c, data), str("preprocess = ", c.preprocess, " has no logit")},
      {{"beta2", "eps"}, plain_momentum, "optimizer = sgd has no second moment"},
      {{"lr_decay"},
       c.schedule != "exponential" && c.schedule != "step",
       str("schedule = ", c.schedule, " does not use it")},
      {{"lr_every"}, c.schedule != "step", str("schedule is ", c.schedule, ", not step")},
      {{"lr_lowest"}, c.schedule == "constant", "schedule is constant"},
      {{"epochs"}, c.steps > 0, str("training ends after steps = ", c.steps, "; give one of both")},
  };
}

}  // namespace

std::string why_idle(const Config& config, const DataShape& data, const std::string& key) {
  for (const Rule& rule : rules(config, data)) {
    const bool meant = std::find(rule.keys.begin(), rule.keys.end(), key) != rule.keys.end();
    if (meant && rule.idle) return rule.why;
  }
  return "";
}

}  // namespace nf::flows
