// flowcli report on a table: its columns beside those of samples, and its least likely rows.
#include <boost/test/unit_test.hpp>

#include "cli_runs.h"

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
  BOOST_TEST(quantiles.find("<td>count</td><td>0.0000</td>") != std::string::npos, quantiles);
  std::size_t first = 0;  // in which part row 7 is, the cut decides
  for (const char* split : {"train", "valid", "test"}) {
    expect_ok(flowcli(folder, {"report", run, "--split", split}));
    const std::string rows = section_of(slurp(run + "/report.html"), "Least likely rows");
    BOOST_TEST(count_of(rows, "<tr>") == 11U);
    first += rows.substr(rows.find("<tr><td>")).starts_with("<tr><td>7</td>");
  }
  BOOST_TEST(first == 1U);
}

BOOST_AUTO_TEST_SUITE_END()
