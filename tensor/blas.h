// OpenBLAS, loaded when the first product or factorisation needs it: a program that only prints its
// help never maps its 36 MB, and its kernels can be chosen before it starts.
#pragma once

#include <string>

namespace nf {

/// CBLAS's numbers.
namespace cblas {
inline constexpr int kRowMajor = 101, kNoTrans = 111, kTrans = 112, kUpper = 121, kLower = 122,
                     kNonUnit = 131, kUnit = 132, kLeft = 141;
}

/// What is called of OpenBLAS, as its cblas.h and LAPACK's Fortran interface have it.
struct BlasFunctions {
  void (*sgemm)(int order, int trans_a, int trans_b, int m, int n, int k, float alpha,
                const float* a, int lda, const float* b, int ldb, float beta, float* c, int ldc);
  void (*dgemm)(int order, int trans_a, int trans_b, int m, int n, int k, double alpha,
                const double* a, int lda, const double* b, int ldb, double beta, double* c,
                int ldc);
  void (*dtrsm)(int order, int side, int uplo, int trans, int diag, int m, int n, double alpha,
                const double* a, int lda, double* b, int ldb);
  void (*dpotrf)(const char* uplo, const int* n, double* a, const int* lda, int* info);
  void (*dgetrf)(const int* m, const int* n, double* a, const int* lda, int* pivots, int* info);
  void (*dgelqf)(const int* m, const int* n, double* a, const int* lda, double* tau, double* work,
                 const int* lwork, int* info);
  void (*dorglq)(const int* m, const int* n, const int* k, double* a, const int* lda,
                 const double* tau, double* work, const int* lwork, int* info);
  void (*dsyevd)(const char* jobz, const char* uplo, const int* n, double* a, const int* lda,
                 double* w, double* work, const int* lwork, int* iwork, const int* liwork,
                 int* info);
  void (*set_num_threads)(int n);
  char* (*config)();    ///< version and build, in words
  char* (*corename)();  ///< the kernels it runs with
  int (*parallel)();    ///< 0: serial, 1: pthreads, 2: OpenMP
};

/// OpenBLAS's functions; loads it. Throws Error when it cannot be found or when there is no memory
/// for it. Where OpenBLAS would take kernels worse than the best ones this processor can execute
/// (it does not know processors newer than itself), it is loaded with OPENBLAS_CORETYPE set for
/// it; a value that the user has set is respected. To call a function, hold a BlasTurn.
const BlasFunctions& blas();

/// The kernels OpenBLAS runs with, e.g. "SkylakeX" (loads it), and the best ones for this
/// processor.
std::string blas_core();
std::string best_blas_core();

/// False for OpenBLAS's serial variant (Debian's libopenblas0-serial), which is built without
/// locks: two threads in it at once get wrong numbers. Loads OpenBLAS.
bool blas_is_thread_safe();

/// Gets the memory that `callers` threads need to be in OpenBLAS at once, as far as there is any.
void reserve_blas(int callers);

/// To be held while OpenBLAS is called: BlasTurn()->sgemm(..). OpenBLAS works in a buffer of 128
/// MiB for each caller, and when there is no memory for one it tries again for ever. So no more
/// callers are let in than have theirs; the others wait. Throws Error when there is not one.
class BlasTurn {
 public:
  BlasTurn();
  ~BlasTurn();
  BlasTurn(const BlasTurn&) = delete;
  BlasTurn& operator=(const BlasTurn&) = delete;

  const BlasFunctions* operator->() const { return &functions_; }

 private:
  const BlasFunctions& functions_;
};

}  // namespace nf
