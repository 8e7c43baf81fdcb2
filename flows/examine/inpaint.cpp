#include "flows/examine/inpaint.h"

#include <algorithm>
#include <cmath>

#include "autograd/tape.h"
#include "flows/compose.h"
#include "flows/layers/level_cdf.h"
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

/// ln p of each row, and its gradient in x.
struct Point {
  Tensor log_prob;  // (N)
  Tensor gradient;  // (N, D)
};

Point look(FlowDensity& density, const Tensor& x, const Var& given) {
  Tape tape;
  const Var leaf = Var::leaf(x);
  const Var log_prob = density.log_prob(leaf, given);
  tape.backward(sum(log_prob));
  return {log_prob.value(), leaf.grad()};
}

std::vector<double> numbers(const Tensor& x) {
  return x.to(Device::CPU).to(DType::F64).to_vector<double>();
}

/// (N, 1) like x, from numbers on the host.
Tensor column(const std::vector<double>& values, const Tensor& x) {
  return Tensor::from(values, {std::ssize(values), 1}).to(x.dtype()).to(x.device());
}

/// A model whose first layer is LevelCdf, taken apart.
struct Parts {
  std::shared_ptr<LevelCdf> cdf;  // nothing: another model
  std::shared_ptr<Compose> rest = std::make_shared<Compose>();
};

Parts parts_of(FlowDensity& density) {
  Parts out;
  const auto* flow = dynamic_cast<const Compose*>(&density.transform());
  if (!flow || flow->parts().empty()) return out;
  out.cdf = std::dynamic_pointer_cast<LevelCdf>(flow->parts().front().second);
  for (std::size_t i = 1; out.cdf && i < flow->parts().size(); ++i) {
    out.rest->add(flow->parts()[i].first, flow->parts()[i].second);
  }
  return out;
}

/// What both ascents need.
struct Climb {
  FlowDensity& density;
  const InpaintOptions& options;
  Tensor x;  // observed where mask is not 0
  Tensor mask;
  Generator gen;
  double low, high;
  Parts parts = {};           // with a cdf, x is what that makes of the pixels
  double width = high - low;  // of the range

  Tensor random_start() {
    const Tensor random = uniform(gen, x.shape(), x.dtype(), x.device());
    return where(mask, x, affine(random, width, low));
  }
  Tensor moved(const Tensor& from, const Tensor& step) const {
    return where(mask, x, clamp(from + step, low, high));
  }
  /// look(); behind a cdf, ln p is still that of the pixels, of which it has the same slope all
  /// over a level.
  Point look_at(const Tensor& at) const {
    if (!parts.cdf) return look(density, at, given());
    Tape tape;
    const Var leaf = Var::leaf(at);
    const auto [z, log_det] = parts.rest->forward(leaf, density.context(options.given, at.dim(0)));
    const Var log_prob = density.base().log_prob(z) + log_det;
    tape.backward(sum(log_prob));
    return {log_prob.value() - parts.cdf->inverse(at).log_det.value(), leaf.grad()};
  }
  Var given() const { return options.given.defined() ? Var(options.given.to(x.device())) : Var(); }
  Tensor noise() { return normal(gen, x.shape(), x.dtype(), x.device()); }
  bool goes_on(int i) const { return !options.on_step || options.on_step(i + 1); }
};

Tensor paper_ascent(Climb& climb, Tensor value) {
  const double gradient = climb.options.gradient, width = climb.width;
  for (int i = 0; i < climb.options.steps; ++i) {
    // In units of the range, y = x / width: d/dy = width d/dx.
    const double rate = 10.0 / (100 + i);
    const Tensor uphill =
        look(climb.density, value, climb.given()).gradient * (gradient * width * width);
    value = climb.moved(value, (uphill + climb.noise() * width) * rate);
    if (!climb.goes_on(i)) break;
  }
  return value;
}

Tensor controlled_ascent(Climb& climb, Tensor value) {
  constexpr double kFirst = 0.1, kLongest = 0.5;  // steps, in units of the range
  constexpr double kLonger = 1.5, kMean = 0.9, kSize = 0.9, kTiny = 1e-12;
  const int steps = climb.options.steps;
  const double width = climb.width;
  Point at = climb.look_at(value);
  std::vector<double> log_prob = numbers(at.log_prob);
  std::vector<double> length(log_prob.size(), kFirst);
  Tensor mean = at.gradient, size = square(at.gradient);
  for (int i = 0; i < steps; ++i) {
    const double heat = std::max(0.0, 1 - 2.0 * i / steps);
    const Tensor direction = mean / (sqrt(size) + kTiny) + climb.noise() * heat;
    const Tensor next = climb.moved(value, direction * column(length, value) * width);
    const Point there = climb.look_at(next);
    const std::vector<double> reached = numbers(there.log_prob);
    std::vector<double> kept(reached.size());
    for (std::size_t n = 0; n < reached.size(); ++n) {
      const bool better =
          reached[n] > log_prob[n] || (!std::isfinite(log_prob[n]) && std::isfinite(reached[n]));
      kept[n] = better ? 1 : 0;
      if (better) log_prob[n] = reached[n];
      length[n] = better ? std::min(length[n] * kLonger, kLongest) : length[n] / 2;
    }
    const Tensor better = column(kept, value).to(DType::U8);
    value = where(better, next, value);
    at.gradient = where(better, there.gradient, at.gradient);
    // A row that went too far forgets its momentum: along its own gradient some step is right.
    mean = where(better, mean * kMean + at.gradient * (1 - kMean), at.gradient);
    size = where(better, size * kSize + square(at.gradient) * (1 - kSize), size);
    if (!climb.goes_on(i)) break;
  }
  return value;
}

}  // namespace

Inpainted inpaint(FlowDensity& density, const Tensor& x, const Tensor& observed,
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
  const bool paper = options.ascent == Ascent::Paper;
  const Tensor mask = observed.to(x.device());
  Generator gen(options.seed, /*stream=*/0x696E7061);
  const Parts parts = paper ? Parts() : parts_of(density);
  Climb climb = parts.cdf
                    ? Climb{density,     options, parts.cdf->forward(x).value.value(), mask, gen, 0,
                            1 - 0x1p-24, parts}
                    : Climb{density, options, x, mask, gen, options.low, options.high};
  const auto pixels = [&](const Tensor& value) {
    if (!parts.cdf) return value;
    const Tensor back = parts.cdf->inverse(value).value.value();
    return where(mask, x, clamp(back, options.low, options.high));
  };
  const Tensor start = climb.random_start();
  const auto log_prob = [&](const Tensor& at) {
    const NoGrad no_grad;
    return density.log_prob(at, climb.given()).value();
  };
  Inpainted out{.x = {}, .start = numbers(log_prob(pixels(start))), .end = {}};
  out.x = pixels(paper ? paper_ascent(climb, start) : controlled_ascent(climb, start));
  const Tensor reached = log_prob(out.x);
  NF_CHECK(all_finite(reached), "[inpaint] the density is not finite, first in ",
           density.find_nonfinite(out.x, options.given).value_or("the sum"),
           "; is the observed part in range?");
  out.end = numbers(reached);
  return out;
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
  const Tensor plane = Tensor::from(observed, {height * width, 1});
  return plane.broadcast_to({height * width, channels}).contiguous().reshape({-1});
}

}  // namespace nf::flows
