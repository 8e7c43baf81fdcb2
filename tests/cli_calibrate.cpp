// flowcli calibrate: a model that is right passes, one that is too sure fails, and says so.
#include <boost/test/unit_test.hpp>
#include <cmath>

#include "cli_runs.h"
#include "tensor/ops.h"
#include "tensor/random.h"
#include "tensor/text.h"

using namespace nf::test;

BOOST_AUTO_TEST_SUITE(cli_calibrate)

namespace {

/// y given x: x plus noise of one width, uniform in quantity.
void write_table(const std::string& path, double width, int rows) {
  std::ofstream out(path);
  out << "x,y\n";
  for (int i = 0; i < rows; ++i) {
    const double x = std::sin(12.9898 * i), u = std::fmod(0.6180339887 * i, 1.0);
    out << x << "," << x + width * std::sqrt(-2 * std::log(u + 1e-6)) * std::cos(78.233 * i)
        << "\n";
  }
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_model_is_tested_on_rows_that_it_fits_and_on_others) {
  const ScratchFolder folder;
  const std::string run = folder.file("run"), csv = folder.file("table.csv"),
                    wide = folder.file("wide.csv");
  write_table(csv, 0.3, 3000);
  write_table(wide, 0.9, 1500);
  expect_ok(flowcli(folder, {"train", "maf", "--data", csv, "--given", "x", "--epochs", "6",
                             "--hidden-units", "16", "--threads", "1", "--out", run}));
  const Outcome fits = flowcli(folder, {"calibrate", run, "--json"});
  expect_ok(fits);
  const nlohmann::json told = fits.json();
  BOOST_TEST(told["columns"].size() == 2U);  // y, and the log density
  BOOST_TEST(told["columns"][0]["name"] == "y");
  BOOST_TEST(told["columns"][0]["coverage"].size() == 4U);
  BOOST_TEST(told["calibrated"] == true, fits.out);
  const Outcome wrong = flowcli(folder, {"calibrate", run, "--data", wide});
  expect_ok(wrong);
  BOOST_TEST(wrong.out.find("FAIL: draws of y are too narrow") != std::string::npos, wrong.out);
  BOOST_TEST(wrong.out.find("1000 rows, 100 draws for each") != std::string::npos, wrong.out);
  // The same draws, whatever the number of threads.
  BOOST_TEST(flowcli(folder, {"calibrate", run, "--json", "--threads", "2"}).out == fits.out);
}

// y follows x, and is missing wherever x is above 0: rows whose cells are all there, and the cells
// of y that are there, are others than the model draws, though it is right.
BOOST_AUTO_TEST_CASE(missing_cells_are_filled_in_before_rows_are_compared_with_draws) {
  const ScratchFolder folder;
  const std::string run = folder.file("run"), csv = folder.file("gaps.csv");
  nf::Generator gen(5);
  const std::vector<double> u = nf::normal(gen, {2000, 2}, nf::DType::F64).to_vector<double>();
  std::string text = "x,y\n";
  for (std::size_t i = 0; i < u.size(); i += 2) {
    text += nf::str(u[i], ",", u[i] > 0 ? "" : nf::str(0.9 * u[i] + 0.44 * u[i + 1]), "\n");
  }
  write(csv, text);
  expect_ok(flowcli(folder, {"train", "tabular", "--data", csv, "--epochs", "30", "--hidden-units",
                             "16", "--components", "3", "--threads", "1", "--out", run}));
  const Outcome calibrated = flowcli(folder, {"calibrate", run});
  expect_ok(calibrated);
  BOOST_TEST(calibrated.out.find("  pass") != std::string::npos, calibrated.out);
  BOOST_TEST(calibrated.err.find("of 400 cells are missing") != std::string::npos, calibrated.err);
  const Outcome checked = flowcli(folder, {"check", run, "--json"});
  expect_ok(checked);
  BOOST_TEST(checked.json()["verdict"] != "underfit", checked.out);
  const Outcome reported = flowcli(folder, {"report", run, "--json"});
  expect_ok(reported);
  BOOST_TEST(reported.json()["two_sample"]["p_value"].get<double>() > 0.01, reported.out);
  BOOST_TEST(reported.json()["two_sample"]["rows"] == 200);
}

BOOST_AUTO_TEST_CASE(what_cannot_be_tested_is_one_line) {
  const ScratchFolder folder;
  const std::string run = folder.file("run");
  expect_ok(flowcli(
      folder, {"train", "realnvp-2d", "--data", "moons", "--train", "50", "--valid", "20", "--test",
               "20", "--couplings", "2", "--hidden-units", "4", "--steps", "2", "--out", run}));
  expect_failure(flowcli(folder, {"calibrate", run, "--levels", "0.5,95"}),
                 {"[levels] '95' is no number between 0 and 1"}, 2);
  expect_failure(flowcli(folder, {"calibrate", run, "--draws", "3"}), {"--draws"}, 2);
}

BOOST_AUTO_TEST_SUITE_END()
