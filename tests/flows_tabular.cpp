// tabular: what its settings build, its losses from step to step, and which columns of a row are
// unusual.
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <nlohmann/json.hpp>

#include "flows/models/build.h"
#include "flows/models/surprise.h"
#include "flows/models/table_training.h"
#include "tests/data_util.h"
#include "tests/devices.h"
#include "tests/trainings.h"

using namespace nf;
using namespace nf::flows;
using namespace nf::test;

namespace {

const double kNone = std::nan("");

/// Two numbers that depend on each other, a whole one and a category of 3; some cells are missing.
data::Dataset mixed_table(std::int64_t n) {
  Generator gen(3);
  const std::vector<double> u = normal(gen, {n, 3}, DType::F64).to_vector<double>();
  std::vector<double> x;
  for (std::size_t i = 0; i < u.size(); i += 3) {
    const double kind = u[i] > 0.5 ? 2 : u[i] > -0.5 ? 1 : 0;
    x.insert(x.end(), {u[i], i % 7 == 0 ? kNone : 2 * u[i] + 0.3 * u[i + 1],
                       std::round(3 * u[i + 2]), i % 15 == 0 ? kNone : kind});
  }
  data::Dataset data;
  data.name = "mixed";
  data.dims = 4;
  data.columns = {"a", "b", "n", "kind"};
  data.categories = {{}, {}, {}, {"low", "middle", "high"}};
  data.train.x = Tensor::from(x, {n, 4});
  return data;
}

DataShape shape_of_table() {
  return {.dims = 4,
          .columns = {"a", "b", "n", "kind"},
          .categories = {{}, {}, {}, {"low", "middle", "high"}}};
}

Config small_tabular() {
  Config config = preset("tabular", shape_of_table());
  for (const char* setting : {"hidden_units=12", "hidden_layers=2", "components=2", "orders=2",
                              "steps=10", "batch_size=25", "types=n=integer,kind=category"}) {
    set(config, setting);
  }
  return config;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(flows_tabular)

// PyTorch knows no such model: the losses are those of the first build that passed the tests of
// AnyOrder against its definition.
BOOST_AUTO_TEST_CASE(losses_stay_what_they_were) {
  const data::Dataset data = mixed_table(100);
  const Config config = small_tabular();
  const auto density = make_density(config, shape_of_table());
  std::vector<double> losses;
  fit(*density, data, fit_options(config), {.on_step = [&](const StepReport& report) {
    losses.push_back(report.nats);
    return true;
  }});
  const std::vector<double> golden = {-6.650498, -6.439229, -8.761233, -7.324369, -7.933599,
                                      -8.063023, -6.962412, -8.214595, -5.878105, -8.312624};
  BOOST_REQUIRE_EQUAL(losses.size(), golden.size());
  for (std::size_t i = 0; i < golden.size(); ++i) {
    BOOST_CHECK_CLOSE_FRACTION(losses[i], golden[i], 1e-4);
  }
}

BOOST_AUTO_TEST_CASE(short_tables_are_averaged_over_more_orders) {
  const struct {
    std::int64_t rows, dims, orders;
  } cases[] = {{0, 4, 4},       {120, 4, 16},      {455, 30, 16},    {16'000, 21, 11},
               {16'000, 63, 3}, {1'000'000, 8, 4}, {100'000, 30, 2}, {100'000, 64, 1}};
  for (const auto& c : cases) {
    const nlohmann::ordered_json json =
        to_json(preset("tabular", {.dims = c.dims, .rows = c.rows}));
    BOOST_TEST(json["model"]["orders"] == c.orders, c.rows << " x " << c.dims);
  }
}

BOOST_AUTO_TEST_CASE(a_budget_of_many_epochs_has_patience) {
  const struct {
    std::int64_t patience, steps, patient;
  } cases[] = {{20, 1000, 50}, {20, 300, 20}, {0, 1000, 0}};  // 10 steps an epoch
  for (const auto& c : cases) {
    TrainingSettings training;
    training.patience = c.patience;
    training.steps = c.steps;
    training.batch_size = 100;
    be_patient(training, 950);
    BOOST_TEST(training.patience == c.patient);
  }
}

BOOST_AUTO_TEST_CASE(what_does_not_go_together_is_refused) {
  const auto make = [](const char* setting, const DataShape& shape) {
    return [=] {
      Config config = small_tabular();
      set(config, setting);
      make_density(config, shape);
    };
  };
  DataShape shape = shape_of_table();
  check_error(make("types=kind=integer", shape), {"column 4 is integer", "names of categories"});
  check_error(make("types=kind=bounded:0:", shape), {"column 4 is above 0"});
  shape.categories = {};
  check_error(make("types=kind=category", shape), {"column 4", "no names of its values"});
  check_error(make("types=", {.dims = 4, .discrete = true}), {"pixels"});
  Config maf = preset("maf", {.dims = 4});
  set(maf, "types=3=category");
  check_error([&] { make_density(maf, {.dims = 4}); }, {"but in the model tabular"});
}

BOOST_AUTO_TEST_CASE(surprises_are_those_of_a_row_wherever_it_stands) {
  const data::Dataset data = mixed_table(40);
  const auto density = make_density(small_tabular(), shape_of_table());
  density->initialize(data.train.x);
  auto& any = dynamic_cast<AnyOrder&>(*density);
  const Tensor all = surprises(any, data.train.x),
               one = surprises(any, data.train.x.narrow(0, 3, 1));
  CHECK_SAME(all.narrow(0, 3, 1), one, 1e-6, "alone");
  BOOST_TEST(std::isnan(all.to_vector<double>()[1]));
  BOOST_TEST(std::isfinite(all.to_vector<double>()[0]));
}

BOOST_AUTO_TEST_CASE(columns_are_unusual_beside_their_own_held_out_rows) {
  std::vector<double> held_out;
  for (int i = 0; i < 100; ++i) held_out.insert(held_out.end(), {double(i), 5, i < 50 ? kNone : i});
  const UsualSurprises usual(Tensor::from(held_out, {100, 3}));
  using Columns = std::vector<std::size_t>;
  BOOST_TEST(usual.unusual({50, 5, 60}) == Columns{});
  BOOST_TEST(usual.unusual({100, 5, 60}) == Columns{0});
  BOOST_TEST(usual.unusual({kNone, kNone, 200}) == Columns{2});
  BOOST_TEST(usual.unusual({200, 6, 101}) == (Columns{1, 0, 2}));
  check_error([] { UsualSurprises(Tensor::zeros({0, 3}, DType::F64)); }, {"no held-out rows"});
}

// However many columns there are, and however few held-out rows.
BOOST_AUTO_TEST_CASE(few_ordinary_rows_have_an_unusual_column) {
  constexpr std::int64_t kColumns = 20, kRows = 200;
  struct Case {
    std::int64_t held_out;
    int tables;
    double level;
  };
  for (const Case& c : {Case{30, 40, 1.0 / 31}, Case{999, 3, 0.05}, Case{5, 40, 1.0 / 6}}) {
    Generator gen(7);
    double named = 0, found = 0;
    for (int t = 0; t < c.tables; ++t) {
      const UsualSurprises usual(normal(gen, {c.held_out, kColumns}, DType::F64));
      BOOST_TEST(usual.level() == c.level);
      const std::vector<double> rows =
          normal(gen, {kRows, kColumns}, DType::F64).to_vector<double>();
      for (auto at = rows.begin(); at != rows.end(); at += kColumns) {
        std::vector<double> row(at, at + kColumns);
        named += usual.unusual(row).empty() ? 0 : 1;
        row[4] = 12;
        const std::vector<std::size_t> why = usual.unusual(row);
        found += !why.empty() && why[0] == 4 ? 1 : 0;
      }
    }
    const double all = c.tables * double(kRows);
    BOOST_TEST(named / all > 0.5 * c.level, c.held_out << ": " << named / all);
    BOOST_TEST(named / all < 1.6 * c.level, c.held_out << ": " << named / all);
    if (c.held_out > 5) BOOST_TEST(found / all > 0.9, c.held_out << ": " << found / all);
  }
}

BOOST_AUTO_TEST_SUITE_END()
