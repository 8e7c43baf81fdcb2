// Our matrix products against the peak of the processor and against OpenBLAS called straight, with
// its own threads, in the same run.
//
//   nf_bench_matmul [--json] [--rounds N]
//
// In f32, f64 and, where the processor has it, bf16 (beside OpenBLAS's f32).
// Each figure is the best of N rounds (5) of several products each; all take turns. Between turns
// with several threads there is a pause: OpenBLAS's threads stay awake for some 100 ms after a
// product, which would slow down whoever comes next.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>
#include <vector>

#include "bench/guarded.h"
#include "bench/timing.h"
#include "tensor/backend.h"
#include "tensor/blas.h"
#include "tensor/cpu_kernels.h"
#include "tensor/machine.h"
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

// The layers of NICE on MNIST (batch 200): y = x w^T, dx = dy w, dw = dy^T x; then squares, and
// what is small, tall or thin.
constexpr Product kProducts[] = {
    {"x w^T", 200, 1000, 392, false, true},   {"x w^T", 200, 1000, 1000, false, true},
    {"x w^T", 200, 392, 1000, false, true},   {"dy w", 200, 392, 1000, false, false},
    {"dy w", 200, 1000, 1000, false, false},  {"dy w", 200, 1000, 392, false, false},
    {"dy^T x", 1000, 392, 200, true, false},  {"dy^T x", 1000, 1000, 200, true, false},
    {"dy^T x", 392, 1000, 200, true, false},  {"a b", 512, 512, 512, false, false},
    {"a b", 1024, 1024, 1024, false, false},  {"a b", 2048, 2048, 2048, false, false},
    {"a b^T", 2000, 2000, 2000, false, true}, {"a b", 4096, 4096, 4096, false, false},
    {"x w^T", 65536, 64, 64, false, true},    {"dy^T x", 64, 64, 65536, true, false},
    {"x w^T", 1, 1000, 1000, false, true},    {"x w^T", 16, 1000, 1000, false, true},
    {"a b", 16, 16, 16, false, false},
};

/// Seconds of one call, in runs of as many as take a millisecond or more. First comes 20 ms of
/// them that do not count: a processor that slept, above all one of a virtual machine, is there
/// only milliseconds after a thread was woken up on it.
double shortest_call(double flops, const std::function<void(int)>& run) {
  for (const double start = seconds_now(); seconds_now() - start < 0.02;) run(0);
  const int calls = static_cast<int>(std::clamp(1e8 / flops, 1.0, 1e4));
  const int runs = static_cast<int>(std::clamp(2e9 / flops / calls, 1.0, 5.0));
  return shortest(runs, 0,
                  [&] {
                    for (int call = 0; call < calls; ++call) run(call);
                  }) /
         calls;
}

struct Times {
  double ours = std::numeric_limits<double>::infinity();
  double theirs = std::numeric_limits<double>::infinity();
};

/// b's in turn, of together more than most caches: in a step the weights come from memory.
template <class T>
Times measure(const Product& p, int rounds) {
  constexpr DType dtype = sizeof(T) == 4 ? DType::F32 : DType::F64;
  Generator gen(1);
  const Tensor a = normal(gen, p.transpose_a ? Shape{p.k, p.m} : Shape{p.m, p.k}, dtype);
  const Tensor left = p.transpose_a ? a.t() : a;
  std::vector<Tensor> bs, rights;
  const auto size = static_cast<std::int64_t>(sizeof(T)) * p.n * p.k;
  for (std::int64_t i = std::clamp<std::int64_t>((48 << 20) / size, 1, 16); i-- > 0;) {
    bs.push_back(normal(gen, p.transpose_b ? Shape{p.n, p.k} : Shape{p.k, p.n}, dtype));
    rights.push_back(p.transpose_b ? bs.back().t() : bs.back());
  }
  Tensor c = Tensor::zeros({p.m, p.n}, dtype);
  T* const to = c.mutable_data<T>();
  const auto ours = [&](int i) {
    matmul(left, rights[static_cast<std::size_t>(i) % rights.size()]);
  };
  const auto theirs = [&](int i) {
    using namespace cblas;
    const T* const b = bs[static_cast<std::size_t>(i) % bs.size()].template data<T>();
    const auto call = [&](auto* gemm) {
      gemm(kRowMajor, p.transpose_a ? kTrans : kNoTrans, p.transpose_b ? kTrans : kNoTrans, p.m,
           p.n, p.k, 1, a.data<T>(), p.transpose_a ? p.m : p.k, b, p.transpose_b ? p.k : p.n, 0, to,
           p.n);
    };
    if constexpr (sizeof(T) == 4) {
      call(blas().sgemm);
    } else {
      call(blas().dgemm);
    }
  };
  const double flops = 2.0 * p.m * p.n * p.k;
  const auto pause = std::chrono::milliseconds(num_threads() > 1 ? 200 : 0);
  Times best;
  for (int round = 0; round < rounds; ++round) {
    blas().set_num_threads(1);
    std::this_thread::sleep_for(pause);
    best.ours = std::min(best.ours, shortest_call(flops, ours));
    blas().set_num_threads(num_threads());
    best.theirs = std::min(best.theirs, shortest_call(flops, theirs));
  }
  return best;
}

}  // namespace

static int run(int argc, char** argv) {
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
  nlohmann::json told = {{"openblas", blas().config()},
                         {"openblas_kernels", blas_core()},
                         {"kernels", cpu_kernels()},
                         {"peak_gflops", peak_gflops()},
                         {"products", nlohmann::json::array()}};
  if (!json) {
    std::printf("%s kernels; %s, %s\n\n%-8s %5s %5s %5s %5s %7s %9s %8s %12s\n",
                cpu_kernels().c_str(), blas().config(), blas_core().c_str(), "product", "M", "N",
                "K", "dtype", "threads", "GFLOP/s", "of peak", "of OpenBLAS");
  }
  const int all = num_threads();
  struct Factors {
    const char* name;
    DType dtype;
    Precision precision;
  };
  for (const auto& [factors, dtype, precision] : {Factors{"f32", DType::F32, Precision::F32},
                                                  {"f64", DType::F64, Precision::F32},
                                                  {"bf16", DType::F32, Precision::BF16}}) {
    if (!cpu_backend().has_precision(precision)) continue;
    cpu_backend().set_precision(precision);
    for (const int threads : std::set<int>{1, all}) {
      set_num_threads(threads);
      const double peak = peak_gflops(dtype);
      for (const Product& p : kProducts) {
        const Times best = visit_float(dtype, [&]<class T>() { return measure<T>(p, rounds); });
        const double gflops = 2e-9 * p.m * p.n * p.k / best.ours;
        told["products"].push_back({{"product", p.what},
                                    {"shape", str(p.m, "x", p.n, "x", p.k)},
                                    {"dtype", factors},
                                    {"threads", threads},
                                    {"gflops", gflops},
                                    {"of_peak", gflops / peak},
                                    {"of_openblas", best.theirs / best.ours}});
        if (json) continue;
        std::printf("%-8s %5d %5d %5d %5s %7d %9.1f %7.1f%% %12.3f\n", p.what, p.m, p.n, p.k,
                    factors, threads, gflops, 100 * gflops / peak, best.theirs / best.ours);
        std::fflush(stdout);
      }
    }
  }
  if (json) std::printf("%s\n", told.dump(2).c_str());
  return 0;
}

int main(int argc, char** argv) {
  return nf::guarded("nf_bench_matmul", [&] { return run(argc, argv); });
}
