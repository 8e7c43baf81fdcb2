// Convolutions with bias, forward and both gradients, and a step of a residual network, in ms.
//
//   nf_bench_conv_step [--json] [--rounds N] [--network] [SHAPE...]
//
// A SHAPE is N,C->O,HxW,KxK as "64,64->64,32x32,3x3": stride 1, padding K / 2. Without any, those
// of bench/compare_torch.py --conv. Each figure is the shortest of N rounds (5).
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "autograd/functions.h"
#include "bench/guarded.h"
#include "bench/timing.h"
#include "nn/layers/conv2d.h"
#include "tensor/backend.h"
#include "tensor/cpu_kernels.h"
#include "tensor/machine.h"
#include "tensor/random.h"
#include "tensor/threads.h"

namespace {

using namespace nf;

const char* const kShapes[] = {
    "64,64->64,32x32,3x3", "64,32->32,32x32,3x3",  "64,128->128,16x16,3x3", "64,96->96,16x16,3x3",
    "64,3->64,32x32,3x3",  "64,12->128,16x16,3x3", "64,256->256,8x8,3x3",   "64,512->512,8x8,1x1",
    "64,64->64,32x32,1x1", "256,16->16,28x28,3x3", "4,64->64,32x32,3x3"};

struct Case {
  int n, c, o, h, w, kh, kw;

  double flops() const { return 6.0 * n * c * o * h * w * kh * kw; }  // three passes
};

bool parse(const char* text, Case* s) {
  char end = 0;
  return std::sscanf(text, "%d,%d->%d,%dx%d,%dx%d%c", &s->n, &s->c, &s->o, &s->h, &s->w, &s->kh,
                     &s->kw, &end) == 7 &&
         std::min({s->n, s->c, s->o, s->h, s->w, s->kh, s->kw}) > 0 && s->kh % 2 == 1 &&
         s->kw % 2 == 1;
}

/// ms of out = conv(x, w) + bias and the gradients of all three.
double measure(const Case& s, int rounds) {
  Generator gen(1);
  const ConvGeometry geometry{1, s.kh / 2, s.kw / 2};
  const Var x = Var::leaf(normal(gen, {s.n, s.h, s.w, s.c}));
  const Var w = Var::leaf(normal(gen, {s.o, s.c, s.kh, s.kw})),
            bias = Var::leaf(normal(gen, {s.o}));
  const Tensor dout = normal(gen, {s.n, s.h, s.w, s.o});
  return 1000 * shortest(rounds, 1, [&] {
           Tape tape;
           const Var out[] = {conv2d(x, w, bias, geometry)};
           tape.backward(out, std::span(&dout, 1));
           for (Var v : {x, w, bias}) v.clear_grad();
         });
}

/// 4 residual blocks x + conv(relu(conv(relu(x)))) of 32 channels between 6 and 12.
class Network {
 public:
  explicit Network(Generator& gen)
      : first_(options(6, 32, 3), gen), last_(options(32, 12, 1), gen) {
    for (int i = 0; i < 4; ++i) {
      nn::Conv2dOptions inner = options(32, 32, 3);
      inner.activation = nn::Activation{};  // ReLU
      ones_.emplace_back(inner, gen);
      twos_.emplace_back(options(32, 32, 3), gen);
    }
  }

  Var forward(const Var& x) {
    Var h = first_.forward(x);
    for (std::size_t i = 0; i < ones_.size(); ++i) {
      h = h + twos_[i].forward(ones_[i].forward(relu(h)));
    }
    return last_.forward(relu(h));
  }
  template <class Visit>
  void for_each(const Visit& visit) {
    first_.for_each_parameter(visit);
    for (nn::Conv2d& conv : ones_) conv.for_each_parameter(visit);
    for (nn::Conv2d& conv : twos_) conv.for_each_parameter(visit);
    last_.for_each_parameter(visit);
  }

 private:
  static nn::Conv2dOptions options(int in, int out, int kernel) {
    return {.in = in, .out = out, .kernel = {kernel, kernel}, .padding = {kernel / 2, kernel / 2}};
  }
  nn::Conv2d first_, last_;
  std::deque<nn::Conv2d> ones_, twos_;  // of each block
};

nlohmann::json measure_network(int rounds) {
  Generator gen(1);
  Network net(gen);
  const Tensor x = normal(gen, {64, 32, 32, 6}), dout = normal(gen, {64, 32, 32, 12});
  const double ms = 1000 * shortest(rounds, 1, [&] {
                      Tape tape;
                      const Var out[] = {net.forward(x)};
                      tape.backward(out, std::span(&dout, 1));
                      net.for_each([](const std::string&, Var& p) { p.clear_grad(); });
                    });
  return {{"ms", ms},
          {"peak_mb", static_cast<double>(backend_for(Device::CPU).peak_bytes()) / 1e6}};
}

}  // namespace

static int run(int argc, char** argv) {
  bool json = false, network = false;
  int rounds = 5;
  std::vector<const char*> shapes;
  for (int i = 1; i < argc; ++i) {
    Case s;
    if (std::strcmp(argv[i], "--json") == 0) {
      json = true;
    } else if (std::strcmp(argv[i], "--network") == 0) {
      network = true;
    } else if (std::strcmp(argv[i], "--rounds") == 0 && i + 1 < argc &&
               std::atoi(argv[i + 1]) > 0) {
      rounds = std::atoi(argv[++i]);
    } else if (parse(argv[i], &s)) {
      shapes.push_back(argv[i]);
    } else {
      std::fprintf(
          stderr,
          "usage: nf_bench_conv_step [--json] [--rounds N] [--network] [SHAPE...], a SHAPE as "
          "64,64->64,32x32,3x3\n");
      return 2;
    }
  }
  if (shapes.empty() && !network) shapes.assign(std::begin(kShapes), std::end(kShapes));
  const double peak = peak_gflops();
  nlohmann::json told = {{"kernels", cpu_kernels()},
                         {"threads", num_threads()},
                         {"peak_gflops", peak},
                         {"convolutions", nlohmann::json::array()}};
  if (network) told["network"] = measure_network(rounds);
  for (const char* text : shapes) {
    Case s;
    parse(text, &s);
    const double ms = measure(s, rounds), gflops = s.flops() / ms * 1e-6;
    told["convolutions"].push_back(
        {{"shape", text}, {"ms", ms}, {"gflops", gflops}, {"of_peak", gflops / peak}});
    if (!json)
      std::printf("%-24s %9.2f ms %8.1f GFLOP/s %6.1f %%\n", text, ms, gflops, 100 * gflops / peak);
  }
  if (json) std::printf("%s\n", told.dump(2).c_str());
  if (network && !json)
    std::printf("residual network         %9.2f ms, %.1f MB\n", told["network"]["ms"].get<double>(),
                told["network"]["peak_mb"].get<double>());
  return 0;
}

int main(int argc, char** argv) {
  return nf::guarded("nf_bench_conv_step", [&] { return run(argc, argv); });
}
