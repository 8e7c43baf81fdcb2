#include "tensor/blas.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <utility>

#include "tensor/threads.h"

// Declared here: Debian's <cblas.h> may be the reference library's, which has none of them.
extern "C" {
char* openblas_get_corename(void);
void openblas_set_num_threads(int);
int openblas_get_parallel(void);  // 0: serial, 1: pthreads, 2: OpenMP
}

namespace nf {
namespace {

constexpr const char* kCoreVariable = "OPENBLAS_CORETYPE";

/// OpenBLAS's generations of kernels for x86-64, worst first, each with what it executes.
/// __builtin_cpu_supports asks the operating system too (XGETBV). The list ends at SkylakeX because
/// 0.3.21 takes no later name from the variable; Cooperlake and SapphireRapids, which it may choose
/// itself, add bfloat16 only.
struct Core {
  const char* name;
  bool (*supported)();
};
constexpr Core kCores[] = {
    {"Prescott", [] { return true; }},
    {"Barcelona", [] { return false; }},  // taken for AMD processors that it does not know
    {"Nehalem", [] { return __builtin_cpu_supports("sse4.2") != 0; }},
    {"Sandybridge", [] { return __builtin_cpu_supports("avx") != 0; }},
    {"Haswell",
     [] { return __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0; }},
    {"SkylakeX",
     [] {
       return __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512dq") != 0 &&
              __builtin_cpu_supports("avx512bw") != 0 && __builtin_cpu_supports("avx512vl") != 0;
     }},
};

const Core* best_core() {
  const Core* best = &kCores[0];
  for (const Core& core : kCores) {
    if (core.supported()) best = &core;
  }
  return best;
}

bool user_has_chosen() {
  const char* value = std::getenv(kCoreVariable);
  return value && *value;
}

/// False for a core that is not in the list (Zen, ...): OpenBLAS knew the processor.
bool kernels_are_bad() {
  const std::string now = blas_core();
  for (const Core* core = kCores; core != best_core(); ++core) {
    if (core->name == now) return true;
  }
  return false;
}

}  // namespace

std::string blas_core() { return openblas_get_corename(); }
std::string best_blas_core() { return best_core()->name; }

void ensure_best_blas_kernels(char** argv) {
  if (user_has_chosen() || !kernels_are_bad()) return;
  setenv(kCoreVariable, best_core()->name, 1);
  execv("/proc/self/exe", argv);
  unsetenv(kCoreVariable);  // could not start again: go on as we are, and init_blas() will say so
}

void init_blas() {
  // Once for each thread: in OpenBLAS's OpenMP variant the number is the calling thread's own.
  thread_local bool done = false;
  if (done) return;
  done = true;
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  openblas_set_num_threads(1);
  static bool told = false;
  if (std::exchange(told, true)) return;
  if (!user_has_chosen() && kernels_are_bad()) {
    std::fprintf(
        stderr,
        "nf: OpenBLAS does not know this processor and runs its %s kernels, which are slow; "
        "set OPENBLAS_CORETYPE=%s, or call nf::ensure_best_blas_kernels(argv) in main()\n",
        blas_core().c_str(), best_core()->name);
  }
  if (!blas_is_thread_safe() && num_threads() > 1) {
    std::fprintf(
        stderr,
        "nf: this OpenBLAS is the serial variant, which only one thread may call; for matrix "
        "products on %d threads use the pthread variant (libopenblas0-pthread)\n",
        num_threads());
  }
}

bool blas_is_thread_safe() { return openblas_get_parallel() != 0; }

std::unique_lock<std::mutex> blas_turn() {
  init_blas();
  static std::mutex turn;
  return blas_is_thread_safe() ? std::unique_lock<std::mutex>() : std::unique_lock(turn);
}

}  // namespace nf
