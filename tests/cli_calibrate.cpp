// flowcli calibrate: a model that is right passes, one that is too sure fails, and says so.
#include <boost/test/unit_test.hpp>
#include <cmath>

#include "cli_runs.h"

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
