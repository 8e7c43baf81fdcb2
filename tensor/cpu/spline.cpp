// Rational-quadratic splines. A block of numbers goes through the bins side by side.
#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

#include "tensor/cpu/cpu_backend.h"
#include "tensor/cpu/lanes.h"
#include "tensor/spline.h"

namespace nf {
namespace {

using namespace nf::cpu;
using namespace nf::spline;

using Index = std::int64_t;

/// Numbers and parameters.
template <class T>
struct Curve {
  SplineArgs args;
  Scale<T> scale;
  const T *x, *parameters;
  Collapsed<1> layout;
  Table table;

  Curve(const SplineArgs& a, const Tensor& numbers, const Tensor& p)
      : args(a),
        scale(a.bins, a.bound),
        x(numbers.data<T>()),
        parameters(p.data<T>()),
        layout(layout_of(numbers)),
        table(p, numbers.dim(-1)) {}
};

/// One side of the interval for a block of numbers.
template <class T>
struct SideSlots {
  std::vector<Slots<T>> shares;  ///< of each bin
  Slots<T> sum, before, share;   ///< of Way

  explicit SideSlots(Index bins) : shares(static_cast<std::size_t>(bins)) {}

  /// Of the logits from `first` on.
  void load_shares(const T* first, Index step, const Slots<Index>& places) {
    Slots<T> most;
    std::fill_n(most.at, kSlots, -std::numeric_limits<T>::infinity());
    for (Index k = 0; k < std::ssize(shares); ++k) {
      Slots<T>& logits = shares[k];
      load(first + k * step, places, logits);
      for (Index l = 0; l < kSlots; ++l) most[l] = logits[l] > most[l] ? logits[l] : most[l];
    }
    std::fill_n(sum.at, kSlots, T(0));
    for (Slots<T>& of : shares) {
      NF_INDEPENDENT_ITERATIONS
      for (Index l = 0; l < kSlots; ++l) {
        of[l] = math::exp(of[l] - most[l]);
        sum[l] += of[l];
      }
    }
    for (Index l = 0; l < kSlots; ++l) sum[l] = T(1) / sum[l];
    for (Slots<T>& of : shares) {
      for (Index l = 0; l < kSlots; ++l) of[l] *= sum[l];
    }
  }
  /// Through the bins, with that one remembered for which remember(l, k, way) says so last.
  template <class Remember>
  void walk(const Remember& remember) {
    for (Slots<T>* of : {&sum, &before, &share}) std::fill_n(of->at, kSlots, T(0));
    for (Index k = 0; k < std::ssize(shares); ++k) {
      const Slots<T>& own = shares[k];
      NF_INDEPENDENT_ITERATIONS
      for (Index l = 0; l < kSlots; ++l) {
        Way<T> to = way(l);
        to.take(remember(l, static_cast<T>(k), to), own[l]);
        sum[l] = to.sum, before[l] = to.before, share[l] = to.share;
      }
    }
  }
  Way<T> way(Index l) const { return {sum[l], before[l], share[l]}; }
};

/// A block of numbers and the bins in which they lie.
template <class T>
struct BinBlock {
  const Curve<T>& from;
  Slots<Index> places;  ///< of the first parameters
  Slots<T> x, bin;
  SideSlots<T> across, up;     ///< widths, heights
  Slots<T> logit, next_logit;  ///< of the slopes at the knots of the bin, any at the ends

  explicit BinBlock(const Curve<T>& curve)
      : from(curve), across(curve.args.bins), up(curve.args.bins) {}

  void find(Index begin, Index n) {
    const Index bins = from.args.bins, step = from.table.step;
    const Scale<T> scale = from.scale;
    places = places_of(from.table.first, begin, n);
    load(from.x, places_of(from.layout, begin, n), x);
    across.load_shares(from.parameters, step, places);
    up.load_shares(from.parameters + bins * step, step, places);
    std::fill_n(bin.at, kSlots, T(0));
    SideSlots<T>& own = from.args.inverse ? up : across;
    SideSlots<T>& other = from.args.inverse ? across : up;
    own.walk([&](Index l, T k, const Way<T>& way) {
      const bool reached = k == T(0) || scale.within(x[l]) >= scale.begin(k, way.sum);
      bin[l] = reached ? k : bin[l];
      return reached;
    });
    other.walk([&](Index l, T k, const Way<T>&) { return k == bin[l]; });
    const T* const slopes = from.parameters + 2 * bins * step;
    for (Index l = 0; l < kSlots; ++l) {
      const auto knot = static_cast<Index>(bin[l]);
      logit[l] = slopes[places[l] + std::max<Index>(knot - 1, 0) * step];
      next_logit[l] = slopes[places[l] + std::min<Index>(knot, bins - 2) * step];
    }
  }
  Bin<T> bin_at(Index l) const {
    const Scale<T>& s = from.scale;
    const T k = bin[l], last = static_cast<T>(from.args.bins - 1);
    const T slope = slope_of(logit[l]), next = slope_of(next_logit[l]);
    return {s.begin(k, across.before[l]), s.size(across.share[l]),  s.begin(k, up.before[l]),
            s.size(up.share[l]),          k == T(0) ? T(1) : slope, k == last ? T(1) : next};
  }
};

/// The parts of parameters' gradients for a block.
template <class T>
struct BinPulls {
  Slots<T> x, left, width, bottom, height, slope, next_slope;

