#include "tensor/cpu_kernels.h"

#include <cpuid.h>

#include "tensor/backend.h"
#include "tensor/blas.h"
#include "tensor/conv.h"
#include "tensor/environment.h"
#include "tensor/error.h"
#include "tensor/text.h"

namespace nf {

// NF_CPU_SETS, from CMake, is NF_CPU_SET(name) for each set of this build, the best one last.
#define NF_CPU_SET(name) Backend& cpu_backend_##name();
NF_CPU_SETS
#undef NF_CPU_SET

namespace {

/// Bit `bit` of ECX of a CPUID leaf, where __builtin_cpu_supports knows no name.
bool ecx_has(unsigned leaf, unsigned bit) {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid(leaf, &eax, &ebx, &ecx, &edx) != 0 && (ecx >> bit & 1) != 0;
}

// All that the compiler was allowed to use. __builtin_cpu_supports asks the operating system, too,
// whether it saves the registers.
[[maybe_unused]] bool runs_base() { return true; }

[[maybe_unused]] bool runs_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
         __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
         __builtin_cpu_supports("popcnt") && ecx_has(1, 22) && ecx_has(1, 29) &&  // MOVBE, F16C
         ecx_has(0x80000001, 5);                                                  // LZCNT
}

[[maybe_unused]] bool runs_avx512() {
  return runs_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vl");
}

struct CpuSet {
  const char* name;
  bool (*runs)();
  Backend& (*backend)();
};
#define NF_CPU_SET(name) {#name, runs_##name, cpu_backend_##name},
constexpr CpuSet kSets[] = {NF_CPU_SETS};
#undef NF_CPU_SET

const CpuSet& choose() {
  __builtin_cpu_init();  // a tensor with static lifetime may come before what calls it
  const std::string wanted = environment_text("NF_CPU");
  std::vector<const CpuSet*> runnable;
  for (const CpuSet& set : kSets) {
    if (set.runs()) runnable.push_back(&set);
    NF_CHECK(set.runs() || set.name != wanted, "[cpu] NF_CPU is \"", wanted,
             "\", whose instructions this processor or its system does not have; give one of ",
             join(runnable_cpu_kernels(), ", "), ", or unset it");
  }
  return *runnable[environment_choice("cpu", "NF_CPU", runnable_cpu_kernels(),
                                      runnable.size() - 1)];
}

const CpuSet& chosen() {
  static const CpuSet& set = choose();  // thrown out of, it is tried again at the next call
  return set;
}

}  // namespace

std::string cpu_kernels() { return chosen().name; }

std::vector<std::string> runnable_cpu_kernels() {
  __builtin_cpu_init();
  std::vector<std::string> names;
  for (const CpuSet& set : kSets) {
    if (set.runs()) names.emplace_back(set.name);
  }
  return names;
}

bool multiplies_by_openblas() {
  static const bool chosen = environment_choice("matmul", "NF_MATMUL", {"own", "openblas"}, 0) == 1;
  return chosen;
}

std::map<std::string, std::string> cpu_choices() {
  return {{"cpu_kernels", cpu_kernels()},
          {"cpu_precision", name_of(chosen().backend().precision())},
          {"matmul", multiplies_by_openblas() ? "openblas " + blas_core() : "own"},
          {"winograd", name_of(winograd())}};
}

// Never destroyed: tensors with static lifetime give their memory back after main has ended.
Backend& cpu_backend() { return chosen().backend(); }

}  // namespace nf
