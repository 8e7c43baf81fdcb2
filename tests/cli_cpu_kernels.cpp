// The sets of CPU kernels: which is chosen, what NF_CPU may say, and that a run knows its own.
#include <algorithm>

#include "cli_runs.h"
#include "tensor/cpu_kernels.h"

using namespace nf::test;

namespace {

std::function<void()> with_kernels(const std::string& set) {
  return [set] { setenv("NF_CPU", set.c_str(), 1); };
}

/// What this processor cannot run is an error there, and a choice on others.
const std::vector<std::string> kX86Sets = {"base", "avx2", "avx512"};

}  // namespace

BOOST_AUTO_TEST_SUITE(cli_cpu_kernels)

BOOST_AUTO_TEST_CASE(the_best_that_runs_here_is_chosen_unless_another_is_named) {
  const ScratchFolder folder;
  const std::vector<std::string> here = nf::runnable_cpu_kernels();
  BOOST_TEST_REQUIRE(!here.empty());
  BOOST_TEST(here.front() == "base");
  const auto told = [&](const std::function<void()>& prepare) {
    const Outcome outcome = flowcli(folder, {"doctor", "--json", "--device", "cpu"}, "", prepare);
    expect_ok(outcome);
    BOOST_TEST(outcome.json()["runnable_kernels"] == here);
    return outcome.json()["cpu_kernels"].get<std::string>();
  };
  BOOST_TEST(told([] { unsetenv("NF_CPU"); }) == here.back());
  BOOST_TEST(told(with_kernels("")) == here.back());
  for (const std::string& set : here) BOOST_TEST(told(with_kernels(set)) == set);
}

BOOST_AUTO_TEST_CASE(version_names_the_set) {
  const ScratchFolder folder;
  const Outcome version = flowcli(folder, {"--version"}, "", with_kernels("base"));
  expect_ok(version);
  BOOST_TEST(version.out.find("\nCPU kernels   base, of base") != std::string::npos, version.out);
}

BOOST_AUTO_TEST_CASE(a_set_that_is_none_or_cannot_run_is_one_line) {
  const ScratchFolder folder;
  const std::vector<std::string> here = nf::runnable_cpu_kernels();
  const std::vector<std::string> command = tiny_training(folder.file("run"), 1);
  for (const char* unknown : {"avx1024", "AVX2", "base ", "avx"}) {
    const Outcome outcome = flowcli(folder, command, "", with_kernels(unknown));
    expect_failure(outcome,
                   {"NF_CPU is \"" + std::string(unknown), "no such kernels", here.back()});
    expect_failure(flowcli(folder, {"doctor"}, "", with_kernels(unknown)), {"no such kernels"});
  }
  for (const std::string& set : kX86Sets) {
    if (std::count(here.begin(), here.end(), set) == 1) continue;
    const Outcome outcome = flowcli(folder, command, "", with_kernels(set));
    expect_failure(outcome, {"NF_CPU is \"" + set, "this processor", here.back()});
  }
}

BOOST_AUTO_TEST_CASE(a_run_goes_on_with_another_set_and_says_so) {
  const std::vector<std::string> here = nf::runnable_cpu_kernels();
  if (here.size() == 1) {
    BOOST_TEST_MESSAGE("skipped: this processor runs one set only");
    return;
  }
  const ScratchFolder folder;
  const std::string run = folder.file("run"), best = here.back();
  std::vector<std::string> training = tiny_training(run, 1);
  training.insert(training.end(), {"--device", "cpu"});
  expect_ok(flowcli(folder, training, "", with_kernels("base")));
  const struct {
    const char* epochs;
    std::string set, says;
  } cases[] = {{"2", "base", ""},
               {"3", best, "base kernels, now " + best},
               {"4", best, ""},
               {"5", "base", best + " kernels, now base"}};
  for (const auto& c : cases) {
    const Outcome resumed =
        flowcli(folder, {"resume", run, "--epochs", c.epochs, "--device", "cpu", "--threads", "1"},
                "", with_kernels(c.set));
    expect_ok(resumed);
    BOOST_TEST((resumed.err.find("kernels, now") != std::string::npos) == !c.says.empty(),
               resumed.err);
    BOOST_TEST(resumed.err.find(c.says) != std::string::npos, resumed.err);
  }
}

BOOST_AUTO_TEST_SUITE_END()
