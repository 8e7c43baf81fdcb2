// Matrix products and the fused linear layer. The products themselves are in gemm/.
#include <algorithm>
#include <vector>

#include "tensor/cpu/cpu_backend.h"
#include "tensor/cpu/epilogue.h"
#include "tensor/cpu/factors.h"
#include "tensor/host_device.h"
#include "tensor/threads.h"

namespace nf {
namespace {

using namespace nf::cpu;

/// The last two dimensions of `t`.
template <class T>
View<T> matrix(const Tensor& t) {
  return {t.data<T>(), t.strides()[t.rank() - 2], t.strides()[t.rank() - 1]};
}

template <class P>
void matmul_of(const Tensor& a, const Tensor& b, Tensor& out) {
  using T = NumberOf<P>;
  const bool batched = out.rank() == 3;
  const Index count = batched ? out.shape()[0] : 1;
  const Index m = a.dim(-2), k = a.dim(-1), n = b.dim(-1);
  const Index step_a = batched ? a.strides()[0] : 0, step_b = batched ? b.strides()[0] : 0;
  View<T> all_a = matrix<T>(a);
  const View<T> all_b = matrix<T>(b);
  T* const c = out.mutable_data<T>();
  if (m == 1) all_a.row = step_a;
  // One b for all, and the rows of all a's in one regular order: one tall product.
  if (count == 1 || (step_b == 0 && step_a == m * all_a.row)) {
    return product<P>({all_a, all_b, c, count * m, n, k, n});
  }
  const auto one = [&](Index i) {
    return Product<T>{{all_a.data + i * step_a, all_a.row, all_a.col},
                      {all_b.data + i * step_b, all_b.row, all_b.col},
                      c + i * m * n,
                      m,
                      n,
                      k,
                      n};
  };
  const Index work = m * n * k;
  if (work >= 2 * kWorthWaking) {
    for (Index i = 0; i < count; ++i) product<P>(one(i));
    return;
  }
  parallel_for(count, std::max<Index>(1, kWorthWaking / std::max<Index>(1, work)),
               [&](Index begin, Index end) {
                 for (Index i = begin; i < end; ++i) product_alone<P>(one(i));
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
  visit_factors(out.dtype(), precision(), [&]<class P>() { matmul_of<P>(a, b, out); });
}

void CpuBackend::linear(const Tensor& x, const Tensor& w, const Tensor& bias, const UnaryOp* act,
                        OpArgs args, Tensor& out) {
  visit_factors(out.dtype(), precision(), [&]<class P>() {
    using T = NumberOf<P>;
    const Epilogue<T> epilogue(bias, act, args);
    product<P>({.a = matrix<T>(x),
                .b = matrix<T>(w).t(),
                .c = out.mutable_data<T>(),
                .m = x.dim(0),
                .n = w.dim(0),
                .k = x.dim(1),
                .ldc = w.dim(0),
                .finish = epilogue.finish()});
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
