// Optimizer steps: one kernel for all parameters. Their addresses travel in the kernel's arguments,
// so there is nothing to upload; more than kTensors of them take another launch.
#include <algorithm>

#include "tensor/cuda/cuda_backend.h"
#include "tensor/cuda/device.h"
#include "tensor/cuda/recording.h"

namespace nf {
namespace {

using namespace nf::cuda;

constexpr int kTensors = 80;          // 80 * 40 bytes; 4 KiB of arguments are within any limit
constexpr std::int64_t kPart = 2048;  ///< elements of one parameter that a block takes at a time

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
};

template <class Rule, class T>
__device__ void step_element(const Arrays<T>& at, std::int64_t i, T scale,
                             const rules::Coefficients<T>& k) {
  T unused = 0, p = at.p[i];
  T& m = Rule::states >= 1 ? at.m[i] : unused;
  T& v = Rule::states >= 2 ? at.v[i] : unused;
  Rule::step(p, scale * at.g[i], m, v, k);
  at.p[i] = p;
}

/// Blocks take the parts of all parameters in turn. `live`, if it is not null, is in place of
/// `args`.
template <class Rule, class T>
__global__ void update_all(Batch<T> batch, UpdateArgs args, const UpdateArgs* live,
                           const float* scale) {
  const rules::Coefficients<T> k(live ? *live : args);
  const T factor = scale ? static_cast<T>(*scale) : T(1);
  if (!(factor - factor == T(0))) return;  // NaN or infinite
  std::int64_t part = blockIdx.x;
  for (int t = 0; t < batch.count; ++t) {
    const std::int64_t n = batch.sizes[t], parts = (n + kPart - 1) / kPart;
    for (; part < parts; part += gridDim.x) {
      const std::int64_t end = std::min(n, (part + 1) * kPart);
      for (std::int64_t i = part * kPart + threadIdx.x; i < end; i += blockDim.x) {
        step_element<Rule>(batch.at[t], i, factor, k);
      }
    }
    part -= parts;
  }
}

}  // namespace

void CudaBackend::update(UpdateRule rule, const UpdateArgs& args, const Tensor& scale,
                         std::span<Tensor> params, std::span<const Tensor> grads,
                         std::span<Tensor> m, std::span<Tensor> v) {
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
        batch.sizes[batch.count++] = params[i].numel();
        parts += (params[i].numel() + kPart - 1) / kPart;
      }
      visit(rule, [&]<class Rule>() {
        launch(Rule::name, grid_for(parts * kThreads), dim3(kThreads), update_all<Rule, T>, batch,
               args, live, factor);
      });
    }
  });
}

}  // namespace nf
