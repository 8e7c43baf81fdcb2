// What tensor/blas.cpp looks for in OpenBLAS. When it is loaded, it decides for the kernels that
// OPENBLAS_CORETYPE asks for, or else for PRETEND_CORE; with PRETEND_STUBBORN it does not listen.
// Nothing in it computes. No C++ library: it must be possible to unload it.
#include <cstdio>
#include <cstdlib>

namespace {

char core[64], threads[64];

[[gnu::constructor]] void loaded() {
  const char* const asked = std::getenv("OPENBLAS_CORETYPE");
  const bool listens = asked && *asked && !std::getenv("PRETEND_STUBBORN");
  const char* const pretended = std::getenv("PRETEND_CORE");
  std::snprintf(core, sizeof core, "%s", listens ? asked : pretended ? pretended : "");
  const char* const count = std::getenv("OPENBLAS_NUM_THREADS");
  std::snprintf(threads, sizeof threads, "%s", count ? count : "");
}

}  // namespace

extern "C" {
char* openblas_get_corename() { return core; }
char* openblas_get_config() { return threads; }  // instead of a version
int openblas_get_parallel() { return 1; }
void openblas_set_num_threads(int) {}
void cblas_sgemm() {}
void cblas_dgemm() {}
void cblas_dtrsm() {}
void dpotrf_() {}
void dgetrf_(const int*, const int* n, double*, const int*, int* pivots, int*) {
  for (int i = 0; i < *n; ++i) pivots[i] = i + 1;  // what a caller may follow
}
void dgelqf_() {}
void dorglq_() {}
void dsyevd_() {}
}
