// Rational-quadratic splines: a thread takes one number through its bins, three times for each side
// of the interval: for the largest logit, for the sum of exponentials, for the bin.
#include "tensor/cuda/cuda_backend.h"
#include "tensor/cuda/map.h"
#include "tensor/cuda/table.h"
#include "tensor/spline.h"

namespace nf {
namespace {

using namespace nf::cuda;
using namespace nf::spline;

/// A side: the logits of its bins, whose shares are exp(logit - most) / sum.
template <class T>
struct SideOf {
  Table<const T> logits;
  T most, part;  ///< part: 1 / sum

  __device__ SideOf(Table<const T> of, std::int64_t bins) : logits(of), most(of[0]) {
    for (std::int64_t k = 1; k < bins; ++k) most = logits[k] > most ? logits[k] : most;
    T sum = 0;
    for (std::int64_t k = 0; k < bins; ++k) sum += math::exp(logits[k] - most);
    part = T(1) / sum;
  }
  __device__ T share(std::int64_t k) const { return math::exp(logits[k] - most) * part; }
};

/// The bin of a number, and all that its gradients need.
template <bool Inverse, class T>
struct Found {
  SideOf<T> across, up;  ///< widths, heights
  std::int64_t bin = 0;
  Way<T> across_way, up_way;
  T logit, next_logit;  ///< of the slopes at its knots, any at the ends
  Bin<T> at;

  __device__ Found(T x, const Table<const T>& p, const SplineArgs& args, const Scale<T>& scale)
      : across(p, args.bins), up(p.behind(args.bins * p.step), args.bins) {
    const SideOf<T>&own = Inverse ? up : across, &other = Inverse ? across : up;
    Way<T> own_way, other_way;
    for (std::int64_t k = 0; k < args.bins; ++k) {
      const bool reached = k == 0 || scale.within(x) >= scale.begin(static_cast<T>(k), own_way.sum);
      bin = reached ? k : bin;
      own_way.take(reached, own.share(k));
    }
    for (std::int64_t k = 0; k <= bin; ++k) other_way.take(true, other.share(k));
    across_way = Inverse ? other_way : own_way;
    up_way = Inverse ? own_way : other_way;
    const std::int64_t slopes = 2 * args.bins, last = args.bins - 1;
    logit = p[slopes + (bin > 0 ? bin - 1 : 0)];
    next_logit = p[slopes + (bin < last ? bin : last - 1)];
    const T k = static_cast<T>(bin);
    at = {scale.begin(k, across_way.before), scale.size(across_way.share),
          scale.begin(k, up_way.before),     scale.size(up_way.share),
          bin == 0 ? T(1) : slope_of(logit), bin == last ? T(1) : slope_of(next_logit)};
  }
};

/// Operands of the walk: value and log_slope, x, the first parameters.
template <bool Inverse, class T, class I>
__global__ void forward(I n, const __grid_constant__ Walk<3, I> walk, SplineArgs args,
                        Table<const T> parameters, const T* x, T* value, T* log_slope) {
  const Scale<T> scale(args.bins, args.bound);
  const I step = gridDim.x * blockDim.x;
  for (I i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += step) {
    typename Walk<3, I>::Offset at[3];
    walk.offsets(i, at);
    const T here = x[at[1]];
    const Found<Inverse, T> found(here, parameters.behind(at[2]), args, scale);
    const Result<T> result = result_at<Inverse>(scale, found.at, here);
    value[at[0]] = result.value;
    log_slope[at[0]] = result.log_slope;
  }
}

template <class T>
__device__ void put_side(const SideOf<T>& side, const SideGradient<T>& gradient, const Table<T>& to,
                         std::int64_t bins) {
  for (std::int64_t k = 0; k < bins; ++k) to[k] = gradient.of(static_cast<T>(k), side.share(k));
}

/// Operands of the walk: dx, x, the first parameters, their gradients, dvalue, dlog_slope.
template <bool Inverse, class T, class I>
__global__ void backward(I n, const __grid_constant__ Walk<6, I> walk, SplineArgs args,
                         Table<const T> parameters, Table<T> gradients, const T* x, const T* dvalue,
                         const T* dlog_slope, T* dx) {
  const Scale<T> scale(args.bins, args.bound);
  const I step = gridDim.x * blockDim.x;
  for (I i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += step) {
    typename Walk<6, I>::Offset at[6];
    walk.offsets(i, at);
    const Table<T> to = gradients.behind(at[3]);
    const T here = x[at[1]];
    const Found<Inverse, T> found(here, parameters.behind(at[2]), args, scale);
    const Pulls<T> pulls =
        pulls_at<Inverse>(scale, found.at, here, dvalue[at[4]], dlog_slope[at[5]]);
    dx[at[0]] = pulls.x;
    const T bin = static_cast<T>(found.bin);
    put_side(found.across, SideGradient<T>(scale, bin, found.across_way, pulls.left, pulls.width),
             to, args.bins);
    put_side(found.up, SideGradient<T>(scale, bin, found.up_way, pulls.bottom, pulls.height),
             to.behind(args.bins * to.step), args.bins);
    const Table<T> slopes = to.behind(2 * args.bins * to.step);
    for (std::int64_t j = 0; j + 1 < args.bins; ++j) {
      slopes[j] = j == found.bin       ? slope_gradient(pulls.next_slope, found.next_logit)
                  : j + 1 == found.bin ? slope_gradient(pulls.slope, found.logit)
                                       : T(0);
    }
  }
}

}  // namespace

void CudaBackend::spline(const SplineArgs& args, const Tensor& x, const Tensor& parameters,
                         Tensor& value, Tensor& log_slope) {
  const std::int64_t dims = x.dim(-1), n = x.numel();
  const Collapsed<3> layout = walk_of(value, x, first_of(parameters, dims));
  visit_float(x.dtype(), [&]<class T>() {
    const auto from = table_of(parameters.data<T>(), parameters, dims);
    with_index_type(layout, [&]<class I>() {
      launch("spline", grid_for(n), dim3(kThreads),
             args.inverse ? forward<true, T, I> : forward<false, T, I>, static_cast<I>(n),
             Walk<3, I>(layout), args, from, x.data<T>(), value.mutable_data<T>(),
             log_slope.mutable_data<T>());
    });
  });
}

void CudaBackend::spline_backward(const SplineArgs& args, const Tensor& dvalue,
                                  const Tensor& dlog_slope, const Tensor& x,
                                  const Tensor& parameters, Tensor& dx, Tensor& dparameters) {
  const std::int64_t dims = x.dim(-1), n = x.numel();
  const Collapsed<6> layout =
      walk_of(dx, x, first_of(parameters, dims), first_of(dparameters, dims), dvalue, dlog_slope);
  visit_float(x.dtype(), [&]<class T>() {
    const auto from = table_of(parameters.data<T>(), parameters, dims);
    const auto to = table_of(dparameters.mutable_data<T>(), dparameters, dims);
    with_index_type(layout, [&]<class I>() {
      launch("spline_backward", grid_for(n), dim3(kThreads),
             args.inverse ? backward<true, T, I> : backward<false, T, I>, static_cast<I>(n),
             Walk<6, I>(layout), args, from, to, x.data<T>(), dvalue.data<T>(),
             dlog_slope.data<T>(), dx.mutable_data<T>());
    });
  });
}

}  // namespace nf
