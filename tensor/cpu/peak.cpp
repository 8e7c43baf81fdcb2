// The rate of multiply-adds in registers.
#include <algorithm>
#include <atomic>
#include <limits>

#include "tensor/clock.h"
#include "tensor/cpu/cpu_backend.h"
#include "tensor/cpu/gemm/tile.h"
#include "tensor/cpu/gemm/vector.h"
#include "tensor/threads.h"

namespace nf {
namespace {

using namespace nf::cpu;

constexpr int kChains = 12;  ///< independent sums: more than a processor has in flight

/// `rounds` times kChains multiply-adds of a whole vector.
template <class T>
void multiply_add(std::int64_t rounds) {
  using Vector = VectorOf<T, kLanes<T>>;
  Vector sum[kChains], factor = Vector{} + T(0.5);
  // The compiler may not know that they are equal, or it computes one of them.
  asm volatile("" : "+x"(factor));
  for (int i = 0; i < kChains; ++i) {
    sum[i] = Vector{} + T(i);
    asm volatile("" : "+x"(sum[i]));
  }
  for (std::int64_t r = 0; r < rounds; ++r) {
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i) sum[i] = sum[i] * factor + factor;
  }
  for (int i = 0; i < kChains; ++i) asm volatile("" : : "x"(sum[i]));
}

/// FLOP/s of all threads together.
template <class T>
double peak_of() {
  constexpr std::int64_t kRounds = 400'000;
  double best = 0;
  for (int repeat = 0; repeat < 10; ++repeat) {
    const int threads = num_threads();
    const double start = seconds_now();
    parallel_for(threads, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) multiply_add<T>(kRounds);
    });
    const double flops = 2.0 * kChains * kLanes<T> * kRounds * threads;
    best = std::max(best, flops / (seconds_now() - start));
  }
  return best;
}

}  // namespace

double CpuBackend::peak_flops(DType dtype) {
  return visit_float(dtype, [&]<class T>() { return peak_of<T>(); });
}

}  // namespace nf
