// flowcli train under interruptions: Ctrl-C, kill -9, divergence. Nothing may be lost.
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <csignal>
#include <thread>

#include "cli_util.h"
#include "tensor/philox.h"

using namespace nf::test;

BOOST_AUTO_TEST_SUITE(cli_training)

namespace {

constexpr int kEpochs = 12;

/// log.jsonl without what differs between runs by nature: the seconds.
std::vector<nlohmann::json> log_of(const std::string& run) {
  std::vector<nlohmann::json> reports;
  std::istringstream in(slurp(run + "/log.jsonl"));
  for (std::string line; std::getline(in, line);) {
    reports.push_back(nlohmann::json::parse(line));
    reports.back().erase("seconds");
  }
  return reports;
}

void expect_same_result(const std::string& run, const std::string& reference) {
  BOOST_TEST((log_of(run) == log_of(reference)), "the logs differ");
  for (const char* name : {"/last.safetensors", "/best.safetensors"}) {
    BOOST_TEST((slurp(run + name) == slurp(reference + name)), name << " differs");
  }
}

void sleep_ms(std::uint32_t ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

}  // namespace

BOOST_AUTO_TEST_CASE(ctrl_c_saves_and_resume_continues_bit_for_bit) {
  const ScratchFolder folder;
  const std::string reference = folder.file("reference"), run = folder.file("run");
  BOOST_TEST_REQUIRE(flowcli(folder, tiny_training(reference, kEpochs)).status == 0);

  const Child child(folder, tiny_training(run, kEpochs));
  while (!std::filesystem::exists(run + "/best.safetensors")) sleep_ms(1);
  child.signal(SIGINT);
  const int status = child.wait();
  BOOST_TEST(status == 130, child.err());
  BOOST_TEST(child.err().find("flowcli resume") != std::string::npos);
  BOOST_TEST(flowcli(folder, {"eval", run}).status == 0);
  BOOST_TEST(flowcli(folder, {"resume", run, "--threads", "1"}).status == 0);
  expect_same_result(run, reference);
}

BOOST_AUTO_TEST_CASE(kill_9_at_any_moment_leaves_a_loadable_checkpoint) {
  const ScratchFolder folder;
  const std::string reference = folder.file("reference"), run = folder.file("run");
  BOOST_TEST_REQUIRE(flowcli(folder, tiny_training(reference, kEpochs)).status == 0);

  int killed = 0, status = 0;
  for (std::uint32_t attempt = 0; attempt < 40; ++attempt) {
    const bool started = std::filesystem::exists(run + "/state.safetensors");
    auto arguments = tiny_training(run, kEpochs);
    arguments.push_back("--overwrite");  // killed before there was anything to resume
    const Child child(
        folder, started ? std::vector<std::string>{"resume", run, "--threads", "1"} : arguments);
    if (attempt < 25) {
      sleep_ms(20 + nf::philox(5, attempt)[0] % 200);
      child.signal(SIGKILL);
    }
    status = child.wait();
    if (status == 0) break;
    BOOST_TEST_REQUIRE(status == -SIGKILL, child.err());
    ++killed;
    if (std::filesystem::exists(run + "/last.safetensors")) {
      const Outcome evaluated = flowcli(folder, {"eval", run, "--weights", "last", "--json"});
      BOOST_TEST_REQUIRE(evaluated.status == 0, evaluated.err);
    }
  }
  BOOST_TEST(status == 0);
  BOOST_TEST(killed > 0);
  expect_same_result(run, reference);
}

BOOST_AUTO_TEST_CASE(divergence_names_the_layer_and_does_not_look_trained) {
  const ScratchFolder folder;
  const std::string run = folder.file("run");
  auto arguments = tiny_training(run, 3);
  arguments.insert(arguments.end(), {"--lr", "1e30", "--schedule", "constant", "--mixing", "none"});
  const Outcome outcome = flowcli(folder, arguments);
  BOOST_TEST(outcome.status == 3, outcome.err);
  BOOST_TEST(outcome.err.find("diverged") != std::string::npos, outcome.err);
  BOOST_TEST(outcome.err.find("couplings.") != std::string::npos, outcome.err);
  // It came to no step: there are no good weights, and nothing that looks like them.
  const Outcome looked = flowcli(folder, {"eval", run, "--weights", "last"});
  BOOST_TEST(looked.status == 1);
  BOOST_TEST(looked.err.find("has not been trained yet") != std::string::npos, looked.err);
}

BOOST_AUTO_TEST_CASE(resume_can_go_further) {
  const ScratchFolder folder;
  const std::string run = folder.file("run");
  BOOST_TEST_REQUIRE(flowcli(folder, tiny_training(run, 2)).status == 0);
  BOOST_TEST(flowcli(folder, {"resume", run, "--epochs", "4"}).status == 0);
  BOOST_TEST(log_of(run).size() == 4U);
}

BOOST_AUTO_TEST_SUITE_END()
