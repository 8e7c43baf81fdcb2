// tensor/blas.h where there is no OpenBLAS: this takes the place of tensor/blas.cpp.
#include "web/small_lapack.h"

namespace nf {

const BlasFunctions& blas() {
  static const BlasFunctions functions = web::small_lapack();
  return functions;
}
std::string blas_core() { return blas().corename(); }
std::string best_blas_core() { return blas_core(); }
bool blas_is_thread_safe() { return true; }
void reserve_blas(int) {}

BlasTurn::BlasTurn() : functions_(blas()) {}
BlasTurn::~BlasTurn() = default;

}  // namespace nf
