// maf, nsf and made: their sizes, what their settings build, and what follows from what is given.
#include <boost/test/unit_test.hpp>

#include "flows/models/autoregressive_flow.h"
#include "flows/models/build.h"
#include "flows/models/idle.h"
#include "tensor/ops.h"
#include "tests/data_util.h"

using namespace nf;
using namespace nf::flows;
using test::check_error;

BOOST_AUTO_TEST_SUITE(flows_autoregressive_models)

namespace {

Config configured(const std::string& model, const DataShape& data,
                  const std::vector<std::string>& settings) {
  Config config = preset(model, data);
  for (const std::string& setting : settings) set(config, setting);
  return config;
}

std::string kinds(const Config& config, const DataShape& data) {
  std::vector<nn::LayerInfo> rows;
  make_flow(config, data)->inspect({1, data.dims}, "", rows);
  std::string all;
  for (const auto& row : rows) all += row.name + " " + row.kind + "; ";
  return all;
}

}  // namespace

// 5 MADEs of two hidden layers: 17.3 million parameters for MNIST, 0.06 for POWER.
BOOST_AUTO_TEST_CASE(maf_has_the_sizes_of_the_paper) {
  struct Row {
    DataShape data;
    std::int64_t units;
  };
  const DataShape mnist{
      .dims = 784, .discrete = true, .channels = 1, .height = 28, .width = 28, .family = "mnist"};
  for (const auto& [data, units] :
       {Row{{.dims = 6}, 100}, Row{{.dims = 21}, 512}, Row{{.dims = 63}, 1024}, Row{mnist, 1024}}) {
    const std::int64_t d = data.dims;
    const std::int64_t made = (d + 1) * units + (units + 1) * units + (units + 1) * 2 * d;
    BOOST_TEST(make_density(preset("maf", data), data)->parameter_count() == 5 * made);
    BOOST_TEST(parameter_count(preset("maf", data), data) == 5.0 * static_cast<double>(made));
  }
  BOOST_TEST(parameter_count(preset("maf", mnist), mnist) == 17.3e6,
             boost::test_tools::tolerance(0.01));
  const std::string all = kinds(configured("maf", mnist, {"hidden_units=3"}), mnist);
  for (const char* part : {"logit Logit(alpha 1e-06)", "layers.4 Autoregressive(gaussian, 784)",
                           "mixings.4 Permute(784)", "norms.4 BatchNorm(all)"}) {
    BOOST_TEST(all.find(part) != std::string::npos, part << " is not in " << all);
  }
}

BOOST_AUTO_TEST_CASE(settings_reach_the_layers) {
  const DataShape data{.dims = 4};
  const std::string plain = kinds(configured("nsf", data, {"hidden_units=3"}), data);
  for (const auto& [setting, part] : std::initializer_list<std::pair<const char*, const char*>>{
           {"layers=11", "layers.10 Autoregressive(spline of 8 bins, 4)"},
           {"kind=coupling", "layers.1 Coupling(spline of 8 bins, 1st given 2nd)"},
           {"map=gaussian", "Autoregressive(gaussian, 4)"},
           {"map=additive", "Autoregressive(additive, 4)"},
           {"map=mixture", "Autoregressive(mixture of 8, 4)"},
           {"components=5", "spline of 5 bins"},
           {"net=plain", "layers.0.net.2 MaskedLinear(3 -> 92)"},
           {"hidden_units=5", "MaskedLinear(4 -> 5)"},
           {"hidden_layers=3", "blocks.2.outer MaskedLinear(3 -> 3)"},
           {"activation=tanh", "MaskedLinear(3 -> 3, tanh)"},
           {"mixing=reverse", "mixings.1 Permute(4)"},
           {"mixing=linear", "mixings.1 InvertibleLinear(4)"},
           {"norm=batch", "norms.0 BatchNorm(all)"},
           {"norm=act", "norms.9 ActNorm"},
           {"prior=logistic", "StandardLogistic"}}) {
    const std::string changed = kinds(configured("nsf", data, {"hidden_units=3", setting}), data);
    BOOST_TEST(changed.find(part) != std::string::npos, setting << ": " << changed);
    BOOST_TEST(plain.find(part) == std::string::npos, setting << ": " << plain);
  }
  // Tails beyond the bound are those of the other layers alone.
  const auto z_of = [&](const char* bound) {
    Config config =
        configured("nsf", data, {"hidden_units=3", "layers=1", "preprocess=none", bound});
    const auto flow = make_flow(config, data);
    Generator gen(1);
    flow->for_each_parameter(
        [&](const std::string&, Var& p) { p.mutable_value().copy_(normal(gen, p.shape())); });
    return flow->encode(Tensor::full({1, 4}, 2.5)).to_vector<float>();
  };
  BOOST_TEST(z_of("bound=2") == std::vector<float>(4, 2.5F));
  BOOST_TEST(z_of("bound=3") != std::vector<float>(4, 2.5F));
}

BOOST_AUTO_TEST_CASE(what_does_not_go_together_is_told) {
  const DataShape one{.dims = 1}, four{.dims = 4};
  const auto make = [](const std::string& model, const DataShape& data,
                       const std::vector<std::string>& settings) {
    return [=] { make_density(configured(model, data, settings), data); };
  };
  check_error(make("nsf", one, {"kind=coupling"}), {"[kind] a coupling needs two dimensions"});
  check_error(make("nsf", four, {"components=1"}), {"[components] a spline needs 2 bins"});
  for (const char* model : {"maf", "nsf", "made"}) {
    const auto flow = make_flow(configured(model, one, {"hidden_units=3"}), one);
    BOOST_TEST(all_finite(flow->log_prob(Tensor::full({2, 1}, 0.3)).value()));
  }
  const auto idle = [&](const std::string& model, const std::vector<std::string>& settings,
                        const char* key) {
    return !why_idle(configured(model, four, settings), four, key).empty();
  };
  for (const char* key : {"bound", "components"}) {
    BOOST_TEST(idle("maf", {}, key));
    BOOST_TEST(!idle("nsf", {}, key));
  }
  BOOST_TEST((idle("nsf", {}, "scale_limit") && !idle("maf", {}, "scale_limit")));
  BOOST_TEST((idle("made", {}, "mixing") && !idle("maf", {}, "mixing")));
  BOOST_TEST((idle("maf", {"hidden_layers=0"}, "activation") && !idle("maf", {}, "activation")));
  BOOST_TEST((idle("maf", {}, "alpha") && !idle("maf", {"preprocess=logit"}, "alpha")));
}

// The first dimension, which sees no other, depends on what is given, too.
BOOST_AUTO_TEST_CASE(every_dimension_follows_what_is_given) {
  const DataShape data{.dims = 3, .given = {"label"}, .given_classes = 2};
  for (const char* model : {"maf", "nsf", "made"}) {
    const auto flow = make_flow(
        configured(model, data,
                   {"hidden_units=6", "layers=1", "conditional_prior=false", "activation=tanh"}),
        data);
    Generator gen(1);
    flow->for_each_parameter(
        [&](const std::string&, Var& p) { p.mutable_value().copy_(normal(gen, p.shape()) * 0.5); });
    flow->eval();
    const Tensor x = Tensor::full({1, 3}, 0.5);
    const auto given = [](int label) { return Var(Tensor::full({1, 1}, label, DType::I32)); };
    const Tensor difference = flow->encode(x, given(0)) - flow->encode(x, given(1));
    BOOST_TEST(min(abs(difference)).item() > 1e-4, model);
  }
}

BOOST_AUTO_TEST_SUITE_END()
