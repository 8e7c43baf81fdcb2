#include "flows/inpaint.h"

#include <algorithm>
#include <cmath>

#include "autograd/tape.h"
#include "tensor/text.h"

namespace nf::flows {

namespace {

/// While it lives, a module's parameters are constants: their gradients, half the work of backward,
/// are not computed.
class Frozen {
 public:
  explicit Frozen(nn::Module& module) {
    for (auto& [name, parameter] : module.parameters()) {
      kept_.emplace_back(parameter, *parameter);
      *parameter = parameter->detach();
    }
  }
  ~Frozen() {
    for (auto& [parameter, var] : kept_) *parameter = var;
  }
  Frozen(const Frozen&) = delete;
  Frozen& operator=(const Frozen&) = delete;

 private:
  std::vector<std::pair<Var*, Var>> kept_;
};

Tensor gradient_at(Density& density, const Tensor& x) {
  Tape tape;
  const Var leaf = Var::leaf(x);
  tape.backward(sum(density.log_prob(leaf)));
  return leaf.grad();
}

}  // namespace

Tensor inpaint(Density& density, const Tensor& x, const Tensor& observed,
               const InpaintOptions& options) {
  const bool rows = x.rank() == 2 && x.dim(1) == density.dims() && is_float(x.dtype());
  NF_CHECK(rows, "[inpaint] expected real numbers (N, ", density.dims(), "), got ", describe(x));
  NF_CHECK(observed.dtype() == DType::U8 &&
               (observed.shape() == x.shape() || observed.shape() == Shape({x.dim(1)})),
           "[inpaint] the mask must be u8 ", x.shape(), " or (", x.dim(1), "), got ",
           describe(observed));
  NF_CHECK(options.steps >= 1 && options.low < options.high,
           "[inpaint] needs steps and a range, got ", options.steps, " steps in [", options.low,
           ", ", options.high, "]");
  const Frozen frozen(density);
  const double width = options.high - options.low;
  const Tensor mask = observed.to(x.device());
  Generator gen(options.seed, /*stream=*/0x696E7061);
  Tensor value =
      where(mask, x, affine(uniform(gen, x.shape(), x.dtype(), x.device()), width, options.low));
  for (int i = 0; i < options.steps; ++i) {
    // In units of the range, y = x / width: d/dy = width d/dx.
    const double rate = 10.0 / (100 + i);
    const Tensor noise = normal(gen, x.shape(), x.dtype(), x.device());
    const Tensor step = gradient_at(density, value) * (rate * options.gradient * width * width) +
                        noise * (rate * width);
    value = where(mask, x, clamp(value + step, options.low, options.high));
    if (options.on_step && !options.on_step(i + 1)) break;
  }
  const NoGrad no_grad;
  NF_CHECK(all_finite(density.log_prob(value).value()),
           "[inpaint] the density is not finite, first in ",
           density.find_nonfinite(value).value_or("the sum"), "; is the observed part in range?");
  return value;
}

const std::vector<std::string>& inpaint_masks() {
  static const std::vector<std::string> names = {"top",
                                                 "bottom",
                                                 "odd",
                                                 "even",
                                                 "left",
                                                 "right",
                                                 "middle-vertical",
                                                 "middle-horizontal",
                                                 "random-75",
                                                 "random-90"};
  return names;
}

Tensor inpaint_mask(const std::string& name, std::int64_t channels, std::int64_t height,
                    std::int64_t width, Generator& gen) {
  const auto& names = inpaint_masks();
  NF_CHECK(std::find(names.begin(), names.end(), name) != names.end(), "[inpaint] no mask '",
           printable(name), "'", did_you_mean(name, names), "; there are: ", join(names, " "));
  const double missing = name == "random-75" ? .75 : .9;
  const std::vector<float> random = uniform(gen, {height * width}).to_vector<float>();
  std::vector<std::uint8_t> observed;
  for (std::int64_t y = 0; y < height; ++y) {
    for (std::int64_t x = 0; x < width; ++x) {
      const std::int64_t i = y * width + x;
      const bool gone = name == "top"               ? 2 * y < height
                        : name == "bottom"          ? 2 * y >= height
                        : name == "odd"             ? i % 2 == 0  // the first is odd
                        : name == "even"            ? i % 2 == 1
                        : name == "left"            ? 2 * x < width
                        : name == "right"           ? 2 * x >= width
                        : name == "middle-vertical" ? 4 * y >= height && 4 * y < 3 * height
                        : name == "middle-horizontal"
                            ? 4 * x >= width && 4 * x < 3 * width
                            : random[static_cast<std::size_t>(i)] < missing;
      observed.push_back(gone ? 0 : 1);
    }
  }
  const Tensor plane = Tensor::from(observed, {1, height * width});
  return plane.broadcast_to({channels, height * width}).contiguous().reshape({-1});
}

}  // namespace nf::flows
