// The machine's limits as the kernels meet them: multiply-adds in registers, an update's bytes.
#include <algorithm>
#include <atomic>
#include <limits>

#include "tensor/clock.h"
#include "tensor/cpu/cpu_backend.h"
#include "tensor/cpu/factors.h"
#include "tensor/cpu/gemm/bf16.h"
#include "tensor/host_device.h"
#include "tensor/processor.h"
#include "tensor/threads.h"

namespace nf {
namespace {

using namespace nf::cpu;

constexpr int kChains = 12;  ///< independent sums: more than a processor has in flight

/// `rounds` times kChains multiply-adds of a whole vector.
template <class P>
void multiply_add(std::int64_t rounds) {
  using Sum = VectorOf<NumberOf<P>, kLanes<P>>;
  constexpr P kHalf = kIsPair<P> ? P(0x3f003f00) : P(0.5);  // both numbers of a pair
  Sum sum[kChains];
  VectorOf<P, kLanes<P>> factor = VectorOf<P, kLanes<P>>{} + kHalf;
  // The compiler may not know that they are equal, or it computes one of them.
  NF_FORGET_VECTOR(factor);
#pragma GCC unroll 12  // or the sums lie in memory
  for (int i = 0; i < kChains; ++i) {
    sum[i] = Sum{} + NumberOf<P>(i);
    NF_FORGET_VECTOR(sum[i]);
  }
  for (std::int64_t r = 0; r < rounds; ++r) {
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i) {
      if constexpr (kIsPair<P>) {
        multiply_add_pairs(sum[i], factor, factor);
      } else {
        sum[i] = sum[i] * factor + factor;
      }
    }
  }
#pragma GCC unroll 12
  for (int i = 0; i < kChains; ++i) NF_FORGET_VECTOR(sum[i]);
}

/// FLOP/s of all threads together.
template <class P>
double peak_of() {
  constexpr std::int64_t kRounds = 400'000;
  double best = 0;
  for (int repeat = 0; repeat < 10; ++repeat) {
    const int threads = num_threads();
    const double start = seconds_now();
    parallel_for(threads, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) multiply_add<P>(kRounds);
    });
    const double flops = 2.0 * kNumbers<P> * kChains * kLanes<P> * kRounds * threads;
    best = std::max(best, flops / (seconds_now() - start));
  }
  return best;
}

/// What an update reads and writes, by next to no arithmetic.
void pass_of_update(const float* g, float* p, float* m, float* v, std::int64_t begin,
                    std::int64_t end) {
  NF_INDEPENDENT_ITERATIONS
  for (std::int64_t i = begin; i < end; ++i) {
    m[i] = 0.5F * m[i] + g[i];
    v[i] = 0.5F * v[i] + g[i];
    p[i] -= m[i] * v[i];
  }
  asm volatile("" : : : "memory");  // each pass is one
}

}  // namespace

double CpuBackend::update_bytes(std::int64_t numbers) {
  constexpr double kBytes = 7.0 * sizeof(float);
  const std::int64_t passes = std::max<std::int64_t>(1, (std::int64_t{1} << 22) / numbers);
  const Tensor g = Tensor::zeros({numbers});
  Tensor p = g.clone(), m = g.clone(), v = g.clone();
  const float* const from = g.data<float>();
  float *const at_p = p.mutable_data<float>(), *const at_m = m.mutable_data<float>(),
               *const at_v = v.mutable_data<float>();
  double best = 0;
  for (int repeat = 0; repeat < 6; ++repeat) {
    const int threads = num_threads();
    const double start = seconds_now();
    // A thread goes over its part again and again: nothing is waited for in between.
    parallel_for(threads, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t t = begin; t < end; ++t) {
        const std::int64_t first = numbers * t / threads, last = numbers * (t + 1) / threads;
        for (std::int64_t pass = 0; pass < passes; ++pass) {
          pass_of_update(from, at_p, at_m, at_v, first, last);
        }
      }
    });
    const double moved = kBytes * static_cast<double>(numbers) * static_cast<double>(passes);
    best = std::max(best, moved / (seconds_now() - start));
  }
  return best;
}

double CpuBackend::peak_flops(DType dtype) {
  return visit_factors(dtype, precision(), [&]<class P>() { return peak_of<P>(); });
}

}  // namespace nf
