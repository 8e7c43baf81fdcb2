#include "flows/maps/spline.h"

#include <cmath>
#include <tuple>
#include <utility>
#include <vector>

namespace nf::flows {

namespace {

constexpr double kLeast = 1e-3;  // of widths and heights, as parts of the interval, and of slopes

// The bin of each x: where it begins, how wide it is, and what the spline is there; (N, ..., A).
struct Bin {
  Var left, width;        // on the side of x
  Var bottom, height;     // on the side of z
  Var slope, next_slope;  // at its two knots
};

// The spline's knots and slopes, (N, ..., K, A) for each bin.
struct Bins {
  Var lefts, widths, bottoms, heights, slopes, next_slopes;
};

class Spline : public ElementwiseMap {
 public:
  Spline(int bins, double bound) : bins_(bins), bound_(bound) {}
  std::string kind() const override { return str("spline of ", bins_, " bins"); }
  int parameters_per_dim() const override { return 3 * bins_ - 1; }
  double flops_per_dim() const override { return 30.0 * bins_ + 40; }

  Mapped forward(const Var& x, const Var& parameters) const override {
    const Tensor inside = is_inside(x);
    const Var at = clamp(x, -bound_, bound_);
    const Bins bins = bins_of(x, parameters);
    const Bin b = bin_of(at, bins.lefts, bins);
    const Var t = (at - b.left) / b.width, s = b.height / b.width;
    const Var one = 1.0 - t, below = s + (b.slope + b.next_slope - s * 2) * t * one;
    const Var value = b.bottom + b.height * (s * square(t) + b.slope * t * one) / below;
    return {where(inside, value, x), sum_event(log_slope(inside, b, t, s, below))};
  }

  // Gregory and Delbourgo's root that does not cancel; what is under the square root is not
  // negative but for rounding. (Durkan et al., eq. 6 to 8)
  Mapped inverse(const Var& z, const Var& parameters) const override {
    const Tensor inside = is_inside(z);
    const Var at = clamp(z, -bound_, bound_);
    const Bins bins = bins_of(z, parameters);
    const Bin b = bin_of(at, bins.bottoms, bins);
    const Var s = b.height / b.width, up = at - b.bottom;
    const Var bend = b.slope + b.next_slope - s * 2;
    const Var qa = b.height * (s - b.slope) + up * bend, qb = b.height * b.slope - up * bend;
    const Var qc = -(s * up);
    const Var root = clamp(square(qb) - qa * qc * 4, 1e-30, 1e30);
    const Var t = clamp(qc * 2 / (-qb - sqrt(root)), 0, 1);  // but for rounding it is within
    const Var below = s + bend * t * (1.0 - t);
    return {where(inside, t * b.width + b.left, z), -sum_event(log_slope(inside, b, t, s, below))};
  }

 private:
  Tensor is_inside(const Var& x) const {
    const Tensor bound = Tensor::full({}, bound_, x.dtype(), x.device());
    return less(abs(x.value()), bound);
  }

  // Log of the slope at t of its bin; 0 outside.
  Var log_slope(const Tensor& inside, const Bin& b, const Var& t, const Var& s,
                const Var& below) const {
    const Var one = 1.0 - t;
    const Var above = b.next_slope * square(t) + s * t * one * 2 + b.slope * square(one);
    const Var inner = log(square(s) * above) - log(below) * 2;
    return where(inside, inner, Tensor::zeros({}, t.dtype(), t.device()));
  }

  Bins bins_of(const Var& x, const Var& parameters) const {
    const int axis = x.rank() - 1;
    const std::int64_t k = bins_;
    const Shape shape = x.shape().with_inserted(axis, 3 * k - 1);
    const Var table = reshape(parameters, shape);
    Bins bins;
    std::tie(bins.lefts, bins.widths) = cut(narrow(table, axis, 0, k));
    std::tie(bins.bottoms, bins.heights) = cut(narrow(table, axis, k, k));
    // softplus(h + c) is 1 - kLeast at h = 0.
    const double c = std::log(std::expm1(1 - kLeast));
    const Var inner = softplus(narrow(table, axis, 2 * k, k - 1) + c) + kLeast;
    const Var one = Tensor::ones(x.shape().with_inserted(axis, 1), x.dtype(), x.device());
    bins.slopes = concat({one, inner}, axis);
    bins.next_slopes = concat({inner, one}, axis);
    return bins;
  }

  // The interval in K parts that follow from logits (N, ..., K, A): where they begin, their sizes.
  std::pair<Var, Var> cut(const Var& logits) const {
    const int axis = logits.rank() - 2;
    const Var share = exp(logits - logsumexp(logits, {axis}, true));
    const Var sizes = (share * (1 - kLeast * bins_) + kLeast) * (2 * bound_);
    std::vector<Var> begins = {narrow(sizes, axis, 0, 1) * 0 - bound_};
    for (int i = 0; i + 1 < bins_; ++i) begins.push_back(begins.back() + narrow(sizes, axis, i, 1));
    return {concat(begins, axis), sizes};
  }

  // What belongs to the bin in which x lies: the last one that begins at or below it.
  static Bin bin_of(const Var& x, const Var& begins, const Bins& bins) {
    const int axis = x.rank() - 1;
    const Tensor at = x.value().reshape(x.shape().with_inserted(axis, 1));
    const Tensor reached = greater_equal(at, begins.value()).to(x.dtype());
    // Every x reaches the first bin's beginning; NaN reaches none, and takes the first bin.
    const Tensor bin = clamped_indices(sum(reached, {axis}, true) - 1.0, begins.dim(axis));
    const auto pick = [&](const Var& of) { return reshape(gather(of, axis, bin), x.shape()); };
    return {pick(bins.lefts),   pick(bins.widths), pick(bins.bottoms),
            pick(bins.heights), pick(bins.slopes), pick(bins.next_slopes)};
  }

  int bins_;
  double bound_;
};

}  // namespace

std::shared_ptr<ElementwiseMap> spline_map(int bins, double bound) {
  NF_CHECK(bins >= 2 && bins <= 256 && bound > 0 && std::isfinite(bound),
           "[spline] needs 2 to 256 bins and a positive bound, got ", bins, " and ", bound);
  return std::make_shared<Spline>(bins, bound);
}

}  // namespace nf::flows
