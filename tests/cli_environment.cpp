// The variables of the environment: what they may say, and where they are told.
#include "tensor/environment.h"

#include <algorithm>

#include "cli_runs.h"

using namespace nf::test;

namespace {

std::function<void()> with(const std::string& name, const std::string& value) {
  return [=] { setenv(name.c_str(), value.c_str(), 1); };
}

void unset_all() {
  for (const nf::EnvironmentVariable& variable : nf::environment_variables()) {
    unsetenv(variable.name);
  }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(cli_environment)

BOOST_AUTO_TEST_CASE(a_wrong_word_is_one_line_before_anything_is_done) {
  const ScratchFolder folder;
  const struct {
    std::string name, value, says;
  } cases[] = {
      {"NF_CPU", "avx1024", "[cpu] NF_CPU is \"avx1024\"; give base"},
      {"NF_CPU", "AVX2", ", or unset it"},
      {"NF_CPU", "base ", ", or unset it"},
      {"NF_MATMUL", "mkl", "[matmul] NF_MATMUL is \"mkl\"; give own or openblas, or unset it"},
      {"NF_WINOGRAD", "On", "[conv2d] NF_WINOGRAD is \"On\"; give off, auto or on, or unset it"},
      {"NF_NCCL", "on", "[processes] NF_NCCL is \"on\"; give auto or off, or unset it"},
      {"NF_NUM_THREADS", "none", "[threads] NF_NUM_THREADS is \"none\""}};
  const std::vector<std::string> commands[] = {tiny_training(folder.file("run"), 1),
                                               {"doctor"},
                                               {"completion", "bash"},
                                               {"inspect", "nice"}};
  for (const auto& c : cases) {
    for (const auto& command : commands) {
      const Outcome outcome = flowcli(folder, command, "", with(c.name, c.value));
      expect_failure(outcome, {c.name + " is \"" + c.value + "\"", c.says});
      BOOST_TEST(outcome.out.empty(), command[0]);
    }
    expect_ok(flowcli(folder, {"--help"}, "", with(c.name, c.value)));
  }
  BOOST_TEST(!std::filesystem::exists(folder.file("run")));
}

BOOST_AUTO_TEST_CASE(doctor_tells_what_is_chosen_and_which_are_set) {
  const ScratchFolder folder;
  const auto told = [&](const std::function<void()>& prepare) {
    const Outcome outcome = flowcli(folder, {"doctor", "--json", "--device", "cpu"}, "", [&] {
      unset_all();
      prepare();
    });
    expect_ok(outcome);
    return outcome.json();
  };
  const auto bare = told([] {});
  BOOST_TEST(bare["environment"].empty());
  const struct {
    std::string name, value, key, chosen;
  } cases[] = {{"NF_CPU", "base", "cpu_kernels", "base"},
               {"NF_MATMUL", "own", "matmul", "own"},
               {"NF_WINOGRAD", "off", "winograd", "off"},
               {"NF_WINOGRAD", "auto", "winograd", "auto"},
               {"NF_WINOGRAD", "on", "winograd", "on"}};
  for (const auto& c : cases) {
    const auto json = told(with(c.name, c.value));
    BOOST_TEST(json["environment"].dump() == "[\"" + c.name + "=" + c.value + "\"]");
    BOOST_TEST(json[c.key] == c.chosen, c.name << " " << c.value);
    const auto empty = told(with(c.name, ""));
    BOOST_TEST(empty["environment"].empty());
    BOOST_TEST(empty[c.key] == bare[c.key], c.name);
  }
  BOOST_TEST(bare["matmul"] == "own");
  BOOST_TEST(bare["winograd"] == "auto");
  BOOST_TEST(told(with("NF_MATMUL", "openblas"))["matmul"] ==
             "openblas " + bare["blas_kernels"].get<std::string>());
}

BOOST_AUTO_TEST_CASE(help_and_readme_name_all) {
  const ScratchFolder folder;
  const std::string help = flowcli(folder, {"--help"}).out;
  const std::string readme =
      slurp((std::filesystem::path(__FILE__).parent_path().parent_path() / "README.md").string());
  for (const nf::EnvironmentVariable& variable : nf::environment_variables()) {
    BOOST_TEST(help.find("\n  " + std::string(variable.name) + " ") != std::string::npos,
               variable.name);
    BOOST_TEST(readme.find("\n| `" + std::string(variable.name) + "` | " + variable.values +
                           " |") != std::string::npos,
               variable.name);
  }
}

BOOST_AUTO_TEST_SUITE_END()
