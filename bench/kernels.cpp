// Bandwidth of the kernels on large f32 arrays, against STREAM triad (McCalpin) in the same run.
//
//   nf_bench_kernels [--json] [--elements N]
//
// GB/s counts each byte that an operation reads or writes once. Each figure is the best of several
// runs; triad is measured again between the operations, and the best of all is what they are
// compared with.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "tensor/ops.h"
#include "tensor/threads.h"

namespace {

using namespace nf;

constexpr int kRepeats = 7;

double seconds(const std::function<void()>& run) {
  const auto start = std::chrono::steady_clock::now();
  run();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Best bandwidth in GB/s of several runs, after one that is not counted.
double bandwidth(double bytes, const std::function<void()>& run) {
  run();
  double best = 1e30;
  for (int i = 0; i < kRepeats; ++i) best = std::min(best, seconds(run));
  return bytes / best * 1e-9;
}

/// a = b + s*c on doubles, by all threads; 24 bytes for each element.
class Triad {
 public:
  explicit Triad(std::int64_t n)
      : n_(n), a_(Tensor::zeros({n}, DType::F64)), b_(a_.clone()), c_(a_.clone()) {}

  double measure() {
    double* const a = a_.mutable_data<double>();
    const double* const b = b_.data<double>();
    const double* const c = c_.data<double>();
    return bandwidth(24.0 * n_, [&] {
      parallel_for(n_, 4096, [=](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) a[i] = b[i] + 3.0 * c[i];
      });
    });
  }

 private:
  std::int64_t n_;
  Tensor a_, b_, c_;
};

struct Result {
  std::string name;
  double gigabytes;  ///< per second
};

struct Case {
  std::string name;
  double bytes;  ///< for each element
  std::function<void()> run;
};

std::vector<Case> cases(std::int64_t n) {
  // Values around 0 of all the sizes that a network sees, the same for every operation.
  Tensor x = Tensor::empty({n}), positive = Tensor::empty({n});
  float* const to = x.mutable_data<float>();
  for (std::int64_t i = 0; i < n; ++i)
    to[i] = static_cast<float>((i * 7919) % 16001 - 8000) * 1e-3F;
  Backend& backend = backend_of(x);
  backend.unary(UnaryOp::Exp, {}, x, positive);
  Tensor y = x.clone(), out = x.empty_like(), first = x.zeros_like(), second = x.zeros_like();
  const std::int64_t columns = 1024;
  const Tensor table = x.narrow(0, 0, n / columns * columns).reshape({n / columns, columns});
  Tensor one = Tensor::empty({}), rows = Tensor::empty({n / columns}),
         sums = Tensor::empty({columns});

  std::vector<Case> list;
  const auto add = [&](const char* name, double bytes, auto run) {
    list.push_back({name, bytes, run});
  };
  const auto unary_case = [&](const char* name, UnaryOp op, const Tensor& in, OpArgs args = {}) {
    add(name, 8, [=, &backend]() mutable { backend.unary(op, args, in, out); });
  };
  const auto reduce_case = [&](const char* name, ReduceOp op, const Tensor& in, int axes,
                               Tensor to) {
    add(name, 4, [=, &backend]() mutable { backend.reduce(op, in, axes, to); });
  };
  add("copy", 8, [=, &backend]() mutable { backend.copy(out, x); });
  add("add", 12, [=, &backend]() mutable { backend.binary(BinaryOp::Add, x, y, out); });
  add("mul", 12, [=, &backend]() mutable { backend.binary(BinaryOp::Mul, x, y, out); });
  unary_case("affine", UnaryOp::Affine, x, {2, 1});
  unary_case("relu", UnaryOp::Relu, x);
  unary_case("exp", UnaryOp::Exp, x);
  unary_case("log", UnaryOp::Log, positive);
  unary_case("tanh", UnaryOp::Tanh, x);
  unary_case("sigmoid", UnaryOp::Sigmoid, x);
  unary_case("softplus", UnaryOp::Softplus, x);
  unary_case("gelu", UnaryOp::Gelu, x);
  unary_case("sin", UnaryOp::Sin, x);
  add("pow", 12, [=, &backend]() mutable { backend.binary(BinaryOp::Pow, positive, y, out); });
  add("tanh backward", 12,
      [=, &backend]() mutable { backend.unary_backward(UnaryOp::Tanh, {}, x, y, out); });
  add("add bias (row)", 8, [=, &backend, b = sums.zeros_like()]() mutable {
    Tensor to = out.narrow(0, 0, table.numel()).reshape(table.shape());
    backend.binary(BinaryOp::Add, table, b.broadcast_to(table.shape()), to);
  });
  add("add bias (column)", 8, [=, &backend, b = rows.zeros_like()]() mutable {
    Tensor to = out.narrow(0, 0, table.numel()).reshape(table.shape());
    backend.binary(BinaryOp::Add, table, b.unsqueeze(1).broadcast_to(table.shape()), to);
  });
  reduce_case("sum", ReduceOp::Sum, x, 1, one);
  reduce_case("sum of rows", ReduceOp::Sum, table, 1, rows);
  reduce_case("sum of columns", ReduceOp::Sum, table.t(), 1, sums);
  reduce_case("max", ReduceOp::Max, x, 1, one);
  reduce_case("logsumexp", ReduceOp::LogSumExp, x, 1, one);
  reduce_case("variance", ReduceOp::Variance, x, 1, one);
  add("adam step", 28, [=, &backend]() mutable {
    Tensor grads[] = {x};
    backend.update(UpdateRule::Adam, {}, Tensor(), {&y, 1}, grads, {&first, 1}, {&second, 1});
  });
  return list;
}

}  // namespace

int main(int argc, char** argv) {
  bool json = false;
  std::int64_t n = 64 << 20;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--json") == 0) {
      json = true;
    } else if (std::strcmp(argv[i], "--elements") == 0 && i + 1 < argc) {
      n = std::max<std::int64_t>(std::atoll(argv[++i]), 1024);
    } else {
      std::fprintf(stderr, "usage: nf_bench_kernels [--json] [--elements N]\n");
      return 2;
    }
  }
  Triad stream(n / 4);
  double triad = stream.measure();
  std::vector<Result> results;
  for (const Case& c : cases(n)) {
    results.push_back({c.name, bandwidth(c.bytes * n, c.run)});
    triad = std::max(triad, stream.measure());
  }
  if (json) {
    std::printf("{\"threads\": %d, \"elements\": %lld, \"triad_gbs\": %.2f, \"kernels\": {",
                num_threads(), static_cast<long long>(n), triad);
    for (std::size_t i = 0; i < results.size(); ++i) {
      std::printf("%s\"%s\": %.2f", i ? ", " : "", results[i].name.c_str(), results[i].gigabytes);
    }
    std::printf("}}\n");
    return 0;
  }
  std::printf("%d threads, %lld f32 elements, triad %.1f GB/s\n", num_threads(),
              static_cast<long long>(n), triad);
  std::printf("%-20s %8s %10s\n", "kernel", "GB/s", "of triad");
  for (const Result& r : results) {
    std::printf("%-20s %8.1f %8.0f %%\n", r.name.c_str(), r.gigabytes, 100 * r.gigabytes / triad);
  }
}
