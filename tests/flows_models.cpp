// Models: their presets, and what they build.
#include <boost/test/unit_test.hpp>
#include <nlohmann/json.hpp>
#include <set>

#include "flows/models/build.h"
#include "flows/models/coupling_flow.h"
#include "nn/layers/linear.h"
#include "tensor/ops.h"
#include "tests/data_util.h"
#include "tests/trainings.h"

using namespace nf;
using namespace nf::flows;
using test::check_error;
using Json = nlohmann::json;

BOOST_AUTO_TEST_SUITE(flows_models)

BOOST_AUTO_TEST_CASE(nice_has_the_size_of_the_paper) {
  const Config config = preset("nice");
  const auto density = make_flow(config, {.dims = 784, .discrete = true});
  // 4 couplings of 392 -> 5 x 1000 -> 392, and 784 log scales.
  const std::int64_t net = (392 * 1000 + 1000) + 4 * (1000 * 1000 + 1000) + (1000 * 392 + 392);
  BOOST_CHECK_EQUAL(density->parameter_count(), 4 * net + 784);
  BOOST_CHECK_EQUAL(density->parameter_count(), 19'158'352);
  BOOST_CHECK_EQUAL(density->base().kind(), "StandardLogistic");
  const auto parameters = density->parameters();
  BOOST_CHECK_EQUAL(parameters.front().first, "couplings.0.net.0.weight");
  BOOST_CHECK_EQUAL(parameters.back().first, "scaling.log_scale");
  std::vector<nn::LayerInfo> rows;
  density->inspect({200, 784}, "", rows);
  std::int64_t total = 0;
  double flops = 0;
  std::set<std::string> names;
  for (const nn::LayerInfo& row : rows) {
    BOOST_CHECK(!row.name.empty() && !row.kind.empty() && names.insert(row.name).second);
    total += row.parameters;
    flops += row.flops;
  }
  BOOST_CHECK_EQUAL(total, density->parameter_count());
  // Products and activations of the networks; then the shifts; dequantise, scale, scaling, base.
  BOOST_CHECK_EQUAL(flops, 200.0 * 4 * (2 * (392 * 1000 * 2 + 4 * 1000 * 1000) + 5 * 1000 + 392) +
                               200.0 * 784 * (2 + 2 + 1 + 4) + 2 * 784);

  const FitOptions options = fit_options(config);
  BOOST_CHECK_EQUAL(options.batch_size, 200);
  BOOST_CHECK(options.optimizer.rule == UpdateRule::Adam);
  BOOST_CHECK_EQUAL(options.optimizer.beta2, 0.99);  // "0.01" in the paper's notation
}

