// flowcli with the emulated GPU as several processes, whose gradients a stand-in for NCCL adds up:
// equal to one process but for rounding, one voice, and an end for all when one of them dies.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <csignal>

#include "tests/cli_runs.h"
#include "tests/devices.h"

using namespace nf;
using namespace nf::test;

BOOST_AUTO_TEST_SUITE(cuda_processes)

namespace {

using Arguments = std::vector<std::string>;
using Variables = std::vector<std::pair<std::string, std::string>>;

/// Of 430 rows: 11 steps an epoch, the last one short.
Arguments training(const std::string& run, int processes, int shards, const Arguments& more = {},
                   const std::string& rows = "430", const std::string& epochs = "2") {
  Arguments all = {
      "train",       "realnvp-2d",     "--data",   "moons",          "--out", run,
      "--overwrite", "--device",       "cuda",     "--threads",      "1",     "--couplings",
      "2",           "--hidden-units", "8",        "--train",        rows,    "--valid",
      "50",          "--test",         "50",       "--batch-size",   "40",    "--epochs",
      epochs,        "--schedule",     "constant", "--sample-every", "0",     "--samples",
      "20"};
  all.insert(all.end(),
             {"--processes", std::to_string(processes), "--shards", std::to_string(shards)});
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

std::function<void()> with(const Variables& variables) {
  return [variables] {
    setenv("LD_LIBRARY_PATH", NF_FAKE_NCCL_FOLDER, 1);
    setenv("NF_EMULATED_GPUS", "4", 1);
    for (const auto& [name, value] : variables) setenv(name.c_str(), value.c_str(), 1);
  };
}

/// Trains; `how`: what is told of the gradients, "" for nothing.
void train(const ScratchFolder& folder, const Arguments& arguments, const std::string& how,
           const Variables& variables = {}) {
  const Outcome outcome = flowcli(folder, arguments, "", with(variables));
  expect_ok(outcome);
  const std::size_t told = outcome.err.find("gradients are added up ");
  BOOST_TEST((told == std::string::npos) == how.empty(), outcome.err);
  BOOST_TEST(outcome.err.find(how) != std::string::npos, how << " not in: " << outcome.err);
  BOOST_TEST(outcome.err.find("not recorded") == std::string::npos, outcome.err);
}

void expect_close_weights(const std::string& run, const std::string& reference) {
  const auto own = nf::nn::load_safetensors(run + "/last.safetensors").tensors;
  const auto other = nf::nn::load_safetensors(reference + "/last.safetensors").tensors;
  BOOST_TEST_REQUIRE(own.size() == other.size());
  for (const auto& [name, tensor] : own) CHECK_SAME(tensor, other.at(name), 1e-6, run, " ", name);
}

const std::string kNccl = "between the GPUs by NCCL 2.27.3";

}  // namespace

BOOST_AUTO_TEST_CASE(gpus_add_up_what_one_has_alone) {
  const ScratchFolder folder;
  for (const Arguments& more : {Arguments{"--ema", "0.9"}, Arguments{"--set", "clip=0.5"}}) {
    train(folder, training(folder.file("one"), 1, 1, more), "");
    for (const auto& [processes, shards] : {std::pair{2, 2}, {2, 4}, {3, 4}, {4, 4}}) {
      train(folder, training(folder.file("run"), processes, shards, more), kNccl);
      expect_close_weights(folder.file("run"), folder.file("one"));
    }
  }
  train(folder, training(folder.file("run"), 2, 2, {"--set", "clip=0.5", "--save-minutes", "1e-9"}),
        kNccl);
  expect_close_weights(folder.file("run"), folder.file("one"));
  // Begun by four, ended by one.
  const std::string begun = folder.file("begun");
  train(folder, training(begun, 4, 4, {"--set", "clip=0.5"}, "430", "1"), kNccl);
  expect_ok(flowcli(folder, {"resume", begun, "--epochs", "2"}, "", with({})));
  expect_close_weights(begun, folder.file("one"));
}

// Statistics of batches are those of a shard, by whomever gradients are added up; the last batch of
// an epoch has 2 samples, so that shards are empty.
BOOST_AUTO_TEST_CASE(statistics_of_batches_are_the_means_of_shards) {
  const ScratchFolder folder;
  for (const std::string norm : {"batch", "act"}) {
    const auto arguments = [&](const std::string& run, int processes) {
      // Some gradients are 0 but for rounding, of which Adam would make steps.
      const Arguments more = {"--norm", norm, "--set", "optimizer=sgd"};
      Arguments all = training(folder.file(run), processes, 4, more, "402");
      all[1] = "maf";
      std::replace(all.begin(), all.end(), std::string("--couplings"), std::string("--layers"));
      return all;
    };
    train(folder, arguments("hosts", 2), "by the hosts: rank 0", {{"NF_NCCL", "off"}});
    for (const int processes : {2, 4}) {
      train(folder, arguments("run", processes), kNccl);
      expect_close_weights(folder.file("run"), folder.file("hosts"));
    }
  }
}

BOOST_AUTO_TEST_CASE(two_processes_of_one_gpu_add_up_by_their_hosts) {
  const ScratchFolder folder;
  train(folder, training(folder.file("run"), 2, 2), "shares a GPU with rank 0",
        {{"NF_EMULATED_GPUS", "1"}});
}

BOOST_AUTO_TEST_CASE(a_process_that_is_lost_ends_all_in_one_line) {
  const ScratchFolder folder;
  struct Case {
    std::string fault, nccl;
    std::vector<std::string> says;
  };
  const Case cases[] = {
      {"", "die:1:40", {"rank 1 of 2", "no sign of life", "step", "flowcli resume"}},
      {"",
       "error:0:40",
       {"rank ", " of 2 (", "[nccl]", "remote process", "flowcli resume"}},  // by either
      {"rank-1-step:14:kill", "", {"rank 1 of 2", "is gone", "step 1", "flowcli resume"}},
      {"rank-1-step:14:fail", "", {"rank 1 of 2", "step 14", "flowcli resume"}},
  };
  for (const Case& c : cases) {
    BOOST_TEST_CONTEXT(c.fault << c.nccl) {
      const Arguments more = {"--quiet", "--comm-timeout", "5"};
      const Outcome outcome = flowcli(folder, training(folder.file("run"), 2, 2, more), c.fault,
                                      with({{"NF_FAKE_NCCL", c.nccl}}));
      expect_failure(outcome, c.says);
      expect_ok(flowcli(folder, {"resume", folder.file("run"), "--quiet"}, "", with({})));
    }
  }
}

BOOST_AUTO_TEST_CASE(a_signal_to_any_process_saves_once) {
  const ScratchFolder folder;
  const std::string run = folder.file("run");
  const Child child(folder, training(run, 2, 2, {}, "430", "100000"), "log-append:1:stop",
                    with({}));
  BOOST_TEST_REQUIRE(child.wait_until_stopped(), child.err());
  const auto others = child.children();
  BOOST_TEST_REQUIRE(others.size() == 1U);
  kill(others[0], SIGTERM);
  child.signal(SIGCONT);
  BOOST_TEST(child.wait() == 130, child.err());
  BOOST_TEST(child.err().find("interrupted after step 1") != std::string::npos, child.err());
  const auto state = nf::nn::load_safetensors(run + "/state.safetensors").metadata;
  BOOST_TEST(state.at("status") == "interrupted");
}

BOOST_AUTO_TEST_CASE(bench_tells_what_gpus_exchange) {
  const ScratchFolder folder;
  const Outcome outcome =
      flowcli(folder,
              {"bench", "realnvp-2d", "--hidden-units", "8", "--bench-steps", "10", "--json",
               "--quiet", "--device", "cuda", "--batch-size", "8", "--processes", "2"},
              "", with({}));
  expect_ok(outcome);
  const nlohmann::json told = outcome.json();
  BOOST_TEST(told["gradients_added_by"] == "NCCL 2.27.3");
  BOOST_TEST(told["communication_ms"].get<double>() > 0);
}

BOOST_AUTO_TEST_SUITE_END()
