// Prints which BLAS kernels it runs with, as a program of ours ("ensure ...") or as that of a
// library user who does not know about them (anything else), and with which arguments.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "tensor/blas.h"

int main(int argc, char** argv) {
  if (argc > 1 && std::strcmp(argv[1], "ensure") == 0) nf::ensure_best_blas_kernels(argv);
  nf::init_blas();
  nf::init_blas();
  std::thread(nf::init_blas).join();
  const char* variable = std::getenv("OPENBLAS_CORETYPE");
  std::printf("core=%s variable=%s", nf::blas_core().c_str(), variable ? variable : "");
  for (int i = 1; i < argc; ++i) std::printf(" [%s]", argv[i]);
  std::printf("\n");
}
