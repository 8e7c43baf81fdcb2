// When and how OpenBLAS is loaded: each case runs a small program that finds a false OpenBLAS,
// which pretends to have taken the kernels of the case.
#include "tensor/blas.h"

#include <sys/wait.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cstdio>
#include <string>

#include "tests/addresses.h"

BOOST_AUTO_TEST_SUITE(tensor_blas)

using namespace nf;

namespace {

/// What nf_report_core writes to stdout and stderr, in a given environment.
std::string report(const std::string& environment, const std::string& arguments = "",
                   int status = 0) {
  const std::string command =
      "env -u OPENBLAS_CORETYPE -u OPENBLAS_NUM_THREADS NF_NUM_THREADS=1 "
      "LD_LIBRARY_PATH='" NF_FAKE_OPENBLAS "' " +
      environment + " '" NF_REPORT_CORE "' " + arguments + " 2>&1";
  FILE* const pipe = popen(command.c_str(), "r");
  BOOST_REQUIRE(pipe);
  std::string text;
  for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) text += static_cast<char>(c);
  BOOST_TEST(WEXITSTATUS(pclose(pipe)) == status);
  return text;
}

const std::string best = best_blas_core();

}  // namespace

BOOST_AUTO_TEST_CASE(unknown_processor_gets_the_best_kernels) {
  for (const char* core : {"Prescott", "Barcelona"}) {
    BOOST_TEST(report(std::string("PRETEND_CORE=") + core) ==
               "core=" + best + " threads=1 variables=, mapped=1\n");
  }
}

BOOST_AUTO_TEST_CASE(users_choice_is_respected_in_silence) {
  BOOST_TEST(report("PRETEND_CORE=Prescott OPENBLAS_CORETYPE=Nehalem OPENBLAS_NUM_THREADS=7") ==
             "core=Nehalem threads=1 variables=Nehalem,7 mapped=1\n");
}

BOOST_AUTO_TEST_CASE(good_kernels_are_left_alone) {
  for (const std::string& core : {best, std::string("Zen"), std::string("NewerThanThisProgram")}) {
    BOOST_TEST(report("PRETEND_CORE=" + core) ==
               "core=" + core + " threads=1 variables=, mapped=1\n");
  }
}

BOOST_AUTO_TEST_CASE(the_user_is_told_once_when_nothing_helps) {
  const std::string text = report("PRETEND_CORE=Prescott PRETEND_STUBBORN=1");
  BOOST_TEST(std::count(text.begin(), text.end(), '\n') == 2);
  BOOST_TEST(text.find("nf: ") == 0U);
  BOOST_TEST(text.find("set OPENBLAS_CORETYPE=" + best) != std::string::npos);
  BOOST_TEST(text.find("core=Prescott threads=1 variables=, mapped=1\n") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(it_is_not_loaded_for_products_unless_asked) {
  for (const char* environment : {"", "NF_MATMUL=", "NF_MATMUL=own"}) {
    BOOST_TEST(report(environment, "product") == "sum=200000 mapped=0\n");
  }
  const std::string real = "LD_LIBRARY_PATH= NF_MATMUL=openblas";
  BOOST_TEST(report(real, "product") == "sum=200000 mapped=1\n");
  BOOST_TEST(
      report("NF_MATMUL=mkl", "product", 1).find("[matmul] NF_MATMUL is \"mkl\"; give own") == 0U);
}

BOOST_AUTO_TEST_CASE(without_memory_for_it_there_is_one_line,
                     *boost::unit_test::precondition(test::addresses_can_be_limited)) {
  for (const char* limit : {"60000", "150000"}) {
    const std::string text =
        report("PRETEND_CORE=Zen prlimit --as=" + std::string(limit) + "000", "", 1);
    BOOST_TEST(text.find("[blas] out of memory: factorisations ") == 0U, text);
    BOOST_TEST(std::count(text.begin(), text.end(), '\n') == 1);
    const std::string product =
        report("NF_MATMUL=openblas prlimit --as=" + std::string(limit) + "000", "product", 1);
    BOOST_TEST(product.find("[blas] out of memory: products ") == 0U, product);
    BOOST_TEST(product.find("NF_MATMUL=own") != std::string::npos, product);
  }
}

BOOST_AUTO_TEST_SUITE_END()
