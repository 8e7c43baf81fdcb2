// flowcli on residual blocks: of the plane, of a table and of images; every command that takes a
// run, and what is said of estimates.
#include <boost/test/unit_test.hpp>
#include <sstream>

#include "cli_runs.h"

using namespace nf::test;

BOOST_AUTO_TEST_SUITE(cli_residual)

namespace {

using Arguments = std::vector<std::string>;

struct ResidualRuns {
  Outcome train(const std::string& model, const Arguments& more) const {
    Arguments call = {"train",     model, "--out",    run, "--overwrite",  "--quiet",
                      "--threads", "1",   "--blocks", "1", "--batch-size", "20"};
    call.insert(call.end(), more.begin(), more.end());
    return flowcli(folder, call);
  }
  Outcome call(const std::string& command, const Arguments& more = {}) const {
    Arguments all = {command, run, "--threads", "1"};
    all.insert(all.end(), more.begin(), more.end());
    return flowcli(folder, all);
  }

  ScratchFolder folder;
  const std::string run = folder.file("run");
};

}  // namespace

BOOST_AUTO_TEST_CASE(what_is_exact_is_no_estimate) {
  const ResidualRuns runs;
  for (const char* model : {"iresnet", "residual-flow"}) {
    expect_ok(runs.train(model, {"--data", "moons", "--train", "60", "--valid", "40", "--test",
                                 "40", "--steps", "5"}));
    for (const char* command : {"check", "plot", "inspect", "report"})
      expect_ok(runs.call(command));
    const auto json = runs.call("eval", {"--json"}).json();
    BOOST_TEST((json["bound"] == false && json["estimated"] == false));
    BOOST_TEST(runs.call("eval").out.find("log-determinants are exact") != std::string::npos);
    expect_failure(runs.call("eval", {"--importance", "4"}), {"would change nothing"}, 2);
  }
}

BOOST_AUTO_TEST_CASE(an_estimate_is_told_and_no_bound) {
  const ResidualRuns runs;
  std::ostringstream table;
  for (int i = 0; i < 17; ++i) table << (i > 0 ? "," : "") << "c" << i;
  for (int row = 0; row < 80; ++row) {
    table << "\n";
    for (int i = 0; i < 17; ++i) table << (i > 0 ? "," : "") << (row * 37 + i * i * 11) % 101 + 0.5;
  }
  write(runs.folder.file("t.csv"), table.str() + "\n");
  expect_ok(runs.train("residual-flow", {"--data", runs.folder.file("t.csv"), "--steps", "4"}));
  const auto json = runs.call("eval", {"--json"}).json();
  BOOST_TEST((json["bound"] == false && json["estimated"] == true));
  const Outcome eval = runs.call("eval");
  BOOST_TEST(eval.out.find("estimated at random, without bias (to term 34") != std::string::npos);
  expect_failure(runs.call("eval", {"--importance", "4"}), {"estimated at random", "--noise-draws"},
                 2);
  const Outcome check = runs.call("check");
  BOOST_TEST(check.out.find("Log-determinants of 1 layers are estimates") != std::string::npos,
             check.out);
  for (const std::string& line : lines_of(check.out)) {
    if (line.find(".block") != std::string::npos) {
      BOOST_TEST(line.find("0.0e+00") == std::string::npos, line);
    }
  }
  for (const char* command : {"score", "sample", "encode", "report"}) expect_ok(runs.call(command));
}

BOOST_AUTO_TEST_CASE(images_are_estimates_of_a_bound) {
  const ResidualRuns runs;
  for (const char* model : {"iresnet", "residual-flow"}) {
    expect_ok(runs.train(model, {"--data", "glyphs", "--train", "40", "--valid", "10", "--test",
                                 "10", "--steps", "2", "--width", "4", "--terms-evaluated", "3"}));
    const auto json = runs.call("eval", {"--json"}).json();
    BOOST_TEST((json["bound"] == true && json["estimated"] == true));
    const std::string said = json["convention"];
    const bool biased =
        said.find("by 3 terms of their series: biased, by at most") != std::string::npos;
    BOOST_TEST(biased == (std::string(model) == "iresnet"), said);
    BOOST_TEST((said.find("nats (in training by ") != std::string::npos) == biased, said);
    BOOST_TEST(said.find("; but for these estimates a lower bound") != std::string::npos, said);
    expect_ok(runs.call("sample", {"-n", "4"}));
    expect_failure(runs.call("sample", {"-n", "4", "--size", "2x"}), {"SpectralConv2d"}, 2);
  }
}

BOOST_AUTO_TEST_SUITE_END()