// Layers and numbers of parameters on each data set, by hand from the paper's section 5.1 and from
// exp/*.yaml of its authors.
BOOST_AUTO_TEST_CASE(nice_knows_the_data_sets_of_its_paper) {
  const auto net = [](std::int64_t half, std::int64_t units, std::int64_t layers) {
    return half * units + units + (layers - 1) * (units * units + units) + units * half + half;
  };
  struct Case {
    const char* recipe;
    DataShape data;
    std::int64_t units;
    std::vector<int> depths;
    const char* base;
    std::vector<const char*> layers;
  };
  const DataShape mnist = {.dims = 784, .discrete = true, .family = "mnist"},
                  tfd = {.dims = 2304, .discrete = true, .channels = 1, .height = 48, .width = 48};
  const auto colour = [](const char* family) {
    return DataShape{
        .dims = 3072, .discrete = true, .channels = 3, .height = 32, .width = 32, .family = family};
  };
  const DataShape svhn = colour("svhn"), cifar = colour("cifar-10");
  const char *const unit = "Scale(0.00390625, 0)", *const symmetric = "Scale(0.0078125, -1)";
  const Case cases[] = {
      {"paper", mnist, 1000, {5, 5, 5, 5}, "StandardLogistic", {unit, "odd"}},
      {"paper", tfd, 5000, {4, 4, 4, 4}, "StandardNormal", {unit, "odd", "TriangularWhitening"}},
      {"paper", svhn, 2000, {4, 4, 4, 4}, "StandardLogistic", {unit, "odd", "ZcaWhitening"}},
      {"paper", cifar, 2000, {4, 4, 4, 4}, "StandardLogistic", {symmetric, "odd", "ZcaWhitening"}},
      {"code", mnist, 1000, {5, 5, 5, 5}, "StandardLogistic", {unit, "odd"}},
      {"code", tfd, 2000, {3, 3, 2, 2, 1, 1, 1, 1}, "StandardLogistic", {unit, "odd"}},
      {"code", svhn, 2000, {3, 3, 3, 3}, "StandardNormal", {unit, "1st given 2nd"}},
      {"code",
       cifar,
       2400,
       {1, 1, 3, 3, 2, 2, 1, 1},
       "StandardNormal",
       {symmetric, "1st given 2nd"}},
  };
  for (const Case& c : cases) {
    BOOST_TEST_CONTEXT(c.recipe << " " << c.data.family << " " << c.data.dims) {
      Config config = preset("nice", c.data, c.recipe);
      BOOST_TEST(coupling_flow(config).recipe == c.recipe);
      BOOST_TEST(coupling_flow(config).hidden_units == c.units);
      coupling_flow(config).hidden_units = 8;  // in full size they would need gigabytes
      const auto density = make_flow(config, c.data);
      BOOST_TEST(density->base().kind() == c.base);
      const std::int64_t dims = c.data.dims;
      std::vector<nn::LayerInfo> rows;
      density->inspect({1, dims}, "", rows);
      std::string all;
      std::int64_t parameters = dims;  // the last scales
      for (const auto& row : rows) all += row.name + " " + row.kind + "; ";
      for (const char* part : c.layers) BOOST_TEST(all.find(part) != std::string::npos, all);
      const bool triangular = all.find("TriangularWhitening") != std::string::npos;
      if (triangular) parameters += dims * dims + 2 * dims;
      for (const int depth : c.depths) parameters += net(dims / 2, 8, depth);
      BOOST_TEST(density->parameter_count() == parameters, all);
      BOOST_TEST((all.find("Whitening") == std::string::npos) ==
                 (coupling_flow(config).whitening == "none"));
    }
  }
}

BOOST_AUTO_TEST_CASE(presets_go_by_geometry_and_not_by_the_number_of_columns) {
  for (const char* recipe : {"paper", "code"}) {
    const DataShape table = {.dims = 3072}, flat = {.dims = 2304, .discrete = true};
    const DataShape wide = {
        .dims = 3072, .discrete = true, .channels = 3, .height = 16, .width = 64};
    for (const DataShape& data : {table, flat, wide}) {
      BOOST_CHECK(to_json(preset("nice", data, recipe)) ==
                  to_json(preset("nice", {.dims = 784, .discrete = true}, recipe)));
    }
  }
  const auto preprocess = [](const Config& config) { return coupling_flow(config).preprocess; };
  BOOST_TEST(preprocess(preset("nice-plus")) == "cdf");
  BOOST_TEST(preprocess(preset("nice-plus", {.dims = 5})) == "auto");  // no levels to count
}

BOOST_AUTO_TEST_CASE(preprocessing_that_does_not_apply_is_an_error) {
  for (const char* kind : {"unit", "symmetric", "cdf"}) {
    Config config = preset("nice");
    coupling_flow(config).hidden_units = 4;
    coupling_flow(config).preprocess = kind;
    check_error([&] { make_flow(config, {.dims = 6}); }, {kind, "is for pixels"});
  }
  Config config = preset("nice");
  coupling_flow(config).hidden_units = 4;
  config.data.types = "1=integer";
  check_error([&] { make_flow(config, {.dims = 6, .discrete = true}); }, {"[types]", "tables"});
  coupling_flow(config).preprocess = "none";
  check_error([&] { make_flow(config, {.dims = 6}); }, {"[types]", "preprocess = standard"});
}

