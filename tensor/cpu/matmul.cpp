// Matrix products. The output is cut into slabs, and our threads call OpenBLAS, on one thread, for
// one slab after the other. This works alike with OpenBLAS's pthread and OpenMP variants, and no
// thread of theirs spins against our pool. Into its serial variant they go in turns. In which order
// OpenBLAS adds up depends on the size of what it is given: so the cut depends on the shape alone,
// and the result is the same, bit for bit, on any number of threads.
#include <algorithm>
#include <limits>
#include <vector>

#include "tensor/blas.h"
#include "tensor/cpu/cpu_backend.h"
#include "tensor/host_device.h"
#include "tensor/threads.h"

namespace nf {
namespace {

using Index = std::int64_t;

int blas_int(Index n) {
  NF_CHECK(n <= std::numeric_limits<int>::max(), "[matmul] a matrix has a dimension or stride of ",
           n, ", more than BLAS can count (2^31 - 1); split it");
  return static_cast<int>(n);
}

/// op(A) in row-major storage: element (i, j) at data[i*ld + j], or at data[j*ld + i] if
/// transposed.
template <class T>
struct Matrix {
  const T* data;
  Index ld;
  bool transposed;

  const T* at(Index i, Index j) const { return data + (transposed ? j * ld + i : i * ld + j); }
};

/// `t` is (.., rows, cols); the front end has seen to its strides.
template <class T>
Matrix<T> as_matrix(const Tensor& t) {
  const Index row_stride = t.strides()[t.rank() - 2], col_stride = t.strides()[t.rank() - 1];
  const bool transposed = col_stride != 1;
  return {t.data<T>(), transposed ? col_stride : row_stride, transposed};
}

template <class T>
void gemm(const Matrix<T>& a, const Matrix<T>& b, T* c, Index ldc, Index m, Index n, Index k) {
  using namespace cblas;
  const auto call = [&](auto* function) {
    function(kRowMajor, a.transposed ? kTrans : kNoTrans, b.transposed ? kTrans : kNoTrans,
             blas_int(m), blas_int(n), blas_int(k), T(1), a.data, blas_int(a.ld), b.data,
             blas_int(b.ld), T(0), c, blas_int(ldc));
  };
  const BlasTurn turn;
  if constexpr (std::is_same_v<T, float>) {
    call(turn->sgemm);
  } else {
    call(turn->dgemm);
  }
}

/// How an (M, N) output is cut: rows x cols slabs, their sides multiples of OpenBLAS's micro-tile
/// (except at the edge).
struct Slabs {
  static constexpr Index kTileRows = 8, kTileCols = 16;
  Index m, n;
  int rows = 1, cols = 1;

