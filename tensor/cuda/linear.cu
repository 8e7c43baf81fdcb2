// What surrounds the product of a linear layer: bias and activation where cuBLASLt does not fuse
// them, and the backward pass over both at once.
#include <algorithm>

#include "tensor/cuda/activation.h"
#include "tensor/cuda/cuda_backend.h"
#include "tensor/cuda/gemm.h"
#include "tensor/cuda/map.h"

namespace nf {
namespace {

using namespace nf::cuda;

/// c = act(c + bias) for n packs of V numbers in rows of `cols` packs; bias may be null.
template <class Op, int V, class T>
__global__ void bias_act_kernel(T* c, const T* bias, std::uint32_t n, Divider<std::uint32_t> cols,
                                Args<T> k) {
  using P = Pack<T, V>;
  const std::uint32_t step = gridDim.x * blockDim.x;
  for (std::uint32_t i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += step) {
    P x = reinterpret_cast<const P*>(c)[i];
    if (bias) {
      const P b = reinterpret_cast<const P*>(bias)[i - cols.divide(i) * cols.divisor];
      for (int v = 0; v < V; ++v) x.at[v] += b.at[v];
    }
    for (int v = 0; v < V; ++v) x.at[v] = Op::f(x.at[v], k);
    reinterpret_cast<P*>(c)[i] = x;
  }
}

// A block goes down kTileCols columns in lines of threads that have V neighbours each.
constexpr int kTileCols = 32;
template <int V>
constexpr int kLines = kThreads* V / kTileCols;
template <int V>
dim3 block_of() {
  return dim3(kTileCols / V, kLines<V>);
}

/// What the lines have of each column, added in a tree; of use to line 0. All threads must call it.
template <int V>
__device__ void add_lines(double (&mine)[V]) {
  __shared__ double sums[kLines<V>][kTileCols];
  const int x = static_cast<int>(threadIdx.x) * V, y = static_cast<int>(threadIdx.y);
  for (int v = 0; v < V; ++v) sums[y][x + v] = mine[v];
  for (int half = kLines<V> / 2; half > 0; half /= 2) {
    __syncthreads();
    if (y >= half) continue;
    for (int v = 0; v < V; ++v) sums[y][x + v] += sums[y + half][x + v];
  }
  for (int v = 0; v < V; ++v) mine[v] = sums[y][x + v];
}

/// dpre = dout * act'(out), and the sum of each column of it in a part of the rows:
/// partial[part, column], doubles. Steps and columns are counted in packs.
template <class Op, int V, class T>
__global__ void linear_grad(const Pack<T, V>* dout, std::int64_t dout_step, const Pack<T, V>* out,
                            std::int64_t out_step, Pack<T, V>* dpre, std::int64_t rows,
                            std::int64_t cols, std::int64_t part_rows, Args<T> k,
                            Pack<double, V>* partial) {
  const int y = static_cast<int>(threadIdx.y);
  const std::int64_t column = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  const std::int64_t first = blockIdx.y * part_rows, end = std::min(rows, first + part_rows);
  Pack<double, V> sums{};
  for (std::int64_t r = first + y; column < cols && r < end; r += kLines<V>) {
    const Pack<T, V> value =
        map_pack<T, V>([&k](T g, T saved) { return g * Op::df(saved, k); },
                       dout[r * dout_step + column], out[r * out_step + column]);
    dpre[r * cols + column] = value;
    for (int v = 0; v < V; ++v) sums.at[v] += static_cast<double>(value.at[v]);
  }
  if (!partial) return;
  add_lines<V>(sums.at);
  if (y == 0 && column < cols) partial[blockIdx.y * cols + column] = sums;
}

/// dbias = the partial sums of each column; a block as above, whose lines take them in turn.
template <class T>
__global__ void add_parts(const double* partial, std::int64_t parts, std::int64_t cols, T* dbias) {
  const std::int64_t column = std::int64_t{blockIdx.x} * kTileCols + threadIdx.x;
  double sum[1] = {};
  for (std::int64_t p = threadIdx.y; column < cols && p < parts; p += kLines<1>) {
    sum[0] += partial[p * cols + column];
  }
  add_lines<1>(sum);
  if (threadIdx.y == 0 && column < cols) dbias[column] = static_cast<T>(sum[0]);
}

dim3 blocks(std::int64_t x, std::int64_t y = 1) {
  return dim3(static_cast<unsigned>(x), static_cast<unsigned>(y));
}

}  // namespace

void cuda::bias_act(Tensor& out, const Tensor& bias, const UnaryOp* act, OpArgs args) {
  constexpr std::int64_t kMost = std::int64_t{1} << 30;  // elements that are counted in 32 bits
  if (!bias.defined() && !act) return;
  visit_float(out.dtype(), [&]<class T>() {
    constexpr int V = kPacked<T>;
    const T* const b = bias.defined() ? bias.data<T>() : nullptr;
    const std::int64_t cols = out.dim(1), at_a_time = std::max<std::int64_t>(1, kMost / cols);
    for (std::int64_t row = 0; row < out.dim(0); row += at_a_time) {
      T* const c = out.mutable_data<T>() + row * cols;
      const std::int64_t n = std::min(at_a_time, out.dim(0) - row) * cols;
      const auto with = [&]<class Op, int W>() {
        launch("linear", grid_for(n / W), dim3(kThreads), bias_act_kernel<Op, W, T>, c, b,
               static_cast<std::uint32_t>(n / W), Divider<std::uint32_t>(cols / W), Args<T>(args));
      };
      with_activation(act, [&]<class Op>() {
        if (cols % V == 0 && aligned(c) && aligned(b)) {
          with.template operator()<Op, V>();
        } else {
          with.template operator()<Op, 1>();
        }
      });
    }
  });
}

void CudaBackend::linear_backward(const Tensor& dout, const Tensor& out, UnaryOp act, OpArgs args,
                                  Tensor& dpre, Tensor* dbias) {
  constexpr std::int64_t kPartRows = 64, kMostParts = 1024;
  const Tensor g = dout.strides()[1] == 1 ? dout : dout.contiguous();
  const Tensor y = out.strides()[1] == 1 ? out : out.contiguous();
  const std::int64_t rows = out.dim(0), cols = out.dim(1);
  const std::int64_t part_rows = std::max(kPartRows, (rows + kMostParts - 1) / kMostParts);
  const std::int64_t parts = (rows + part_rows - 1) / part_rows;
  Tensor sums;
  if (dbias) sums = Tensor::empty({parts, cols}, DType::F64, Device::CUDA);
  visit_float(out.dtype(), [&]<class T>() {
    double* const partial = dbias ? sums.mutable_data<double>() : nullptr;
    const std::int64_t tiles = (cols + kTileCols - 1) / kTileCols;
    const T* const from = g.data<T>();
    const T* const saved = y.data<T>();
    T* const to = dpre.mutable_data<T>();
    const auto with = [&]<class Op, int V>() {
      using P = Pack<T, V>;
      launch("linear backward", blocks(tiles, parts), block_of<V>(), linear_grad<Op, V, T>,
             reinterpret_cast<const P*>(from), g.strides()[0] / V,
             reinterpret_cast<const P*>(saved), y.strides()[0] / V, reinterpret_cast<P*>(to), rows,
             cols / V, part_rows, Args<T>(args), reinterpret_cast<Pack<double, V>*>(partial));
    };
    constexpr int V = kPacked<T>;
    const bool whole = cols % V == 0 && g.strides()[0] % V == 0 && y.strides()[0] % V == 0;
    with_activation(act, [&]<class Op>() {
      if (whole && aligned(from) && aligned(saved) && aligned(to)) {
        with.template operator()<Op, V>();
      } else {
        with.template operator()<Op, 1>();
      }
    });
    if (!dbias) return;
    launch("bias gradient", blocks(tiles), block_of<1>(), add_parts<T>,
           static_cast<const double*>(partial), parts, cols, dbias->mutable_data<T>());
  });
}

}  // namespace nf