BOOST_AUTO_TEST_CASE(load_options_are_those_of_the_configuration) {
  Config config = preset("nice");
  for (const char* text : {"split_by=town", "columns=a,b c", "types=a=integer", "layout=last",
                           "valid_data=v.csv", "test_data=t.csv", "test=7", "seed=5"}) {
    set(config, text);
  }
  const data::LoadOptions options = load_options(config);
  BOOST_CHECK(options.split_by == "town" && options.types == "a=integer" && options.seed == 5);
  BOOST_CHECK((options.columns == std::vector<std::string>{"a", "b c"}));
  BOOST_CHECK(options.layout == "last" && options.valid_data == "v.csv");
  BOOST_CHECK(options.test_data == "t.csv" && options.test == 7);
  BOOST_CHECK(to_json(from_json(Json::parse(to_json(config).dump()), preset("nice"), "")) ==
              to_json(config));
}

// The same density, told on [0,1], on [-1,1] and in bits/dim.
BOOST_AUTO_TEST_CASE(conventions_tell_one_density) {
  Config config = preset("nice");
  coupling_flow(config).hidden_units = 4;
  coupling_flow(config).data_init = false;
  const DataShape data = {.dims = 6, .discrete = true};
  const auto unit = make_flow(config, data);
  coupling_flow(config).preprocess = "symmetric";
  const auto symmetric = make_flow(config, data);
  BOOST_TEST(unit->convention().text.find("[0,1]^6") != std::string::npos);
  BOOST_TEST(symmetric->convention().text.find("bits/dim = 7 ") != std::string::npos);
  const double log_prob = -20, d = 6, ln2 = std::log(2.0);
  BOOST_TEST(unit->nats(log_prob) - symmetric->nats(log_prob) == d * ln2,
             boost::test_tools::tolerance(1e-12));
  for (const auto& [density, bits] : {std::pair(unit, 8.0), std::pair(symmetric, 7.0)}) {
    BOOST_TEST(density->bits_per_dim(log_prob) == bits - density->nats(log_prob) / (d * ln2),
               boost::test_tools::tolerance(1e-12));
  }
  // y = 2 u - 1 for u in [0,1]: with the identity behind, p_base(y) is the density on [-1,1].
  const Tensor u = Tensor::full({1, 6}, 128.5);
  const double at_zero = 6 * std::log(0.25);  // of the standard logistic, at 0.0039
  BOOST_TEST(symmetric->nats(symmetric->continuous()->log_prob(u).value().item()) == at_zero,
             boost::test_tools::tolerance(1e-4));
}

// Rows have channels last; the paper's vectors have one channel after the other.
BOOST_AUTO_TEST_CASE(nice_takes_colour_images_in_the_order_of_the_paper) {
  Config config = preset("nice");
  coupling_flow(config).hidden_units = 4;
  coupling_flow(config).last_init_scale = 1;  // not the identity
  const auto pixels =
      make_flow(config, {.dims = 12, .discrete = true, .channels = 3, .height = 2, .width = 2});
  const auto planes = make_flow(config, {.dims = 12, .discrete = true});
  Generator gen(1);
  const Tensor x = (uniform(gen, {5, 2, 2, 3}) * 256.0F).to(DType::U8);
  const auto by_channel = [](const Tensor& rows) {
    return rows.reshape({5, 2, 2, 3}).permute({0, 3, 1, 2}).contiguous().reshape({5, 12});
  };
  const Tensor rows = x.reshape({5, 12}), u = (rows.to(DType::F32) + 0.5);
  const auto log_prob = [](FlowDensity& density, const Tensor& at) {
    return density.continuous()->log_prob(at).value();
  };
  BOOST_CHECK_EQUAL(max(abs(log_prob(*pixels, u) - log_prob(*planes, by_channel(u)))).item(), 0);
  const Tensor z = pixels->encode(rows);
  BOOST_CHECK_EQUAL(max(abs(by_channel(z) - planes->encode(by_channel(rows)))).item(), 0);
  BOOST_CHECK_EQUAL(max(abs(pixels->decode(z) - rows.to(DType::F32))).item(), 0);
}

