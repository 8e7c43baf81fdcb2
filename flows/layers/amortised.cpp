#include "flows/layers/amortised.h"

#include <cmath>

#include "nn/init.h"
#include "nn/layers/linear.h"

namespace nf::flows {

Amortised::Amortised(const Tensor& initial, std::int64_t context, Generator& gen)
    : own_(add_parameter("own", initial)) {
  if (context == 0) return;
  const double scale = 0.1 / std::sqrt(static_cast<double>(context));
  weight_ = &add_parameter(
      "weight", nn::initial_weight({nn::Init::Kind::Normal, scale}, gen, initial.numel(), context));
}

Var Amortised::operator()(const Var& context, std::int64_t rows) const {
  if (!given()) return reshape(own_, {1, own_.numel()});
  NF_CHECK(context.defined() && context.shape() == Shape({rows, weight_->dim(1)}),
           "[Amortised] needs a context (", rows, ", ", weight_->dim(1), "), got ",
           context.defined() ? str(context.shape()) : "none");
  return linear(context, *weight_, own_);
}

std::string Amortised::kind() const {
  return given() ? str("Amortised(", weight_->dim(1), " -> ", own_.numel(), ")")
                 : str("Amortised(", own_.numel(), ")");
}

double Amortised::flops(const Shape& in) const {
  if (!given()) return 0;
  return nn::linear_flops(in.dim(0), {.in = weight_->dim(1), .out = own_.numel()});
}

}  // namespace nf::flows
