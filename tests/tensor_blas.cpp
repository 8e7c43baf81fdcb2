// The choice of BLAS kernels, watched from outside: each case runs a small program under a library
// that makes OpenBLAS name the kernels of the case.
#include "tensor/blas.h"

#include <sys/wait.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cstdio>
#include <string>

BOOST_AUTO_TEST_SUITE(tensor_blas)

using namespace nf;

namespace {

boost::test_tools::assertion_result can_preload(boost::unit_test::test_unit_id) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return false;
#else
  return true;
#endif
}

/// What nf_report_core writes to stdout and stderr, in a given environment.
std::string report(const std::string& environment, const std::string& arguments) {
  const std::string command =
      "env -u OPENBLAS_CORETYPE NF_NUM_THREADS=1 LD_PRELOAD='" NF_PRETEND_CORE "' " + environment +
      " timeout 20 '" NF_REPORT_CORE "' " + arguments + " 2>&1";
  FILE* const pipe = popen(command.c_str(), "r");
  BOOST_REQUIRE(pipe);
  std::string text;
  for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) text += static_cast<char>(c);
  BOOST_TEST(WEXITSTATUS(pclose(pipe)) == 0);
  return text;
}

const std::string best = best_blas_core();

}  // namespace

BOOST_AUTO_TEST_CASE(unknown_processor_starts_again_with_the_best_kernels,
                     *boost::unit_test::precondition(can_preload)) {
  BOOST_TEST(report("PRETEND_CORE=Prescott", "ensure 'two words' ''") ==
             "core=" + best + " variable=" + best + " [ensure] [two words] []\n");
}

BOOST_AUTO_TEST_CASE(users_choice_is_respected_in_silence,
                     *boost::unit_test::precondition(can_preload)) {
  for (const char* who : {"ensure", "library"}) {
    BOOST_TEST(report("PRETEND_CORE=Prescott OPENBLAS_CORETYPE=Nehalem", who) ==
               std::string("core=Nehalem variable=Nehalem [") + who + "]\n");
  }
}

BOOST_AUTO_TEST_CASE(good_kernels_are_left_alone, *boost::unit_test::precondition(can_preload)) {
  for (const std::string& core : {best, std::string("Zen"), std::string("NewerThanThisProgram")}) {
    for (const char* who : {"ensure", "library"}) {
      BOOST_TEST(report("PRETEND_CORE=" + core, who) ==
                 "core=" + core + " variable= [" + who + "]\n");
    }
  }
}

BOOST_AUTO_TEST_CASE(starts_again_only_once, *boost::unit_test::precondition(can_preload)) {
  BOOST_TEST(report("PRETEND_CORE=Prescott PRETEND_STUBBORN=1", "ensure") ==
             "core=Prescott variable=" + best + " [ensure]\n");
}

BOOST_AUTO_TEST_CASE(library_user_is_told_once, *boost::unit_test::precondition(can_preload)) {
  const std::string text = report("PRETEND_CORE=Prescott", "library");
  BOOST_TEST(std::count(text.begin(), text.end(), '\n') == 2);
  BOOST_TEST(text.find("nf: ") != std::string::npos);
  BOOST_TEST(text.find("set OPENBLAS_CORETYPE=" + best) != std::string::npos);
  BOOST_TEST(text.find("core=Prescott variable= [library]\n") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()
