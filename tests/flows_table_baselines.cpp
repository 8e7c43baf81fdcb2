// TableBaselines: categories by their frequencies, rows with gaps by marginal densities.
#include <boost/test/unit_test.hpp>
#include <cmath>

#include "flows/examine/table_baselines.h"
#include "tensor/ops.h"
#include "tests/data_util.h"

using namespace nf;
using namespace nf::flows;

namespace {

const double kGap = std::nan("");

/// Two numbers that depend on each other, a category of 2 between them.
Tensor rows_of(std::int64_t n) {
  Generator gen(3);
  const std::vector<double> u = normal(gen, {n, 3}, DType::F64).to_vector<double>();
  std::vector<double> x;
  for (std::size_t i = 0; i < u.size(); i += 3) {
    x.insert(x.end(), {u[i], u[i + 1] > 0.6 ? 1.0 : 0.0, 2 * u[i] + u[i + 2]});
  }
  return Tensor::from(x, {n, 3});
}

Tensor columns(const Tensor& x, const std::vector<std::int32_t>& which) {
  return index_select(x, 1, Tensor::from(which, {std::ssize(which)}));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(flows_table_baselines)

BOOST_AUTO_TEST_CASE(numbers_alone_are_the_same_as_ever) {
  const Tensor x = columns(rows_of(200), {0, 2});
  const auto ours = TableBaselines(x).scores(x), plain = Baselines(x).scores(x);
  BOOST_TEST(ours.gaussian == plain.gaussian);
  BOOST_TEST(ours.independent == plain.independent);
}

BOOST_AUTO_TEST_CASE(a_category_adds_the_logarithm_of_its_frequency) {
  const Tensor x = rows_of(200);
  const TableBaselines table(x, {}, {}, 0, 256, {0, 2, 0});
  const auto ours = table.scores(x),
             plain = Baselines(columns(x, {0, 2})).scores(columns(x, {0, 2}));
  const std::vector<double> cells = x.to_vector<double>();
  double ones = 0;
  for (std::size_t i = 1; i < cells.size(); i += 3) ones += cells[i];
  for (std::size_t i = 0; i < ours.gaussian.size(); ++i) {
    const double share = (cells[3 * i + 1] == 1 ? ones + 1 : 200 - ones + 1) / 202;
    BOOST_CHECK_CLOSE(ours.gaussian[i], plain.gaussian[i] + std::log(share), 1e-9);
    BOOST_CHECK_CLOSE(ours.independent[i], plain.independent[i] + std::log(share), 1e-9);
  }
}

// The marginal of a Gaussian is the Gaussian of the columns that are left.
BOOST_AUTO_TEST_CASE(a_row_with_gaps_has_the_marginal_density) {
  const Tensor x = rows_of(400);
  Tensor gaps = x.clone();
  gaps.narrow(1, 2, 1).narrow(0, 0, 3).fill_(kGap);
  gaps.narrow(1, 1, 1).narrow(0, 1, 1).fill_(kGap);
  gaps.narrow(1, 0, 1).narrow(0, 2, 1).fill_(kGap);
  gaps.narrow(1, 1, 1).narrow(0, 2, 1).fill_(kGap);
  const std::vector<std::int32_t> kinds = {0, 2, 0};
  const TableBaselines table(x, {}, {}, 0, 256, kinds);
  const auto some = table.scores(gaps);
  const auto first = Baselines(columns(x, {0})).scores(columns(x, {0}));
  BOOST_CHECK_CLOSE(some.gaussian[1], first.gaussian[1], 1e-6);
  BOOST_CHECK_CLOSE(some.independent[1], first.independent[1], 1e-6);
  BOOST_TEST(some.gaussian[2] == 0);  // nothing is there
  BOOST_TEST(some.gaussian[5] == table.scores(x).gaussian[5]);
  // Fitted are the rows without gaps.
  const Tensor numbers = columns(x, {0, 2}), whole = numbers.narrow(0, 3, 397);
  BOOST_TEST(TableBaselines(columns(gaps, {0, 2})).scores(numbers).gaussian ==
             Baselines(whole).scores(numbers).gaussian);
  const Tensor nothing = Tensor::full({5, 2}, kGap, DType::F64);
  BOOST_CHECK_THROW(TableBaselines{nothing}, Error);
}

BOOST_AUTO_TEST_CASE(they_say_to_how_many_rows_they_are_fitted) {
  const std::vector<double> gaps = {1, NAN, 2, 3, NAN, 4, 5, 7, 6, 4};
  const TableBaselines table(Tensor::from(gaps, {5, 2}));
  BOOST_TEST(table.rows() == 5);
  BOOST_TEST(table.fitted_rows() == 3);
  const auto list = table.state();
  std::map<std::string, Tensor> state(list.begin(), list.end());
  BOOST_TEST(TableBaselines::from(state, "").fitted_rows() == 3);
  state["rows_and_fitted"] = Tensor::from<double>({5, 6}, {2});
  BOOST_CHECK_THROW(TableBaselines::from(state, "file: "), Error);
  BOOST_TEST(!TableBaselines::can_fit(Tensor::from<double>({1, NAN, NAN, 3}, {2, 2}), {}));
  BOOST_TEST(TableBaselines::can_fit(Tensor::from<double>({1, NAN, 0, 3}, {2, 2}), {}));
  BOOST_TEST(TableBaselines::can_fit(Tensor::from<double>({1, NAN, 0, NAN}, {2, 2}), {0, 2}));
}

BOOST_AUTO_TEST_CASE(they_come_back_from_a_file_and_a_damaged_one_is_refused) {
  const Tensor x = rows_of(100);
  for (const std::vector<std::int32_t>& kinds : {std::vector<std::int32_t>{}, {0, 2, 0}}) {
    const TableBaselines table(x, {}, {}, 0, 256, kinds);
    const auto list = table.state();
    const std::map<std::string, Tensor> state(list.begin(), list.end());
    BOOST_TEST(TableBaselines::from(state, "").scores(x).gaussian == table.scores(x).gaussian);
    if (kinds.empty()) continue;
    const std::pair<const char*, Tensor> wrong[] = {
        {"categories", Tensor::from<double>({0, 1, 0}, {3})},
        {"categories", Tensor::from<double>({0, 3, 0}, {3})},
        {"categories", Tensor::from<double>({0, 1e9, 0}, {3})},
        {"categories", Tensor::from<double>({0, 2, 0, 0}, {4})},
        {"category_log_frequency", Tensor::from<double>({0.5}, {1})},
        {"category_log_frequency", Tensor::from<float>({0.5, 0.5}, {2})}};
    for (const auto& [name, tensor] : wrong) {
      auto damaged = state;
      damaged[name] = tensor;
      BOOST_TEST_CONTEXT(name) {
        BOOST_CHECK_THROW(TableBaselines::from(damaged, "file: ").scores(x), Error);
      }
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()
