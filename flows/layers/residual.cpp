#include "flows/layers/residual.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "tensor/full_precision.h"

namespace nf::flows {

namespace {

// (N, 1, ...), the largest number of each sample of x (N, ...).
Tensor largest_of_each(const Tensor& x) {
  Axes axes;
  for (int i = 1; i < x.rank(); ++i) axes.push_back(i);
  return axes.empty() ? x : max(x, axes, /*keep_dims=*/true);
}

struct FixedPoint {
  Tensor x;
  int steps;
};

// The limit of x <- b - map(x) from b. A sample stays where it is once it is there, so that it has
// the same limit in any company; what is not finite stays so.
template <class Map>
FixedPoint fixed_point(const Tensor& b, const Map& map, int most) {
  const double tolerance = ResidualBlock::tolerance(b.dtype());
  Tensor x = b, open = Tensor::ones(largest_of_each(b).shape(), b.dtype(), b.device());
  const Tensor zero = Tensor::zeros({}, b.dtype(), b.device());
  double change = 0;
  for (int step = 1; step <= most; ++step) {
    const Tensor moved = b - map(x), by = largest_of_each(abs(moved - x));
    const Tensor moving = greater(by, (largest_of_each(abs(moved)) + 1) * tolerance);  // NaN is not
    x = where(greater(open, zero), moved, x);
    open = open * moving.to(b.dtype());
    const Tensor left = where(greater(open, zero), by, zero);
    change = left.numel() > 0 ? max(left).item() : 0;
    if (change == 0) return {x, step};
  }
  fail(str("[ResidualBlock] the inverse did not converge: after ", most,
           " steps it still moves by ", change, " (tolerance ", tolerance,
           "); the slope of its network is near 1 or above: lower its coefficient, and let its "
           "norms converge"));
}

// ln det of N matrices, as m (D, N, D): row i of matrix n is m[i, n]. By Gaussian elimination
// without exchanges: of I + J with |J| < 1 no pivot is 0 or below.
Var log_det_by_elimination(Var m) {
  Var total;
  for (;;) {
    const std::int64_t d = m.dim(0);
    const Var row = narrow(m, 0, 0, 1), pivot = narrow(row, 2, 0, 1);
    const Var term = reshape(log(pivot), {m.dim(1)});
    total = total.defined() ? total + term : term;
    if (d == 1) return total;
    const Var below = narrow(m, 0, 1, d - 1);
    const Var factor = narrow(below, 2, 0, 1) / pivot;
    m = narrow(below, 2, 1, d - 1) - factor * narrow(row, 2, 1, d - 1);
  }
}

// P(N >= k) of the Poisson variable N of mean 2.
double poisson_tail(int k) {
  constexpr double kMean = 2;
  double term = std::exp(-kMean), tail = 1;
  for (int i = 0; i < k; ++i) {
    tail -= term;
    term *= kMean / (i + 1);
  }
  return tail;
}

std::int64_t dims_of_sample(const Shape& x) {
  std::int64_t dims = 1;
  for (int i = 1; i < x.rank(); ++i) dims *= x.dim(i);
  return dims;
}

}  // namespace

ResidualBlock::ResidualBlock(std::shared_ptr<nn::LipschitzNet> net, const ResidualOptions& options,
                             const Generator& probes)
    : net_(add_module("net", std::move(net))), options_(options), fixed_(probes) {
  NF_CHECK(options.terms > 0 && options.terms_evaluated > 0 && options.most_steps > 0,
           "[ResidualBlock] needs terms and steps above 0, got ", options.terms, ", ",
           options.terms_evaluated, " and ", options.most_steps);
  NF_CHECK(net_.bound() < 1, "[ResidualBlock] is invertible where the slope of g is below 1, and ",
           "that of this network may be ", net_.bound());
  if (options.log_det != ResidualLogDet::Exact) probes_ = &add_generator("probes", probes);
}

// Products stay f32 whatever is asked for: log_det is of g as it is, and rounded coarsely it has no
// limit that the inverse could come near.
Mapped ResidualBlock::forward(const Var& x, const Var&) {
  const FullPrecision full;
  const std::vector<Var> weights = net_.weights();
  if (estimated()) return {x + net_.value(x, weights), estimated_log_det(x, weights, *probes_)};
  const Linearized at = net_.linearized(x, weights);
  return {x + at.value, exact_log_det(at, x)};
}

Var ResidualBlock::encode(const Var& x, const Var&) {
  const FullPrecision full;
  return x + net_.forward(x);
}

Mapped ResidualBlock::inverse(const Var& z, const Var&) {
  const FullPrecision full;
  const std::vector<Var> weights = net_.weights();
  const auto g = [&](const Tensor& x) { return net_.value(x, weights).value(); };
  const FixedPoint found = [&] {
    const NoGrad no_grad;
    return fixed_point(z.value(), g, options_.most_steps);
  }();
  inverse_steps_.store(found.steps, std::memory_order_relaxed);
  const Var x = Tape::recording() ? recorded_inverse(z, found.x, weights) : Var(found.x);
  if (!estimated()) return {x, -exact_log_det(net_.linearized(x, weights), x)};
  Generator fixed = fixed_;
  return {x, -estimated_log_det(x, weights, Tape::recording() ? *probes_ : fixed)};
}

// At x = z - g(x): dx = (I + J)^-1 (dz - dg), dg the change of g by its parameters alone. So the
// difference is recorded at a constant x, and backward solves (I + J^T) y = dout, y <- dout - J^T
// y.
Var ResidualBlock::recorded_inverse(const Var& z, const Tensor& x,
                                    const std::vector<Var>& weights) {
  const Linearized at = net_.linearized(Var(x), weights);
  const Var difference = z - at.value;
  if (!difference.requires_grad()) return x;
  Linearized constant;
  for (const Var& slope : at.slopes) constant.slopes.push_back(slope.detach());
  for (const Var& weight : at.weights) constant.weights.push_back(weight.detach());
  return Tape::current()->record(
      "inverse of a residual block", x,
      [this, constant, slot = difference.slot()](const Tensor& dout) {
        const FullPrecision full;
        const auto transposed = [&](const Tensor& y) { return net_.vjp(constant, y); };
        slot->accumulate(fixed_point(dout, transposed, options_.most_steps).x);
      });
}

// --- the log-determinant ------------------------------------------------------------------------

namespace {

// While it lives, the parameters of a module are leaves of their own, with the same values.
class LeafCopies {
 public:
  explicit LeafCopies(nn::Module& module) {
    module.for_each_parameter([&](const std::string&, Var& p) {
      kept_.emplace_back(&p, p);
      p = Var::leaf(p.value());
    });
  }
  ~LeafCopies() {
    for (const auto& [parameter, before] : kept_) *parameter = before;
  }
  LeafCopies(const LeafCopies&) = delete;
  LeafCopies& operator=(const LeafCopies&) = delete;
  void add_grads(std::vector<Tensor>& to) const {
    for (const auto& [parameter, before] : kept_) to.push_back(parameter->grad());
  }

