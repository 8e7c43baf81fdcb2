// What the page of docs/playground does, by the program's own build: to be set beside `node
// web/test.js docs/playground --speed MODEL STEPS`, with NF_CPU=base and NF_NUM_THREADS=1. Steps in
// a second of processor time, since other programs may be running.
//
//   nf_bench_playground [MODEL [STEPS]]
#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "bench/guarded.h"
#include "web/playground.h"

int main(int argc, char** argv) {
  return nf::guarded("nf_bench_playground", [&] {
    const char* const model = argc > 1 ? argv[1] : "realnvp-2d";
    const long steps = argc > 2 ? std::atol(argv[2]) : 300;
    nf::web::Playground playground(model, "moons", steps, 1);
    const std::clock_t start = std::clock();
    while (playground.step() < steps) playground.train(50);
    const double seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
    std::printf("%s: %.1f steps/s, %.4f nats above the entropy\n", model,
                static_cast<double>(steps) / seconds, playground.loss() - playground.entropy());
    return 0;
  });
}
