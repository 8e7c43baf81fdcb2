// The entry of all unit tests: like flowcli, they run with the best BLAS kernels of the machine.

#define BOOST_TEST_NO_MAIN
#include <boost/test/unit_test.hpp>

#include "tensor/blas.h"

int main(int argc, char** argv) {
  nf::ensure_best_blas_kernels(argv);
  return boost::unit_test::unit_test_main([] { return true; }, argc, argv);
}
