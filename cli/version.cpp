// flowcli --version: facts of the build, none of which needs a library to be opened.
#include "cli/version.h"

#include <string_view>

#include "tensor/cpu_kernels.h"
#include "tensor/error.h"
#include "tensor/processor.h"
#include "tensor/text.h"

namespace nf::cli {

const char* const kVersion = NF_VERSION;
const char* const kCompiler = NF_COMPILER;
const char* const kFlags = NF_FLAGS;
const bool kWithCuda = std::string_view(NF_CUDA_BACKEND) == "ON";

namespace {

struct InstructionSet {
  const char* name;
  const char* macro;  ///< what the compiler's macro says: "1", or the macro's own name
  bool (*executed)();
};

// The name of a macro that is not defined stays as it is.
#define NF_TEXT(macro) #macro
#define NF_SET(name, macro)                                     \
  {                                                             \
    name, NF_TEXT(macro), [] { return NF_PROCESSOR_HAS(name); } \
  }
const InstructionSet kSets[] = {
    NF_SET("sse4.2", __SSE4_2__),
    NF_SET("avx", __AVX__),
    NF_SET("avx2", __AVX2__),
    NF_SET("fma", __FMA__),
    NF_SET("avx512f", __AVX512F__),
    NF_SET("avx512dq", __AVX512DQ__),
    NF_SET("avx512bw", __AVX512BW__),
    NF_SET("avx512vl", __AVX512VL__),
    NF_SET("avx512bf16", __AVX512BF16__),
};
#undef NF_SET
#undef NF_TEXT

template <class Has>
std::vector<std::string> names_where(const Has& has) {
  std::vector<std::string> names;
  for (const InstructionSet& set : kSets) {
    if (has(set)) names.push_back(set.name);
  }
  return names;
}

std::string or_baseline(const std::vector<std::string>& sets) {
  return sets.empty() ? str(kProcessor, ", no more") : join(sets, " ");
}

}  // namespace

std::vector<std::string> compiled_for() {
  return names_where([](const InstructionSet& set) { return set.macro == std::string_view("1"); });
}

std::vector<std::string> executed() {
  return names_where([](const InstructionSet& set) { return set.executed(); });
}

std::string version_text() {
  return str(
      "flowcli ", kVersion, "\ncompiler      ", kCompiler, ", ", kFlags, "\ncompiled for  ",
      or_baseline(compiled_for()), "\nprocessor     ", or_baseline(executed()), "\nCPU kernels   ",
      cpu_kernels(), ", of ", join(runnable_cpu_kernels(), " "),
      "\nBLAS          OpenBLAS, opened by the first factorisation (flowcli doctor shows it)",
      "\nCUDA          ", kWithCuda ? "yes" : "no", "\nMPI           no");
}

}  // namespace nf::cli
