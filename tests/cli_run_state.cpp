// Files of runs of which something changed or contradicts itself: told before anything is done.
#include "cli_runs.h"

using namespace nf::test;

BOOST_AUTO_TEST_SUITE(cli_run_state)

// A bit that changed on a disk or on the way from another machine.
BOOST_AUTO_TEST_CASE(a_flipped_bit_in_any_file_of_tensors_is_told) {
  const ScratchFolder folder;
  const std::string run = folder.file("run");
  expect_ok(flowcli(folder, tiny_training(run, 1)));
  const std::vector<std::string> says = {"is damaged", "checksum", "restore it from a copy"};
  struct Case {
    const char* file;
    std::vector<std::string> command;
  };
  const std::vector<Case> cases = {{"state.safetensors", resume(run, {"--epochs", "2"})},
                                   {"best.safetensors", resume(run, {"--epochs", "2"})},
                                   {"best.safetensors", {"eval", run}},
                                   {"last.safetensors", {"eval", run, "--weights", "last"}}};
  for (const Case& c : cases) {
    const std::string path = run + "/" + c.file, good = slurp(path);
    std::string bad = good;
    bad[bad.size() - 20] ^= 4;  // a number
    write(path, bad);
    expect_failure(flowcli(folder, c.command), says);
    write(path, good);
  }
  // What is said of the training, which is read without the numbers.
  const std::string path = run + "/state.safetensors", good = slurp(path);
  std::string bad = good;
  bad[bad.find("finished") + 5] ^= 2;
  write(path, bad);
  for (const char* command : {"eval", "sample", "check", "resume", "report"}) {
    expect_failure(flowcli(folder, {command, run, "--quiet"}), says);
  }
  write(path, good);
  expect_ok(flowcli(folder, {"eval", run}));
}

// Of a file without a checksum, or whose writer erred.
BOOST_AUTO_TEST_CASE(a_state_that_contradicts_itself_is_told_by_every_command) {
  const ScratchFolder folder;
  const std::string run = folder.file("run"), state = run + "/state.safetensors";
  expect_ok(flowcli(folder, tiny_training(run, 2)));
  const std::string good = slurp(state);
  for (const auto& [key, value] : {std::pair{"status", "finisjed"},
                                   {"step", "41"},
                                   {"epoch", "3"},
                                   {"batch", "1"},
                                   {"epoch_samples", "100"},
                                   {"best_epoch", "3"}}) {
    edit(state, [&](auto& file) { file.metadata[key] = value; });
    for (const auto& command : std::vector<std::vector<std::string>>{
             {"eval", run}, {"check", run}, {"report", run}, resume(run, {"--epochs", "3"})}) {
      expect_failure(flowcli(folder, command), {"state.safetensors", value});
    }
    write(state, good);
  }
  expect_ok(flowcli(folder, resume(run, {"--epochs", "3"})));
}

BOOST_AUTO_TEST_SUITE_END()
