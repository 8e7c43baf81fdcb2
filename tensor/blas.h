// OpenBLAS: how many threads it may use (one: ours do the splitting) and with which kernels it
// runs.
#pragma once

#include <mutex>
#include <string>

namespace nf {

/// To be called first in main(): when OpenBLAS took kernels that are worse than the best ones this
/// processor can execute (it does not know processors newer than itself), sets OPENBLAS_CORETYPE
/// and starts the program again, before anything else has happened. A value that the user has set
/// is respected. Does nothing when all is well.
void ensure_best_blas_kernels(char** argv);

/// The kernels OpenBLAS runs with, e.g. "SkylakeX", and the best ones for this processor.
std::string blas_core();
std::string best_blas_core();

/// Called before the first product: puts OpenBLAS on one thread, and, where ensure_... was not
/// called and the kernels are bad, tells the user in one line on stderr what to set.
void init_blas();

/// False for OpenBLAS's serial variant (Debian's libopenblas0-serial), which is built without
/// locks: two threads in it at once get wrong numbers.
bool blas_is_thread_safe();

/// To be held during each call of BLAS or LAPACK. Calls init_blas(); where OpenBLAS is not safe to
/// be called by several threads, they take turns.
std::unique_lock<std::mutex> blas_turn();

}  // namespace nf
