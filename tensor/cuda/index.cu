// index_select, gather and their adjoints. The adjoints add atomically: where an index is repeated,
// the order of a sum, and so its last bits, may differ from run to run.
#include <algorithm>
#include <array>
#include <limits>

#include "tensor/cuda/cuda_backend.h"
#include "tensor/cuda/map.h"

namespace nf {
namespace {

using namespace nf::cuda;

/// Two tensors that walk together over a shape. The one called `indexed` is read or written along
/// `axis` at the place that the index names, the other one at its own.
template <class I>
struct Lines {
  using Offset = typename Walk<2, I>::Offset;

  Walk<2, I> rest;   ///< of the dimensions other than `axis`: indexed, plain
  Divider<I> inner;  ///< elements behind `axis`
  Divider<I> count;  ///< size of `axis`
  Offset along[2];   ///< strides of `axis`
  bool own_index;    ///< one index for each element, not one for each place along `axis`

  /// Element number i of the shape.
  NF_HD void at(I i, const std::int32_t* index, Offset& indexed, Offset& plain) const {
    const I line = inner.divide(i), before = count.divide(line);
    const I place = line - before * count.divisor;
    Offset offsets[2];
    rest.offsets(before * inner.divisor + (i - line * inner.divisor), offsets);
    indexed = offsets[0] + static_cast<Offset>(index[own_index ? i : place]) * along[0];
    plain = offsets[1] + static_cast<Offset>(place) * along[1];
  }
};

template <class T, class I>
__global__ void take_indexed(I n, Lines<I> lines, const std::int32_t* index, const T* in, T* out) {
  const I step = gridDim.x * blockDim.x;
  for (I i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += step) {
    typename Lines<I>::Offset from, to;
    lines.at(i, index, from, to);
    out[to] = in[from];
  }
}

template <class T, class I>
__global__ void add_indexed(I n, Lines<I> lines, const std::int32_t* index, const T* in, T* out) {
  const I step = gridDim.x * blockDim.x;
  for (I i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += step) {
    typename Lines<I>::Offset from, to;
    lines.at(i, index, to, from);
    atomicAdd(out + to, in[from]);
  }
}

/// Calls body(n, lines) for `shape`, that of `plain`. Sizes along `axis` of the two differ.
template <class Body>
void with_lines(const Tensor& indexed, const Tensor& plain, int axis, bool own_index,
                const Body& body) {
  const Shape& shape = plain.shape();
  std::array<Strides, 2> rest{};
  std::array<const Strides*, 2> pointers{};
  const std::array<const Tensor*, 2> tensors = {&indexed, &plain};
  Collapsed<2> whole;  // what the index type has to reach
  for (int k = 0; k < 2; ++k) {
    const Strides& strides = tensors[k]->strides();
    std::copy_n(strides.begin(), axis, rest[k].begin());
    std::copy(strides.begin() + axis + 1, strides.end(), rest[k].begin() + axis);
    pointers[k] = &rest[k];
    whole.strides[k] = strides;
  }
  whole.rank = shape.rank();
  std::copy(shape.begin(), shape.end(), whole.sizes.begin());
  whole.sizes[axis] = std::max(shape[axis], indexed.shape()[axis]);
  std::int64_t inner = 1;
  for (int d = axis + 1; d < shape.rank(); ++d) inner *= shape[d];
  with_index_type(whole, [&]<class I>() {
    using Offset = typename Lines<I>::Offset;
    body(static_cast<I>(plain.numel()),
         Lines<I>{Walk<2, I>(collapse<2>(shape.without(axis), pointers)),
                  Divider<I>(inner),
                  Divider<I>(shape[axis]),
                  {static_cast<Offset>(indexed.strides()[axis]),
                   static_cast<Offset>(plain.strides()[axis])},
                  own_index});
  });
}

/// out = in at the index.
void take(const char* name, const Tensor& in, int axis, const Tensor& index, bool own_index,
          Tensor& out) {
  with_lines(in, out, axis, own_index, [&]<class I>(I n, const Lines<I>& lines) {
    visit_dtype(in.dtype(), [&]<class T>() {
      launch(name, grid_for(static_cast<std::int64_t>(n)), dim3(kThreads), take_indexed<T, I>, n,
             lines, index.data<std::int32_t>(), in.data<T>(), out.mutable_data<T>());
    });
  });
}

/// out at the index += in.
void add(const char* name, Tensor& out, int axis, const Tensor& index, bool own_index,
         const Tensor& in) {
  with_lines(out, in, axis, own_index, [&]<class I>(I n, const Lines<I>& lines) {
    visit_float(in.dtype(), [&]<class T>() {
      launch(name, grid_for(static_cast<std::int64_t>(n)), dim3(kThreads), add_indexed<T, I>, n,
             lines, index.data<std::int32_t>(), in.data<T>(), out.mutable_data<T>());
    });
  });
}

template <class T>
struct IndexWithin {
  std::int32_t highest;
  NF_HD std::int32_t operator()(T x) const { return index_within(x, highest); }
};

/// One block: indices are few beside what they index. range = {lowest, highest}.
__global__ void find_range(const std::int32_t* index, std::int64_t n, std::int32_t* range) {
  __shared__ std::int32_t lowest[kThreads], highest[kThreads];
  const int thread = static_cast<int>(threadIdx.x);
  std::int32_t low = index[0], high = index[0];
  for (std::int64_t i = thread; i < n; i += kThreads) {
    low = std::min(low, index[i]);
    high = std::max(high, index[i]);
  }
  lowest[thread] = low;
  highest[thread] = high;
  for (int half = kThreads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (thread >= half) continue;
    lowest[thread] = std::min(lowest[thread], lowest[thread + half]);
    highest[thread] = std::max(highest[thread], highest[thread + half]);
  }
  if (thread != 0) return;
  range[0] = lowest[0];
  range[1] = highest[0];
}

}  // namespace

void CudaBackend::index_select(const Tensor& in, int axis, const Tensor& index, Tensor& out) {
  take("index_select", in, axis, index, false, out);
}

void CudaBackend::gather(const Tensor& in, int axis, const Tensor& index, Tensor& out) {
  take("gather", in, axis, index, true, out);
}

void CudaBackend::index_add(Tensor& out, int axis, const Tensor& index, const Tensor& in) {
  add("index_add", out, axis, index, false, in);
}

void CudaBackend::scatter_add(Tensor& out, int axis, const Tensor& index, const Tensor& in) {
  add("scatter_add", out, axis, index, true, in);
}

void CudaBackend::clamped_indices(const Tensor& in, std::int32_t highest, Tensor& out) {
  visit_float(in.dtype(), [&]<class T>() {
    const IndexWithin<T> f{highest};
    map("clamped_indices", f, f, walk_of(out, in), out.mutable_data<std::int32_t>(), in.data<T>());
  });
}

void CudaBackend::index_range(const Tensor& index, std::int32_t* lowest, std::int32_t* highest) {
  Tensor range = Tensor::empty({2}, DType::I32, Device::CUDA);
  launch("index_range", dim3(1), dim3(kThreads), find_range, index.data<std::int32_t>(),
         index.numel(), range.mutable_data<std::int32_t>());
  const auto found = range.to_vector<std::int32_t>();
  *lowest = found[0];
  *highest = found[1];
}

}  // namespace nf
