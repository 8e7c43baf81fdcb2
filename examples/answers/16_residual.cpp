// Answer to an exercise of chapter 16: how many steps the inverse of a residual block takes.
#include <cmath>
#include <cstdio>

#include "flows/layers/residual.h"

using namespace nf;

constexpr std::int64_t kDims = 8;

/// Steps that the inverse of x + W x takes, W a matrix of norm `c` at all of its singular values.
static int steps_of(double c) {
  Generator gen(1);
  const auto map = std::make_shared<nn::SpectralLinear>(
      nn::SpectralLinearOptions{.in = kDims,
                                .out = kDims,
                                .coefficient = c,
                                .init = {.kind = nn::Init::Kind::Orthogonal}},
      gen);
  flows::ResidualBlock block(std::make_shared<nn::LipschitzNet>(
      std::vector<nn::LipschitzNet::Step>{{.activation = nullptr, .map = map}}));
  block.to(DType::F64);
  block.inverse(normal(gen, {1, kDims}, DType::F64));
  return block.inverse_steps();
}

int main() {
  bool right = true;
  for (const double c : {0.5, 0.9, 0.97}) {
    const int steps = steps_of(c);
    const double expected = std::log(flows::ResidualBlock::tolerance(DType::F64)) / std::log(c);
    std::printf("slope %.2f: %d steps, ln(tolerance) / ln(slope) = %.0f\n", c, steps, expected);
    right = right && std::abs(steps / expected - 1) < 0.1;
  }
  return right ? 0 : 1;
}
