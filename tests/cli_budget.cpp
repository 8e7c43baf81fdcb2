// flowcli train --budget: as many steps as fit into some core-minutes.
#include <algorithm>
#include <boost/test/unit_test.hpp>

#include "cli_util.h"

using namespace nf::test;

BOOST_AUTO_TEST_SUITE(cli_budget)

namespace {

using Arguments = std::vector<std::string>;

Arguments within(const std::string& run, const std::string& budget, const Arguments& more = {}) {
  Arguments all = tiny_training(run, 1);
  *std::find(all.begin(), all.end(), "--epochs") = "--budget";
  *std::next(std::find(all.begin(), all.end(), "--budget")) = budget;
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

}  // namespace

// How many steps there are depends on the machine; that they are fixed before the first one does
// not.
BOOST_AUTO_TEST_CASE(the_steps_that_fit_are_settings_of_the_run) {
  const ScratchFolder folder;
  const std::string run = folder.file("run");
  const Outcome trained = flowcli(folder, within(run, "0.1", {"--json"}));
  BOOST_TEST_REQUIRE(trained.status == 0, trained.err);
  BOOST_TEST(trained.err.find("budget of 0.1 core-minutes: ") != std::string::npos, trained.err);
  const auto config = nlohmann::json::parse(slurp(run + "/config.json"));
  BOOST_TEST(config["training"]["budget"] == 0.1);
  BOOST_TEST(config["training"]["steps"].get<long>() >= 1);
  BOOST_TEST(nlohmann::json::parse(trained.out)["steps"] == config["training"]["steps"]);
  // It is finished, and says so without timing anything again.
  const Outcome again = flowcli(folder, {"resume", run});
  BOOST_TEST(again.err.find("core-minutes") == std::string::npos, again.err);
}

// image-plus has one of its own, which gives way to what is asked for.
BOOST_AUTO_TEST_CASE(a_preset_may_have_a_budget) {
  const ScratchFolder folder;
  const std::string run = folder.file("run");
  const Arguments training = {"train",   "image-plus", "--data",         "glyphs", "--train", "40",
                              "--valid", "10",         "--test",         "10",     "--width", "4",
                              "--out",   run,          "--sample-every", "0"};
  const auto ended_by = [&](const Arguments& more) {
    Arguments all = training;
    all.insert(all.end(), more.begin(), more.end());
    const Outcome outcome = flowcli(folder, all);
    BOOST_TEST_REQUIRE(outcome.status == 0, outcome.err);
    const bool timed = outcome.err.find("core-minutes: ") != std::string::npos;
    const auto config = nlohmann::json::parse(slurp(run + "/config.json"));
    BOOST_TEST((config["training"]["budget"].get<double>() > 0) == timed);
    return timed;
  };
  BOOST_TEST(!ended_by({"--steps", "1"}));
  BOOST_TEST(!ended_by({"--epochs", "1", "--overwrite"}));
  const Outcome help = flowcli(folder, {"train", "image-plus", "--help"});
  const std::size_t at = help.out.find("  --budget");
  BOOST_TEST_REQUIRE(at != std::string::npos);
  BOOST_TEST(help.out.substr(at, 250).find("[60") != std::string::npos, help.out.substr(at, 250));
}

BOOST_AUTO_TEST_CASE(a_folder_that_is_taken_is_told_before_steps_are_timed) {
  const ScratchFolder folder;
  const std::string run = folder.file("run");
  BOOST_TEST_REQUIRE(flowcli(folder, tiny_training(run, 1)).status == 0);
  const Outcome refused = flowcli(folder, within(run, "1"));
  BOOST_TEST(refused.status == 1, refused.err);
  BOOST_TEST(refused.err.find("already holds a run") != std::string::npos, refused.err);
  BOOST_TEST(refused.err.find("core-minutes") == std::string::npos, refused.err);
}

BOOST_AUTO_TEST_CASE(a_budget_that_cannot_be_is_one_line_and_makes_no_folder) {
  const ScratchFolder folder;
  const std::string run = folder.file("run");
  struct Case {
    Arguments arguments;
    int status;
    const char* says;
  };
  for (const Case& c :
       {Case{within(run, "1e-9"), 1, "give more"},
        Case{within(run, "1", {"--steps", "5"}), 2, "leave out --steps and --epochs"},
        Case{within(run, "1", {"--epochs", "5"}), 2, "leave out --steps and --epochs"},
        Case{within(run, "-1"), 2, "budget"}}) {
    const Outcome refused = flowcli(folder, c.arguments);
    BOOST_TEST(refused.status == c.status, refused.err);
    BOOST_TEST(refused.err.find(c.says) != std::string::npos, refused.err);
    BOOST_TEST(std::count(refused.err.begin(), refused.err.end(), '\n') == 1, refused.err);
    BOOST_TEST(!std::filesystem::exists(run));
  }
}

BOOST_AUTO_TEST_SUITE_END()
