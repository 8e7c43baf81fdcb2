// Maps by mixtures of logistics. A block of numbers goes through the components side by side.
#include <algorithm>
#include <cstdint>

#include "tensor/cpu/cpu_backend.h"
#include "tensor/cpu/lanes.h"
#include "tensor/mixture.h"

namespace nf {
namespace {

using namespace nf::cpu;
using namespace nf::mixture;

using Index = std::int64_t;

/// Numbers and parameters.
template <class T>
struct Source {
  MixtureArgs args;
  const T *x, *parameters;
  Collapsed<1> layout;
  Table table;

  Source(const MixtureArgs& a, const Tensor& numbers, const Tensor& p)
      : args(a),
        x(numbers.data<T>()),
        parameters(p.data<T>()),
        layout(layout_of(numbers)),
        table(p, numbers.dim(-1)) {}
};

/// What a block of numbers needs on its way through the components.
template <class T>
struct Block {
  const Source<T>& from;
  Slots<Index> places;  ///< of the first parameters
  Slots<T> x;
  Slots<T> logit, mean, raw;  ///< of the component that it is at
  Slots<T> max[4], sum[4];    ///< of Sums, in its order
  Slots<T> log[4];            ///< of Logs

  explicit Block(const Source<T>& source) : from(source) {}

  void start(Index begin, Index n) {
    places = places_of(from.table.first, begin, n);
    load(from.x, places_of(from.layout, begin, n), x);
  }

  /// body(l, logit, component) for all numbers l of the block.
  template <class Body>
  void at(Index k, const Body& body) {
    const Index components = from.args.components, step = from.table.step;
    load(from.parameters + k * step, places, logit);
    load(from.parameters + (components + k) * step, places, mean);
    load(from.parameters + (2 * components + k) * step, places, raw);
    const T limit = static_cast<T>(from.args.limit);
    NF_INDEPENDENT_ITERATIONS
    for (Index l = 0; l < kSlots; ++l) {
      body(l, logit[l], Logistic<T>(x[l], mean[l], raw[l], limit));
    }
  }

  void add_up() {
    for (int i = 0; i < 4; ++i) {
      std::fill_n(max[i].at, kSlots, LogSum<T>().max);
      std::fill_n(sum[i].at, kSlots, LogSum<T>().sum);
    }
    for (Index k = 0; k < from.args.components; ++k) {
      at(k, [this](Index l, T z, const Logistic<T>& component) {
        Sums<T> s = sums(l);
        s.take(z, component);
        max[0][l] = s.weights.max, sum[0][l] = s.weights.sum;
        max[1][l] = s.below.max, sum[1][l] = s.below.sum;
        max[2][l] = s.above.max, sum[2][l] = s.above.sum;
        max[3][l] = s.density.max, sum[3][l] = s.density.sum;
      });
    }
    NF_INDEPENDENT_ITERATIONS
    for (Index l = 0; l < kSlots; ++l) {
      const Logs<T> of = sums(l).logs(x[l]);
      log[0][l] = of.weights, log[1][l] = of.below, log[2][l] = of.above, log[3][l] = of.density;
    }
  }
  Sums<T> sums(Index l) const {
    return {{max[0][l], sum[0][l]},
            {max[1][l], sum[1][l]},
            {max[2][l], sum[2][l]},
            {max[3][l], sum[3][l]}};
  }
  Logs<T> logs(Index l) const { return {log[0][l], log[1][l], log[2][l], log[3][l]}; }
};

/// body(block, begin, n) for blocks of all numbers.
template <class T, class Body>
void for_components(const Source<T>& source, Index numbers, const Body& body) {
  constexpr Index kWork = 16;  // of a component, in elements of a plain loop
  for_lanes(
      numbers, kWork * source.args.components, [&] { return Block<T>(source); },
      [&](Block<T>& block, Index begin, Index n) {
        block.start(begin, n);
        body(block, begin, n);
      });
}

}  // namespace

void CpuBackend::mixture(const MixtureArgs& args, const Tensor& x, const Tensor& parameters,
                         Tensor& value, Tensor& log_slope) {
  visit_float(x.dtype(), [&]<class T>() {
    const Source<T> source(args, x, parameters);
    T* const values = value.mutable_data<T>();
    T* const slopes = log_slope.mutable_data<T>();
    for_components(source, x.numel(), [&](Block<T>& block, Index begin, Index n) {
      block.add_up();
      for (Index l = 0; l < n; ++l) {
        values[begin + l] = block.logs(l).value();
        slopes[begin + l] = block.logs(l).log_slope();
      }
    });
  });
}

void CpuBackend::mixture_backward(const MixtureArgs& args, const Tensor& dvalue,
                                  const Tensor& dlog_slope, const Tensor& x,
                                  const Tensor& parameters, Tensor& dx, Tensor& dparameters) {
  visit_float(x.dtype(), [&]<class T>() {
    const Source<T> source(args, x, parameters);
    const Collapsed<1> dvalues = layout_of(dvalue), dslopes = layout_of(dlog_slope);
    const Table table(dparameters, x.dim(-1));
    T* const to = dparameters.mutable_data<T>();
    T* const to_x = dx.mutable_data<T>();
    for_components(source, x.numel(), [&](Block<T>& block, Index begin, Index n) {
      Slots<T> dv, ds, pull, logit, mean, raw, sum;
      load(dvalue.data<T>(), places_of(dvalues, begin, n), dv);
      load(dlog_slope.data<T>(), places_of(dslopes, begin, n), ds);
      const Slots<Index> places = places_of(table.first, begin, n);
      block.add_up();
      NF_INDEPENDENT_ITERATIONS
      for (Index l = 0; l < kSlots; ++l) {
        const Fixed<T> fixed(dv[l], ds[l], block.x[l], block.logs(l));
        pull[l] = fixed.pull, sum[l] = fixed.x;
      }
      for (Index k = 0; k < args.components; ++k) {
        block.at(k, [&](Index l, T z, const Logistic<T>& component) {
          const Gradients<T> g(dv[l], ds[l], pull[l], z, component, block.logs(l));
          logit[l] = g.logit, mean[l] = g.mean, raw[l] = g.raw;
          sum[l] += g.x;
        });
        store(logit, to + k * table.step, places, n);
        store(mean, to + (args.components + k) * table.step, places, n);
        store(raw, to + (2 * args.components + k) * table.step, places, n);
      }
      std::copy_n(sum.at, n, to_x + begin);
    });
  });
}

}  // namespace nf
