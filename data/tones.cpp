#include "data/tones.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "data/draws.h"
#include "tensor/threads.h"

namespace nf::data {
namespace {

/// amplitude exp(-t / decay) sin(2 pi frequency t + phase), t in signals.
struct Tone {
  double amplitude, frequency, decay, phase;

  explicit Tone(Draws& draws)
      : amplitude(draws.uniform(0.1, 0.3)),
        frequency(2 * std::exp2(4 * draws.uniform())),
        decay(draws.uniform(0.1, 1)),
        phase(2 * std::numbers::pi * draws.uniform()) {}
  double at(double t) const {
    return amplitude * std::exp(-t / decay) *
           std::sin(2 * std::numbers::pi * frequency * t + phase);
  }
};

void write_signal(Draws& draws, std::uint8_t* to) {
  constexpr double kNoise = 0.005;
  double signal[kToneLength] = {};
  for (int left = 1 + draws.index(3); left > 0; --left) {
    const Tone tone(draws);
    for (int t = 0; t < kToneLength; ++t) {
      signal[t] += tone.at(static_cast<double>(t) / kToneLength);
    }
  }
  for (int t = 0; t < kToneLength; ++t) {
    to[t] = static_cast<std::uint8_t>(mu_law_level(signal[t] + kNoise * draws.normal()));
  }
}

}  // namespace

int mu_law_level(double x) {
  constexpr double kMu = 255;
  const double size = std::log1p(kMu * std::min(1.0, std::abs(x))) / std::log1p(kMu);
  return std::clamp(static_cast<int>(std::floor((1 + std::copysign(size, x)) * 128)), 0, 255);
}

Tensor tones(std::int64_t n, std::uint64_t seed, std::uint64_t stream) {
  Tensor out = Tensor::empty({n, kToneLength}, DType::U8);
  std::uint8_t* const levels = out.mutable_data<std::uint8_t>();
  parallel_for(n, 64, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      Draws draws(seed, stream, static_cast<std::uint64_t>(i));
      write_signal(draws, levels + i * kToneLength);
    }
  });
  return out;
}

}  // namespace nf::data
