// A training step under a Profile: which parts it has, and exact bytes and products of known
// layers.
#include <boost/test/unit_test.hpp>
#include <map>
#include <optional>

#include "flows/compose.h"
#include "flows/flow_density.h"
#include "flows/layers/coupling.h"
#include "flows/layers/permute.h"
#include "flows/train/fit.h"
#include "nn/nets/mlp.h"
#include "tensor/profile.h"

using namespace nf;
using namespace nf::flows;

namespace {

constexpr std::int64_t kRows = 50, kDims = 6;

/// A user's layer, which knows nothing of profiles: y = x exp(s).
class Stretch : public Bijection {
 public:
  Stretch() : s_(add_parameter("s", Tensor::zeros({kDims}))) {}
  Mapped forward(const Var& x, const Var&) override {
    return {x * exp(s_), zero_log_det(x) + sum(s_)};
  }
  Mapped inverse(const Var& z, const Var&) override {
    return {z * exp(-s_), zero_log_det(z) - sum(s_)};
  }
  std::string kind() const override { return "Stretch"; }

 private:
  Var& s_;
};

std::shared_ptr<FlowDensity> small_density() {
  Generator gen(1);
  auto flow = std::make_shared<Compose>();
  flow->add("stretch", std::make_shared<Stretch>());
  flow->add("couplings.0",
            std::make_shared<Coupling>(
                Partition::halves(kDims, false), map_by_name("affine"),
                nn::mlp({.in = 3, .out = 6, .hidden_units = 8, .hidden_layers = 1}, gen)));
  return std::make_shared<FlowDensity>(flow, base_by_name("gaussian"), kDims);
}

using Parts = std::map<std::string, Profile::Part>;

Parts parts_of(const Profile& profile, const nn::Module& module) {
  std::map<const void*, std::string> names;
  module.for_each_module(
      [&](const std::string& name, const nn::Module& m) { names.emplace(&m, name); });
  Parts parts;
  for (const Profile::Part& part : profile.parts()) {
    const auto name = names.find(part.of);
    parts.emplace(name == names.end() ? "(" + part.label + ")" : name->second, part);
  }
  return parts;
}

std::string names_of(const Parts& parts) {
  std::string names;
  for (const auto& [name, part] : parts) names += name + "; ";
  return names;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(flows_profile)

BOOST_AUTO_TEST_CASE(a_linear_layer_to_the_byte) {
  constexpr double kIn = 7, kOut = 11, kN = 20, kFloat = 4;
  Generator gen(1);
  nn::Linear layer({.in = 7, .out = 11}, gen);
  const Var x = Var::leaf(normal(gen, {20, 7})), y = normal(gen, {20, 11});
  Profile profile;
  const Profile::Scope step("step", Profile::Forward);
  Tape tape;
  const Var out = layer(x);
  tape.backward({&out, 1}, {&y.value(), 1});
  const Parts parts = parts_of(profile, layer);
  BOOST_TEST_REQUIRE(parts.size() == 1U);
  const auto& [none, forward, backward] = parts.at("").passes;
  BOOST_TEST(forward.bytes == kFloat * (kN * kIn + kIn * kOut + kOut + kN * kOut));
  BOOST_TEST(forward.flops == 2 * kN * kIn * kOut);
  // dx = dy w, dw = dy^T x, db = the sums of dy's columns
  BOOST_TEST(backward.bytes == kFloat * ((kN * kOut + kIn * kOut + kN * kIn) +
                                         (kN * kOut + kN * kIn + kIn * kOut) + (kN * kOut + kOut)));
  BOOST_TEST(backward.flops == 2 * 2 * kN * kIn * kOut);
  BOOST_TEST(none.operations == 0);
}

BOOST_AUTO_TEST_CASE(every_layer_of_a_training_step_a_users_too) {
  const auto density = small_density();
  data::Dataset data;
  data.dims = kDims;
  Generator gen(2);
  data.train = {normal(gen, {4 * kRows, kDims}), {}};
  Trainer trainer(*density, data, {.batch_size = kRows, .clip_norm = 1, .ema_decay = 0.9});
  double seconds = 0;
  std::optional<Profile> profile;
  Parts parts;
  trainer.run({.on_step = [&](const StepReport& report) {
    if (report.step == 1) profile.emplace([&] { return seconds++; });
    if (report.step < 3) return true;
    parts = parts_of(*profile, *density);
    double sum = profile->rest().seconds;
    for (const auto& [name, part] : parts) sum += part.total().seconds;
    BOOST_TEST(sum == profile->whole().seconds);
    profile.reset();
    return false;
  }});
  BOOST_TEST(names_of(parts) ==
             "; (averages); (data); (gradient norm); (loss); (optimizer); base; couplings.0; "
             "couplings.0.net.0; couplings.0.net.1; stretch; ");
  for (const char* name : {"", "base", "couplings.0", "couplings.0.net.0", "stretch", "(loss)"}) {
    for (const Profile::Pass pass : {Profile::Forward, Profile::Backward}) {
      BOOST_TEST(parts.at(name).passes[pass].seconds > 0, name << pass);
    }
    BOOST_TEST(parts.at(name).passes[Profile::None].operations == 0, name);
  }
  const double numbers = static_cast<double>(density->parameter_count());
  const Profile::Cost adam = parts.at("(optimizer)").passes[Profile::None];
  BOOST_TEST(adam.bytes == 2 * 4 * (7 * numbers + 1));  // p, m and v twice, the gradient; the scale
  BOOST_TEST(parts.at("(averages)").total().bytes == 2 * 4 * 3 * numbers);
  // Two steps of x w^T, dy w and dy^T x. Nothing below the first layer but `stretch` wants dx.
  BOOST_TEST(parts.at("couplings.0.net.0").total().flops == 2 * 3 * 2.0 * kRows * 3 * 8);
}

// What backward runs forward again is of the layer and of backward.
BOOST_AUTO_TEST_CASE(recomputed_layers_are_their_own) {
  const auto density = small_density();
  Generator gen(3);
  const Var x = Var::leaf(normal(gen, {kRows, kDims}));
  Profile profile;
  Tape tape;
  const Mapped out = invertible(density->transform(), x);
  const Parts before = parts_of(profile, *density);
  tape.backward(sum(out.log_det));
  const Parts after = parts_of(profile, *density);
  for (const char* name : {"couplings.0.net.0", "couplings.0", "stretch"}) {
    BOOST_TEST(before.at(name).total().operations > 0, name);
    BOOST_TEST(after.at(name).passes[Profile::Backward].operations >
                   after.at(name).passes[Profile::None].operations,
               name);
  }
}

BOOST_AUTO_TEST_SUITE_END()
