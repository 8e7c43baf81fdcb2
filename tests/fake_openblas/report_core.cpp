// Prints with which BLAS kernels it runs, with how many threads OpenBLAS was started, and what is
// left of that in the environment. With an argument: whether OpenBLAS is loaded for a
// product of matrices.
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <string>
#include <thread>

#include "tensor/blas.h"
#include "tensor/ops.h"

namespace {

bool openblas_is_mapped() {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    if (line.find("libopenblas") != std::string::npos) return true;
  }
  return false;
}

const char* variable(const char* name) {
  const char* const value = std::getenv(name);
  return value ? value : "";
}

}  // namespace

int main(int argc, char**) {
  try {
    if (argc > 1) {
      const nf::Tensor sum =
          nf::sum(matmul(nf::Tensor::ones({1000, 2}), nf::Tensor::ones({2, 100})));
      std::printf("sum=%g mapped=%d\n", sum.item(), openblas_is_mapped());
      return 0;
    }
    { const nf::BlasTurn one, another; }
    std::thread([] { const nf::BlasTurn turn; }).join();
    std::printf("core=%s threads=%s variables=%s,%s mapped=%d\n", nf::blas_core().c_str(),
                nf::blas().config(), variable("OPENBLAS_CORETYPE"),
                variable("OPENBLAS_NUM_THREADS"), openblas_is_mapped());
  } catch (const std::exception& error) {
    std::printf("%s\n", error.what());
    return 1;
  }
}
