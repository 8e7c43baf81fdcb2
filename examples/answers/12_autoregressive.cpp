// Answers to exercises of chapter 12: who depends on whom in a MADE that is given something, and
// gradients through the inverse of an autoregressive layer.
#include <cstdio>

#include "autograd/gradcheck.h"
#include "flows/layers/autoregressive.h"
#include "flows/maps/affine.h"

using namespace nf;

constexpr std::int64_t kDims = 3;

static std::shared_ptr<nn::Made> made(std::int64_t context, int outputs, Generator& gen) {
  return std::make_shared<nn::Made>(nn::MadeOptions{.dims = kDims,
                                                    .context = context,
                                                    .outputs_per_dim = outputs,
                                                    .hidden_units = 6,
                                                    .activation = nn::activation_by_name("tanh")},
                                    gen);
}

/// Exercise 1: d output / d input of every pair, by the tape.
static bool who_sees_whom(Generator& gen) {
  const auto net = made(1, 1, gen);
  net->to(DType::F64);
  const Tensor x = normal(gen, {1, kDims + 1}, DType::F64);
  bool right = true;
  for (std::int64_t input = 0; input <= kDims; ++input) {
    if (input == 0) std::printf("the parameters of x1, x2, x3 by x1:");
    if (input > 0 && input < kDims) std::printf("%32sx%d:", "by ", static_cast<int>(input + 1));
    if (input == kDims) std::printf("%35s", "by c:");
    for (std::int64_t output = 0; output < kDims; ++output) {
      const Var at = Var::leaf(x);
      Tape tape;
      tape.backward(sum(narrow((*net)(at), 1, output, 1)));
      const bool sees = at.grad().narrow(1, input, 1).item() != 0;
      std::printf(" %s", sees ? "yes" : "no");
      right = right && sees == (input == kDims || input < output);
    }
    std::printf("\n");
  }
  return right;
}

/// Exercise 2: of the value and the log-determinant of the inverse, by z and by every weight.
static bool gradients_of_the_inverse(Generator& gen) {
  flows::Invert flow(std::make_shared<flows::Autoregressive>(flows::affine_map(), made(0, 2, gen)));
  flow.to(DType::F64);
  std::vector<Tensor> inputs = {normal(gen, {4, kDims}, DType::F64)};
  std::vector<Var*> parameters;
  for (const auto& [name, p] : flow.parameters()) {
    parameters.push_back(p);
    inputs.push_back(p->value().clone());
  }
  const auto call = [&](const std::vector<Var>& in) {
    for (std::size_t i = 0; i < parameters.size(); ++i) *parameters[i] = in[i + 1];
    const flows::Mapped out = flow(in[0]);
    return std::vector<Var>{out.value, out.log_det};
  };
  const bool right = gradcheck(call, inputs).ok;
  std::printf("gradients through the inverse are %s\n", right ? "those of differences" : "wrong");
  return right;
}

int main() {
  Generator gen(1);
  const bool seen = who_sees_whom(gen), right = gradients_of_the_inverse(gen);
  return seen && right ? 0 : 1;
}
