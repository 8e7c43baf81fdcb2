// flowcli report on a table: its columns beside those of samples, and its least likely rows.
#include <boost/test/unit_test.hpp>
#include <functional>

#include "cli_runs.h"
#include "tensor/text.h"

using namespace nf::test;

BOOST_AUTO_TEST_SUITE(cli_report_table)

namespace {

/// 400 rows: y follows x, count is a whole number, and row 7 lies far from all others. One name
/// would be a tag of the page.
std::string table() {
  std::ostringstream out;
  out << "x,y <b>,count\n";
  for (int i = 0; i < 400; ++i) {
    const double x = i == 7 ? 90 : std::sin(7.0 * i) + 0.01 * (i % 13);
    out << x << "," << (i == 7 ? -90 : 2 * x + 0.3 * std::cos(11.0 * i)) << "," << i % 5 << "\n";
  }
  return out.str();
}

std::size_t count_of(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
    ++count;
  }
  return count;
}

/// 300 lines of two numbers from 0 to 1.
std::string rows_of(const std::string& header,
                    const std::function<std::string(int, double, double)>& line) {
  std::string text = header + "\n";
  for (int i = 0; i < 300; ++i) text += line(i, i * 37 % 101 / 101.0, i * 53 % 97 / 97.0) + "\n";
  return text;
}

void train_tabular(const ScratchFolder& folder, const std::string& data, const std::string& run,
                   const std::vector<std::string>& more = {}) {
  std::vector<std::string> call = {
      "train", "tabular",      "--data", data,        "--epochs", "2",     "--hidden-units",
      "8",     "--components", "2",      "--threads", "1",        "--out", run};
  call.insert(call.end(), more.begin(), more.end());
  expect_ok(flowcli(folder, call));
}

/// The part of a page from one heading to the next.
std::string section_of(const std::string& page, const std::string& title) {
  const std::size_t at = page.find("<h2>" + title + "</h2>");
  BOOST_TEST_REQUIRE(at != std::string::npos, title);
  return page.substr(at, page.find("<h2>", at + 1) - at);
}

}  // namespace

BOOST_AUTO_TEST_CASE(columns_stand_beside_those_of_samples_and_the_least_likely_row_is_first) {
  const ScratchFolder folder;
  const std::string run = folder.file("run"), csv = folder.file("table.csv");
  std::ofstream(csv) << table();
  expect_ok(flowcli(folder, {"train", "realnvp-2d", "--data", csv, "--couplings", "2",
                             "--hidden-units", "8", "--steps", "60", "--out", run}));
  expect_ok(flowcli(folder, {"report", run, "--split", "train"}));
  const std::string page = slurp(run + "/report.html");
  BOOST_TEST(page.find("<b>") == std::string::npos);
  BOOST_TEST(count_of(section_of(page, "Columns of the train split and of samples"), "<svg") == 3U);
  const std::string pairs = section_of(page, "Correlations that differ most");
  BOOST_TEST(count_of(pairs, "<tr>") == 4U, pairs);  // the heading, and three pairs
  const std::string drawn = section_of(page, "Columns that depend most on each other");
  BOOST_TEST(drawn.find("x (across) and y &lt;b&gt; (up): rows") != std::string::npos, drawn);
  const std::string quantiles = section_of(page, "Quantiles");
  BOOST_TEST(quantiles.find("<td>count</td><td>0</td>") != std::string::npos, quantiles);
  std::size_t first = 0;  // in which part row 7 is, the cut decides
  for (const char* split : {"train", "valid", "test"}) {
    expect_ok(flowcli(folder, {"report", run, "--split", split}));
    const std::string rows = section_of(slurp(run + "/report.html"), "Least likely rows");
    BOOST_TEST(count_of(rows, "<tr>") == 11U);
    first += rows.substr(rows.find("<tr><td>")).starts_with("<tr><td>7</td>");
  }
  BOOST_TEST(first == 1U);
}

BOOST_AUTO_TEST_CASE(words_gaps_and_numbers_of_any_size_are_read_as_such) {
  const ScratchFolder folder;
  const std::string run = folder.file("run"), csv = folder.file("table.csv");
  write(csv, rows_of("kind,when,rate,income,size", [](int i, double u, double v) {
          return nf::str(i % 7 == 3   ? ""
                         : i % 3 == 0 ? "R&D"
                                      : "sales",
                         ",", 1'700'000'000 + i * 86'400, ",", 2e-5 + 1e-6 * u, ",",
                         i % 5 == 0 ? "" : nf::str(1'000'000 + 500'000 * v), ",", 2 * v + u);
        }));
  train_tabular(folder, csv, run);
  const Outcome reported = flowcli(folder, {"report", run, "--split", "train"});
  expect_ok(reported);
  const std::string page = slurp(run + "/report.html");
  const std::string categories = section_of(page, "Categories");
  for (const std::string word : {"R&amp;D", "sales"}) {
    BOOST_TEST(categories.find("<td>" + word + "</td><td>") != std::string::npos, categories);
  }
  BOOST_TEST(count_of(categories, " %</td>") == 4U, categories);
  const std::string quantiles = section_of(page, "Quantiles");
  BOOST_TEST(quantiles.find("<td>kind</td>") == std::string::npos, quantiles);
  BOOST_TEST(quantiles.find("<td>when</td><td>170") != std::string::npos, quantiles);
  BOOST_TEST(quantiles.find("e+") == std::string::npos, quantiles);
  BOOST_TEST(quantiles.find("<td>rate</td><td>2.0") != std::string::npos, quantiles);
  BOOST_TEST(quantiles.find("0.0000") == std::string::npos, quantiles);
  for (const char* title :
       {"Correlations that differ most", "Columns that depend most on each other"}) {
    BOOST_TEST(section_of(page, title).find("kind") == std::string::npos, title);
  }
  const std::string rows = section_of(page, "Least likely rows");
  BOOST_TEST(rows.find("nan") == std::string::npos, rows);
  BOOST_TEST((rows.find("<td>R&amp;D</td>") != std::string::npos ||
              rows.find("<td>sales</td>") != std::string::npos),
             rows);
  BOOST_TEST(page.find("cells of the rows are missing") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(gaps_beside_what_is_given_are_no_fault) {
  const ScratchFolder folder;
  const std::string run = folder.file("run"), csv = folder.file("table.csv");
  write(csv, rows_of("x,y,q", [](int i, double u, double v) {
          return nf::str(u, ",", i % 5 == 1 ? "" : nf::str(u + 0.1 * v), ",",
                         i % 4 == 1 ? "" : nf::str(v));
        }));
  train_tabular(folder, csv, run, {"--given", "x"});
  const Outcome reported = flowcli(folder, {"report", run, "--json"});
  expect_ok(reported);
  BOOST_TEST(reported.json()["two_sample"]["rows"] == 30, reported.out);
  const std::string page = slurp(run + "/report.html");
  BOOST_TEST(page.find("Samples for what is given with the data") != std::string::npos);
  BOOST_TEST(page.find("NaN") == std::string::npos);
  BOOST_TEST(page.find("missing cells filled in by the model") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()
