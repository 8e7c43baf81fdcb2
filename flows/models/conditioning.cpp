#include "flows/models/conditioning.h"

#include <nlohmann/json.hpp>

#include "flows/layers/conditions.h"
#include "flows/layers/elementwise.h"
#include "flows/maps/affine.h"
#include "flows/models/idle.h"
#include "nn/layers/linear.h"

namespace nf::flows {

std::vector<Field> Conditioning::fields() {
  return {
      {"embedding",
       "learned numbers that stand for a given label (0: a 1 at its place among zeros)",
       &embedding,
       {},
       0,
       10'000},
      {"conditional_prior", "location and scale of the latents follow what is given",
       &conditional_prior},
  };
}

std::shared_ptr<Condition> make_condition(const Conditioning& settings, const DataShape& data,
                                          Generator& weights) {
  if (data.given.empty()) return nullptr;
  if (data.given_classes == 0) return std::make_shared<ColumnCondition>(data.given);
  return std::make_shared<LabelCondition>(data.given_classes, settings.embedding, weights);
}

std::int64_t context_dims(const Conditioning& settings, const DataShape& data) {
  if (data.given.empty()) return 0;
  if (data.given_classes == 0) return std::ssize(data.given);
  return settings.embedding > 0 ? settings.embedding : data.given_classes;
}

void add_conditional_prior(const Conditioning& settings, const DataShape& data, double scale_limit,
                           Generator& weights, Compose& flow) {
  if (data.given.empty() || !settings.conditional_prior) return;
  const auto map = affine_map(scale_limit);
  const auto net =
      std::make_shared<nn::Linear>(nn::LinearOptions{.in = context_dims(settings, data),
                                                     .out = data.dims * map->parameters_per_dim(),
                                                     .init = {nn::Init::Kind::Zeros, 0}},
                                   weights);
  flow.add("conditional_prior", std::make_shared<Elementwise>(map, net));
}

double embedding_parameters(const Conditioning& settings, const DataShape& data) {
  return static_cast<double>(settings.embedding) * data.given_classes;
}

double conditioning_parameters(const Conditioning& settings, const DataShape& data) {
  const auto context = static_cast<double>(context_dims(settings, data));
  double count = embedding_parameters(settings, data);
  if (context > 0 && settings.conditional_prior) {
    count += (context + 1) * 2 * static_cast<double>(data.dims);
  }
  return count;
}

void describe_given(const Conditioning& settings, const DataShape& data,
                    nlohmann::ordered_json& json) {
  if (data.given.empty()) return;
  json["given"] = data.given;
  json["given_classes"] = data.given_classes;
  json["embedding"] = settings.embedding;
  json["conditional_prior"] = settings.conditional_prior;
}

std::string why_idle(const Conditioning&, const DataShape& data, const std::string& key) {
  return first_idle({{{"conditional_prior"}, data.given.empty(), "nothing is given (--given)"},
                     {{"embedding"}, data.given_classes == 0, "no label is given (--given label)"}},
                    key);
}

}  // namespace nf::flows
