// How the programs of bench/ end when they cannot run: with one line.
#include <algorithm>
#include <boost/test/unit_test.hpp>

#include "cli_util.h"
#include "data_util.h"

using namespace nf::test;

namespace {

/// Runs a command of the shell; `out` is what it wrote to stdout and stderr.
Outcome shell(const std::string& command) {
  const TempFolder folder;
  const std::string out = folder.path("out");
  const int status = std::system(("(" + command + ") >" + out + " 2>&1").c_str());
  return {WEXITSTATUS(status), slurp(out), ""};
}

void expect_line(const Outcome& outcome, int status, const std::string& begin) {
  BOOST_TEST(outcome.status == status, outcome.out);
  BOOST_TEST(outcome.out.starts_with(begin), outcome.out);
  BOOST_TEST(std::count(outcome.out.begin(), outcome.out.end(), '\n') == 1, outcome.out);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(bench_errors)

BOOST_AUTO_TEST_CASE(a_wrong_variable_of_the_environment) {
  const std::string folder = std::filesystem::path(FLOWCLI).parent_path() / "bench";
  const struct {
    std::string variable, says;
  } cases[] = {{"NF_CPU=avx1024", "[cpu] NF_CPU is "},
               {"NF_MATMUL=mkl", "[matmul] NF_MATMUL is "},
               {"NF_WINOGRAD=sideways", "[conv2d] NF_WINOGRAD is "},
               {"NF_NUM_THREADS=none", "[threads] NF_NUM_THREADS is "}};
  for (const std::string program :
       {"conv", "conv_step", "covariance", "kernels", "matmul", "playground", "products"}) {
    for (const auto& c : cases) {
      expect_line(shell(c.variable + " '" + folder + "/nf_bench_" + program + "'"), 2,
                  "nf_bench_" + program + ": " + c.says);
    }
  }
}

BOOST_AUTO_TEST_CASE(no_pytorch) {
  if (shell("python3 --version").status != 0) {
    BOOST_TEST_MESSAGE("skipped: no Python");
    return;
  }
  const auto root = std::filesystem::path(__FILE__).parent_path().parent_path();
  // Without what is installed beside Python itself.
  expect_line(shell("python3 -I -S '" + (root / "bench/compare_torch.py").string() + "'"), 1,
              "compare_torch.py: No module named 'torch'; install PyTorch: ");
}

BOOST_AUTO_TEST_SUITE_END()
