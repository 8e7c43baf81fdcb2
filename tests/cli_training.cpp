// flowcli train under interruptions: signals, kill -9, full disks, divergence. Nothing may be lost.
//
// No test here waits for a time. A training stops or ends itself at a named point of a save
// (tensor/fault.h), and one that is to be interrupted has more epochs than it could ever do.
#include <sys/resource.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <csignal>
#include <map>

#include "cli_util.h"
#include "nn/safetensors.h"
#include "tensor/philox.h"

using namespace nf::test;

BOOST_AUTO_TEST_SUITE(cli_training)

namespace {

using Arguments = std::vector<std::string>;

constexpr int kEndless = 1'000'000;

/// A tiny training whose steps do not depend on how many there will be.
Arguments training(const std::string& run, int epochs, const Arguments& more = {}) {
  Arguments all = tiny_training(run, epochs);
  all.insert(all.end(), {"--schedule", "constant"});
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

Arguments training_of_steps(const std::string& run, int steps) {
  Arguments all = training(run, steps);
  *std::find(all.begin(), all.end(), "--epochs") = "--steps";
  return all;
}

Arguments resume(const std::string& run, const Arguments& more = {}) {
  Arguments all = {"resume", run, "--threads", "1"};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

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

/// log.csv says what log.jsonl says, nothing where that has null.
void expect_same_table(const std::string& run) {
  const std::vector<std::string> keys = {"epoch",      "step",       "seconds",
                                         "train_nats", "valid_nats", "valid_bits_per_dim",
                                         "lr",         "grad_norm"};
  std::string expected =
      "epoch,step,seconds,train_nats,valid_nats,valid_bits_per_dim,lr,grad_norm\n";
  std::istringstream in(slurp(run + "/log.jsonl"));
  for (std::string line; std::getline(in, line);) {
    const auto json = nlohmann::json::parse(line);
    BOOST_TEST(json.size() == keys.size());
    for (const std::string& key : keys) {
      expected += (key == "epoch" ? "" : ",") + (json[key].is_null() ? "" : json[key].dump());
    }
    expected += "\n";
  }
  BOOST_TEST(slurp(run + "/log.csv") == expected);
}

void expect_same_result(const std::string& run, const std::string& reference) {
  BOOST_TEST((log_of(run) == log_of(reference)), "the logs differ");
  for (const char* name : {"/last.safetensors", "/best.safetensors"}) {
    BOOST_TEST((slurp(run + name) == slurp(reference + name)), name << " differs");
  }
}

nf::nn::Metadata state_of(const std::string& run) {
  return nf::nn::load_safetensors(run + "/state.safetensors").metadata;
}

/// One line that says what failed and where.
void expect_one_line(const Outcome& outcome, const std::string& words) {
  BOOST_TEST(outcome.status == 1);
  BOOST_TEST(outcome.err.find("flowcli: ") == 0U, outcome.err);
  BOOST_TEST(outcome.err.find(words) != std::string::npos, outcome.err);
  BOOST_TEST(std::count(outcome.err.begin(), outcome.err.end(), '\n') == 1, outcome.err);
}

/// An interrupted or killed run goes on for at least an epoch, and is then the one that was never
/// interrupted.
void expect_resumes_bit_for_bit(const ScratchFolder& folder, const std::string& run) {
  const int epochs = std::stoi(state_of(run).at("epoch")) + 2;
  const Outcome resumed = flowcli(folder, resume(run, {"--epochs", std::to_string(epochs)}));
  BOOST_TEST_REQUIRE(resumed.status == 0, resumed.err);
  const std::string reference = run + "-reference";
  BOOST_TEST_REQUIRE(flowcli(folder, training(reference, epochs)).status == 0);
  expect_same_result(run, reference);
  expect_same_table(run);
  expect_same_table(reference);
  BOOST_TEST(state_of(run).at("status") == "finished");
}

}  // namespace

BOOST_AUTO_TEST_CASE(signals_save_and_resume_continues_bit_for_bit) {
  const ScratchFolder folder;
  const std::vector<int> kSignals[] = {{SIGINT}, {SIGTERM}, {SIGHUP}, {SIGTERM, SIGHUP}};
  for (const auto& signals : kSignals) {
    const std::string run =
        folder.file("run-" + std::to_string(signals[0]) + "-" + std::to_string(signals.size()));
    const Child child(folder, training(run, kEndless), "log-append:3:stop");
    BOOST_TEST_REQUIRE(child.wait_until_stopped(), child.err());
    for (const int number : signals) child.signal(number);
    child.signal(SIGCONT);
    if (signals[0] == SIGHUP) child.signal(SIGHUP);  // a terminal that closes may send two
    BOOST_TEST(child.wait() == 130, child.err());
    BOOST_TEST(child.err().find("flowcli resume") != std::string::npos);
    BOOST_TEST(state_of(run).at("status") == "interrupted");
    BOOST_TEST(flowcli(folder, {"eval", run}).status == 0);
    expect_resumes_bit_for_bit(folder, run);
  }
}

BOOST_AUTO_TEST_CASE(before_the_first_step_a_signal_ends_the_program_at_once) {
  const ScratchFolder folder;
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    const Child child(folder, training(folder.file("run"), kEndless, {"--overwrite"}),
                      "write-begin:1:stop");
    BOOST_TEST_REQUIRE(child.wait_until_stopped(), child.err());
    child.signal(number);
    child.signal(SIGCONT);
    BOOST_TEST(child.wait() == -number, child.err());
  }
}

BOOST_AUTO_TEST_CASE(a_training_under_nohup_survives_its_terminal) {
  const ScratchFolder folder;
  const std::string run = folder.file("run");
  const Child child(folder, training(run, 3), "log-append:1:stop",
                    [] { std::signal(SIGHUP, SIG_IGN); });
  BOOST_TEST_REQUIRE(child.wait_until_stopped(), child.err());
  child.signal(SIGHUP);
  child.signal(SIGCONT);
  BOOST_TEST(child.wait() == 0, child.err());
  BOOST_TEST(log_of(run).size() == 3U);
}

BOOST_AUTO_TEST_CASE(a_training_goes_on_when_nobody_listens) {
  const ScratchFolder folder;
  const auto close_pipe = [](int stream) {
    return [stream] {
      int ends[2];
      if (pipe(ends) != 0) _exit(126);
      close(ends[0]);
      dup2(ends[1], stream);
    };
  };
  const std::string a = folder.file("a"), b = folder.file("b");
  const Outcome deaf = flowcli(folder, training(a, 3), "", close_pipe(STDERR_FILENO));
  BOOST_TEST(deaf.status == 0);
  // train --json | head -0: the result cannot be told, but the run is whole.
  flowcli(folder, training(b, 3, {"--json"}), "", close_pipe(STDOUT_FILENO));
  for (const std::string& run : {a, b}) {
    BOOST_TEST(log_of(run).size() == 3U);
    BOOST_TEST(state_of(run).at("status") == "finished");
  }
}

// NF_KILLS=1000 nf_tests --run_test=cli_training/kill*: as many as you like.
BOOST_AUTO_TEST_CASE(kill_9_at_every_point_of_a_save_leaves_a_loadable_checkpoint) {
  struct Point {
    const char* name;
    std::uint32_t counts;  // the kill comes at one of the first so many of them
  };
  constexpr Point kPoints[] = {{"write-begin", 10},  {"write-part", 300}, {"write-sync", 10},
                               {"write-rename", 10}, {"write-done", 10},  {"save-between", 3},
                               {"log-append", 6}};
  constexpr std::uint32_t kStarts = 14;  // kills of trainings that are new
  const char* wanted = std::getenv("NF_KILLS");
  const auto kills = static_cast<std::uint32_t>(wanted ? std::atoi(wanted) : 100);

  const ScratchFolder folder;
  const std::string run = folder.file("run");
  const auto there = [&](const char* name) { return std::filesystem::exists(run + name); };
  for (std::uint32_t kill = 0; kill < kills; ++kill) {
    const Point& point = kPoints[kill % std::size(kPoints)];
    const std::uint32_t count =
        1 + (kill < kStarts ? kill / std::size(kPoints) : nf::philox(5, kill)[0] % point.counts);
    const bool started = kill >= kStarts && there("/config.json") && there("/state.safetensors");
    const std::string fault = point.name + (":" + std::to_string(count)) + ":kill";
    const Outcome outcome =
        flowcli(folder, started ? resume(run) : training(run, kEndless, {"--overwrite"}), fault);
    BOOST_TEST_REQUIRE(outcome.status == -SIGKILL, fault << ": " << outcome.err);
    for (const char* name : {"/state.safetensors", "/last.safetensors", "/best.safetensors"}) {
      if (there(name)) BOOST_REQUIRE_NO_THROW(nf::nn::load_safetensors(run + name));
    }
    if (kill % 20 == 19 && there("/config.json") && state_of(run).at("step") != "0") {
      const Outcome evaluated = flowcli(folder, {"eval", run, "--weights", "last", "--json"});
      BOOST_TEST_REQUIRE(evaluated.status == 0, evaluated.err);
    }
  }
  expect_resumes_bit_for_bit(folder, run);
}

BOOST_AUTO_TEST_CASE(within_an_epoch_there_are_checkpoints_too) {
  const ScratchFolder folder;
  const std::string run = folder.file("run");
  const Arguments always = {"--save-minutes", "1e-9"}, never = {"--save-minutes", "0"};
  BOOST_TEST(flowcli(folder, training(run, kEndless, always), "save-between:6:kill").status ==
             -SIGKILL);
  BOOST_TEST(state_of(run).at("epoch") == "0");
  BOOST_TEST(state_of(run).at("step") == "5");
  expect_resumes_bit_for_bit(folder, run);
  const std::string without = folder.file("without");
  BOOST_TEST(flowcli(folder, training(without, kEndless, never), "save-between:3:kill").status ==
             -SIGKILL);
  BOOST_TEST(state_of(without).at("epoch") == "2");
}

BOOST_AUTO_TEST_CASE(a_full_disk_is_one_line_and_the_last_checkpoint_stays) {
  const ScratchFolder folder;
  for (const char* fault : {"write-part:300:fail", "write-rename:9:fail", "log-append:5:fail"}) {
    BOOST_TEST_CONTEXT(fault) {
      const std::string run = folder.file(std::string("run-") + fault[6] + fault[8]);
      const Outcome outcome = flowcli(folder, training(run, kEndless, {"--quiet"}), fault);
      expect_one_line(outcome, "No space left on device");
      BOOST_TEST(flowcli(folder, {"eval", run, "--weights", "last"}).status == 0);
      expect_resumes_bit_for_bit(folder, run);
    }
  }
}

BOOST_AUTO_TEST_CASE(a_file_beyond_the_size_limit_is_one_line_too) {
  const ScratchFolder folder;
  const std::string run = folder.file("run");
  BOOST_TEST_REQUIRE(flowcli(folder, training(run, 2)).status == 0);
  const auto limit = [] {
    const rlimit bytes{2000, 2000};
    setrlimit(RLIMIT_FSIZE, &bytes);
  };
  const Outcome outcome = flowcli(folder, resume(run, {"--epochs", "5", "--quiet"}), "", limit);
  expect_one_line(outcome, "File too large");
  expect_resumes_bit_for_bit(folder, run);
}

BOOST_AUTO_TEST_CASE(divergence_names_the_layer_and_does_not_look_trained) {
  const ScratchFolder folder;
  const std::string run = folder.file("run");
  auto arguments = tiny_training(run, 3);
  arguments.insert(arguments.end(), {"--lr", "1e30", "--schedule", "constant", "--mixing", "none"});
  const Outcome outcome = flowcli(folder, arguments);
  BOOST_TEST(outcome.status == 3, outcome.err);
  BOOST_TEST(outcome.err.find("diverged at step 2") != std::string::npos, outcome.err);
  BOOST_TEST(outcome.err.find("couplings.") != std::string::npos, outcome.err);
  // It came to no step: there are no good weights, and nothing that looks like them.
  const Outcome looked = flowcli(folder, {"eval", run, "--weights", "last"});
  BOOST_TEST(looked.status == 1);
  BOOST_TEST(looked.err.find("has not been trained yet") != std::string::npos, looked.err);
  BOOST_TEST(state_of(run).at("status") == "diverged");
  BOOST_TEST(state_of(run).at("diverged_step") == "2");
  BOOST_TEST(state_of(run).at("step") == "0");  // that of the last good checkpoint
}

BOOST_AUTO_TEST_CASE(the_table_of_epochs_follows_the_log) {
  const ScratchFolder folder;
  const std::string run = folder.file("run");
  auto unvalidated = training(run, 2);
  *std::next(std::find(unvalidated.begin(), unvalidated.end(), "--valid")) = "0";
  BOOST_TEST_REQUIRE(flowcli(folder, unvalidated).status == 0);
  expect_same_table(run);  // nothing was validated
  for (const char* lost : {"/log.csv", "/log.jsonl"}) {
    std::filesystem::remove(run + lost);
    const std::string epochs = lost == std::string("/log.csv") ? "3" : "4";
    BOOST_TEST_REQUIRE(flowcli(folder, resume(run, {"--epochs", epochs})).status == 0);
    expect_same_table(run);
  }
  BOOST_TEST(log_of(run).size() == 1U);
}

BOOST_AUTO_TEST_CASE(resume_can_go_further) {
  const ScratchFolder folder;
  const std::string run = folder.file("run"), reference = folder.file("reference");
  // 20 steps are an epoch. What was said of half an epoch stays: it may have been the best.
  BOOST_TEST_REQUIRE(flowcli(folder, training_of_steps(run, 30)).status == 0);
  BOOST_TEST(log_of(run).size() == 2U);
  BOOST_TEST(flowcli(folder, resume(run)).status == 0);  // nothing to do
  BOOST_TEST(log_of(run).size() == 2U);
  BOOST_TEST(flowcli(folder, resume(run, {"--steps", "70"})).status == 0);
  BOOST_TEST_REQUIRE(flowcli(folder, training_of_steps(reference, 70)).status == 0);
  auto log = log_of(run);
  BOOST_TEST_REQUIRE(log.size() == 5U);
  BOOST_TEST(log[1].at("step") == 30);
  log.erase(log.begin() + 1);
  BOOST_TEST((log == log_of(reference)), "the logs differ");
  BOOST_TEST(slurp(run + "/last.safetensors") == slurp(reference + "/last.safetensors"));
  BOOST_TEST(flowcli(folder, resume(run, {"--epochs", "5"})).status == 0);
  BOOST_TEST(log_of(run).size() == 7U);
  const std::string config = slurp(run + "/config.json");
  for (const char* end : {"--epochs", "--steps"}) {
    const Outcome passed = flowcli(folder, resume(run, {end, "5"}));
    BOOST_TEST(passed.status == 2);
    BOOST_TEST(
        passed.err.find("stands at step 100, epoch 5; give a later end") != std::string::npos,
        passed.err);
  }
  BOOST_TEST(slurp(run + "/config.json") == config);
  BOOST_TEST(state_of(run).at("status") == "finished");
}

// The best of the log, of the result and of best.safetensors are one, also when it was that of half
// an epoch and the training went on, for the worse.
BOOST_AUTO_TEST_CASE(there_is_one_best) {
  const ScratchFolder folder;
  const std::string run = folder.file("run");
  BOOST_TEST_REQUIRE(flowcli(folder, training_of_steps(run, 30)).status == 0);
  nlohmann::json config = nlohmann::json::parse(slurp(run + "/config.json"));
  config["training"]["lr"] = 10;  // far worse, on every machine
  std::ofstream(run + "/config.json") << config.dump();
  const Outcome resumed = flowcli(folder, resume(run, {"--epochs", "4", "--json"}));
  BOOST_TEST_REQUIRE(resumed.status == 0, resumed.err);
  double best = -INFINITY;
  std::int64_t best_step = 0;
  for (const auto& line : log_of(run)) {
    if (line.at("valid_nats").get<double>() <= best) continue;
    best = line.at("valid_nats").get<double>();
    best_step = line.at("step").get<std::int64_t>();
  }
  BOOST_TEST(best_step == 30);
  BOOST_TEST(resumed.json().at("best_valid_nats").get<double>() == best);
  const auto said = nf::nn::load_safetensors(run + "/best.safetensors").metadata;
  BOOST_TEST(said.at("step") == "30");
  BOOST_TEST(std::stod(said.at("valid_nats")) == best);
  const Outcome evaluated = flowcli(folder, {"eval", run, "--split", "valid", "--json"});
  BOOST_TEST(evaluated.json().at("nats").get<double>() == best, boost::test_tools::tolerance(1e-6));
}

BOOST_AUTO_TEST_CASE(without_validation_samples_nothing_is_invented) {
  const ScratchFolder folder;
  const std::string run = folder.file("run");
  const Outcome outcome = flowcli(folder, training(run, 2, {"--set", "valid=0", "--json"}));
  BOOST_TEST(outcome.status == 0, outcome.err);
  BOOST_TEST(outcome.json().at("best_valid_nats").is_null());
  BOOST_TEST(outcome.json().at("best_epoch").is_null());
  BOOST_TEST(outcome.err.find("0.0000") == std::string::npos, outcome.err);
  for (const auto& line : log_of(run)) {
    BOOST_TEST(line.at("valid_nats").is_null());
    BOOST_TEST(line.at("valid_bits_per_dim").is_null());
  }
  BOOST_TEST(!std::filesystem::exists(run + "/best.safetensors"));
  BOOST_TEST(outcome.err.find("no validation samples") != std::string::npos, outcome.err);
  const Outcome evaluated = flowcli(folder, {"eval", run, "--split", "test"});
  BOOST_TEST(evaluated.status == 0, evaluated.err);
  BOOST_TEST(evaluated.err.find("the last ones are taken") != std::string::npos, evaluated.err);
  BOOST_TEST(
      flowcli(folder, {"report", run, "--out", folder.file("report.html"), "--split", "test"})
          .status == 0);
  BOOST_TEST(slurp(folder.file("report.html")).find("no validation samples") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_table_is_not_learned_by_heart) {
  const ScratchFolder folder;
  const std::string run = folder.file("run"), table = folder.file("table.csv");
  std::ofstream out(table);
  out << "a,b\n";
  for (std::uint32_t i = 0; i < 120; ++i) {
    const auto bits = nf::philox(9, i);
    out << bits[0] / 0x1p32 + bits[1] / 0x1p32 << ',' << bits[2] / 0x1p32 - bits[3] / 0x1p32
        << '\n';
  }
  out.close();
  const Outcome outcome = flowcli(
      folder,
      {"train",  "realnvp-2d",     "--data", table,      "--out", run,         "--couplings",
       "4",      "--hidden-units", "64",     "--valid",  "40",    "--test",    "0",
       "--json", "--warmup",       "0",      "--epochs", "200",   "--threads", "1"});
  BOOST_TEST_REQUIRE(outcome.status == 0, outcome.err);
  const auto result = outcome.json();
  BOOST_TEST(result.at("finished") == true);
  BOOST_TEST(result.at("stopped_early") == true);
  BOOST_TEST(result.at("overfits") == true);
  const auto best = result.at("best_epoch").get<std::size_t>();
  BOOST_TEST(log_of(run).size() == best + 20);  // the patience of tables
  BOOST_TEST(outcome.err.find("it overfits since") != std::string::npos, outcome.err);
  BOOST_TEST(outcome.err.find("best: epoch " + std::to_string(best) + ", ") != std::string::npos,
             outcome.err);
  const Outcome ended = flowcli(folder, resume(run, {"--epochs", "250"}));
  BOOST_TEST(ended.err.find("--patience N (0: no end)") != std::string::npos, ended.err);
  // Who wants more says so.
  const Outcome more = flowcli(folder, resume(run, {"--patience", "25", "--json"}));
  BOOST_TEST(more.json().at("epochs") == best + 25, more.err);
}

BOOST_AUTO_TEST_CASE(a_picture_that_cannot_be_drawn_is_a_note) {
  const ScratchFolder folder;
  const std::string run = folder.file("run");
  BOOST_TEST_REQUIRE(flowcli(folder, training(run, 1)).status == 0);
  std::filesystem::remove_all(run + "/samples");
  std::ofstream(run + "/samples") << "a file in the way";
  const Outcome outcome = flowcli(folder, resume(run, {"--epochs", "2"}));
  BOOST_TEST(outcome.status == 0, outcome.err);
  BOOST_TEST(outcome.err.find("no picture") != std::string::npos, outcome.err);
  BOOST_TEST(log_of(run).size() == 2U);
}

BOOST_AUTO_TEST_SUITE_END()
