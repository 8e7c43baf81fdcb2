// What surrounds the product of a linear layer: bias and activation where cuBLASLt does not fuse
// them, and the backward pass over both at once.
#include <algorithm>

#include "tensor/cuda/activation.h"
#include "tensor/cuda/cuda_backend.h"
#include "tensor/cuda/device.h"
#include "tensor/cuda/gemm.h"

namespace nf {
namespace {

using namespace nf::cuda;

/// c = act(c + bias) for n elements in rows of `cols`; bias may be null.
template <class T>
__global__ void bias_act_kernel(T* c, const T* bias, std::int64_t n, std::int64_t cols,
                                Activation<T> act) {
  const std::int64_t step = std::int64_t{gridDim.x} * blockDim.x;
  std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  for (; i < n; i += step) c[i] = act.f(bias ? c[i] + bias[i % cols] : c[i]);
}

constexpr int kTileCols = 32, kTileRows = 8;

/// dpre = dout * act'(out), and the sum of each column of it in a part of the rows:
/// partial[part * cols + column], doubles. A block goes down kTileCols columns in kTileRows lines.
template <class T>
__global__ void linear_grad(const T* dout, std::int64_t dout_step, const T* out,
                            std::int64_t out_step, T* dpre, std::int64_t rows, std::int64_t cols,
                            std::int64_t part_rows, Activation<T> act, double* partial) {
  __shared__ double sums[kTileRows][kTileCols];
  const int x = static_cast<int>(threadIdx.x), y = static_cast<int>(threadIdx.y);
  const std::int64_t column = std::int64_t{blockIdx.x} * kTileCols + x;
  const std::int64_t first = blockIdx.y * part_rows, end = std::min(rows, first + part_rows);
  double sum = 0;
  for (std::int64_t r = first + y; column < cols && r < end; r += kTileRows) {
    const T value = dout[r * dout_step + column] * act.df(out[r * out_step + column]);
    dpre[r * cols + column] = value;
    sum += static_cast<double>(value);
  }
  sums[y][x] = sum;
  for (int half = kTileRows / 2; half > 0; half /= 2) {
    __syncthreads();
    if (y < half) sums[y][x] += sums[y + half][x];
  }
  if (y == 0 && column < cols && partial) partial[blockIdx.y * cols + column] = sums[0][x];
}

/// dbias = the partial sums of each column, added up in order.
template <class T>
__global__ void add_parts(const double* partial, std::int64_t parts, std::int64_t cols, T* dbias) {
  const std::int64_t column = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (column >= cols) return;
  double sum = 0;
  for (std::int64_t p = 0; p < parts; ++p) sum += partial[p * cols + column];
  dbias[column] = static_cast<T>(sum);
}

dim3 blocks(std::int64_t x, std::int64_t y = 1) {
  return dim3(static_cast<unsigned>(x), static_cast<unsigned>(y));
}

}  // namespace

void cuda::bias_act(Tensor& out, const Tensor& bias, const UnaryOp* act, OpArgs args) {
  if (!bias.defined() && !act) return;
  visit_float(out.dtype(), [&]<class T>() {
    launch("linear", grid_for(out.numel()), dim3(kThreads), bias_act_kernel<T>,
           out.mutable_data<T>(), bias.defined() ? bias.data<T>() : nullptr, out.numel(),
           out.dim(1), Activation<T>(act, args));
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
    launch("linear backward", blocks((cols + kTileCols - 1) / kTileCols, parts),
           dim3(kTileCols, kTileRows), linear_grad<T>, g.data<T>(), g.strides()[0], y.data<T>(),
           y.strides()[0], dpre.mutable_data<T>(), rows, cols, part_rows, Activation<T>(&act, args),
           partial);
    if (!dbias) return;
    launch("bias gradient", blocks((cols + kThreads - 1) / kThreads), dim3(kThreads), add_parts<T>,
           static_cast<const double*>(partial), parts, cols, dbias->mutable_data<T>());
  });
}

}  // namespace nf
