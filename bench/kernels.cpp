// Bandwidth of the kernels on large f32 arrays, against a ruler in the same run: STREAM triad
// (McCalpin) on the CPU, a copy by the driver within the device's memory on a GPU.
//
//   nf_bench_kernels [--device cpu|cuda] [--json] [--elements N]
//
// GB/s counts each byte that an operation reads or writes once. Each figure is the best of several
// runs; the ruler is measured again between the operations, and the best of all is what they are
// compared with.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "bench/guarded.h"
#include "bench/timing.h"
#include "tensor/machine.h"
#include "tensor/ops.h"
#include "tensor/threads.h"

namespace {

using namespace nf;

constexpr int kRepeats = 7;

/// Best bandwidth in GB/s of several runs, after one that is not counted.
double bandwidth(Device device, double bytes, const std::function<void()>& run) {
  Backend& backend = backend_for(device);
  const int calls = device == Device::CPU ? 1 : 20;  // a GPU's are short beside waiting for it
  run();
  backend.synchronize();
  const double best = shortest(kRepeats, 0, [&] {
    for (int i = 0; i < calls; ++i) run();
    backend.synchronize();
  });
  return bytes * calls / best * 1e-9;
}

/// What the kernels of a device are compared with, in GB/s.
class Ruler {
 public:
  Ruler(Device device, std::int64_t n) : device_(device), n_(n) {
    if (device == Device::CPU) return;
    from_ = Tensor::zeros({n}, DType::F32, device);
    to_ = from_.clone();
  }
  const char* name() const { return from_.defined() ? "copy" : "triad"; }
  double measure() {
    if (!from_.defined()) return triad_gbs(n_ / 4);
    return bandwidth(device_, 8.0 * static_cast<double>(from_.numel()),
                     [&] { backend_for(device_).copy(to_, from_); });
  }

 private:
  Device device_;
  std::int64_t n_;
  Tensor from_, to_;
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

std::vector<Case> cases(std::int64_t n, Device device) {
  // Values around 0 of all the sizes that a network sees, the same for every operation.
  Tensor values = Tensor::empty({n});
  float* const to = values.mutable_data<float>();
  for (std::int64_t i = 0; i < n; ++i)
    to[i] = static_cast<float>((i * 7919) % 16001 - 8000) * 1e-3F;
  const Tensor x = values.to(device), positive = exp(x);
  Backend& backend = backend_for(device);
  Tensor y = x.clone(), out = x.empty_like(), first = x.zeros_like(), second = x.zeros_like();
  const std::int64_t columns = 1024;
  const Tensor table = x.narrow(0, 0, n / columns * columns).reshape({n / columns, columns});
  Tensor one = Tensor::empty({}, DType::F32, device), sums = x.narrow(0, 0, columns).clone(),
         rows = x.narrow(0, 0, n / columns).clone();

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

static int run(int argc, char** argv) {
  bool json = false;
  Device device = Device::CPU;
  std::int64_t n = 64 << 20;
  for (int i = 1; i < argc; ++i) {
    const auto option = [&](const char* name) {
      return std::strcmp(argv[i], name) == 0 && i + 1 < argc;
    };
    if (std::strcmp(argv[i], "--json") == 0) {
      json = true;
    } else if (option("--elements")) {
      n = std::max<std::int64_t>(std::atoll(argv[++i]), 1024);
    } else if (option("--device")) {
      device = std::strcmp(argv[++i], "cuda") == 0 ? Device::CUDA : Device::CPU;
    } else {
      std::fprintf(stderr, "usage: nf_bench_kernels [--device cpu|cuda] [--json] [--elements N]\n");
      return 2;
    }
  }
  if (device == Device::CUDA && !cuda_available()) {
    std::fprintf(stderr, "nf_bench_kernels: no CUDA device\n");
    return 1;
  }
  Ruler ruler(device, n);
  double best = ruler.measure();
  std::vector<Result> results;
  for (const Case& c : cases(n, device)) {
    results.push_back({c.name, bandwidth(device, c.bytes * static_cast<double>(n), c.run)});
    best = std::max(best, ruler.measure());
  }
  if (json) {
    std::printf("{\"device\": \"%s\", \"threads\": %d, \"elements\": %lld, ", name(device),
                num_threads(), static_cast<long long>(n));
    std::printf("\"%s_gbs\": %.2f, \"kernels\": {", ruler.name(), best);
    for (std::size_t i = 0; i < results.size(); ++i) {
      std::printf("%s\"%s\": %.2f", i ? ", " : "", results[i].name.c_str(), results[i].gigabytes);
    }
    std::printf("}}\n");
    return 0;
  }
  std::printf("%s, %d threads, %lld f32 elements, %s %.1f GB/s\n", name(device), num_threads(),
              static_cast<long long>(n), ruler.name(), best);
  std::printf("%-20s %8s %7s %s\n", "kernel", "GB/s", "of", ruler.name());
  for (const Result& r : results) {
    std::printf("%-20s %8.1f %8.0f %%\n", r.name.c_str(), r.gigabytes, 100 * r.gigabytes / best);
  }
  return 0;
}

int main(int argc, char** argv) {
  return nf::guarded("nf_bench_kernels", [&] { return run(argc, argv); });
}
