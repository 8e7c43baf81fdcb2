#include "tensor/environment.h"

#include <algorithm>
#include <cstdlib>

#include "tensor/communicator.h"
#include "tensor/conv.h"
#include "tensor/cpu_kernels.h"
#include "tensor/error.h"
#include "tensor/text.h"
#include "tensor/threads.h"

namespace nf {
namespace {

constexpr EnvironmentVariable kVariables[] = {
    {"NF_NUM_THREADS", "1 to 1024", "threads; else all processors", [] { num_threads(); }},
    {"NF_CPU", "base, avx2, avx512", "the CPU's kernels; else the best that run here",
     [] { cpu_kernels(); }},
    {"NF_MATMUL", "own, openblas", "what multiplies matrices on the CPU; else own kernels",
     [] { multiplies_by_openblas(); }},
    {"NF_WINOGRAD", "off, auto, on", "3x3 convolutions (conv2d) in Winograd's way; else auto",
     [] { winograd(); }},
    {"NF_NCCL", "auto, off", "sums between GPUs of processes; else NCCL where it is",
     [] { nccl_allowed(); }},
    {"OPENBLAS_CORETYPE", "Haswell, ...", "OpenBLAS's kernels; else the best that run here",
     [] {}},  // it has names of its own
};

}  // namespace

std::span<const EnvironmentVariable> environment_variables() { return kVariables; }

void check_environment() {
  for (const EnvironmentVariable& variable : kVariables) variable.check();
}

std::vector<std::string> environment_set() {
  std::vector<std::string> set;
  for (const EnvironmentVariable& variable : kVariables) {
    const std::string text = environment_text(variable.name);
    if (!text.empty()) set.push_back(str(variable.name, "=", printable(text)));
  }
  return set;
}

std::string environment_text(const char* name) {
  const char* const text = std::getenv(name);
  return text ? text : "";
}

std::size_t environment_choice(const char* where, const char* name,
                               const std::vector<std::string>& words, std::size_t otherwise) {
  const std::string text = environment_text(name);
  if (text.empty()) return otherwise;
  const auto found = std::find(words.begin(), words.end(), text);
  if (found != words.end()) return static_cast<std::size_t>(found - words.begin());
  const std::vector<std::string> first(words.begin(), words.end() - 1);
  const std::string list = first.empty() ? words.back() : join(first, ", ") + " or " + words.back();
  fail(str("[", where, "] ", name, " is \"", text, "\"; give ", list, ", or unset it"));
}

}  // namespace nf
