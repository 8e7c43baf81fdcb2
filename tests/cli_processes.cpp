// flowcli train and resume as several processes: the same bits, one voice, and an end for all when
// one of them fails, dies or stops. No test here waits for a time that a slow machine would need.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <csignal>

#include "cli_runs.h"

using namespace nf::test;

BOOST_AUTO_TEST_SUITE(cli_processes)

namespace {

using Arguments = std::vector<std::string>;

Arguments shared_training(const std::string& run, int epochs, int processes,
                          const Arguments& more = {}) {
  Arguments all = tiny_training(run, epochs);
  all.insert(all.end(),
             {"--schedule", "constant", "--shards", "4", "--processes", std::to_string(processes)});
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

/// "parameters: 0123456789abcdef"
std::string parameters_in(const std::string& err) {
  const std::size_t at = err.find("parameters: ");
  return at == std::string::npos ? err : err.substr(at, 28);
}

void expect_same_weights(const std::string& run, const std::string& reference) {
  for (const char* name : {"/last.safetensors", "/best.safetensors"}) {
    BOOST_TEST((slurp(run + name) == slurp(reference + name)), run << name << " differs");
  }
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_number_of_processes_changes_no_file_of_weights) {
  const ScratchFolder folder;
  std::string parameters;
  for (const int processes : {1, 2, 3, 4}) {
    const std::string run = folder.file("run" + std::to_string(processes));
    const Outcome outcome = flowcli(folder, shared_training(run, 2, processes));
    expect_ok(outcome);
    if (processes == 1) parameters = parameters_in(outcome.err);
    BOOST_TEST(parameters_in(outcome.err) == parameters);
    BOOST_TEST(std::count(outcome.err.begin(), outcome.err.end(), '\n') < 15, outcome.err);
    expect_same_weights(run, folder.file("run1"));
    BOOST_TEST(config_of(run)["training"]["shards"] == 4);
    BOOST_TEST(lines_of(slurp(run + "/log.jsonl")).size() == 2U);
  }
  // Begun by four, ended by one.
  const std::string run = folder.file("begun");
  expect_ok(flowcli(folder, shared_training(run, 1, 4)));
  expect_ok(flowcli(folder, {"resume", run, "--epochs", "2", "--processes", "2"}));
  expect_same_weights(run, folder.file("run1"));
}

BOOST_AUTO_TEST_CASE(rounded_gradients_are_the_same_for_every_number_of_processes) {
  const ScratchFolder folder;
  const std::string exact = folder.file("exact"), one = folder.file("one");
  const Arguments bf16 = {"--quiet", "--exchange", "bf16"};
  expect_ok(flowcli(folder, shared_training(exact, 2, 1, {"--quiet"})));
  expect_ok(flowcli(folder, shared_training(one, 2, 1, bf16)));
  BOOST_TEST((slurp(one + "/last.safetensors") != slurp(exact + "/last.safetensors")));
  BOOST_TEST(config_of(one)["training"]["exchange"] == "bf16");
  const std::string run = folder.file("run");
  expect_ok(flowcli(folder, shared_training(run, 1, 4, bf16)));
  expect_ok(flowcli(folder, {"resume", run, "--epochs", "2", "--processes", "3", "--quiet"}));
  expect_same_weights(run, one);
}

BOOST_AUTO_TEST_CASE(a_process_that_fails_ends_all_in_one_line) {
  const ScratchFolder folder;
  struct Case {
    const char* fault;
    int status;
    std::vector<std::string> says;
  };
  const Case cases[] = {
      {"rank-1-data:1:fail", 1, {"rank 1 of 2"}},
      {"rank-1-step:25:fail", 1, {"rank 1 of 2", "step 25", "flowcli resume"}},
      {"rank-1-step:25:kill", 1, {"rank 1 of 2", "is gone", "step 2", "flowcli resume"}},
      {"rank-1-step:25:stop", 1, {"rank 1 of 2", "no sign of life", "step 2", "flowcli resume"}},
      {"write-part:9:fail", 1, {"No space left"}},
      {"log-append:1:fail", 1, {"log.jsonl"}},
  };
  for (const Case& c : cases) {
    BOOST_TEST_CONTEXT(c.fault) {
      const std::string run = folder.file("run");
      const Outcome outcome = flowcli(
          folder, shared_training(run, 3, 2, {"--quiet", "--overwrite", "--comm-timeout", "5"}),
          c.fault);
      expect_failure(outcome, c.says, c.status);
      // What was saved is whole: the run goes on, by one process, to the same end.
      if (!std::string(c.fault).starts_with("rank-1-step")) continue;
      expect_ok(flowcli(folder, {"resume", run, "--quiet"}));
      const std::string reference = folder.file("reference");
      expect_ok(flowcli(folder, shared_training(reference, 3, 1, {"--quiet", "--overwrite"})));
      expect_same_weights(run, reference);
    }
  }
}

BOOST_AUTO_TEST_CASE(a_checkpoint_within_an_epoch_is_that_of_all) {
  const ScratchFolder folder;
  const std::string run = folder.file("run"), reference = folder.file("reference");
  const Arguments more = {"--quiet", "--save-minutes", "1e-9"};
  expect_failure(flowcli(folder, shared_training(run, 3, 2, more), "rank-1-step:7:kill"),
                 {"rank 1 of 2", "is gone", "flowcli resume"});
  const auto state = nf::nn::load_safetensors(run + "/state.safetensors").metadata;
  BOOST_TEST(state.at("epoch") == "0");
  BOOST_TEST(std::stoi(state.at("step")) > 0);
  expect_ok(flowcli(folder, {"resume", run, "--quiet"}));
  expect_ok(flowcli(folder, shared_training(reference, 3, 1, {"--quiet"})));
  expect_same_weights(run, reference);
}

// Rank 0 stops in the writing of its log, and goes on when the other one has given it up.
BOOST_AUTO_TEST_CASE(rank_0_that_is_stopped_is_noticed) {
  const ScratchFolder folder;
  const Child child(folder,
                    shared_training(folder.file("run"), 100, 2, {"--quiet", "--comm-timeout", "5"}),
                    "log-append:2:stop");
  BOOST_TEST_REQUIRE(child.wait_until_stopped(), child.err());
  while (child.err().find('\n') == std::string::npos) usleep(20'000);
  child.signal(SIGCONT);
  BOOST_TEST(child.wait() == 1);
  BOOST_TEST(child.err().find("rank 0 of 2") != std::string::npos, child.err());
  BOOST_TEST(lines_of(child.err()).size() == 1U, child.err());
}

BOOST_AUTO_TEST_CASE(a_signal_to_any_process_saves_once) {
  const ScratchFolder folder;
  for (const bool to_first : {true, false}) {
    const std::string run = folder.file(to_first ? "first" : "second");
    const Child child(folder, shared_training(run, 1'000'000, 2), "log-append:1:stop");
    BOOST_TEST_REQUIRE(child.wait_until_stopped(), child.err());
    const auto others = child.children();
    BOOST_TEST_REQUIRE(others.size() == 1U);
    if (to_first) {
      child.signal(SIGTERM);
    } else {
      kill(others[0], SIGTERM);
    }
    child.signal(SIGCONT);
    BOOST_TEST(child.wait() == 130, child.err());
    BOOST_TEST(child.err().find("interrupted after step") != std::string::npos, child.err());
    const auto state = nf::nn::load_safetensors(run + "/state.safetensors").metadata;
    BOOST_TEST(state.at("status") == "interrupted");
    const int epochs = std::stoi(state.at("epoch")) + 1;
    expect_ok(flowcli(folder, {"resume", run, "--quiet", "--epochs", std::to_string(epochs)}));
    expect_ok(flowcli(folder, shared_training(run + "-reference", epochs, 1, {"--quiet"})));
    expect_same_weights(run, run + "-reference");
  }
}

BOOST_AUTO_TEST_CASE(rows_are_evaluated_together) {
  const ScratchFolder folder;
  const std::string run = folder.file("run");
  expect_ok(flowcli(folder, shared_training(run, 1, 1, {"--quiet"})));
  const auto eval = [&](int processes) {
    const Outcome outcome = flowcli(
        folder, {"eval", run, "--json", "--quiet", "--processes", std::to_string(processes)});
    expect_ok(outcome);
    return outcome.json();
  };
  const nlohmann::json alone = eval(1);
  for (const int processes : {2, 3}) {
    nlohmann::json together = eval(processes);
    BOOST_TEST(together.size() == alone.size());
    BOOST_TEST(together["count"] == 300);
    for (const char* key : {"nats", "nats_se", "bits_per_dim", "gaussian_nats"}) {
      BOOST_TEST(together[key].get<double>() == alone.at(key).get<double>(),
                 boost::test_tools::tolerance(1e-6));
    }
  }
  expect_failure(flowcli(folder, {"eval", run, "--processes", "2"}, "rank-1-data:1:fail"),
                 {"rank 1 of 2"});
}

// Ctrl-C at any process ends all of them after the draw that they are in.
BOOST_AUTO_TEST_CASE(importance_weights_of_all_processes_end_together) {
  const ScratchFolder folder;
  const std::string run = folder.file("run");
  expect_ok(flowcli(folder, {"train", "vae", "--data", "moons", "--train", "100", "--valid", "50",
                             "--test", "100", "--steps", "2", "--hidden-units", "8", "--out", run,
                             "--threads", "1", "--quiet"}));
  // Each process has 50 rows, of 30 and 20.
  const Arguments asked = {"eval",        run, "--importance", "5", "--batch-size", "30",
                           "--processes", "2", "--json"};
  for (const bool to_first : {true, false}) {
    const Child child(folder, asked, "importance-draw:7:stop");
    BOOST_TEST_REQUIRE(child.wait_until_stopped(), child.err());
    const auto others = child.children();
    BOOST_TEST_REQUIRE(others.size() == 1U);
    kill(to_first ? child.pid() : others[0], SIGINT);
    child.signal(SIGCONT);
    // The other one stops too, some time or other, before it votes. Where it has not, SIGCONT would
    // take away the SIGSTOP by which the leak sanitizer looks at it, which then waits for ever.
    while (kill(others[0], 0) == 0) {
      if (state_of(others[0]) == 'T') kill(others[0], SIGCONT);
      usleep(1000);
    }
    BOOST_TEST(child.wait() == 130, child.err());
    BOOST_TEST(child.err().find("weights of 60 of 100 samples") != std::string::npos, child.err());
    BOOST_TEST(nlohmann::json::parse(child.out())["importance_count"] == 60);
  }
  const nlohmann::json whole = flowcli(folder, asked).json();
  BOOST_TEST(whole["importance_count"] == 100);
}

BOOST_AUTO_TEST_CASE(bench_tells_what_processes_exchange) {
  const ScratchFolder folder;
  const Outcome outcome =
      flowcli(folder, {"bench", "realnvp-2d", "--hidden-units", "8", "--bench-steps", "10",
                       "--json", "--quiet", "--threads", "1", "--processes", "2", "--cluster",
                       "--bandwidth", "1", "--latency", "0"});
  expect_ok(outcome);
  const nlohmann::json told = outcome.json();
  BOOST_TEST(told["processes"] == 2);
  BOOST_TEST(told["communication_ms"].get<double>() > 0);
  const double bytes = 4 * told["parameters"].get<double>();
  BOOST_TEST(told["exchanged_mb"].get<double>() == bytes / 1e6);
  const nlohmann::json& rows = told["model_of_network"]["rows"];
  BOOST_TEST_REQUIRE(rows.size() == 8U);
  for (const auto& row : rows) {
    const double p = row["processes"];
    BOOST_TEST(row["exchange_ms"].get<double>() == 2 * (p - 1) / p * bytes / 1e9 * 1e3,
               boost::test_tools::tolerance(1e-9));
    BOOST_TEST(row["efficiency"].get<double>() >= row["efficiency_none_hidden"].get<double>());
  }
  BOOST_TEST(rows.back()["processes"] == 1024);

  // Of 2.9 million gradients what is complete goes beside the computing.
  for (const bool beside : {true, false}) {
    Arguments asked = {
        "bench",        "nice", "--couplings",   "2", "--hidden-units", "600",
        "--batch-size", "8",    "--bench-steps", "3", "--json",         "--quiet",
        "--threads",    "1",    "--processes",   "2", "--set",          "exchange=bf16"};
    if (!beside) asked.emplace_back("--no-overlap");
    const nlohmann::json big = flowcli(folder, asked).json();
    BOOST_TEST(big["exchanged_mb"].get<double>() == 2 * big["parameters"].get<double>() / 1e6);
    const double hidden = big["hidden_share"], waiting = big["waiting_ms"];
    BOOST_TEST((hidden >= 0 && hidden <= 1));
    BOOST_TEST((beside || hidden == 0), hidden);
    BOOST_TEST(waiting > 0);
    BOOST_TEST(big["communication_ms"].get<double>() > 0);
  }
}

BOOST_AUTO_TEST_CASE(what_processes_cannot_is_refused) {
  const ScratchFolder folder;
  const std::string run = folder.file("run");
  const auto training = [&](const Arguments& more) {
    Arguments all = tiny_training(run, 1);
    all.insert(all.end(), more.begin(), more.end());
    return all;
  };
  const std::pair<Arguments, std::string> cases[] = {
      {training({"--shards", "3"}), "power of two"},
      {training({"--shards", "2", "--processes", "3"}), "too few for 3 processes"},
      {training({"--processes", "2", "--ensemble", "2"}), "for one process"},
      {training({"--exchange", "bf16"}), "exchange = bf16 changes nothing"},
      {{"bench", "nice", "--floor", "--processes", "2"}, "--floor is that of one process"},
      {training({"--processes", "17"}), "17"},
      {training({"--processes", "2", "--no-such-option"}), "no-such-option"},
  };
  for (const auto& [arguments, says] : cases) {
    expect_failure(flowcli(folder, arguments), {says}, 2);
  }
  // Without the launcher's MPI each process would take itself for the first.
  for (const char* rank : {"0", "1"}) {
    const auto launched = [rank] {
      setenv("RANK", rank, 1);
      setenv("WORLD_SIZE", "2", 1);
      setenv("ASAN_OPTIONS", "detect_leaks=0", 1);  // Open MPI leaks
    };
    const Outcome outcome = flowcli(folder, training({}), "", launched);
    BOOST_TEST(outcome.status == 2);
    const bool told = outcome.err.find("WORLD_SIZE says that 2 processes") != std::string::npos;
    BOOST_TEST(told == (*rank == '0'), outcome.err);
    BOOST_TEST((*rank == '1' || outcome.err.find("env -u WORLD_SIZE") != std::string::npos));
    for (const Arguments& text : {Arguments{"--version"}, {"train", "--help"}}) {
      expect_ok(flowcli(folder, text, "", launched));
    }
  }
  BOOST_TEST(!std::filesystem::exists(run));
}

BOOST_AUTO_TEST_SUITE_END()