BOOST_AUTO_TEST_CASE(steps_of_a_table_follow_its_rows) {
  const Config built_in = preset("realnvp-2d", {.dims = 2, .unit_scale = true, .rows = 100'000});
  BOOST_CHECK_EQUAL(built_in.training.steps, 7000);
  BOOST_CHECK_EQUAL(built_in.training.batch_size, 300);
  BOOST_CHECK_EQUAL(built_in.training.patience, 0);
  struct Case {
    std::int64_t rows, batch_size, epochs, warmup;
  };
  for (const Case& c : std::initializer_list<Case>{{1, 50, 40, 4},
                                                   {500, 50, 40, 40},
                                                   {2400, 120, 40, 80},
                                                   {20'000, 300, 40, 200},
                                                   {300'000, 300, 20, 200},
                                                   {1'000'000, 1000, 20, 200},
                                                   {50'000'000, 1000, 5, 200}}) {
    const Config config = preset("realnvp-2d", {.dims = 7, .rows = c.rows});
    BOOST_TEST_CONTEXT(c.rows) {
      BOOST_CHECK_EQUAL(config.training.steps, 0);
      BOOST_CHECK_EQUAL(config.training.batch_size, c.batch_size);
      BOOST_CHECK_EQUAL(config.training.epochs, c.epochs);
      BOOST_CHECK_EQUAL(config.training.warmup, c.warmup);
      BOOST_CHECK_EQUAL(config.training.patience, 20);
      BOOST_CHECK_EQUAL(fit_options(config).patience, 20);
    }
  }
  BOOST_CHECK_EQUAL(preset("nice", {.dims = 784, .rows = 50'000}).training.patience,
                    0);  // as published
}

BOOST_AUTO_TEST_CASE(every_preset_builds_and_runs) {
  for (const std::string& name : preset_names()) {
    Config config = preset(name);
    BOOST_CHECK_EQUAL(config.model, name);
    // What a preset says is allowed, and survives its config.json.
    BOOST_CHECK(to_json(from_json(Json::parse(to_json(config).dump()), preset(name), "")) ==
                to_json(config));
    for (const bool discrete : {false, true}) {
      if (discrete && model_by_name(name).of_tables()) continue;
      const DataShape shape = test::shape_for(name, 16, discrete);
      config = preset(name, shape);
      test::set_where_known(config, {{"hidden_units", 8}, {"width", 8}});
      if (shape.levels == 2) set(config, "bits=1");
      const auto density = make_density(config, shape);
      const Tensor x =
          Tensor::full({3, 16}, shape.levels == 2 ? 1 : 7, shape.discrete ? DType::U8 : DType::F32);
      BOOST_CHECK(all_finite(density->log_prob(x).value()));
      Generator gen(1);
      BOOST_CHECK_EQUAL(density->sample(gen, 2).shape(), Shape({2, 16}));
      BOOST_CHECK_EQUAL(density->bound(), !test::of_levels(name) && (discrete || name == "vae"));
    }
    const FitOptions options = fit_options(config);
    BOOST_CHECK_EQUAL(options.steps, config.training.steps);
    BOOST_CHECK_EQUAL(options.optimizer.lr, config.training.lr);
  }
}

BOOST_AUTO_TEST_CASE(every_setting_reaches_the_model) {
  const auto build = [](const std::string& assignment, bool discrete = true) {
    Config config = preset("nice");
    coupling_flow(config).hidden_units = 4;
    coupling_flow(config).hidden_layers = 1;
    if (!assignment.empty()) set(config, assignment);
    return make_flow(config, {.dims = 6, .discrete = discrete});
  };
  const auto kinds = [](const std::shared_ptr<FlowDensity>& density) {
    std::vector<nn::LayerInfo> rows;
    density->inspect({1, 6}, "", rows);
    std::string all;
    for (const auto& row : rows) all += row.name + " " + row.kind + "; ";
    return all;
  };
  const std::string plain = kinds(build(""));
  for (const auto& [assignment, part] : std::initializer_list<std::pair<const char*, const char*>>{
           {"couplings=6", "couplings.5 Coupling"},
           {"coupling=affine", "Coupling(affine"},
           {"coupling=multiplicative", "Coupling(multiplicative"},
           {"partition=halves", "2nd given 1st"},
           {"hidden_units=5", "Linear(3 -> 5, relu)"},
           {"hidden_layers=3", "Linear(4 -> 4, relu)"},
           {"depths=1,2,1,1", "couplings.1.net.2 "},
           {"preprocess=symmetric", "Scale(0.0078125, -1)"},
           {"activation=tanh", "Linear(3 -> 4, tanh)"},
           {"prior=gaussian", "StandardNormal"},
           {"preprocess=logit", "Logit(alpha 1e-06)"}}) {
    const std::string changed = kinds(build(assignment));
    BOOST_CHECK_MESSAGE(changed.find(part) != std::string::npos, assignment << ": " << changed);
    BOOST_CHECK_MESSAGE(plain.find(part) == std::string::npos, assignment);
  }
  BOOST_CHECK(kinds(build("scaling=false")).find("Scaling") == std::string::npos);
  BOOST_CHECK(kinds(build("", /*discrete=*/false)).find("Dequantize") == std::string::npos);
  check_error([&] { build("preprocess=none"); }, {"[preprocess]", "unit, symmetric, logit or cdf"});
  check_error([&] { build("depths=3,3"); }, {"'3,3' has 2 numbers for 4 couplings"});
  check_error([&] { build("depths=3,x,1,1"); }, {"'x' is no number from 0 to 100"});
  check_error([&] { build("depths=1,1,1,101"); }, {"'101'"});
  check_error([&] { build("depths=1,,1,1"); }, {"''"});
  check_error([] { make_flow(preset("nice"), {.dims = 1}); }, {"[coupling]", "got 1"});

  const auto first_weight = [&](const std::string& assignment) {
    return build(assignment)->parameters()[0].second->value().to_vector<float>();
  };
  BOOST_CHECK(first_weight("seed=1") == first_weight(""));
  BOOST_CHECK(first_weight("seed=2") != first_weight(""));
  for (const char* init : {"xavier", "uniform", "normal", "orthogonal"}) {
    BOOST_CHECK(first_weight(str("init=", init)) != first_weight(""));
  }
  BOOST_CHECK(first_weight("init_scale=0") == std::vector<float>(12, 0));
}

// Every output of NICE depends on every input, and every dimension is changed by some coupling.
BOOST_AUTO_TEST_CASE(couplings_of_nice_mix_all_dimensions) {
  for (const char* partition : {"odd-even", "halves"}) {
    for (const std::int64_t dims : {6, 7}) {
      Config config = preset("nice");
      coupling_flow(config).partition = partition;
      coupling_flow(config).hidden_units = 12;
      coupling_flow(config).hidden_layers = 1;
      coupling_flow(config).activation = "tanh";  // has no dead units
      coupling_flow(config).preprocess = "none";
      coupling_flow(config).last_init_scale = 1;  // not the identity
      const auto density = make_flow(config, {.dims = dims});
      density->to(DType::F64);
      Generator gen(1);
      const Tensor x = normal(gen, {1, dims}, DType::F64);
      const Tensor z = density->encode(x);
      BOOST_CHECK_GT(min(abs(z - x)).item(), 1e-6);
      for (std::int64_t i = 0; i < dims; ++i) {
        Tensor moved = x.clone();
        moved.narrow(1, i, 1).add_(Tensor::full({1, 1}, 1e-3, DType::F64));
        BOOST_CHECK_GT(min(abs(density->encode(moved) - z)).item(), 1e-9);
      }
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()
