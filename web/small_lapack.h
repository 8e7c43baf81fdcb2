// The routines of LAPACK that small matrices need, without blocks: for where there is no OpenBLAS.
#pragma once

#include "tensor/blas.h"

namespace nf::web {

/// dtrsm (row-major, from the left), dpotrf and dgetrf, dgelqf and dorglq with OpenBLAS's arguments
/// (tensor/blas.h) and results, for matrices of at least as many rows as columns. Products and
/// eigenvectors throw Error: they are not here.
BlasFunctions small_lapack();

}  // namespace nf::web
