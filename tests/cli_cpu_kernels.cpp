// The sets of CPU kernels: which is chosen, what NF_CPU may say, and that a run knows its choices.
#include <algorithm>

#include "cli_runs.h"
#include "tensor/backend.h"
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

BOOST_AUTO_TEST_CASE(a_set_that_cannot_run_here_is_one_line) {
  const ScratchFolder folder;
  const std::vector<std::string> here = nf::runnable_cpu_kernels();
  for (const std::string& set : kX86Sets) {
    if (std::count(here.begin(), here.end(), set) == 1) continue;
    const Outcome outcome =
        flowcli(folder, tiny_training(folder.file("run"), 1), "", with_kernels(set));
    expect_failure(outcome, {"NF_CPU is \"" + set, "this processor", here.back()});
  }
}

// What the last digits depend on, from one training to the next: nothing is said where it is the
// same or where the state does not tell.
BOOST_AUTO_TEST_CASE(a_run_goes_on_with_other_choices_and_says_so) {
  const ScratchFolder folder;
  const std::string run = folder.file("run"), best = nf::runnable_cpu_kernels().back();
  std::vector<std::string> training = tiny_training(run, 1);
  training.insert(training.end(), {"--device", "cpu"});
  struct Choices {
    std::string kernels, matmul, winograd;
  };
  const auto with = [](const Choices& c) {
    return [c] {
      setenv("NF_CPU", c.kernels.c_str(), 1);
      setenv("NF_MATMUL", c.matmul.c_str(), 1);
      setenv("NF_WINOGRAD", c.winograd.c_str(), 1);
    };
  };
  expect_ok(flowcli(folder, training, "", with({"base", "own", "auto"})));
  struct Case {
    Choices now;
    std::vector<std::string> says;
    bool forgets = false;  ///< the state is made one of a program that told none of it
  };
  std::vector<Case> cases = {{{"base", "", ""}, {}},
                             {{"base", "openblas", "off"},
                              {"matmul was own, now openblas ", "winograd was auto, now off"}},
                             {{"base", "own", "off"}, {"matmul was openblas ", ", now own"}},
                             {{"base", "own", "on"}, {}, true},
                             {{"base", "own", "on"}, {}}};
  if (best != "base") {
    cases.push_back({{best, "own", "on"}, {"cpu_kernels was base, now " + best}});
    cases.push_back({{best, "own", "on"}, {}});
  }
  int epochs = 1;
  for (const Case& c : cases) {
    if (c.forgets) {
      edit(run + "/state.safetensors", [](auto& file) {
        for (const char* name : {"cpu_kernels", "matmul", "winograd"}) {
          BOOST_TEST(file.metadata.erase(name) == 1U, name);
        }
      });
    }
    const std::string end = std::to_string(++epochs);
    const Outcome resumed =
        flowcli(folder, {"resume", run, "--epochs", end, "--device", "cpu", "--threads", "1"}, "",
                with(c.now));
    expect_ok(resumed);
    const auto told = resumed.err.find(": numbers may round otherwise");
    BOOST_TEST((told != std::string::npos) == !c.says.empty(), resumed.err);
    const std::string line = resumed.err.substr(0, told);
    for (const std::string& text : c.says) {
      BOOST_TEST(line.find(text) != std::string::npos, text << ": " << resumed.err);
    }
  }
}

// bf16 is trained where the processor has it, refused for a new run where not, and a run that has
// moved to such a machine goes on, and is evaluated, in f32.
BOOST_AUTO_TEST_CASE(bf16_is_taken_or_refused) {
  const ScratchFolder folder;
  const auto training = [&](const std::string& run, const std::string& precision) {
    std::vector<std::string> words = tiny_training(folder.file(run), 1);
    words.insert(words.end(), {"--device", "cpu", "--precision", precision});
    return words;
  };
  expect_failure(flowcli(folder, training("a", "bf16"), "", with_kernels("base")),
                 {"no products of bf16 here", "AVX512_BF16", "now: base", "f32"});
  expect_failure(
      flowcli(folder, training("a", "bf16"), "", [] { setenv("NF_MATMUL", "openblas", 1); }),
      {"no products of bf16 here", "NF_MATMUL=openblas"});
  BOOST_TEST(!std::filesystem::exists(folder.file("a")));
  const std::vector<std::string> bench = {"bench", "nice",  "--device",
                                          "cpu",   "--set", "precision=tf32"};
  for (const auto& command : {training("a", "tf32"), bench}) {
    expect_failure(flowcli(folder, command), {"no products of tf32"}, 2);
  }
  if (!nf::cpu_backend().has_precision(nf::Precision::BF16)) {
    BOOST_TEST_MESSAGE("skipped: no AVX512_BF16");
    return;
  }
  const std::string run = folder.file("run");
  const Outcome trained = flowcli(folder, training("run", "bf16"));
  expect_ok(trained);
  BOOST_TEST(trained.err.find("matrix products in bf16") != std::string::npos, trained.err);
  const auto precision = [&](const std::function<void()>& prepare) {
    const Outcome outcome = flowcli(folder, {"eval", run, "--json"}, "", prepare);
    expect_ok(outcome);
    return outcome.json()["precision"].get<std::string>();
  };
  for (const auto& [prepare, says] :
       {std::pair<std::function<void()>, std::string>{[] {}, "f32 with products of bf16"},
        {with_kernels("base"), "f32"}}) {
    const Outcome checked = flowcli(folder, {"check", run}, "", prepare);
    BOOST_TEST(checked.out.find("\n" + says + " is enough for it") != std::string::npos,
               checked.out);
  }
  BOOST_TEST(precision([] {}) == "bf16");
  BOOST_TEST(precision(with_kernels("base")) == "f32");
  const Outcome resumed =
      flowcli(folder, {"resume", run, "--epochs", "2"}, "", with_kernels("base"));
  expect_ok(resumed);
  BOOST_TEST(resumed.err.find("goes on in f32") != std::string::npos, resumed.err);
  BOOST_TEST(resumed.err.find("cpu_precision was bf16, now f32") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()
