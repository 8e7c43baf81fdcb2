// Numbers of columns as text: enough digits to tell them apart.
#include "cli/column_numbers.h"

#include <boost/test/unit_test.hpp>
#include <cmath>

#include "cli/quantile.h"

using nf::cli::ColumnNumbers;

BOOST_AUTO_TEST_SUITE(cli_column_numbers)

namespace {

// 101 values from `low` on, each `step` after the other.
std::vector<double> evenly(double low, double step) {
  std::vector<double> out;
  for (int i = 0; i <= 100; ++i) out.push_back(low + i * step);
  return out;
}

}  // namespace

BOOST_AUTO_TEST_CASE(values_of_a_column_can_be_told_apart) {
  struct Case {
    std::vector<double> column;
    double value;
    std::string text;
  };
  std::vector<double> skewed;  // ln x from -6 to 6
  for (int i = 0; i <= 100; ++i) skewed.push_back(std::exp(0.12 * (i - 50)));
  for (const Case& c : {Case{evenly(1'700'000'000, 86'400), 1'701'092'650, "1701092650"},
                        Case{evenly(1'700'000'000, 86'400), 1'701'092'650.5, "1701092650"},
                        Case{evenly(1e-5, 2e-7), 2.12142495e-5, "2.1214e-05"},
                        Case{evenly(1'000'000, 12'345.67), 1'292'031.7164, "1292032"},
                        Case{evenly(-1, 0.0201), 0.12345678, "0.1235"},
                        Case{evenly(-1, 0.0201), -12345.678, "-12345.6780"},
                        Case{evenly(0, 1), 3, "3"},
                        Case{evenly(0, 1), 49.5049504, "49.50"},
                        Case{evenly(1e9, 1.25e-4), 1'000'000'000.00025, "1000000000.000250"},
                        Case{skewed, 0.00734567, "0.0073"},
                        Case{skewed, 139.2, "139.2000"},
                        Case{skewed, 3.14e-9, "3.1e-09"},
                        Case{evenly(-1, 0.0201), 3.14e-9, "0.0000"},
                        Case{{5, 5, 5}, 5, "5"},
                        Case{{0.25, 0.25}, 0.25, "0.2500"},
                        Case{{0, 0}, 0, "0"},
                        Case{{}, 2.5, "2"},
                        Case{evenly(1e20, 1e18), 1.2345678e20, "1.2346e+20"},
                        Case{evenly(0, 1), 1e18, "1e+18"},
                        Case{evenly(0, 1), NAN, "nan"},
                        Case{evenly(0, 1), -INFINITY, "-inf"}}) {
    BOOST_TEST(ColumnNumbers(c.column).text(c.value) == c.text);
  }
}

BOOST_AUTO_TEST_CASE(quantiles_lie_between_numbers_and_of_whole_ones_on_them) {
  const std::vector<double> sorted = {1, 2, 4, 8};
  BOOST_TEST(nf::cli::quantile_of(sorted, 0.5, false) == 3);
  BOOST_TEST(nf::cli::quantile_of(sorted, 0.5, true) == 2);
  BOOST_TEST(nf::cli::quantile_of(sorted, 1, false) == 8);
}

BOOST_AUTO_TEST_SUITE_END()
