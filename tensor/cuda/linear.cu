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

constexpr int kTileCols = 32, kTileRows = 8;

/// What the threads of a column have, added in a tree; of use to line 0. All threads must call it.
__device__ double sum_of_lines(double mine) {
  __shared__ double sums[kTileRows][kTileCols];
  const int x = static_cast<int>(threadIdx.x), y = static_cast<int>(threadIdx.y);
  sums[y][x] = mine;
  for (int half = kTileRows / 2; half > 0; half /= 2) {
    __syncthreads();
    if (y < half) sums[y][x] += sums[y + half][x];
  }
  return sums[y][x];
}

/// dpre = dout * act'(out), and the sum of each column of it in a part of the rows:
/// partial[part * cols + column], doubles. A block goes down kTileCols columns in kTileRows lines.
template <class Op, class T>
__global__ void linear_grad(const T* dout, std::int64_t dout_step, const T* out,
                            std::int64_t out_step, T* dpre, std::int64_t rows, std::int64_t cols,
                            std::int64_t part_rows, Args<T> k, double* partial) {
  const int y = static_cast<int>(threadIdx.y);
  const std::int64_t column = std::int64_t{blockIdx.x} * kTileCols + threadIdx.x;
  const std::int64_t first = blockIdx.y * part_rows, end = std::min(rows, first + part_rows);
  double sum = 0;
  for (std::int64_t r = first + y; column < cols && r < end; r += kTileRows) {
    const T value = dout[r * dout_step + column] * Op::df(out[r * out_step + column], k);
    dpre[r * cols + column] = value;
    sum += static_cast<double>(value);
  }
  sum = sum_of_lines(sum);
  if (y == 0 && column < cols && partial) partial[blockIdx.y * cols + column] = sum;
}

/// dbias = the partial sums of each column; a block as above, whose lines take them in turn.
template <class T>
__global__ void add_parts(const double* partial, std::int64_t parts, std::int64_t cols, T* dbias) {
  const std::int64_t column = std::int64_t{blockIdx.x} * kTileCols + threadIdx.x;
  double sum = 0;
  for (std::int64_t p = threadIdx.y; column < cols && p < parts; p += kTileRows) {
    sum += partial[p * cols + column];
  }
  sum = sum_of_lines(sum);
  if (threadIdx.y == 0 && column < cols) dbias[column] = static_cast<T>(sum);
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
    const dim3 block(kTileCols, kTileRows);
    with_activation(act, [&]<class Op>() {
      launch("linear backward", blocks(tiles, parts), block, linear_grad<Op, T>, g.data<T>(),
             g.strides()[0], y.data<T>(), y.strides()[0], dpre.mutable_data<T>(), rows, cols,
             part_rows, Args<T>(args), partial);
    });
    if (!dbias) return;
    launch("bias gradient", blocks(tiles), block, add_parts<T>, static_cast<const double*>(partial),
           parts, cols, dbias->mutable_data<T>());
  });
}

}  // namespace nf
