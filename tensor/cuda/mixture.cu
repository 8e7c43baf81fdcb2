// Maps by mixtures of logistics: a thread takes one number through its components, for a gradient
// twice.
#include "tensor/cuda/cuda_backend.h"
#include "tensor/cuda/map.h"
#include "tensor/cuda/table.h"
#include "tensor/mixture.h"

namespace nf {
namespace {

using namespace nf::cuda;
using namespace nf::mixture;

/// The 3K parameters of a number: logits, means, raw log scales.
template <class T>
struct Parameters {
  Table<T> all;
  std::int64_t components;

  __device__ Parameters behind(std::int64_t offset) const {
    return {all.behind(offset), components};
  }
  __device__ T& logit(std::int64_t k) const { return all[k]; }
  __device__ T& mean(std::int64_t k) const { return all[components + k]; }
  __device__ T& raw(std::int64_t k) const { return all[2 * components + k]; }
};

template <class T>
__device__ Logistic<T> component(T x, const Parameters<const T>& p, std::int64_t k, T limit) {
  return {x, p.mean(k), p.raw(k), limit};
}

template <class T>
__device__ Logs<T> logs_of(T x, const Parameters<const T>& p, T limit) {
  Sums<T> sums;
  for (std::int64_t k = 0; k < p.components; ++k) {
    sums.take(p.logit(k), component(x, p, k, limit));
  }
  return sums.logs(x);
}

/// Operands of the walk: value and log_slope, x, the first parameters.
template <class T, class I>
__global__ void forward(I n, const __grid_constant__ Walk<3, I> walk, T limit,
                        Parameters<const T> parameters, const T* x, T* value, T* log_slope) {
  const I step = gridDim.x * blockDim.x;
  for (I i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += step) {
    typename Walk<3, I>::Offset at[3];
    walk.offsets(i, at);
    const Parameters<const T> own = parameters.behind(at[2]);
    const Logs<T> logs = logs_of(x[at[1]], own, limit);
    value[at[0]] = logs.value();
    log_slope[at[0]] = logs.log_slope();
  }
}

/// Operands of the walk: dx, x, the first parameters, their gradients, dvalue, dlog_slope.
template <class T, class I>
__global__ void backward(I n, const __grid_constant__ Walk<6, I> walk, T limit,
                         Parameters<const T> parameters, Parameters<T> gradients, const T* x,
                         const T* dvalue, const T* dlog_slope, T* dx) {
  const I step = gridDim.x * blockDim.x;
  for (I i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += step) {
    typename Walk<6, I>::Offset at[6];
    walk.offsets(i, at);
    const Parameters<const T> own = parameters.behind(at[2]);
    const Parameters<T> to = gradients.behind(at[3]);
    const T here = x[at[1]], dv = dvalue[at[4]], ds = dlog_slope[at[5]];
    const Logs<T> logs = logs_of(here, own, limit);
    const Fixed<T> fixed(dv, ds, here, logs);
    T sum = fixed.x;
    for (std::int64_t k = 0; k < own.components; ++k) {
      const Gradients<T> g(dv, ds, fixed.pull, own.logit(k), component(here, own, k, limit), logs);
      to.logit(k) = g.logit;
      to.mean(k) = g.mean;
      to.raw(k) = g.raw;
      sum += g.x;
    }
    dx[at[0]] = sum;
  }
}

/// Those of the first number of all.
template <class T>
Parameters<T> parameters_of(T* first, const Tensor& t, std::int64_t dims, const MixtureArgs& args) {
  return {table_of(first, t, dims), args.components};
}

}  // namespace

void CudaBackend::mixture(const MixtureArgs& args, const Tensor& x, const Tensor& parameters,
                          Tensor& value, Tensor& log_slope) {
  const std::int64_t dims = x.dim(-1), n = x.numel();
  const Collapsed<3> layout = walk_of(value, x, first_of(parameters, dims));
  visit_float(x.dtype(), [&]<class T>() {
    const auto from = parameters_of(parameters.data<T>(), parameters, dims, args);
    with_index_type(layout, [&]<class I>() {
      launch("mixture", grid_for(n), dim3(kThreads), forward<T, I>, static_cast<I>(n),
             Walk<3, I>(layout), static_cast<T>(args.limit), from, x.data<T>(),
             value.mutable_data<T>(), log_slope.mutable_data<T>());
    });
  });
}

void CudaBackend::mixture_backward(const MixtureArgs& args, const Tensor& dvalue,
                                   const Tensor& dlog_slope, const Tensor& x,
                                   const Tensor& parameters, Tensor& dx, Tensor& dparameters) {
  const std::int64_t dims = x.dim(-1), n = x.numel();
  const Collapsed<6> layout =
      walk_of(dx, x, first_of(parameters, dims), first_of(dparameters, dims), dvalue, dlog_slope);
  visit_float(x.dtype(), [&]<class T>() {
    const auto from = parameters_of(parameters.data<T>(), parameters, dims, args);
    const auto to = parameters_of(dparameters.mutable_data<T>(), dparameters, dims, args);
    with_index_type(layout, [&]<class I>() {
      launch("mixture_backward", grid_for(n), dim3(kThreads), backward<T, I>, static_cast<I>(n),
             Walk<6, I>(layout), static_cast<T>(args.limit), from, to, x.data<T>(),
             dvalue.data<T>(), dlog_slope.data<T>(), dx.mutable_data<T>());
    });
  });
}

}  // namespace nf
