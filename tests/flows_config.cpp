// Config: every field by JSON and by --set.
#include "flows/models/config.h"

#include <boost/test/unit_test.hpp>
#include <nlohmann/json.hpp>
#include <set>

#include "flows/models/build.h"
#include "flows/models/coupling_flow.h"
#include "tensor/ops.h"
#include "tests/data_util.h"

using namespace nf;
using namespace nf::flows;
using test::check_error;
using Json = nlohmann::json;

namespace {

/// A value other than the one that is there, with all the digits that the type has.
Json another_value(const Field& field) {
  return std::visit(
      [&]<class T>(const T* member) -> Json {
        const T now = *member;
        if constexpr (std::is_same_v<T, bool>) {
          return !now;
        } else if constexpr (std::is_same_v<T, std::string>) {
          for (const std::string& choice : field.choices) {
            if (choice != now) return choice;
          }
          return now + "-x=\"y z\"";
        } else if constexpr (std::is_same_v<T, double>) {
          const double room = std::min(field.highest, 1e4) - field.lowest;
          return field.lowest + room * 0.12345678901234567;
        } else {
          return now + (static_cast<double>(now) < field.highest ? 1 : -1);
        }
      },
      field.value);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(flows_config)

BOOST_AUTO_TEST_CASE(every_field_goes_through_json_and_set) {
  for (const std::string& model : preset_names()) {
    const Config base = preset(model);
    std::set<std::string> keys;
    std::size_t settings = 1;  // the model's name
    for (const Field& field : base.fields()) {
      BOOST_TEST_CONTEXT(model << " " << field.key) {
        BOOST_CHECK(keys.insert(field.key).second);
        BOOST_CHECK(!field.help.empty());
        const Json value = another_value(field);
        Config changed = from_json({{field.key, value}}, base, "test: ");
        const auto json = to_json(changed);
        const auto in = [&](const auto& all) -> Json {
          return all.at(field.group).at(field.name_in_group());
        };
        BOOST_CHECK(in(json) == value);
        BOOST_CHECK(in(to_json(base)) != value);
        BOOST_CHECK(to_json(from_json(Json::parse(json.dump()), base, "test: ")) == json);
        Config one = base;
        set(one, field.key + "=" + changed.field(field.key).text());
        BOOST_CHECK(to_json(one) == json);
      }
      ++settings;
    }
    for (const auto& group : to_json(base)) settings -= group.size();
    BOOST_CHECK_EQUAL(settings, 0U);
  }
}

// config.json holds every member: a new one needs its line in fields().
BOOST_AUTO_TEST_CASE(every_member_is_a_field) {
  const auto bytes = [](std::vector<Field> fields) {
    std::size_t all = 0;
    for (const Field& field : fields) {
      all += std::visit([]<class T>(const T*) { return sizeof(T); }, field.value);
    }
    return all;
  };
  constexpr std::size_t kPadding = 32;  // between members, and what a virtual table takes
  BOOST_CHECK_GE(bytes(TrainingSettings().fields()) + kPadding, sizeof(TrainingSettings));
  BOOST_CHECK_GE(bytes(DataSettings().fields()) + kPadding, sizeof(DataSettings));
  BOOST_CHECK_GE(bytes(OutputSettings().fields()) + kPadding, sizeof(OutputSettings));
  BOOST_CHECK_GE(bytes(CouplingFlowSettings().fields()) + kPadding, sizeof(CouplingFlowSettings));
}

BOOST_AUTO_TEST_CASE(a_copy_has_settings_of_its_own) {
  const Config first = preset("nice");
  Config second = first;
  set(second, "couplings=9");
  BOOST_CHECK_EQUAL(coupling_flow(first).couplings, 4);
  Config third = preset("nice-plus");
  third = second;
  set(second, "couplings=2");
  BOOST_CHECK_EQUAL(coupling_flow(third).couplings, 9);
  BOOST_CHECK_EQUAL(third.model, "nice");
}

BOOST_AUTO_TEST_CASE(what_is_not_given_stays) {
  Config base = preset("nice");
  base.training.lr = 0.5;
  const Config config = from_json({{"couplings", 7}}, base, "");
  BOOST_CHECK_EQUAL(coupling_flow(config).couplings, 7);
  BOOST_CHECK_EQUAL(config.training.lr, 0.5);
  Config config2 = preset("nice");
  set(config2, "epochs=1e3");
  BOOST_CHECK_EQUAL(config2.training.epochs, 1000);
  set(config2, "data=idx:/a/b=c");
  BOOST_CHECK_EQUAL(config2.data.source, "idx:/a/b=c");
  set(config2, "scaling=false");
  BOOST_CHECK(!coupling_flow(config2).scaling);
}

BOOST_AUTO_TEST_CASE(a_configuration_may_be_nested_or_flat) {
  const Json nested = {{"model", {{"name", "nice-plus"}, {"couplings", 7}}},
                       {"training", {{"lr", 0.25}}},
                       {"data", {{"source", "moons"}, {"train", 100}}},
                       {"output", {{"samples", 9}}}};
  const Json flat = {{"model", "nice-plus"}, {"couplings", 7}, {"lr", 0.25},
                     {"data", "moons"},      {"train", 100},   {"samples", 9}};
  const Config config = from_json(nested, preset("nice-plus"), "");
  BOOST_CHECK_EQUAL(config.model, "nice-plus");
  BOOST_CHECK_EQUAL(config.data.source, "moons");
  BOOST_CHECK_EQUAL(config.output.samples, 9);
  BOOST_CHECK(to_json(config) == to_json(from_json(flat, preset("nice-plus"), "")));
}

BOOST_AUTO_TEST_CASE(mistakes_are_named) {
  struct Case {
    Json json;
    std::initializer_list<std::string> parts;
  };
  const Case cases[] = {
      {{{"learning_rate", 1}}, {"run/config.json: ", "'learning_rate'"}},
      {{{"coupling_s", 3}}, {"no setting 'coupling_s'", "did you mean 'couplings'?"}},
      {{{"hiden_units", 3}}, {"did you mean 'hidden_units'?"}},
      {{{"couplings", "four"}}, {"couplings must be a number", "\"four\""}},
      {{{"couplings", 1.5}}, {"couplings must be a whole number", "1.5"}},
      {{{"couplings", 0}}, {"couplings = 0 is out of range", "1 to 1000"}},
      {{{"couplings", true}}, {"couplings must be a number"}},
      {{{"couplings", nullptr}}, {"couplings must be a number"}},
      {{{"lr", -0.1}}, {"lr = -0.1 is out of range"}},
      {{{"beta1", 1}}, {"beta1 = 1 is out of range"}},
      {{{"scaling", 1}}, {"scaling must be true or false", "1"}},
      {{{"prior", "cauchy"}}, {"prior = 'cauchy' is not one of logistic, gaussian"}},
      {{{"prior", 3}}, {"prior must be text"}},
      {{{"activation", {"relu"}}}, {"activation must be text"}},
      {{{"lr", {{"a", 1}}}}, {"lr must be a number, got an object"}},
      {{{"lr", std::string(1000, 'x')}}, {"lr must be a number", "xxx..."}},
      {{{"training", {{"lrr", 1}}}}, {"no setting 'lrr' in 'training'", "did you mean 'lr'?"}},
      {{{"training", {{"couplings", 1}}}}, {"no setting 'couplings' in 'training'"}},
      {{{"data", {{"source", 3}}}}, {"data must be text"}},
      {{{"training", 3}}, {"no setting 'training'"}},
      {{{"model", "glue"}}, {"the model is 'glue', not nice"}},
      {{{"model", {{"name", 3}}}}, {"model must be text"}},
      {Json::array({1}), {"a configuration is a JSON object"}},
      {Json(3), {"a configuration is a JSON object"}},
  };
  for (const Case& c : cases) {
    check_error([&] { from_json(c.json, preset("nice"), "run/config.json: "); }, c.parts);
  }
  const std::string deep(100'000, '[');
  const Json nested = Json::parse("{\"lr\":" + deep + std::string(100'000, ']') + "}");
  check_error([&] { from_json(nested, preset("nice"), ""); },
              {"lr must be a number, got an array"});
  Config config = preset("nice");
  check_error([&] { set(config, "lr=\xff"); }, {"lr must be a number"});
  // Found by fuzzing: what is repeated from the input must not break the line.
  check_error([&] { set(config, "l\xff\n"); }, {"--set: takes key=value, got 'l", "\\n'"});
  check_error([&] { set(config, "l\n=3"); }, {"there is no setting 'l\\n'"});
  check_error([&] { set(config, "prior=\n"); }, {"prior = '\\n' is not one of"});
  check_error([&] { set(config, "lr"); }, {"--set: takes key=value", "'lr'"});
  check_error([&] { set(config, "=3"); }, {"--set: takes key=value"});
  check_error([&] { set(config, "lrr=3"); }, {"--set: ", "'lrr'", "did you mean 'lr'?"});
  check_error([&] { set(config, "lr=fast"); }, {"--set: ", "lr must be a number", "fast"});
  check_error([&] { set(config, "lr=nan"); }, {"--set: ", "lr must be a number"});
  check_error([&] { set(config, "lr="); }, {"--set: ", "lr must be a number"});
  check_error([&] { set(config, "scaling=yes"); }, {"--set: ", "scaling must be true or false"});
  check_error([&] { set(config, "epochs=0"); }, {"--set: ", "epochs = 0 is out of range"});
  BOOST_CHECK(to_json(config) == to_json(preset("nice")));
  check_error([] { preset("glue"); },
              {"[model]", "'glue'", "nice, nice-plus, realnvp-2d", ".json"});
}

BOOST_AUTO_TEST_SUITE_END()
