// Conditioning: what models share that may be conditional.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "flows/compose.h"
#include "flows/condition.h"
#include "flows/models/config.h"

namespace nf::flows {

/// Settings: struct members of those of a model. They do something where data.given is set.
struct Conditioning {
  std::int64_t embedding = 0;
  bool conditional_prior = true;

  std::vector<Field> fields();
};

/// The condition of what the data give; nothing where they give nothing. Embeddings are drawn from
/// `weights`.
std::shared_ptr<Condition> make_condition(const Conditioning& settings, const DataShape& data,
                                          Generator& weights);
/// C of that condition; 0 without one.
std::int64_t context_dims(const Conditioning& settings, const DataShape& data);
/// With conditional_prior, adds the layer that makes the base distribution's location and scale
/// depend on what is given: linear in the context, at first the identity.
void add_conditional_prior(const Conditioning& settings, const DataShape& data, double scale_limit,
                           Generator& weights, Compose& flow);
/// How many parameters the condition has.
double embedding_parameters(const Conditioning& settings, const DataShape& data);
/// About how many parameters the two have.
double conditioning_parameters(const Conditioning& settings, const DataShape& data);
/// What a file of weights says of it, where something is given (docs/weights.md).
void describe_given(const Conditioning& settings, const DataShape& data,
                    nlohmann::ordered_json& json);
/// Why `key`, one of these settings, changes nothing; empty when it does something.
std::string why_idle(const Conditioning& settings, const DataShape& data, const std::string& key);

}  // namespace nf::flows
