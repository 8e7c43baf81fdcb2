#include "flows/density.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <numbers>

#include "autograd/functions.h"
#include "tensor/philox.h"
#include "tensor/text.h"

namespace nf::flows {

Density::Density(std::int64_t dims, Convention convention, std::shared_ptr<Condition> condition)
    : dims_(dims), convention_(std::move(convention)), condition_(std::move(condition)) {
  if (condition_) add_module("condition", condition_);
}

Var Density::log_prob_rows(const Tensor& data, const Tensor& rows, const Tensor& given) {
  return log_prob(index_select(data, 0, rows), given_rows(given, rows));
}

Density::Drawn Density::draw(Generator&, std::int64_t, const Var&) {
  fail(str("[draw] ", kind(), " cannot give draws with their gradients"));
}

Var Density::context_of(const Var& given, std::int64_t n) const {
  if (!condition_) return given;
  if (condition_->given_dims() > 0) {
    NF_CHECK(given.defined(), "[density] the model is conditional: ", condition_->given_dims(),
             condition_->given_dims() == 1 ? " number has" : " numbers have",
             " to be given with each sample");
    NF_CHECK(given.shape() == Shape({n, condition_->given_dims()}), "[density] ", n,
             " samples need what is given as ", Shape({n, condition_->given_dims()}), ", got ",
             given.shape());
  }
  const nn::Call call(*condition_);
  const Var context = condition_->context(given);
  return context.dim(0) == n ? context : broadcast_to(context, {n, context.dim(1)});
}

void Density::check_description(const std::map<std::string, std::string>& said,
                                const std::string& file) const {
  using Json = nlohmann::json;
  const auto compare = [&](const std::string& name, const Json& theirs, const Json& ours) {
    NF_CHECK(theirs == ours, file, " is of a model with ", name, " = ", printable(theirs.dump()),
             ", not ", printable(ours.dump()), "; they do not belong together");
  };
  for (const auto& [key, ours] : description_) {
    const auto found = said.find(key);
    if (found == said.end()) continue;
    if (key != "settings") {
      compare(key, Json(printable(found->second)), Json(ours));
      continue;
    }
    const Json theirs = Json::parse(found->second, nullptr, /*allow_exceptions=*/false);
    NF_CHECK(theirs.is_object(), file, ": the settings in its metadata are damaged");
    const Json settings = Json::parse(ours);
    for (const auto& [name, value] : settings.items()) {
      if (theirs.contains(name)) compare(name, theirs[name], value);
    }
  }
}

double Density::bits_per_dim(double log_prob) const {
  return -log_prob / (static_cast<double>(dims_) * std::numbers::ln2);
}

std::optional<std::string> Density::nonfinite_input(const Tensor& given) {
  if (given.defined() && is_float(given.dtype()) && !all_finite(given)) return "what is given";
  std::optional<std::string> where;
  for_each_parameter([&](const std::string& name, Var& p) {
    if (!where && !all_finite(p.value())) where = "parameter " + name;
  });
  return where;
}

std::optional<std::string> Density::find_nonfinite(const Tensor& x, const Tensor& given) {
  const NoGrad no_grad;
  if (const auto where = nonfinite_input(given)) return where;
  if (!all_finite(log_prob(x.to(device()), given).value())) return "log_prob";
  return std::nullopt;
}

Examination::Examination(Density& density, std::uint64_t seed)
    : density_(density), was_training_(density.training()), keep_(density.generators()) {
  constexpr std::uint64_t kStream = 0x65766131;  // "eva1"
  density.eval();
  for (Generator* gen : density.generators()) {
    *gen = Generator(seed, round_stream(kStream, gen->stream()));
  }
}

Examination::~Examination() { density_.train(was_training_); }

}  // namespace nf::flows