 private:
  std::vector<std::pair<Var*, Var>> kept_;
};

bool all_alike(const Tensor& dout) {
  return dout.device() == Device::CPU && max(dout).item() == min(dout).item();
}

}  // namespace

// Of sum_n dout_n w_n^T J v_n, dout undefined: of 1, by x, the weights and the parameters of the
// network, in this order; undefined where it does not depend on one.
std::vector<Tensor> ResidualBlock::gradients(const Var& x, const std::vector<Var>& weights,
                                             const Tensor& dout,
                                             const std::function<Estimate(const Linearized&)>& of) {
  const LeafCopies parameters(net_);
  Tape tape;
  const Var leaf = Var::leaf(x.value());
  std::vector<Var> leaves;
  for (const Var& weight : weights) leaves.push_back(Var::leaf(weight.value()));
  const Linearized at = net_.linearized(leaf, leaves);
  const Estimate drawn = of(at);
  const Var scalars = sum_event(net_.jvp(at, drawn.v) * Var(drawn.w));
  tape.backward(sum(dout.defined() ? scalars * Var(dout) : scalars));
  std::vector<Tensor> all = {leaf.grad()};
  for (const Var& weight : leaves) all.push_back(weight.grad());
  parameters.add_grads(all);
  return all;
}

// Nothing of the series is recorded, nor of w^T J v: its gradient is computed here and kept, for
// losses in which all samples count alike. For others, and on a GPU, where nobody looks at dout, it
// is computed in backward. (Chen et al. 2019, section 3.2)
Var ResidualBlock::estimated_log_det(const Var& x, const std::vector<Var>& weights,
                                     Generator& probes) {
  if (x.numel() == 0) return zero_log_det(x);
  Estimate drawn;
  const auto draw = [&](const Linearized& at) {
    const NoGrad no_grad;
    return drawn = estimate(at, x.value(), probes);
  };
  if (!Tape::recording()) return draw(net_.linearized(x, weights)).value;
  std::vector<Var> inputs = {x};
  inputs.insert(inputs.end(), weights.begin(), weights.end());
  net_.for_each_parameter([&](const std::string&, Var& p) { inputs.push_back(p); });
  std::vector<Tensor> kept;
  if (x.device() == Device::CPU) {
    kept = gradients(x, weights, {}, draw);
  } else {
    draw(net_.linearized(x.detach(), weights));
  }
  return Tape::current()->record(
      "log-determinant of a residual block", drawn.value,
      [this, inputs, kept, drawn, count = weights.size()](const Tensor& dout) {
        const FullPrecision full;
        const bool scaled = !kept.empty() && all_alike(dout);
        const std::vector<Var> weights(inputs.begin() + 1,
                                       inputs.begin() + 1 + static_cast<std::ptrdiff_t>(count));
        const std::vector<Tensor> grads =
            scaled ? kept
                   : gradients(inputs[0], weights, dout, [&](const Linearized&) { return drawn; });
        for (std::size_t i = 0; i < grads.size(); ++i) {
          if (!grads[i].defined() || !inputs[i].requires_grad()) continue;
          inputs[i].slot()->accumulate(scaled ? grads[i] * dout.narrow(0, 0, 1).item() : grads[i]);
        }
      });
}

Var ResidualBlock::exact_log_det(const Linearized& at, const Var& x) const {
  if (x.numel() == 0) return zero_log_det(x);
  const std::int64_t n = x.dim(0), d = dims_of_sample(x.shape());
  const Tensor one = Tensor::eye(d, x.dtype()).to(x.device()).reshape({d, 1, d});
  Shape rows = x.shape();
  rows[0] = d * n;
  const Tensor directions = one.broadcast_to({d, n, d}).contiguous().reshape(rows);
  const Var j = reshape(net_.jvp(at, directions), {d, n, d});
  return log_det_by_elimination(j + Var(one));
}

ResidualBlock::Estimate ResidualBlock::estimate(const Linearized& at, const Tensor& x,
                                                Generator& probes) {
  const std::int64_t n = x.dim(0), d = dims_of_sample(x.shape());
  const bool roulette = options_.log_det == ResidualLogDet::Roulette;
  const int terms = training() ? options_.terms : options_.terms_evaluated;
  const Tensor drawn = uniform(probes, {n, d + 1}, x.dtype(), x.device());
  const Tensor half = Tensor::full({}, 0.5, x.dtype(), x.device());
  const Tensor v =
      affine(less(drawn.narrow(1, 0, d), half).to(x.dtype()), 2, -1).reshape(x.shape());
  const Tensor chance = drawn.narrow(1, d, 1).contiguous().reshape({n});  // goes on below P(N >= k)
  Shape beside = {n};
  for (int i = 1; i < x.rank(); ++i) beside = beside.with_inserted(i, 1);
  Tensor u = v, w = v, value = Tensor::zeros({n}, x.dtype(), x.device());
  const int most = terms + (roulette ? ResidualOptions::kMostRoulette : 0);
  for (int k = 1; k <= most; ++k) {
    Tensor weight = Tensor::ones({n}, x.dtype(), x.device());
    if (k > terms) {
      const double there = poisson_tail(k - terms);
      const Tensor goes_on = less(chance, Tensor::full({}, there, x.dtype(), x.device()));
      if (max(goes_on.to(x.dtype())).item() == 0) break;
      weight = goes_on.to(x.dtype()) / there;
    }
    u = net_.vjp(at, u);
    const double sign = k % 2 == 1 ? 1 : -1;
    value = value + sum_event(Var(u * v)).value() * weight * (sign / k);
    w = w - u * weight.reshape(beside) * sign;
  }
  return {value, v, w};
}

double ResidualBlock::bias_bound() const {
  if (!estimated()) return 0;
  const bool roulette = options_.log_det == ResidualLogDet::Roulette;
  const int last = options_.terms_evaluated + (roulette ? ResidualOptions::kMostRoulette : 0);
  const double slope = net_.bound();
  double rest = -std::log1p(-slope), power = 1;
  for (int k = 1; k <= last; ++k) {
    power *= slope;
    rest -= power / k;
  }
  return std::max(0.0, rest);
}

std::string ResidualBlock::kind() const {
  switch (options_.log_det) {
    case ResidualLogDet::Exact:
      return "ResidualBlock";
    case ResidualLogDet::Series:
      return str("ResidualBlock(series of ", options_.terms, ")");
    case ResidualLogDet::Roulette:
      break;
  }
  return str("ResidualBlock(roulette from ", options_.terms, ")");
}

Shape ResidualBlock::inspect(const Shape& in, const std::string& name,
                             std::vector<nn::LayerInfo>& rows) const {
  const std::size_t first = rows.size();
  net_.inspect(in, nn::join_names(name, "net"), rows);
  // The sum; a product with J for each direction or term, about as much as the network itself.
  double network = 0;
  for (std::size_t i = first; i < rows.size(); ++i) network += rows[i].flops;
  const double products = estimated() ? options_.terms : static_cast<double>(dims_of_sample(in));
  rows.push_back({name, kind(), in, 0, static_cast<double>(in.numel()) + products * network});
  return in;
}

bool estimates_log_det(const nn::Module& module) {
  bool found = false;
  module.for_each_module([&](const std::string&, const nn::Module& part) {
    const auto* block = dynamic_cast<const ResidualBlock*>(&part);
    found = found || (block && block->estimated());
  });
  return found;
}

}  // namespace nf::flows
