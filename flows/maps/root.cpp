#include "flows/maps/root.h"

#include <utility>

namespace nf::flows {

Tensor find_root(const Increasing& f, const Tensor& y, Tensor low, Tensor high) {
  const NoGrad no_grad;
  Tensor x = (low + high) * 0.5, last = high - low;  // the step that led to x
  // What is found stays: so the way of a number, to its last bit, is that of this number alone.
  Tensor found = Tensor::zeros(x.shape(), DType::F32, x.device());
  const double ulp = y.dtype() == DType::F32 ? 0x1p-23 : 0x1p-52;
  // Newton's method ends most searches in 8 steps. Where its step leaves the bounds, is no number,
  // or is not half as long as the one before, the bounds are halved instead.
  constexpr int kSteps = 200;
  for (int i = 0; i < kSteps; ++i) {
    const Sloped<Tensor> here = f(x);
    const Tensor miss = y - here.value;
    const Tensor too_low = greater(miss, miss.zeros_like());
    low = where(too_low, x, low);
    high = where(too_low, high, x);
    const Tensor step = miss * exp(-here.log_slope), newton = x + step, middle = (low + high) * 0.5;
    Tensor next = where(less_equal(abs(step), abs(last) * 0.5), newton, middle);  // NaN: middle
    next = where(less(next, low), middle, where(greater(next, high), middle, next));
    const Tensor moved = next - x;
    found = maximum(found, less_equal(abs(moved), abs(x) * (2 * ulp)).to(DType::F32));
    last = moved;
    x = where(found.to(DType::U8), x, next);
    if (sum(found).item() == static_cast<double>(x.numel())) break;
  }
  return x;
}

Var with_gradient(const Tensor& found, const Var& y, const Sloped<Var>& there) {
  constexpr double kSteepest = 60;  // on a plateau the step is any number
  const Var factor =
      exp(minimum(-there.log_slope, Tensor::full({}, kSteepest, y.dtype(), y.device())));
  // The value goes first: it may be too long for a number once it is divided by the slope.
  const Var miss = y - there.value;
  return found + (miss - miss.detach()) * factor.detach();
}

Var tanh_step_root(const Var& y, const Var& r, const Var& q, const Var& c) {
  const auto f = [](const auto& v, const auto& height, const auto& scale, const auto& shift) {
    const auto t = tanh(scale * v + shift);
    const auto slope = height * scale * (square(t) * -1.0 + 1.0) + 1.0;
    const auto least = Tensor::full({}, 1e-30, slope.dtype(), slope.device());
    return Sloped<std::decay_t<decltype(v)>>{v + height * t, log(maximum(slope, least))};
  };
  const Tensor rt = r.value(), qt = q.value(), ct = c.value();
  const Tensor reach = abs(rt), least = y.value() - reach, most = y.value() + reach;
  const Tensor found =
      find_root([&](const Tensor& v) { return f(v, rt, qt, ct); }, y.value(), least, most);
  return with_gradient(found, y, f(Var(found), r, q, c));
}

}  // namespace nf::flows
