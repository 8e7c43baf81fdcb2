#include "tensor/machine.h"

#include <algorithm>
#include <limits>

#include "tensor/clock.h"
#include "tensor/cpu/host/host_backend.h"
#include "tensor/tensor.h"
#include "tensor/threads.h"

namespace nf {

double peak_gflops(DType dtype) {
  return static_cast<HostBackend&>(cpu_backend()).peak_flops(dtype) * 1e-9;
}

double update_gbs(std::int64_t numbers) {
  constexpr std::int64_t kMost = std::int64_t{1} << 25;
  auto& backend = static_cast<HostBackend&>(cpu_backend());
  return backend.update_bytes(std::clamp<std::int64_t>(numbers, 1, kMost)) * 1e-9;
}

double triad_gbs(std::int64_t n) {
  Tensor a = Tensor::zeros({n}), b = Tensor::ones({n}), c = Tensor::ones({n});
  float* const to = a.mutable_data<float>();
  const float *const x = b.data<float>(), *const y = c.data<float>();
  double best = std::numeric_limits<double>::infinity();
  for (int round = 0; round < 6; ++round) {
    const double start = seconds_now();
    parallel_for(n, 1024, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) to[i] = x[i] + 0.5F * y[i];
    });
    best = std::min(best, seconds_now() - start);
  }
  return 3.0 * sizeof(float) * static_cast<double>(n) / best * 1e-9;
}

}  // namespace nf
