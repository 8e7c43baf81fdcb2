// Matrix products of a layer in the three layouts that a training step has, on any device:
//   y = x w^T (forward), dx = dy w, dw = dy^T x
//
//   nf_bench_products [--device cpu|cuda] [--json] [--batch-size N]   (200, 1000 and 8192)
//
// TFLOP/s by shape and precision, the best of several runs; on a GPU what stands between launches
// of the same product is a part of it. Beside it the largest error against f64, of the size of the
// product's largest number.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "bench/guarded.h"
#include "bench/timing.h"
#include "tensor/backend.h"
#include "tensor/ops.h"
#include "tensor/random.h"

namespace {

using namespace nf;

struct Layout {
  const char* name;
  bool transpose_a, transpose_b;
};
constexpr Layout kLayouts[] = {
    {"x w^T", false, true}, {"dy w", false, false}, {"dy^T x", true, false}};
/// In and out of the layers of NICE.
constexpr std::int64_t kLayers[][2] = {{392, 1000}, {1000, 1000}, {1000, 392}};

struct Measured {
  std::string layout, precision;
  std::int64_t m, n, k;
  double tflops, error;
};

Measured measure(const Layout& layout, std::int64_t m, std::int64_t n, std::int64_t k,
                 Precision precision, Device device) {
  constexpr int kRuns = 5;
  Backend& backend = backend_for(device);
  backend.set_precision(precision);
  Generator gen(1);
  const auto factor = [&](std::int64_t rows, std::int64_t cols, bool transposed) {
    const Tensor t = normal(gen, transposed ? Shape{cols, rows} : Shape{rows, cols}).to(device);
    return transposed ? t.t() : t;
  };
  const Tensor a = factor(m, k, layout.transpose_a), b = factor(k, n, layout.transpose_b);
  const Tensor out = matmul(a, b);  // the first one looks for an algorithm
  const double flops = 2.0 * static_cast<double>(m) * static_cast<double>(n * k);
  const int calls =
      static_cast<int>(std::clamp(2e10 / flops, 1.0, device == Device::CPU ? 4 : 1e4));
  const double best = shortest(kRuns, 1, [&] {
    for (int i = 0; i < calls; ++i) matmul(a, b);
    backend.synchronize();
  });
  const std::int64_t some = std::min<std::int64_t>(m, 64);  // rows that are looked at
  const Tensor exact = matmul(a.narrow(0, 0, some).to(DType::F64), b.to(DType::F64));
  const Tensor wrong = abs(out.narrow(0, 0, some).to(DType::F64) - exact);
  return {layout.name,
          name_of(precision),
          m,
          n,
          k,
          flops * calls / best * 1e-12,
          max(wrong).item() / max(abs(exact)).item()};
}

void print(const Measured& r, bool json, bool first) {
  const auto m = static_cast<long long>(r.m), n = static_cast<long long>(r.n),
             k = static_cast<long long>(r.k);
  if (!json) {
    std::printf("%-8s %6lld %6lld %6lld %5s %9.3f %9.1e\n", r.layout.c_str(), m, n, k,
                r.precision.c_str(), r.tflops, r.error);
    return;
  }
  std::printf("%s{\"product\": \"%s\", \"m\": %lld, \"n\": %lld, \"k\": %lld, ", first ? "" : ", ",
              r.layout.c_str(), m, n, k);
  std::printf("\"precision\": \"%s\", \"tflops\": %.3f, \"error\": %.2e}", r.precision.c_str(),
              r.tflops, r.error);
}

void measure_all(const std::vector<std::int64_t>& batches, Device device, bool json) {
  std::printf(json ? "[" : "product       M      N      K         TFLOP/s     error\n");
  bool first = true;
  for (const std::int64_t batch : batches) {
    for (const auto& [in, out] : kLayers) {
      for (const Precision precision : {Precision::F32, Precision::TF32, Precision::BF16}) {
        if (!backend_for(device).has_precision(precision)) continue;
        for (const Layout& layout : kLayouts) {
          const bool weights = layout.transpose_a, forward = layout.transpose_b;
          const std::int64_t inner = forward ? in : out;
          print(measure(layout, weights ? out : batch, forward ? out : in, weights ? batch : inner,
                        precision, device),
                json, std::exchange(first, false));
        }
      }
    }
  }
  if (json) std::printf("]\n");
}

int run(int argc, char** argv) {
  bool json = false;
  Device device = Device::CPU;
  std::vector<std::int64_t> batches = {200, 1000, 8192};
  for (int i = 1; i < argc; ++i) {
    const auto option = [&](const char* name) {
      return std::strcmp(argv[i], name) == 0 && i + 1 < argc;
    };
    if (std::strcmp(argv[i], "--json") == 0) {
      json = true;
    } else if (option("--batch-size")) {
      batches = {std::max<std::int64_t>(1, std::atoll(argv[++i]))};
    } else if (option("--device")) {
      device = std::strcmp(argv[++i], "cuda") == 0 ? Device::CUDA : Device::CPU;
    } else {
      std::fprintf(stderr,
                   "usage: nf_bench_products [--device cpu|cuda] [--json] [--batch-size N]\n");
      return 2;
    }
  }
  if (device == Device::CUDA && !cuda_available()) {
    std::fprintf(stderr, "nf_bench_products: no CUDA device\n");
    return 1;
  }
  measure_all(batches, device, json);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return nf::guarded("nf_bench_products", [&] { return run(argc, argv); });
}
