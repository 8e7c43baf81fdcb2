// Reductions in two stages: a block of threads makes one state of a part of a row, and where a row
// has several parts, their states are merged by a second kernel. What is merged with what depends
// on the shapes alone, so a result is the same on every device and in every run.
#include <algorithm>

#include "tensor/cuda/cuda_backend.h"
#include "tensor/cuda/device.h"
#include "tensor/cuda/map.h"
#include "tensor/cuda/walk.h"
#include "tensor/reductions.h"

namespace nf {
namespace {

using namespace nf::cuda;

constexpr int kTileCols = 32, kTileRows = 8;  ///< of a block that goes down columns

/// One slot for each thread of a block.
template <class State>
__device__ State* shared_states() {
  alignas(16) __shared__ unsigned char memory[kThreads * sizeof(State)];
  return reinterpret_cast<State*>(memory);
}

/// Merges the states of threads t, t + step, ..., t + (count - 1) step of a block into that of
/// thread t; count is a power of two. All threads must call it.
template <class State>
__device__ State merge_threads(const State& mine, int thread, int count, int step) {
  State* const states = shared_states<State>();
  states[thread] = mine;
  for (int half = count / 2; half > 0; half /= 2) {
    __syncthreads();
    if (thread / step % count < half) states[thread].merge(states[thread + half * step]);
  }
  __syncthreads();
  return states[thread];
}

/// How rows are cut.
struct Parts {
  std::int64_t outputs, n;   ///< n elements for each output
  std::int64_t count, size;  ///< parts of a row, and elements of each but the last
  int lanes;                 ///< threads that share a part, a power of two
};

/// `lanes` threads for each part, neighbours in the row side by side. `partial` is (outputs,
/// parts), or null when there is one part: then the result goes to `out`. `packed`: rows lie
/// without gaps and 16-byte aligned.
template <class State, class T>
__global__ void reduce_rows(const T* in, const __grid_constant__ Walk<1, std::uint64_t> kept,
                            const __grid_constant__ Walk<1, std::uint64_t> row, Parts parts,
                            bool packed, State* partial, typename State::Out* out) {
  constexpr int V = kPacked<T>;
  const int thread = static_cast<int>(threadIdx.x), lane = thread % parts.lanes;
  const std::int64_t teams = kThreads / parts.lanes, tasks = parts.outputs * parts.count;
  const std::int64_t step = teams * gridDim.x;
  for (std::int64_t base = blockIdx.x * teams; base < tasks; base += step) {
    const std::int64_t task = base + thread / parts.lanes, part = task % parts.count;
    State state;
    if (task < tasks) {
      const T* const from = in + kept.offset(static_cast<std::uint64_t>(task / parts.count));
      const std::int64_t begin = part * parts.size, end = std::min(parts.n, begin + parts.size);
      const std::int64_t rest = packed ? end - (end - begin) % V : begin;
      for (std::int64_t i = begin + lane * V; i < rest; i += std::int64_t{parts.lanes} * V) {
        const Pack<T, V> x = *reinterpret_cast<const Pack<T, V>*>(from + i);
        for (int v = 0; v < V; ++v) state.take(x.at[v], i + v);
      }
      for (std::int64_t i = rest + lane; i < end; i += parts.lanes) {
        state.take(from[row.offset(static_cast<std::uint64_t>(i))], i);
      }
    }
    state = merge_threads(state, thread, parts.lanes, 1);
    if (lane != 0 || task >= tasks) continue;
    if (partial) {
      partial[task] = state;
    } else {
      out[task] = state.finish(parts.n);
    }
  }
}

/// Where neighbouring outputs lie side by side in memory: a block goes down kTileCols of them at
/// once, in kTileRows lines.
template <class State, class T>
__global__ void reduce_columns(const T* in, const __grid_constant__ Walk<1, std::uint64_t> kept,
                               const __grid_constant__ Walk<1, std::uint64_t> row, Parts parts,
                               State* partial, typename State::Out* out) {
  const int thread = static_cast<int>(threadIdx.x), line = thread / kTileCols;
  const std::int64_t tiles = (parts.outputs + kTileCols - 1) / kTileCols;
  for (std::int64_t task = blockIdx.x; task < tiles * parts.count; task += gridDim.x) {
    const std::int64_t part = task / tiles, output = task % tiles * kTileCols + thread % kTileCols;
    State state;
    if (output < parts.outputs) {
      const T* const from = in + kept.offset(static_cast<std::uint64_t>(output));
      const std::int64_t end = std::min(parts.n, (part + 1) * parts.size);
      for (std::int64_t i = part * parts.size + line; i < end; i += kTileRows) {
        state.take(from[row.offset(static_cast<std::uint64_t>(i))], i);
      }
    }
    state = merge_threads(state, thread, kTileRows, kTileCols);
    if (line != 0 || output >= parts.outputs) continue;
    if (partial) {
      partial[output * parts.count + part] = state;
    } else {
      out[output] = state.finish(parts.n);
    }
  }
}

/// The second stage: `lanes` threads for each output.
template <class State>
__global__ void merge_parts(const State* partial, Parts parts, typename State::Out* out) {
  const int thread = static_cast<int>(threadIdx.x), lane = thread % parts.lanes;
  const std::int64_t teams = kThreads / parts.lanes, step = teams * gridDim.x;
  for (std::int64_t base = blockIdx.x * teams; base < parts.outputs; base += step) {
    const std::int64_t output = base + thread / parts.lanes;
    State state;
    for (std::int64_t p = lane; output < parts.outputs && p < parts.count; p += parts.lanes) {
      state.merge(partial[output * parts.count + p]);
    }
    state = merge_threads(state, thread, parts.lanes, 1);
    if (lane == 0 && output < parts.outputs) out[output] = state.finish(parts.n);
  }
}

/// Threads for n elements, at least `each` for one: a power of two up to kThreads.
int lanes_for(std::int64_t n, std::int64_t each) {
  int lanes = 1;
  while (lanes < kThreads && lanes * each < n) lanes *= 2;
  return lanes;
}

/// Parts of at least `least` elements, so many that `tasks` of them together fill any device.
Parts cut(std::int64_t outputs, std::int64_t n, std::int64_t least, std::int64_t tasks) {
  constexpr std::int64_t kFull = 4096;
  const std::int64_t most = std::max<std::int64_t>(1, kFull / tasks);
  const std::int64_t count = std::clamp<std::int64_t>(n / least, 1, most);
  const std::int64_t size = ((n + count - 1) / count + 15) / 16 * 16;  // packs stay whole
  return {outputs, n, (n + size - 1) / size, size, 0};
}

template <class State, class T>
void reduce_to(const char* name, const Tensor& in, int kept_dims, Tensor& out) {
  using Index = std::uint64_t;
  constexpr std::int64_t kPart = 4096, kColumnPart = 64;  // elements
  const Collapsed<1> kept = collapse_dims(in.layout(), 0, kept_dims);
  const Collapsed<1> row = collapse_dims(in.layout(), kept_dims, in.rank());
  const std::int64_t outputs = out.numel(), n = in.numel() / outputs;
  const auto inner_stride = [](const Collapsed<1>& c) { return c.strides[0][c.rank - 1]; };
  const bool columns = kept.inner() >= kTileCols / 2 && inner_stride(kept) == 1 &&
                       (inner_stride(row) != 1 || n == 1);
  const std::int64_t tiles = (outputs + kTileCols - 1) / kTileCols;
  Parts parts = columns ? cut(outputs, n, kColumnPart, tiles) : cut(outputs, n, kPart, outputs);

  Tensor memory;
  State* partial = nullptr;
  if (parts.count > 1) {
    const auto states = static_cast<std::int64_t>(sizeof(State)) * outputs * parts.count;
    memory = Tensor::empty({states}, DType::U8, Device::CUDA);
    partial = reinterpret_cast<State*>(memory.mutable_data<std::uint8_t>());
  }
  const T* const from = in.data<T>();
  auto* const to = out.mutable_data<typename State::Out>();
  if (columns) {
    launch(name, grid_for(tiles * parts.count * kThreads), dim3(kThreads), reduce_columns<State, T>,
           from, Walk<1, Index>(kept), Walk<1, Index>(row), parts, partial, to);
  } else {
    constexpr int V = kPacked<T>;
    bool packed = row.rank == 1 && inner_stride(row) == 1 &&
                  reinterpret_cast<std::uintptr_t>(from) % (V * sizeof(T)) == 0;
    for (int d = 0; d < kept.rank; ++d) {
      packed = packed && (kept.sizes[d] == 1 || kept.strides[0][d] % V == 0);
    }
    parts.lanes = lanes_for(parts.size, packed ? 2 * V : 2);
    launch(name, grid_for(outputs * parts.count * parts.lanes), dim3(kThreads),
           reduce_rows<State, T>, from, Walk<1, Index>(kept), Walk<1, Index>(row), parts, packed,
           partial, to);
  }
  if (!partial) return;
  parts.lanes = lanes_for(parts.count, 2);
  launch(name, grid_for(outputs * parts.lanes), dim3(kThreads), merge_parts<State>,
         static_cast<const State*>(partial), parts, to);
}

}  // namespace

void CudaBackend::reduce(ReduceOp op, const Tensor& in, int axes, Tensor& out) {
  const int kept = in.rank() - axes;
  visit_float(in.dtype(), [&]<class T>() {
    visit(op, [&]<class Op>() { reduce_to<reductions::State<Op, T>, T>(Op::name, in, kept, out); });
  });
}

}  // namespace nf
