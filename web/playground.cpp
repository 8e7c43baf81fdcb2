#include "web/playground.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "data/toy2d.h"
#include "flows/models/build.h"
#include "flows/train/evaluate.h"
#include "nn/safetensors.h"
#include "tensor/ops.h"
#include "tensor/text.h"

namespace nf::web {

namespace {

// Rows are drawn before training: enough that none is met often, few enough to be there at once.
constexpr std::int64_t kTrain = 50'000, kHeldOut = 4'000;
constexpr std::uint64_t kTrainStream = 0x706C6179ULL << 8, kHeldOutStream = kTrainStream + 1,
                        kDrawStream = kTrainStream + 2;
constexpr double kReach = 4;  ///< of drawn points

data::Dataset in_the_plane(const std::string& name) {
  data::Dataset data;
  data.name = name;
  data.dims = 2;
  data.unit_scale = true;
  return data;
}

data::Dataset built_in(const std::string& name, std::uint64_t seed) {
  const data::Toy2d* const toy = data::find_toy2d(name);
  NF_CHECK(toy, "[playground] there is no density '", name, "'; give one of ",
           join(densities(), ", "));
  data::Dataset data = in_the_plane(name);
  data.entropy = toy->entropy;
  data.train.x = data::sample_toy2d(*toy, kTrain, seed, kTrainStream);
  data.valid.x = data::sample_toy2d(*toy, kHeldOut, seed, kHeldOutStream);
  return data;
}

/// (n, 2): points taken at random, with noise.
Tensor blurred(std::span<const float> points, double blur, std::int64_t n, std::uint64_t seed,
               std::uint64_t stream) {
  std::vector<float> rows;
  rows.reserve(static_cast<std::size_t>(2 * n));
  for (std::int64_t i = 0; i < n; ++i) {
    data::Draws draws(seed, stream, static_cast<std::uint64_t>(i));
    const auto at = static_cast<std::size_t>(draws.index(static_cast<int>(points.size() / 2)));
    for (const std::size_t k : {2 * at, 2 * at + 1}) {
      rows.push_back(static_cast<float>(points[k] + blur * draws.normal()));
    }
  }
  return Tensor::from<float>(rows, {n, 2});
}

data::Dataset drawn(std::span<const float> points, double blur, std::uint64_t seed) {
  NF_CHECK(points.size() >= 4 && points.size() % 2 == 0, "[playground] ", points.size() / 2,
           " points were drawn; draw at least two");
  for (const float p : points) {
    NF_CHECK(std::abs(p) <= kReach, "[playground] a point lies at ", p, ", beyond ", kReach);
  }
  NF_CHECK(blur > 0 && blur <= 1, "[playground] a blur of ", blur, "; it is above 0, at most 1");
  data::Dataset data = in_the_plane("drawn");
  data.train.x = blurred(points, blur, kTrain, seed, kTrainStream);
  data.valid.x = blurred(points, blur, kHeldOut, seed, kHeldOutStream);
  return data;
}

/// What weights say of their model, as a configuration that makes it again. They tell the width of
/// the networks by their shapes.
flows::Config described(const nlohmann::json& settings, const nn::SafetensorsFile& file,
                        const std::string& model, const flows::DataShape& shape) {
  flows::Config config = flows::preset(model, shape);
  nlohmann::json known = nlohmann::json::object();
  const auto first = file.tensors.find("couplings.0.net.0.weight");
  if (first != file.tensors.end() && first->second.rank() == 2) {
    known["hidden_units"] = first->second.dim(0);
  }
  for (const auto& [key, value] : settings.items()) {
    const auto fields = config.fields();
    const bool there = std::any_of(fields.begin(), fields.end(),
                                   [&name = key](const auto& field) { return field.key == name; });
    if (!there) continue;
    // A file may hold lists within lists, deeper than any stack.
    const bool flat =
        value.is_array() &&
        std::all_of(value.begin(), value.end(), [](const auto& v) { return v.is_primitive(); });
    NF_CHECK(value.is_primitive() || flat, "[playground] the setting ", printable(key),
             " of the weights is neither a value nor a list of values");
    if (!value.is_array()) {
      known[key] = value;
      continue;
    }
    const std::string list = value.dump();  // [5,5,5], as a setting 5,5,5
    known[key] = list.substr(1, list.size() - 2);
  }
  return flows::from_json(known, config, "[playground] ");
}

}  // namespace

std::vector<std::string> densities() {
  std::vector<std::string> names;
  for (const data::Toy2d& toy : data::toys2d()) names.emplace_back(toy.name);
  return names;
}

Playground::Playground(const std::string& model, const std::string& density, std::int64_t steps,
                       std::uint64_t seed)
    : Playground(model, built_in(density, seed), steps, seed) {}

Playground::Playground(const std::string& model, std::span<const float> points, double blur,
                       std::int64_t steps, std::uint64_t seed)
    : Playground(model, drawn(points, blur, seed), steps, seed) {}

Playground::Playground(const std::string& model, data::Dataset data, std::int64_t steps,
                       std::uint64_t seed)
    : data_(std::move(data)), draws_(seed, kDrawStream) {
  NF_CHECK(steps >= 1, "[playground] ", steps, " steps; give at least 1");
  const flows::DataShape shape{.dims = 2, .unit_scale = true};
  flows::Config config = flows::preset(model, shape);
  config.training.steps = steps;
  config.training.warmup = std::min(config.training.warmup, steps / 10);
  config.training.seed = static_cast<std::int64_t>(seed);
  flow_ = flows::make_flow(config, shape);
  flows::FitOptions options = flows::fit_options(config);
  options.keep_best = false;
  trainer_ = std::make_unique<flows::Trainer>(*flow_, data_, options);
}

double Playground::train(std::int64_t updates) {
  double sum = 0;
  std::int64_t done = 0;
  if (!trainer_->done()) {
    trainer_->run({.on_step = [&](const flows::StepReport& report) {
      sum -= report.nats;
      return ++done < updates;
    }});
  }
  return done == 0 ? std::numeric_limits<double>::quiet_NaN() : sum / static_cast<double>(done);
}

double Playground::loss() { return -flows::evaluate(*flow_, data_.valid.x).nats; }

Tensor Playground::data(std::int64_t n) const {
  return data_.train.x.narrow(0, 0, std::clamp<std::int64_t>(n, 0, kTrain));
}

Tensor Playground::samples(std::int64_t n) {
  const flows::Examination examination(*flow_);
  return flow_->sample(draws_, n);
}

Tensor Playground::warped(const Tensor& z) {
  const flows::Examination examination(*flow_);
  return flow_->decode(z);
}

Tensor Playground::density(std::int64_t side, double extent) {
  std::vector<float> middles;
  const auto middle = [&](std::int64_t i) {
    return static_cast<float>(extent *
                              ((2.0 * static_cast<double>(i) + 1) / static_cast<double>(side) - 1));
  };
  for (std::int64_t row = 0; row < side; ++row) {
    for (std::int64_t column = 0; column < side; ++column) {
      middles.push_back(middle(column));
      middles.push_back(middle(row));
    }
  }
  const flows::Examination examination(*flow_);
  return exp(flow_->log_prob(Tensor::from<float>(middles, {side * side, 2})).value())
      .reshape({side, side});
}

Digits::Digits(const std::string& path, std::uint64_t seed) : draws_(seed, kDrawStream) {
  const nn::SafetensorsFile file = nn::load_safetensors(path);
  const auto model = file.metadata.find("model"), settings = file.metadata.find("settings");
  NF_CHECK(model != file.metadata.end() && settings != file.metadata.end(),
           "[playground] these weights do not say of which model they are; take best.safetensors "
           "of a run of flowcli");
  const auto json = nlohmann::json::parse(settings->second, nullptr, /*allow_exceptions=*/false);
  NF_CHECK(json.is_object() && json.contains("dims") && json["dims"].is_number_integer() &&
               json.contains("levels") && json["levels"].is_number_integer(),
           "[playground] what these weights say of their model cannot be read");
  const auto dims = json["dims"].get<std::int64_t>();
  side_ = std::llround(std::sqrt(static_cast<double>(dims)));
  NF_CHECK(dims > 0 && dims <= 64 * 64 && side_ * side_ == dims && json["levels"] == 256,
           "[playground] these weights are of ", dims,
           " numbers, no square pictures of 256 levels; take those of nice on mnist or glyphs");
  const flows::DataShape shape{
      .dims = dims, .discrete = true, .channels = 1, .height = side_, .width = side_};
  flow_ = flows::make_flow(described(json, file, model->second, shape), shape);
  flow_->load_state(file.tensors);
  flow_->eval();
}

Tensor Digits::samples(std::int64_t n, double temperature) {
  const flows::Examination examination(*flow_);
  return flow_->sample(draws_, n, temperature);
}

}  // namespace nf::web
