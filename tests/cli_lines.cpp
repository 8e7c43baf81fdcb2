// Lines of the command line: whatever is measured, they fit into 80 columns.
#include "cli/lines.h"

#include <boost/test/unit_test.hpp>
#include <cmath>

using namespace nf::cli;

BOOST_AUTO_TEST_SUITE(cli_lines)

BOOST_AUTO_TEST_CASE(an_epoch_is_one_line_of_a_terminal) {
  nf::flows::EpochReport report{.epoch = 12,
                                .seconds = 83,
                                .train_nats = 1912.341,
                                .valid_nats = 1901.219,
                                .valid_bits_per_dim = 3.12341,
                                .best = true};
  BOOST_TEST(epoch_line(report, 60) ==
             "epoch 12/60  train 1912.34  valid 1901.22 nats  3.1234 bits/dim  1:23  best");
  report.best = false;
  report.train_nats = -15.75124;
  BOOST_TEST(epoch_line(report, 60) ==
             "epoch 12/60  train -15.7512  valid 1901.22 nats  3.1234 bits/dim  1:23");
  report.valid_nats = report.valid_bits_per_dim = std::nan("");  // nothing to validate on
  BOOST_TEST(epoch_line(report, 60) == "epoch 12/60  train -15.7512 nats  1:23");
  // A line of a draw's bound has no room for all; in a file it has, and best or not all have the
  // same.
  report = {.epoch = 2,
            .seconds = 83,
            .train_nats = -101.25,
            .valid_nats = -101.75,
            .valid_bits_per_dim = 0.1872,
            .bound_draws = 5};
  for (const bool best : {false, true}) {
    report.best = best;
    const std::string end = best ? "  best" : "";
    BOOST_TEST(epoch_line(report, 6) ==
               "epoch 2/6  train -101.25  valid -101.75 nats of 5 draws  0.1872 bits/dim" + end);
    BOOST_TEST(epoch_line(report, 60, kAnyWidth).find("bits/dim  1:23") != std::string::npos);
  }
  report.valid_bits_per_dim = std::nan("");  // of a target
  BOOST_TEST(epoch_line(report, 60).find("bits/dim") == std::string::npos);
  for (const double nats : {0.0, -99.999, 9999.95, -516295.12, 999999.5, -5.2e15, -HUGE_VAL}) {
    for (const std::int64_t epoch : {1, 999, 1'000'000}) {
      report = {.epoch = epoch,
                .seconds = 1e6,
                .train_nats = nats,
                .valid_nats = nats,
                .valid_bits_per_dim = -nats,
                .best = true};
      const std::string line = epoch_line(report, 1'000'000);
      BOOST_TEST(line.size() <= 79U, line);
      BOOST_TEST(line.ends_with("best"), line);
    }
  }
}

BOOST_AUTO_TEST_CASE(numbers_of_any_size_are_whole) {
  BOOST_TEST(fixed(-1.23456, 3) == "-1.235");
  BOOST_TEST(fixed(-1e300, 3) == "-1.000e+300");
  BOOST_TEST(fixed(-std::nan(""), 3) == "nan");
  BOOST_TEST(fixed(-HUGE_VAL, 3) == "-inf");
}

BOOST_AUTO_TEST_CASE(tables_fit) {
  const std::vector<std::vector<std::string>> rows = {
      {"layer", "kind", "output", "FLOPs"},
      {"couplings.10.net.0", "Linear(392 -> 1000, relu)", "1000", "157.00 M"},
      {"scale", "Scale(0.00390625, 0)", "784", "313.60 k"}};
  const auto widest = [](const std::string& text) {
    std::size_t most = 0;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) most = std::max(most, line.size());
    return most;
  };
  const TableLayout layout = {.left = 2, .shrinks = 1, .lines = true};
  for (std::size_t width = 30; width < 90; ++width) {
    const std::string text = table_text(rows, width, layout);
    BOOST_TEST(widest(text) <= width, width << ":\n" << text);
    for (const char* cell : {"couplings.1", "scale", "157.00 M", "313.60 k", "784"}) {
      BOOST_TEST(text.find(cell) != std::string::npos, width << ":\n" << text);
    }
  }
  BOOST_TEST(table_text({{"a", "b"}, {"name", "1.5"}}, 20) == "a       b\nname  1.5\n");
  BOOST_TEST(table_text({{"a", "b"}, {"na\nme", "1.5"}}, 20) == "a           b\nna\\x0ame  1.5\n");
  // What has no room stands below.
  BOOST_TEST(table_text({{"a", "first", "other"}, {"n", "1", "2"}}, 10) ==
             "a first\nn     1\n\na other\nn     2\n");
  BOOST_TEST(table_text({{"x"}, {"y"}}, 10, {.lines = true}) == "x\n-\ny\n-\n");
  // A name that is longer than half the line stays whole where there is room.
  const std::vector<std::vector<std::string>> named = {{"run", "a"}, {"a-name-of-18-chars", "1.5"}};
  const TableLayout uncut{.shrinks = kNoColumn};
  BOOST_TEST(table_width(named) == 16U);
  BOOST_TEST(table_width(named, uncut) == 22U);
  BOOST_TEST(table_text(named, 22, uncut) == "run                  a\na-name-of-18-chars 1.5\n");
  BOOST_TEST(table_text(named, 20) == "run                a\na-name-of-18-... 1.5\n");
  BOOST_TEST(table_width({}) == 0U);
}

BOOST_AUTO_TEST_CASE(long_lines_are_broken_at_spaces) {
  BOOST_TEST(wrapped("short\nlines\n", 10) == "short\nlines\n");
  BOOST_TEST(wrapped("one two three four\n", 10) == "one two\n    three\n    four\n");
  BOOST_TEST(wrapped("  one two three", 10) == "  one two\n      three");
  BOOST_TEST(wrapped("0123456789abc de", 10) == "0123456789abc\n    de");  // a path, say
  BOOST_TEST(wrapped("0123456789abc", 10) == "0123456789abc");
  BOOST_TEST(wrapped("0123456789 a", 10) == "0123456789\n    a");
  BOOST_TEST(wrapped("          x   ", 10) == "          x   ");
  BOOST_TEST(wrapped("", 10) == "");
}

BOOST_AUTO_TEST_SUITE_END()
