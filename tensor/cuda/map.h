// out[i] = f(in[i]...) for every element: the two kernels of all elementwise work. The vectorised
// one moves 16 bytes at a time and wants every operand without gaps; the other one takes any
// strides.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>

#include "tensor/cuda/device.h"
#include "tensor/cuda/walk.h"
#include "tensor/tensor.h"

namespace nf::cuda {

/// V numbers that are loaded and stored in one instruction.
template <class T, int V>
struct alignas(sizeof(T) * V) Pack {
  T at[V];
};

/// May packs of 16 bytes be loaded from there?
inline bool aligned(const void* p) { return reinterpret_cast<std::uintptr_t>(p) % 16 == 0; }

/// How many elements go together: 16 bytes of the widest type.
template <class... T>
inline constexpr int kPacked = static_cast<int>(16 / std::max({sizeof(T)...}));

/// Takes copies: of references into memory each number would be loaded by itself.
template <class Out, int V, class F, class... In>
__device__ Pack<Out, V> map_pack(const F& f, Pack<In, V>... in) {
  Pack<Out, V> out;
  for (int v = 0; v < V; ++v) out.at[v] = f(in.at[v]...);
  return out;
}

template <class F, class Out, class... In>
__global__ void map_contiguous(F f, std::int64_t n, Out* out, const In*... in) {
  constexpr int V = kPacked<Out, In...>;
  const std::int64_t step = std::int64_t{gridDim.x} * blockDim.x;
  const std::int64_t first = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  for (std::int64_t i = first; i < n / V; i += step) {
    reinterpret_cast<Pack<Out, V>*>(out)[i] =
        map_pack<Out, V>(f, reinterpret_cast<const Pack<In, V>*>(in)[i]...);
  }
  // Fewer than V elements remain; the grid has more threads than that.
  if (const std::int64_t i = n / V * V + first; i < n) out[i] = f(in[i]...);
}

template <class I, class F, class Out, class... In, std::size_t... K>
__device__ void map_element(const F& f, const Walk<1 + sizeof...(In), I>& walk, I i,
                            std::index_sequence<K...>, Out* out, const In*... in) {
  typename Walk<1 + sizeof...(In), I>::Offset at[1 + sizeof...(In)];
  walk.offsets(i, at);
  out[at[0]] = f(in[at[1 + K]]...);
}

template <class I, class F, class Out, class... In>
__global__ void map_strided(F f, I n, const __grid_constant__ Walk<1 + sizeof...(In), I> walk,
                            Out* out, const In*... in) {
  const I step = gridDim.x * blockDim.x;
  for (I i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += step) {
    map_element(f, walk, i, std::index_sequence_for<In...>(), out, in...);
  }
}

/// The common walk of an output and its inputs.
template <class... Tensors>
Collapsed<1 + sizeof...(Tensors)> walk_of(const Tensor& out, const Tensors&... in) {
  return collapse<1 + sizeof...(Tensors)>(out.shape(), {&out.strides(), &in.strides()...});
}

/// Launches one of the two. `any` does what `f` does and serves the strided kernel: where `f` is of
/// one operation, `any` looks the operation up as it runs, so that there is one strided kernel for
/// each family and not for each operation (its index arithmetic costs more than the look-up).
template <class F, class Any, int N, class Out, class... In>
void map(const char* name, const F& f, const Any& any, const Collapsed<N>& layout, Out* out,
         const In*... in) {
  static_assert(N == 1 + sizeof...(In));
  constexpr int V = kPacked<Out, In...>;
  const std::int64_t n = layout.outer() * layout.inner();
  const auto aligned = [](auto* p) {
    return reinterpret_cast<std::uintptr_t>(p) % (V * sizeof(*p)) == 0;
  };
  bool whole = layout.rank == 1 && (aligned(out) && ... && aligned(in));
  for (int k = 0; k < N; ++k) whole = whole && (layout.strides[k][0] == 1 || n == 1);
  if (whole) {
    void (*const kernel)(F, std::int64_t, Out*, const In*...) = map_contiguous<F, Out, In...>;
    launch(name, grid_for(n / V + V), dim3(kThreads), kernel, f, n, out, in...);
  } else {
    with_index_type(layout, [&]<class I>() {
      void (*const kernel)(Any, I, Walk<N, I>, Out*, const In*...) =
          map_strided<I, Any, Out, In...>;
      launch(name, grid_for(n), dim3(kThreads), kernel, any, static_cast<I>(n), Walk<N, I>(layout),
             out, in...);
    });
  }
}

}  // namespace nf::cuda
