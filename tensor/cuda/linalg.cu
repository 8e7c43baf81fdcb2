// Linear algebra in f64. Factorisations, which a training step may need, are one block of threads
// working in global memory: made for the mixing matrices of layers, from 2 to some hundred rows.
// Above that they stay right, but one multiprocessor does all the work, n^3/3 multiplications.
// cuSOLVER would be another 100 MB to install and to load. QR and eigenvectors, which begin a
// training and are not in its steps, are left to LAPACK on the CPU.
//
// No kernel stops at a bad matrix: it leaves zeros (lu) or what is not finite, see backend.h.
#include <limits>

#include "tensor/cuda/cuda_backend.h"
#include "tensor/cuda/device.h"
#include "tensor/math.h"

namespace nf {
namespace {

using namespace nf::cuda;

constexpr int kCols = 32, kLines = 8;  ///< threads of a block: neighbours in a row, and its lines
static_assert(kCols * kLines == kThreads);

constexpr double kInfinity = std::numeric_limits<double>::infinity();

__device__ int thread_number() { return static_cast<int>(threadIdx.y * kCols + threadIdx.x); }

/// The row, from j on, where column j is largest, the first of equals; NaN counts as nothing. All
/// threads must call it, and must be past a barrier before they call it again.
__device__ std::int64_t pivot_row(const double* a, std::int64_t n, std::int64_t j) {
  __shared__ double sizes[kThreads];
  __shared__ std::int64_t rows[kThreads];
  const int thread = thread_number();
  double size = -1;
  std::int64_t row = n;
  for (std::int64_t r = j + thread; r < n; r += kThreads) {
    const double other = math::abs(a[r * n + j]);
    if (!(other > size)) continue;
    size = other;
    row = r;
  }
  sizes[thread] = size;
  rows[thread] = row;
  for (int half = kThreads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (thread >= half) continue;
    const int other = thread + half;
    const bool first = sizes[other] == sizes[thread] && rows[other] < rows[thread];
    if (!(sizes[other] > sizes[thread]) && !first) continue;
    sizes[thread] = sizes[other];
    rows[thread] = rows[other];
  }
  __syncthreads();
  return rows[0] < n ? rows[0] : j;
}

/// A (n, n) becomes L (its diagonal of ones left out) and U with P A = L U; det = {sign, log|det|}.
/// Right-looking: column j is divided by its pivot, then what is right of and below it is updated.
__global__ void factor_lu(double* a, std::int64_t n, std::int32_t* pivots, double* det) {
  const int thread = thread_number();
  double sign = 1, log_det = 0;
  for (std::int64_t j = 0; j < n; ++j) {
    const std::int64_t p = pivot_row(a, n, j);
    for (std::int64_t c = thread; c < n && p != j; c += kThreads) {
      const double upper = a[j * n + c];
      a[j * n + c] = a[p * n + c];
      a[p * n + c] = upper;
    }
    __syncthreads();
    const double pivot = a[j * n + j];
    if (thread == 0) {
      pivots[j] = static_cast<std::int32_t>(p);
      sign = pivot == 0 ? 0 : (pivot < 0) != (p != j) ? -sign : sign;
      log_det += math::log(math::abs(pivot));
    }
    for (std::int64_t r = j + 1 + thread; r < n && pivot != 0; r += kThreads) a[r * n + j] /= pivot;
    __syncthreads();
    for (std::int64_t r = j + 1 + threadIdx.y; r < n; r += kLines) {
      const double factor = a[r * n + j];
      for (std::int64_t c = j + 1 + threadIdx.x; c < n; c += kCols) {
        a[r * n + c] -= factor * a[j * n + c];
      }
    }
    __syncthreads();
  }
  if (thread != 0) return;
  det[0] = sign + 0.0;  // no -0
  det[1] = log_det;
}

/// The lower triangle of A (n, n) becomes that of L with A = L L^T, the rest zeros.
__global__ void factor_cholesky(double* a, std::int64_t n) {
  const int thread = thread_number();
  for (std::int64_t j = 0; j < n; ++j) {
    const double square = a[j * n + j];
    const double root = math::sqrt(square);  // NaN or 0 where A is not positive definite
    __syncthreads();                         // all have read it
    if (thread == 0) a[j * n + j] = square <= 0 ? -kInfinity : root;
    for (std::int64_t c = j + 1 + thread; c < n; c += kThreads) a[j * n + c] = 0;
    for (std::int64_t r = j + 1 + thread; r < n; r += kThreads) a[r * n + j] /= root;
    __syncthreads();
    for (std::int64_t r = j + 1 + threadIdx.y; r < n; r += kLines) {
      const double factor = a[r * n + j];
      for (std::int64_t c = j + 1 + threadIdx.x; c <= r; c += kCols) {
        a[r * n + c] -= factor * a[c * n + j];
      }
    }
    __syncthreads();
  }
}

/// A triangle of a matrix (n, n), or of its transpose.
struct Triangle {
  const double* a;
  std::int64_t n;
  bool lower, transpose, unit;

