// A small configuration with a setting of each kind: what is fuzzed is how they are read.
#pragma once

#include "flows/models/config.h"
#include "flows/models/model.h"

namespace nf::fuzz {

struct SomeSettings : flows::SettingsOf<SomeSettings> {
  std::int64_t couplings = 4;
  double scale_limit = 2;
  bool scaling = true;
  std::string prior = "logistic";
  std::string depths;

  std::vector<flows::Field> fields() override {
    return {{"couplings", "a whole number", &couplings, {}, 1, 1000},
            {"scale_limit", "a real number", &scale_limit, {}, 1e-3, 50},
            {"scaling", "yes or no", &scaling},
            {"prior", "one of some names", &prior, {"logistic", "gaussian"}},
            {"depths", "any text", &depths}};
  }
};

inline flows::Config some_config() { return {"some", std::make_unique<SomeSettings>()}; }

}  // namespace nf::fuzz

namespace nf::flows {

// There are no other models here: the library of all of them is not linked.
std::string of_other_models(const std::string&, const std::string&,
                            const std::function<std::string(const std::string&)>&) {
  return "";
}

}  // namespace nf::flows