  static Index cut(Index size, Index tile, int parts, int part) {
    return std::min((size + tile - 1) / tile * part / parts * tile, size);
  }
  static Index longest(Index size, Index tile, int parts) {
    return (size + tile * parts - 1) / (tile * parts) * tile;
  }
  Index row(int i) const { return cut(m, kTileRows, rows, i); }
  Index col(int j) const { return cut(n, kTileCols, cols, j); }
};

constexpr Index kSmall = Index{1} << 18;  // multiplications: fewer are not worth waking a thread

/// The number of slabs of a product: two as soon as a second thread is worth waking, more when each
/// is so large that packing costs little beside it. A power of two, so that two threads get
/// as much each.
int slab_count(Index m, Index n, Index k) {
  const double work = double(m) * double(n) * double(k);
  if (work < 2.0 * kSmall) return 1;
  int count = 2;
  for (double enough = 0x1p25; work >= enough && count < 256; enough *= 8) count *= 2;
  return count;
}

/// The cut into slab_count() slabs that finishes first. For each step of K a slab of (m, n) costs
/// m*n multiplications, and OpenBLAS's packing of m + n elements, each as long as 30 of them.
Slabs choose_slabs(Index m, Index n, Index k) {
  constexpr Index kPacking = 30;
  const int count = slab_count(m, n, k);
  Slabs best{m, n};
  Index least = std::numeric_limits<Index>::max();
  for (int rows = 1; rows <= count; rows *= 2) {
    const Slabs slabs{m, n, rows, count / rows};
    const Index h = Slabs::longest(m, Slabs::kTileRows, rows);
    const Index w = Slabs::longest(n, Slabs::kTileCols, slabs.cols);
    const Index cost = h * w + kPacking * (h + w);
    if (cost < least) {
      least = cost;
      best = slabs;
    }
  }
  return best;
}

/// What happens to a slab of a product after it is computed: c = f(c + bias), row by row. `row` is
/// null for nothing, bias may be null.
template <class T>
struct Epilogue {
  void (*row)(T* c, const T* bias, Index cols, Args<T> args) = nullptr;
  const T* bias = nullptr;
  Args<T> args{OpArgs{}};
};

template <class Op, class T>
void finish_row(T* c, const T* bias, Index cols, Args<T> args) {
  if (bias) {
    for (Index j = 0; j < cols; ++j) c[j] = Op::f(c[j] + bias[j], args);
  } else {
    for (Index j = 0; j < cols; ++j) c[j] = Op::f(c[j], args);
  }
}

template <class T>
void add_bias(T* c, const T* bias, Index cols, Args<T>) {
  for (Index j = 0; j < cols; ++j) c[j] += bias[j];
}

/// c = a b, and the epilogue on each slab by the thread that has just computed it, while it is in
/// that processor's cache.
template <class T>
void product(const Matrix<T>& a, const Matrix<T>& b, T* c, Index m, Index n, Index k,
             const Epilogue<T>& epilogue = {}) {
  const Slabs slabs = choose_slabs(m, n, k);
  reserve_blas(std::min(slabs.rows * slabs.cols, num_threads()));
  parallel_for(slabs.rows * slabs.cols, 1, [&](Index begin, Index end) {
    for (Index s = begin; s < end; ++s) {
      const int i = static_cast<int>(s / slabs.cols), j = static_cast<int>(s % slabs.cols);
      const Index m0 = slabs.row(i), m1 = slabs.row(i + 1);
      const Index n0 = slabs.col(j), n1 = slabs.col(j + 1);
      if (m0 == m1 || n0 == n1) continue;
      gemm<T>({a.at(m0, 0), a.ld, a.transposed}, {b.at(0, n0), b.ld, b.transposed}, c + m0 * n + n0,
              n, m1 - m0, n1 - n0, k);
      if (!epilogue.row) continue;
      const T* const bias = epilogue.bias ? epilogue.bias + n0 : nullptr;
      for (Index r = m0; r < m1; ++r) epilogue.row(c + r * n + n0, bias, n1 - n0, epilogue.args);
    }
  });
}

template <class T>
void matmul_of(const Tensor& a, const Tensor& b, Tensor& out) {
  const bool batched = out.rank() == 3;
  const Index count = batched ? out.shape()[0] : 1;
  const Index m = a.dim(-2), k = a.dim(-1), n = b.dim(-1);
  const Index step_a = batched ? a.strides()[0] : 0, step_b = batched ? b.strides()[0] : 0;
  const Matrix<T> ma = as_matrix<T>(a), mb = as_matrix<T>(b);
  T* const c = out.mutable_data<T>();
  // One b for all, and the rows of all a's in one regular order: one tall product.
  const Index ld = m == 1 ? step_a : ma.ld;
  if (step_b == 0 && !ma.transposed && ld >= k && step_a == m * ld) {
    return product<T>({ma.data, ld, false}, mb, c, count * m, n, k);
  }
  const auto a_at = [&](Index i) { return Matrix<T>{ma.data + i * step_a, ma.ld, ma.transposed}; };
  const auto b_at = [&](Index i) { return Matrix<T>{mb.data + i * step_b, mb.ld, mb.transposed}; };
  if (slab_count(m, n, k) > 1) {
    for (Index i = 0; i < count; ++i) product<T>(a_at(i), b_at(i), c + i * m * n, m, n, k);
    return;
  }
  const Index grain = std::max<Index>(1, kSmall / (m * n * k));
  reserve_blas(static_cast<int>(std::min<Index>(count, num_threads())));
  parallel_for(count, grain, [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i) gemm<T>(a_at(i), b_at(i), c + i * m * n, n, m, n, k);
  });
}

/// The rows and columns that one task of linear_backward goes through. Fixed, so that sums are
/// added up in the same order on any number of threads.
constexpr Index kTaskRows = 1024, kTaskCols = 256;

/// d = g * act'(y) for kRows rows, and sum += the sum of these rows.
template <int kRows, class Op, class T>
void backward_rows(const T* g, Index g_step, const T* y, Index y_step, T* d, Index d_step,
                   Index cols, Args<T> args, double* sum) {
  // d may be g, but then element by element.
  NF_INDEPENDENT_ITERATIONS
  for (Index j = 0; j < cols; ++j) {
    double column = 0;
    for (int r = 0; r < kRows; ++r) {
      const T value = g[r * g_step + j] * Op::df(y[r * y_step + j], args);
      d[r * d_step + j] = value;
      column += static_cast<double>(value);
    }
    sum[j] += column;
  }
}

template <class Op, class T>
void linear_backward_of(const Tensor& dout, const Tensor& out, Args<T> args, Tensor& dpre,
                        Tensor* dbias) {
  const Index n = out.dim(0), width = out.dim(1);
  const Index dout_step = dout.strides()[0], out_step = out.strides()[0];
  T* const d = dpre.mutable_data<T>();
  const T *const g = dout.data<T>(), *const y = out.data<T>();
  const Index chunks = (n + kTaskRows - 1) / kTaskRows;
  const Index blocks = (width + kTaskCols - 1) / kTaskCols;
  std::vector<double> sums(static_cast<std::size_t>(dbias ? chunks * width : 0));
  parallel_for(chunks * blocks, 1, [&](Index begin, Index end) {
    for (Index task = begin; task < end; ++task) {
      const Index r0 = task / blocks * kTaskRows, r1 = std::min(r0 + kTaskRows, n);
      const Index c0 = task % blocks * kTaskCols, cols = std::min(kTaskCols, width - c0);
      double sum[kTaskCols] = {};
      Index r = r0;
      const auto rows = [&]<int kRows>() {
        backward_rows<kRows, Op, T>(g + r * dout_step + c0, dout_step, y + r * out_step + c0,
                                    out_step, d + r * width + c0, width, cols, args, sum);
        r += kRows;
      };
      while (r + 4 <= r1) rows.template operator()<4>();
      while (r < r1) rows.template operator()<1>();
      if (dbias) std::copy_n(sum, cols, sums.data() + task / blocks * width + c0);
    }
  });
  if (!dbias) return;
  T* const db = dbias->mutable_data<T>();
  for (Index j = 0; j < width; ++j) {
    double total = 0;
    for (Index c = 0; c < chunks; ++c) total += sums[static_cast<std::size_t>(c * width + j)];
    db[j] = static_cast<T>(total);
  }
}

}  // namespace