  template <bool Inverse>
  void take(const BinBlock<T>& block, const Slots<T>& dvalue, const Slots<T>& dlog_slope) {
    NF_INDEPENDENT_ITERATIONS
    for (Index l = 0; l < kSlots; ++l) {
      const Pulls<T> of = pulls_at<Inverse>(block.from.scale, block.bin_at(l), block.x[l],
                                            dvalue[l], dlog_slope[l]);
      x[l] = of.x, left[l] = of.left, width[l] = of.width, bottom[l] = of.bottom;
      height[l] = of.height;
      slope[l] = slope_gradient(of.slope, block.logit[l]);
      next_slope[l] = slope_gradient(of.next_slope, block.next_logit[l]);
    }
  }
};

/// Gradients of the logits of a side, from `first` on.
template <class T>
void store_side(const BinBlock<T>& block, const SideSlots<T>& side, const Slots<T>& dbegin,
                const Slots<T>& dsize, T* first, Index step, const Slots<Index>& places, Index n) {
  Slots<T> out;
  for (Index k = 0; k < block.from.args.bins; ++k) {
    const Slots<T>& own = side.shares[k];
    NF_INDEPENDENT_ITERATIONS
    for (Index l = 0; l < kSlots; ++l) {
      const SideGradient<T> of(block.from.scale, block.bin[l], side.way(l), dbegin[l], dsize[l]);
      out[l] = of.of(static_cast<T>(k), own[l]);
    }
    store(out, first + k * step, places, n);
  }
}

/// body(block, begin, n) for blocks of all numbers.
template <class T, class Body>
void for_bins(const Curve<T>& curve, Index numbers, const Body& body) {
  constexpr Index kWork = 8;  // of a bin, in elements of a plain loop
  for_lanes(
      numbers, kWork * curve.args.bins, [&] { return BinBlock<T>(curve); },
      [&](BinBlock<T>& block, Index begin, Index n) {
        block.find(begin, n);
        body(block, begin, n);
      });
}

}  // namespace

void CpuBackend::spline(const SplineArgs& args, const Tensor& x, const Tensor& parameters,
                        Tensor& value, Tensor& log_slope) {
  visit_float(x.dtype(), [&]<class T>() {
    const Curve<T> curve(args, x, parameters);
    T* const values = value.mutable_data<T>();
    T* const slopes = log_slope.mutable_data<T>();
    for_bins(curve, x.numel(), [&](const BinBlock<T>& block, Index begin, Index n) {
      Slots<T> found, slope;
      const auto evaluate = [&]<bool Inverse>() {
        NF_INDEPENDENT_ITERATIONS
        for (Index l = 0; l < kSlots; ++l) {
          const Result<T> of = result_at<Inverse>(curve.scale, block.bin_at(l), block.x[l]);
          found[l] = of.value, slope[l] = of.log_slope;
        }
      };
      if (args.inverse) {
        evaluate.template operator()<true>();
      } else {
        evaluate.template operator()<false>();
      }
      std::copy_n(found.at, n, values + begin);
      std::copy_n(slope.at, n, slopes + begin);
    });
  });
}

void CpuBackend::spline_backward(const SplineArgs& args, const Tensor& dvalue,
                                 const Tensor& dlog_slope, const Tensor& x,
                                 const Tensor& parameters, Tensor& dx, Tensor& dparameters) {
  visit_float(x.dtype(), [&]<class T>() {
    const Curve<T> curve(args, x, parameters);
    const Collapsed<1> dvalues = layout_of(dvalue), dslopes = layout_of(dlog_slope);
    const Table table(dparameters, x.dim(-1));
    T* const to = dparameters.mutable_data<T>();
    T* const to_x = dx.mutable_data<T>();
    const Index bins = args.bins, step = table.step;
    for_bins(curve, x.numel(), [&](const BinBlock<T>& block, Index begin, Index n) {
      Slots<T> dv, ds, out;
      load(dvalue.data<T>(), places_of(dvalues, begin, n), dv);
      load(dlog_slope.data<T>(), places_of(dslopes, begin, n), ds);
      BinPulls<T> pulls;
      if (args.inverse) {
        pulls.template take<true>(block, dv, ds);
      } else {
        pulls.template take<false>(block, dv, ds);
      }
      std::copy_n(pulls.x.at, n, to_x + begin);
      const Slots<Index> places = places_of(table.first, begin, n);
      store_side(block, block.across, pulls.left, pulls.width, to, step, places, n);
      store_side(block, block.up, pulls.bottom, pulls.height, to + bins * step, step, places, n);
      for (Index j = 0; j + 1 < bins; ++j) {
        for (Index l = 0; l < kSlots; ++l) {
          const T k = block.bin[l], own = static_cast<T>(j);
          out[l] = k == own ? pulls.next_slope[l] : k == own + T(1) ? pulls.slope[l] : T(0);
        }
        store(out, to + (2 * bins + j) * step, places, n);
      }
    });
  });
}

}  // namespace nf
