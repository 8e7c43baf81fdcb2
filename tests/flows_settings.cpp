// Settings beyond their parsing: names filled in by hand, what changes nothing, what needs memory.
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <set>

#include "flows/models/build.h"
#include "flows/models/coupling_flow.h"
#include "flows/models/idle.h"
#include "tests/data_util.h"
#include "tests/trainings.h"

using namespace nf;
using namespace nf::flows;
using test::check_error;

BOOST_AUTO_TEST_SUITE(flows_settings)

// A Config may be filled in by hand: what is no name is told, not taken for something else.
BOOST_AUTO_TEST_CASE(names_filled_in_by_hand_are_checked) {
  const std::set<std::string> elsewhere = {"precision", "layout", "missing",
                                           "binarize"};  // of device and files
  Config config = preset("nice");
  coupling_flow(config).hidden_units = 2;
  for (const Field& field : config.fields()) {
    if (field.choices.empty() || elsewhere.contains(field.key)) continue;
    std::string& value = *std::get<std::string*>(field.value);
    const std::string before = std::exchange(value, "ZCA");
    const auto make = [&] {
      preset("nice", {}, config.text("recipe", ""));
      make_density(config, {.dims = 4});
      fit_options(config);
    };
    check_error(make, {"'ZCA' is not one of", field.choices.back()});
    value = before;
  }
}

BOOST_AUTO_TEST_CASE(settings_that_change_nothing_are_known) {
  const DataShape real{.dims = 3};
  Config config = preset("nice");
  for (const char* key : {"scale_limit", "whitening_last", "alpha", "lr_decay", "lr_every"}) {
    BOOST_CHECK(!why_idle(config, real, key).empty());
  }
  for (const char* key : {"lr", "scale_rate", "beta2", "epochs", "recipe", "mixing"}) {
    BOOST_CHECK_EQUAL(why_idle(config, real, key), "");
  }
  set(config, "coupling=affine");
  set(config, "whitening=zca");
  set(config, "schedule=step");
  set(config, "scaling=false");
  set(config, "steps=10");
  for (const char* key : {"scale_limit", "whitening_last", "lr_decay", "lr_every"}) {
    BOOST_CHECK_EQUAL(why_idle(config, real, key), "");
  }
  for (const char* key : {"scale_rate", "data_init", "epochs"}) {
    BOOST_CHECK(!why_idle(config, real, key).empty());
  }
}

// They are counted before they are made: absurd ones are one line, at once.
BOOST_AUTO_TEST_CASE(parameters_are_counted_from_shapes) {
  for (const std::string& name : preset_names()) {
    for (const std::int64_t dims : {8, 16}) {
      Config config = preset(name);
      test::set_where_known(config, {{"hidden_units", 7}, {"width", 7}});
      const DataShape shape = test::shape_for(name, dims, /*discrete=*/false);
      if (shape.levels == 2) set(config, "bits=1");
      if (name == "nice-plus") coupling_flow(config).preprocess = "standard";
      const double counted = parameter_count(config, shape);
      const auto made = static_cast<double>(make_density(config, shape)->parameter_count());
      BOOST_CHECK_GE(counted, 0.9 * made);
      BOOST_CHECK_LE(counted, 1.3 * made + 50);
    }
  }
  Config config = preset("nice");
  coupling_flow(config).hidden_units = 1'000'000;
  check_error([&] { make_density(config, {.dims = 784}); }, {"[memory]", "TB", "hidden_units"});
}

BOOST_AUTO_TEST_SUITE_END()