  NF_HD double at(std::int64_t i, std::int64_t j) const {
    return transpose ? a[j * n + i] : a[i * n + j];
  }
  NF_HD bool downwards() const { return lower != transpose; }  ///< the order of substitution
};

/// T x = b for one column of b (n, k), x in place of b: as soon as an element is known, its terms
/// are taken from all that depend on it. A column belongs to the kLines threads of its
/// threadIdx.x; all threads of the block must call it.
__device__ void substitute(const Triangle& t, double* b, std::int64_t k, std::int64_t column) {
  const auto line = static_cast<std::int64_t>(threadIdx.y);
  for (std::int64_t step = 0; step < t.n; ++step) {
    __syncthreads();  // element i has lost all its terms
    if (column >= k) continue;
    const std::int64_t i = t.downwards() ? step : t.n - 1 - step;
    const double x = t.unit ? b[i * k + column] : b[i * k + column] / t.at(i, i);
    const std::int64_t begin = t.downwards() ? i + 1 : 0, end = t.downwards() ? t.n : i;
    for (std::int64_t r = begin + line; r < end; r += kLines) b[r * k + column] -= t.at(r, i) * x;
  }
  __syncthreads();
  for (std::int64_t r = line; r < t.n && column < k && !t.unit; r += kLines) {
    b[r * k + column] /= t.at(r, r);
  }
}

__global__ void solve_columns(Triangle t, double* b, std::int64_t k) {
  substitute(t, b, k, std::int64_t{blockIdx.x} * kCols + threadIdx.x);
}

/// x = U^-1 L^-1 P for the factors of factor_lu().
__global__ void invert_columns(const double* lu, std::int64_t n, const std::int32_t* pivots,
                               double* x) {
  const std::int64_t column = std::int64_t{blockIdx.x} * kCols + threadIdx.x;
  std::int64_t one = column;  // row of the 1 in this column of P: it moves as the rows are swapped
  for (std::int64_t i = 0; i < n; ++i) {
    const std::int64_t p = pivots[i];
    one = one == i ? p : one == p ? i : one;
  }
  for (std::int64_t r = threadIdx.y; r < n && column < n; r += kLines) {
    x[r * n + column] = r == one ? 1 : 0;
  }
  substitute({lu, n, true, false, true}, x, n, column);
  substitute({lu, n, false, false, false}, x, n, column);
}

dim3 blocks_for(std::int64_t columns) {
  return dim3(static_cast<unsigned>((columns + kCols - 1) / kCols));
}

constexpr dim3 kBlock(kCols, kLines);

}  // namespace

void CudaBackend::cholesky(Tensor& a) {
  launch("cholesky", dim3(1), kBlock, factor_cholesky, a.mutable_data<double>(), a.dim(0));
}

void CudaBackend::triangular_solve(const Tensor& a, bool lower, bool transpose, bool unit,
                                   Tensor& b) {
  const Triangle triangle{a.data<double>(), a.dim(0), lower, transpose, unit};
  launch("triangular_solve", blocks_for(b.dim(1)), kBlock, solve_columns, triangle,
         b.mutable_data<double>(), b.dim(1));
}

void CudaBackend::lu(Tensor& a, Tensor& pivots, Tensor& det) {
  launch("lu", dim3(1), kBlock, factor_lu, a.mutable_data<double>(), a.dim(0),
         pivots.mutable_data<std::int32_t>(), det.mutable_data<double>());
}

void CudaBackend::lu_inverse(const Tensor& lu, const Tensor& pivots, Tensor& out) {
  launch("inverse", blocks_for(lu.dim(0)), kBlock, invert_columns, lu.data<double>(), lu.dim(0),
         pivots.data<std::int32_t>(), out.mutable_data<double>());
}

int CudaBackend::qr(Tensor& a, Tensor& r) {
  Tensor host = a.to(Device::CPU), host_r = Tensor::empty(r.shape(), DType::F64);
  const int info = cpu_backend().qr(host, host_r);
  a.copy_(host);
  r.copy_(host_r);
  return info;
}

int CudaBackend::eigh(Tensor& a, Tensor& values) {
  Tensor host = a.to(Device::CPU), host_values = Tensor::empty(values.shape(), DType::F64);
  const int info = cpu_backend().eigh(host, host_values);
  a.copy_(host);
  values.copy_(host_values);
  return info;
}

}  // namespace nf
