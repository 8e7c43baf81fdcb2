// Optimizer steps, and the norm of all gradients: one kernel for all parameters. Their addresses
// travel in the kernel's arguments, so there is nothing to upload; more than kTensors of them take
// another launch.
#include <algorithm>

#include "tensor/cuda/cuda_backend.h"
#include "tensor/cuda/map.h"
#include "tensor/cuda/recording.h"

namespace nf {
namespace {

using namespace nf::cuda;

constexpr int kTensors = 60;          // 60 * 64 bytes; 4 KiB of arguments are within any limit
constexpr std::int64_t kPart = 2048;  ///< elements of one parameter, for one block

/// One parameter's arrays; m and v are null where the rule has no such state.
template <class T>
struct Arrays {
  T* p;
  const T* g;
  T* m;
  T* v;
};

template <class T>
struct Batch {
  int count = 0;
  Arrays<T> at[kTensors];
  std::int64_t sizes[kTensors];
  UpdateFactors factors[kTensors];
  bool packed[kTensors];  ///< are all arrays of one aligned?
};

static_assert(sizeof(Batch<double>) + sizeof(UpdateArgs) + 2 * sizeof(void*) <= 4096);

/// V elements from number i on. All is loaded before anything is computed, in copies: references
/// into memory might be to the same place, and each would be read and written by itself.
template <class Rule, int V, class T>
__device__ void step_pack(const Arrays<T>& at, std::int64_t i, T scale,
                          const rules::Coefficients<T>& k) {
  using P = Pack<T, V>;
  P p = *reinterpret_cast<const P*>(at.p + i), m{}, v{};
  const P g = *reinterpret_cast<const P*>(at.g + i);
  if constexpr (Rule::states >= 1) m = *reinterpret_cast<const P*>(at.m + i);
  if constexpr (Rule::states >= 2) v = *reinterpret_cast<const P*>(at.v + i);
  for (int e = 0; e < V; ++e) Rule::step(p.at[e], scale * g.at[e], m.at[e], v.at[e], k);
  *reinterpret_cast<P*>(at.p + i) = p;
  if constexpr (Rule::states >= 1) *reinterpret_cast<P*>(at.m + i) = m;
  if constexpr (Rule::states >= 2) *reinterpret_cast<P*>(at.v + i) = v;
}

/// A block for each part of a parameter. `live`, if it is not null, is in place of `args`.
template <class Rule, class T>
__global__ void update_all(const __grid_constant__ Batch<T> batch, UpdateArgs args,
                           const UpdateArgs* live, const float* scale) {
  constexpr int V = kPacked<T>;
  const T factor = scale ? static_cast<T>(*scale) : T(1);
  if (!(factor - factor == T(0))) return;  // NaN or infinite
  std::int64_t part = blockIdx.x;
  int t = 0;
  for (; t < batch.count; ++t) {
    const std::int64_t parts = (batch.sizes[t] + kPart - 1) / kPart;
    if (part < parts) break;
    part -= parts;
  }
  const Arrays<T> at = batch.at[t];
  const UpdateArgs now = live ? *live : args;
  const rules::Coefficients<T> k(now, batch.factors[t]);
  const std::int64_t begin = part * kPart, end = std::min(batch.sizes[t], begin + kPart);
  const std::int64_t rest = batch.packed[t] ? end - (end - begin) % V : begin;
  for (std::int64_t i = begin + threadIdx.x * V; i < rest; i += std::int64_t{kThreads} * V) {
    step_pack<Rule, V>(at, i, factor, k);
  }
  for (std::int64_t i = rest + threadIdx.x; i < end; i += kThreads) {
    step_pack<Rule, 1>(at, i, factor, k);
  }
}

constexpr std::int64_t kNormPart = 8192;  ///< elements of one gradient whose squares a block adds

template <class T>
struct Gradients {
  int count = 0;
  const T* at[kTensors];
  std::int64_t sizes[kTensors];
  bool packed[kTensors];  ///< aligned?
};

/// The sum of the squares that the threads of a block have, added in a tree; all must call it.
__device__ double sum_of_block(double mine) {
  __shared__ double sums[kThreads];
  const auto thread = static_cast<int>(threadIdx.x);
  __syncthreads();  // the sums of the call before have been read
  sums[thread] = mine;
  for (int half = kThreads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (thread < half) sums[thread] += sums[thread + half];
  }
  return sums[0];  // of use to thread 0, which has added it
}

/// partial[p] = the sum of squares of part number p of all gradients.
template <class T>
__global__ void square_parts(const __grid_constant__ Gradients<T> grads, double* partial) {
  constexpr int V = kPacked<T>;
  std::int64_t part = blockIdx.x, before = 0;  // parts of the gradients before this one
  for (int t = 0; t < grads.count; ++t) {
    const std::int64_t n = grads.sizes[t], parts = (n + kNormPart - 1) / kNormPart;
    for (; part < before + parts; part += gridDim.x) {
      const std::int64_t begin = (part - before) * kNormPart, end = std::min(n, begin + kNormPart);
      const std::int64_t rest = grads.packed[t] ? end - (end - begin) % V : begin;
      double sum = 0;
      const auto add = [&sum](T g) { sum += static_cast<double>(g) * static_cast<double>(g); };
      for (std::int64_t i = begin + threadIdx.x * V; i < rest; i += std::int64_t{kThreads} * V) {
        const Pack<T, V> g = *reinterpret_cast<const Pack<T, V>*>(grads.at[t] + i);
        for (int e = 0; e < V; ++e) add(g.at[e]);
      }
      for (std::int64_t i = rest + threadIdx.x; i < end; i += kThreads) add(grads.at[t][i]);
      sum = sum_of_block(sum);
      if (threadIdx.x == 0) partial[part] = sum;
    }
    before += parts;
  }
}

/// One block.
__global__ void norm_of_parts(const double* partial, std::int64_t parts, double* norm) {
  double sum = 0;
  for (std::int64_t p = threadIdx.x; p < parts; p += blockDim.x) sum += partial[p];
  sum = sum_of_block(sum);
  if (threadIdx.x == 0) *norm = math::sqrt(sum);
}

}  // namespace

void CudaBackend::update(UpdateRule rule, const UpdateArgs& args, const Tensor& scale,
                         std::span<Tensor> params, std::span<const Tensor> grads,
                         std::span<Tensor> m, std::span<Tensor> v,
                         std::span<const UpdateFactors> factors) {
  if (params.empty()) return;
  const float* const factor = scale.defined() ? scale.data<float>() : nullptr;
  CudaRecording* const recording = CudaRecording::current();
  const UpdateArgs* const live = recording ? recording->live_update() : nullptr;
  visit_float(params[0].dtype(), [&]<class T>() {
    for (std::size_t first = 0; first < params.size(); first += kTensors) {
      Batch<T> batch;
      std::int64_t parts = 0;
      for (std::size_t i = first; i < std::min(params.size(), first + kTensors); ++i) {
        batch.at[batch.count] = {params[i].mutable_data<T>(), grads[i].data<T>(),
                                 m.empty() ? nullptr : m[i].mutable_data<T>(),
                                 v.empty() ? nullptr : v[i].mutable_data<T>()};
        const Arrays<T>& at = batch.at[batch.count];
        batch.packed[batch.count] =
            aligned(at.p) && aligned(at.g) && aligned(at.m) && aligned(at.v);
        batch.factors[batch.count] = factors.empty() ? UpdateFactors() : factors[i];
        batch.sizes[batch.count++] = params[i].numel();
        parts += (params[i].numel() + kPart - 1) / kPart;
      }
      visit(rule, [&]<class Rule>() {
        launch(Rule::name, dim3(static_cast<unsigned>(parts)), dim3(kThreads), update_all<Rule, T>,
               batch, args, live, factor);
      });
    }
  });
}

void CudaBackend::norm(std::span<const Tensor> tensors, Tensor& out) {
  const auto parts_of = [](const Tensor& t) { return (t.numel() + kNormPart - 1) / kNormPart; };
  std::int64_t all = 0, done = 0;
  for (const Tensor& t : tensors) all += parts_of(t);
  Tensor partial = Tensor::empty({all}, DType::F64, Device::CUDA);
  double* const sums = partial.mutable_data<double>();
  visit_float(tensors[0].dtype(), [&]<class T>() {
    for (std::size_t first = 0; first < tensors.size(); first += kTensors) {
      Gradients<T> grads;
      std::int64_t parts = 0;
      for (std::size_t i = first; i < std::min(tensors.size(), first + kTensors); ++i) {
        grads.at[grads.count] = tensors[i].data<T>();
        grads.packed[grads.count] = aligned(tensors[i].data<T>());
        grads.sizes[grads.count++] = tensors[i].numel();
        parts += parts_of(tensors[i]);
      }
      launch("norm", grid_for(parts * kThreads), dim3(kThreads), square_parts<T>, grads,
             sums + done);
      done += parts;
    }
  });
  launch("norm", dim3(1), dim3(kThreads), norm_of_parts, static_cast<const double*>(sums), all,
         out.mutable_data<double>());
}

}  // namespace nf
