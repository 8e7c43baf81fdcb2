// Files of runs of which something changed or contradicts itself: told before anything is done.
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstddef>

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
    edit(state, [key = key, value = value](auto& file) { file.metadata[key] = value; });
    for (const auto& command : std::vector<std::vector<std::string>>{
             {"eval", run}, {"check", run}, {"report", run}, resume(run, {"--epochs", "3"})}) {
      expect_failure(flowcli(folder, command), {"state.safetensors", value});
    }
    write(state, good);
  }
  expect_ok(flowcli(folder, resume(run, {"--epochs", "3"})));
}

BOOST_AUTO_TEST_CASE(resume_tells_which_lines_of_the_log_are_damaged) {
  const ScratchFolder folder;
  const std::string run = folder.file("run"), path = run + "/log.jsonl";
  expect_ok(flowcli(folder, tiny_training(run, 3)));
  const std::string log = slurp(path);
  const std::size_t second = log.find('\n') + 1, third = log.find('\n', second) + 1;
  struct Case {
    std::string log, says;
    std::ptrdiff_t kept;
  };
  const std::string one = log.substr(0, second), rest = log.substr(third);
  for (const Case& c : std::initializer_list<Case>{
           {log, "", 3},
           {one + "{\"epoch\":2,\"st\x01" + "ep\"" + log.substr(second), "line 2 is damaged", 2},
           {one + "\n" + rest, "line 2 is damaged", 2},
           {one + "[1, 2]\n" + rest + "{\"epoch\":", "lines 2, 4 are damaged", 2},
           {one + R"({"epoch":"2","step":40})" + "\n" + rest, "line 2 is damaged", 2},
           {one + std::string(12, '\n'), "lines 2, 3, 4, 5, 6, 7, 8, 9 and 4 more are", 1}}) {
    write(path, c.log);
    const Outcome resumed = flowcli(folder, {"resume", run, "--threads", "1"});
    expect_ok(resumed);
    BOOST_TEST((resumed.err.find("damaged") == std::string::npos) == c.says.empty(), resumed.err);
    BOOST_TEST(resumed.err.find(c.says) != std::string::npos, resumed.err);
    const std::string now = slurp(path);
    BOOST_TEST(std::count(now.begin(), now.end(), '\n') == c.kept);
  }
}

// 20 steps are an epoch. Of parts of one only that stays in the log whose weights are the best; it
// is told as a part, and drawn between.
BOOST_AUTO_TEST_CASE(the_best_of_half_an_epoch_stays_beside_the_whole) {
  const ScratchFolder folder;
  const std::string run = folder.file("run");
  auto training = tiny_training(run, 30);
  *std::find(training.begin(), training.end(), "--epochs") = "--steps";
  expect_ok(flowcli(folder, training));
  nlohmann::json config = config_of(run);
  config["training"]["lr"] = 10;  // far worse, on every machine
  write(run + "/config.json", config.dump());
  const auto steps = [&] {
    std::vector<int> all;
    std::istringstream log(slurp(run + "/log.jsonl"));
    for (std::string line; std::getline(log, line);) {
      all.push_back(nlohmann::json::parse(line)["step"].get<int>());
    }
    return all;
  };
  const auto further = [&](const char* end) {
    const Outcome resumed = flowcli(folder, {"resume", run, "--steps", end, "--threads", "1"});
    expect_ok(resumed);
    BOOST_TEST(resumed.err.find("best: epoch 2 as far as step 30, ") != std::string::npos,
               resumed.err);
  };
  further("35");
  BOOST_TEST((steps() == std::vector<int>{20, 30, 35}));
  further("60");
  BOOST_TEST((steps() == std::vector<int>{20, 30, 40, 60}));
  const Outcome reported = flowcli(folder, {"report", run, "--out", folder.file("r.html")});
  expect_ok(reported);
  const std::string page = slurp(folder.file("r.html"));
  BOOST_TEST(page.find(" nats, epoch 2 as far as step 30<") != std::string::npos);
  // The curve of validation: "M x y L x y ..." at epochs 1, 1.5, 2 and 3, cut where it leaves the
  // box.
  const std::string svg = slurp(run + "/curve.svg");
  std::istringstream path(svg.substr(svg.rfind("<path d=\"M") + 10));
  std::vector<double> x;
  double at = 0, y = 0;
  for (char letter = 0; path >> at >> y; path >> letter) {
    if (x.empty() || at != x.back()) x.push_back(at);
  }
  BOOST_TEST_REQUIRE(x.size() >= 3U);
  BOOST_TEST(x.back() - x[0] == 4 * (x[1] - x[0]), boost::test_tools::tolerance(1e-3));
}

namespace {

/// From here on this process and what it executes have no flock, as on some network file systems.
/// Where the kernel does not take such a filter, the process ends with kNoFilter.
constexpr int kNoFilter = 125;
void forbid_locks() {
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_flock, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOLCK),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program = {.len = std::size(filter), .filter = filter};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
    _exit(kNoFilter);
  }
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_file_system_without_locks_is_told) {
  const ScratchFolder folder;
  const std::string run = folder.file("run"), says = "knows no locks";
  const Outcome usual = flowcli(folder, tiny_training(run, 1));
  expect_ok(usual);
  BOOST_TEST(usual.err.find(says) == std::string::npos, usual.err);
  const std::vector<std::string> further = {"resume", run, "--epochs", "2", "--threads", "1"};
  const Outcome without = flowcli(folder, further, "", forbid_locks);
  if (without.status == kNoFilter) return;
  expect_ok(without);
  BOOST_TEST(without.err.find(says) != std::string::npos, without.err);
}

BOOST_AUTO_TEST_SUITE_END()
