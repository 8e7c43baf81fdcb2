#include "tensor/cpu_kernels.h"

#include "tensor/backend.h"
#include "tensor/blas.h"
#include "tensor/conv.h"
#include "tensor/environment.h"
#include "tensor/error.h"
#include "tensor/processor.h"
#include "tensor/text.h"

namespace nf {

// NF_CPU_SETS, from CMake, is NF_CPU_SET(name) for each set of this build, the best one last.
#define NF_CPU_SET(name) Backend& cpu_backend_##name();
NF_CPU_SETS
#undef NF_CPU_SET

namespace {

// All that the compiler was allowed to use. NF_PROCESSOR_HAS asks the operating system, too,
// whether it saves the registers.
[[maybe_unused]] bool runs_base() { return true; }

[[maybe_unused]] bool runs_avx2() {
  return NF_PROCESSOR_HAS("avx2") && NF_PROCESSOR_HAS("fma") && NF_PROCESSOR_HAS("bmi") &&
         NF_PROCESSOR_HAS("bmi2") && NF_PROCESSOR_HAS("popcnt") && cpuid_ecx_has(1, 22) &&
         cpuid_ecx_has(1, 29) &&        // MOVBE, F16C
         cpuid_ecx_has(0x80000001, 5);  // LZCNT
}

[[maybe_unused]] bool runs_avx512() {
  return runs_avx2() && NF_PROCESSOR_HAS("avx512f") && NF_PROCESSOR_HAS("avx512bw") &&
         NF_PROCESSOR_HAS("avx512cd") && NF_PROCESSOR_HAS("avx512dq") &&
         NF_PROCESSOR_HAS("avx512vl");
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
  find_processor_features();  // a tensor with static lifetime may come before what calls it
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
  find_processor_features();
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