void CpuBackend::matmul(const Tensor& a, const Tensor& b, Tensor& out) {
  visit_float(out.dtype(), [&]<class T>() { matmul_of<T>(a, b, out); });
}

void CpuBackend::linear(const Tensor& x, const Tensor& w, const Tensor& bias, const UnaryOp* act,
                        OpArgs args, Tensor& out) {
  visit_float(out.dtype(), [&]<class T>() {
    const Index m = x.dim(0), k = x.dim(1), n = w.dim(0), ld = std::max<Index>(k, 1);
    Epilogue<T> epilogue{nullptr, bias.defined() ? bias.data<T>() : nullptr, Args<T>(args)};
    if (act) {
      epilogue.row = visit(*act, []<class Op>() { return &finish_row<Op, T>; });
    } else if (bias.defined()) {
      epilogue.row = &add_bias<T>;
    }
    // w^T is w's memory, read the other way.
    product<T>({x.data<T>(), std::max(x.strides()[0], ld), false}, {w.data<T>(), ld, true},
               out.mutable_data<T>(), m, n, k, epilogue);
  });
}

void CpuBackend::linear_backward(const Tensor& dout, const Tensor& out, UnaryOp act, OpArgs args,
                                 Tensor& dpre, Tensor* dbias) {
  const Tensor g = dout.strides()[1] == 1 ? dout : dout.contiguous();
  const Tensor y = out.strides()[1] == 1 ? out : out.contiguous();
  visit_float(out.dtype(), [&]<class T>() {
    visit(act, [&]<class Op>() {
      if constexpr (Op::needs != Needs::Input) {
        linear_backward_of<Op, T>(g, y, Args<T>(args), dpre, dbias);
      }
    });
  });
}

}  // namespace nf
