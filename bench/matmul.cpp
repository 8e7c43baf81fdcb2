// Our matrix products against OpenBLAS called straight, with its own threads, in the same run.
//
//   nf_bench_matmul [--json] [--rounds N]
//
// Each figure is the best of N rounds (5) of several products each. The two take turns, and between
// turns there is a pause: OpenBLAS's threads stay awake for some 100 ms after a product, which
// would slow down whoever comes next. `ratio` is our time over OpenBLAS's: below 1, ours is faster.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <limits>
#include <thread>

#include "tensor/blas.h"
#include "tensor/ops.h"
#include "tensor/random.h"
#include "tensor/threads.h"

namespace {

using namespace nf;

struct Product {
  const char* what;
  int m, n, k;
  bool transpose_a, transpose_b;
};

// The layers of NICE on MNIST (batch 200): y = x w^T, dx = dy w, dw = dy^T x; then squares.
constexpr Product kProducts[] = {
    {"x w^T", 200, 1000, 392, false, true},   {"x w^T", 200, 1000, 1000, false, true},
    {"x w^T", 200, 392, 1000, false, true},   {"dy w", 200, 392, 1000, false, false},
    {"dy w", 200, 1000, 1000, false, false},  {"dy w", 200, 1000, 392, false, false},
    {"dy^T x", 1000, 392, 200, true, false},  {"dy^T x", 1000, 1000, 200, true, false},
    {"dy^T x", 392, 1000, 200, true, false},  {"a b", 1000, 1000, 1000, false, false},
    {"a b", 1536, 1536, 1536, false, false},  {"a b", 2000, 2000, 2000, false, false},
    {"a b^T", 1000, 1000, 1000, false, true},
};

/// Shortest time of one call, after two that are not counted.
double shortest(int calls, const std::function<void()>& run) {
  using Clock = std::chrono::steady_clock;
  double best = std::numeric_limits<double>::infinity();
  for (int i = -2; i < calls; ++i) {
    const auto start = Clock::now();
    run();
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    if (i >= 0) best = std::min(best, seconds);
  }
  return best;
}

struct Times {
  double ours = std::numeric_limits<double>::infinity();
  double theirs = std::numeric_limits<double>::infinity();
};

Times measure(const Product& p, int rounds) {
  Generator gen(1);
  const Tensor a = normal(gen, p.transpose_a ? Shape{p.k, p.m} : Shape{p.m, p.k});
  const Tensor b = normal(gen, p.transpose_b ? Shape{p.n, p.k} : Shape{p.k, p.n});
  const Tensor left = p.transpose_a ? a.t() : a, right = p.transpose_b ? b.t() : b;
  Tensor c = Tensor::zeros({p.m, p.n});
  float* const to = c.mutable_data<float>();
  const int calls = static_cast<int>(std::clamp(2e10 / (2.0 * p.m * p.n * p.k), 3.0, 30.0));
  Times best;
  for (int round = 0; round < rounds; ++round) {
    blas().set_num_threads(1);
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    best.ours = std::min(best.ours, shortest(calls, [&] { matmul(left, right); }));
    blas().set_num_threads(num_threads());
    best.theirs =
        std::min(best.theirs, shortest(calls, [&] {
                   blas().sgemm(101, p.transpose_a ? 112 : 111, p.transpose_b ? 112 : 111, p.m, p.n,
                                p.k, 1, a.data<float>(), p.transpose_a ? p.m : p.k, b.data<float>(),
                                p.transpose_b ? p.k : p.n, 0, to, p.n);
                 }));
  }
  return best;
}

}  // namespace

int main(int argc, char** argv) {
  bool json = false;
  int rounds = 5;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--json") == 0) {
      json = true;
    } else if (std::strcmp(argv[i], "--rounds") == 0 && i + 1 < argc &&
               std::atoi(argv[i + 1]) > 0) {
      rounds = std::atoi(argv[++i]);
    } else {
      std::fprintf(stderr, "usage: nf_bench_matmul [--json] [--rounds N]\n");
      return 2;
    }
  }
  if (json) {
    std::printf("{\"openblas\": \"%s\", \"threads\": %d, \"products\": [", blas().config(),
                num_threads());
  } else {
    std::printf("%s, %d threads\n\n%-8s %5s %5s %5s %14s %18s %7s\n", blas().config(),
                num_threads(), "product", "M", "N", "K", "ours GFLOP/s", "OpenBLAS GFLOP/s",
                "ratio");
  }
  const char* separator = "";
  for (const Product& p : kProducts) {
    const Times best = measure(p, rounds);
    const double gflop = 2e-9 * p.m * p.n * p.k;
    std::printf(json ? "%s{\"product\": \"%s\", \"m\": %d, \"n\": %d, \"k\": %d, "
                       "\"ours_gflops\": %.1f, \"openblas_gflops\": %.1f, \"ratio\": %.3f}"
                     : "%s%-8s %5d %5d %5d %14.1f %18.1f %7.3f\n",
                separator, p.what, p.m, p.n, p.k, gflop / best.ours, gflop / best.theirs,
                best.ours / best.theirs);
    std::fflush(stdout);
    if (json) separator = ", ";
  }
  if (json) std::printf("]}\n");
}
