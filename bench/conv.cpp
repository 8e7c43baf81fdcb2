// Convolutions by shape: GFLOP/s of the forward pass and of both gradients, and how far the result
// is from that in f64.
//
//   nf_bench_conv [--device cpu|cuda] [--precision f32|tf32|bf16] [--json] [--images N]
//
// Each figure is the best of several runs. FLOPs count the padding like the image. The error is the
// root mean square of out - out64 over that of out64, for two images; "largest" is the largest of
// |out - out64|, over the same. NF_WINOGRAD=off shows what the CPU does without Winograd's way.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>

#include "bench/guarded.h"
#include "bench/timing.h"
#include "tensor/ops.h"
#include "tensor/random.h"
#include "tensor/threads.h"

namespace {

using namespace nf;

struct Layer {
  std::int64_t side, in, out, kernel, stride;

  std::int64_t pad() const { return (kernel - 1) / 2; }
  ConvGeometry geometry() const { return {stride, pad(), pad()}; }
  Shape weights() const { return {out, in, kernel, kernel}; }
};

// What image flows are made of: Glow's couplings, RealNVP's residual networks, a step down.
constexpr Layer kLayers[] = {{32, 3, 32, 3, 1},    {32, 32, 32, 3, 1},  {32, 64, 64, 3, 1},
                             {16, 64, 64, 3, 1},   {8, 128, 128, 3, 1}, {16, 6, 512, 3, 1},
                             {16, 512, 12, 3, 1},  {8, 512, 24, 3, 1},  {4, 512, 48, 3, 1},
                             {16, 512, 512, 1, 1}, {32, 64, 128, 3, 2}, {32, 16, 16, 5, 1}};

struct Speeds {
  double forward, data, weights;  ///< GFLOP/s
  double error, largest;
};

Speeds measure(const Layer& l, Device device, std::int64_t images) {
  Generator gen(1);
  const Tensor x = normal(gen, {images, l.side, l.side, l.in}, DType::F32, device);
  const Tensor w = normal(gen, l.weights(), DType::F32, device);
  const ConvGeometry g = l.geometry();
  const Tensor out = conv2d(x, w, {}, g);
  Backend& backend = backend_for(device);
  const double flops = 2e-9 * static_cast<double>(out.numel() * w.numel() / l.out);
  const auto speed = [&](const std::function<void()>& run) {
    backend.synchronize();
    return flops / shortest(7, 2, [&] {
             run();
             backend.synchronize();
           });
  };
  const Tensor few = x.narrow(0, 0, 2);
  const Tensor exact = conv2d(few.to(DType::F64), w.to(DType::F64), {}, g);
  const Tensor off = conv2d(few, w, {}, g).to(DType::F64) - exact;
  const double size = std::sqrt(sum_squares(exact).item());
  return {speed([&] { conv2d(x, w, {}, g); }),
          speed([&] { conv2d_backward_data(out, w, x.shape(), g); }),
          speed([&] { conv2d_backward_weights(x, out, w.shape(), g); }),
          std::sqrt(sum_squares(off).item()) / size,
          std::max(max(off).item(), -min(off).item()) * std::sqrt(double(exact.numel())) / size};
}

Precision precision_named(const char* name) {
  for (const Precision p : {Precision::F32, Precision::TF32, Precision::BF16}) {
    if (std::strcmp(name, name_of(p)) == 0) return p;
  }
  fail(str("[bench] precision ", name, " is not f32, tf32 or bf16"));
}

}  // namespace

static int run(int argc, char** argv) {
  bool json = false;
  Device device = Device::CPU;
  Precision precision = Precision::F32;
  std::int64_t images = 64;
  for (int i = 1; i < argc; ++i) {
    const auto option = [&](const char* name) {
      return std::strcmp(argv[i], name) == 0 && i + 1 < argc;
    };
    if (std::strcmp(argv[i], "--json") == 0) {
      json = true;
    } else if (option("--device")) {
      device = std::strcmp(argv[++i], "cuda") == 0 ? Device::CUDA : Device::CPU;
    } else if (option("--precision")) {
      precision = precision_named(argv[++i]);
    } else if (option("--images")) {
      images = std::max<std::int64_t>(std::atoll(argv[++i]), 2);
    } else {
      std::fprintf(stderr,
                   "usage: nf_bench_conv [--device cpu|cuda] [--precision f32|tf32|bf16] [--json] "
                   "[--images N]\n");
      return 2;
    }
  }
  backend_for(device).set_precision(precision);
  if (json) {
    std::printf("{\"device\": \"%s\", \"threads\": %d, \"images\": %lld, \"precision\": \"%s\", ",
                name(device), num_threads(), static_cast<long long>(images), name_of(precision));
    std::printf("\"convolutions\": [");
  } else {
    std::printf("%s, %d threads, %lld images, %s; GFLOP/s\n", name(device), num_threads(),
                static_cast<long long>(images), name_of(precision));
    std::printf("%-36s %9s %9s %9s %9s %9s\n", "layer", "forward", "data", "weights", "error",
                "largest");
  }
  bool first = true;
  for (const Layer& l : kLayers) {
    const std::string what = str(l.side, "x", l.side, ", ", l.in, " -> ", l.out, ", ", l.kernel,
                                 "x", l.kernel, l.stride == 1 ? "" : ", stride 2");
    const Speeds s = measure(l, device, images);
    if (json) {
      std::printf(
          "%s{\"layer\": \"%s\", \"forward\": %.1f, \"data\": %.1f, \"weights\": %.1f, "
          "\"error\": %.2g, \"largest\": %.2g}",
          first ? "" : ", ", what.c_str(), s.forward, s.data, s.weights, s.error, s.largest);
    } else {
      std::printf("%-36s %9.1f %9.1f %9.1f %9.1e %9.1e\n", what.c_str(), s.forward, s.data,
                  s.weights, s.error, s.largest);
    }
    first = false;
  }
  if (json) std::printf("]}\n");
  return 0;
}

int main(int argc, char** argv) {
  return nf::guarded("nf_bench_conv", [&] { return run(argc, argv); });
}
