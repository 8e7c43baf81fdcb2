// The derivatives of unary and binary operations times the gradient of their output.
#include "tensor/cpu/cpu_backend.h"
#include "tensor/cpu/loops.h"

namespace nf {
namespace {

using namespace nf::cpu;

/// din = dout * df(saved).
template <class T, class F>
void scale_by(const Tensor& dout, const Tensor& saved, Tensor& din, const F& df) {
  const Reader<T> read_dout(dout), read_saved(saved);
  T* const to = din.mutable_data<T>();
  const bool whole = read_dout.contiguous() && read_saved.contiguous();
  for_blocks(din.numel(), whole, [&](std::int64_t begin, std::int64_t n) {
    T buffer_dout[kBlock], buffer_saved[kBlock];
    const T* g = read_dout.at(begin, n, buffer_dout);
    const T* s = read_saved.at(begin, n, buffer_saved);
    T* d = to + begin;
    NF_INDEPENDENT_ITERATIONS
    for (std::int64_t i = 0; i < n; ++i) d[i] = g[i] * df(s[i]);
  });
}

/// din = dout * df(a, b).
template <class T, class F>
void scale_by(const Tensor& dout, const Tensor& a, const Tensor& b, Tensor& din, const F& df) {
  const Reader<T> read_dout(dout), read_a(a), read_b(b);
  T* const to = din.mutable_data<T>();
  const bool whole = read_dout.contiguous() && read_a.contiguous() && read_b.contiguous();
  for_blocks(din.numel(), whole, [&](std::int64_t begin, std::int64_t n) {
    T buffer_dout[kBlock], buffer_a[kBlock], buffer_b[kBlock];
    const T* g = read_dout.at(begin, n, buffer_dout);
    const T* x = read_a.at(begin, n, buffer_a);
    const T* y = read_b.at(begin, n, buffer_b);
    T* d = to + begin;
    NF_INDEPENDENT_ITERATIONS
    for (std::int64_t i = 0; i < n; ++i) d[i] = g[i] * df(x[i], y[i]);
  });
}

}  // namespace

void CpuBackend::unary_backward(UnaryOp op, OpArgs args, const Tensor& dout, const Tensor& saved,
                                Tensor& din) {
  visit_float(dout.dtype(), [&]<class T>() {
    visit(op, [&]<class Op>() {
      const Args<T> k(args);
      // An op that needs nothing has a constant derivative: dout stands in for `saved`.
      const Tensor& s = Op::needs == Needs::Nothing ? dout : saved;
      scale_by<T>(dout, s, din, [k](T x) { return Op::df(x, k); });
    });
  });
}

void CpuBackend::binary_backward(BinaryOp op, const Tensor& dout, const Tensor& a, const Tensor& b,
                                 Tensor* da, Tensor* db) {
  visit_float(dout.dtype(), [&]<class T>() {
    visit(op, [&]<class Op>() {
      const Tensor& x = Op::uses_inputs ? a : dout;
      const Tensor& y = Op::uses_inputs ? b : dout;
      if (da) scale_by<T>(dout, x, y, *da, [](T s, T t) { return Op::da(s, t); });
      if (db) scale_by<T>(dout, x, y, *db, [](T s, T t) { return Op::db(s, t); });
    });
  });
}

}  // namespace nf
