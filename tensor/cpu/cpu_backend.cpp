#include "tensor/cpu/cpu_backend.h"

#include "tensor/cpu/gemm/tile.h"
#include "tensor/cpu_kernels.h"
#include "tensor/error.h"
#include "tensor/processor.h"
#include "tensor/text.h"

namespace nf {

// CMake names it: cpu_backend_base, cpu_backend_avx2, .. It is all that is seen of this set.
Backend& NF_CPU_BACKEND() {
  static CpuBackend& backend = *new CpuBackend;  // never destroyed, see cpu_kernels.cpp
  return backend;
}

// The instruction has vectors of all lengths, but no processor has it without those of 64 bytes.
bool CpuBackend::has_precision(Precision precision) const {
  if (precision == Precision::BF16) {
    return cpu::kVectorBytes == 64 && NF_PROCESSOR_HAS("avx512bf16") && !multiplies_by_openblas();
  }
  return precision == Precision::F32;
}

void CpuBackend::set_precision(Precision precision) {
  std::string needs;
  if (precision == Precision::BF16) {
    needs =
        str(" here: they need AVX512_BF16 and the kernels of avx512, and OpenBLAS has none (now: ",
            cpu_kernels(), multiplies_by_openblas() ? ", NF_MATMUL=openblas)" : ")");
  }
  NF_CHECK(has_precision(precision), "[precision] the CPU has no products of ", name_of(precision),
           needs, "; leave it at f32");
  precision_ = precision;
}

}  // namespace nf
