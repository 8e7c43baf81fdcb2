// Unary, binary, compare and where: one loop for each operation and type, see loops.h.
#include "tensor/cpu/cpu_backend.h"
#include "tensor/cpu/loops.h"

namespace nf {
namespace {

using namespace nf::cpu;

/// out = f(in), element by element; out is contiguous.
template <class T, class F>
void map(const Tensor& in, Tensor& out, const F& f) {
  const Reader<T> reader(in);
  T* const to = out.mutable_data<T>();
  for_blocks(out.numel(), reader.contiguous(), [&](std::int64_t begin, std::int64_t n) {
    T buffer[kBlock];
    const T* x = reader.at(begin, n, buffer);
    T* y = to + begin;
    NF_INDEPENDENT_ITERATIONS
    for (std::int64_t i = 0; i < n; ++i) y[i] = f(x[i]);
  });
}

/// out = f(a, b), element by element; out is contiguous and may be of another type.
template <class T, class Out, class F>
void map(const Tensor& a, const Tensor& b, Tensor& out, const F& f) {
  const Reader<T> read_a(a), read_b(b);
  Out* const to = out.mutable_data<Out>();
  const bool whole = read_a.contiguous() && read_b.contiguous();
  for_blocks(out.numel(), whole, [&](std::int64_t begin, std::int64_t n) {
    T buffer_a[kBlock], buffer_b[kBlock];
    const T* x = read_a.at(begin, n, buffer_a);
    const T* y = read_b.at(begin, n, buffer_b);
    Out* z = to + begin;
    NF_INDEPENDENT_ITERATIONS
    for (std::int64_t i = 0; i < n; ++i) z[i] = f(x[i], y[i]);
  });
}

}  // namespace

void CpuBackend::unary(UnaryOp op, OpArgs args, const Tensor& in, Tensor& out) {
  visit_float(in.dtype(), [&]<class T>() {
    visit(op, [&]<class Op>() {
      const Args<T> k(args);
      map<T>(in, out, [k](T x) { return Op::f(x, k); });
    });
  });
}

void CpuBackend::binary(BinaryOp op, const Tensor& a, const Tensor& b, Tensor& out) {
  visit_float(a.dtype(), [&]<class T>() {
    visit(op, [&]<class Op>() { map<T, T>(a, b, out, [](T x, T y) { return Op::f(x, y); }); });
  });
}

void CpuBackend::compare(CompareOp op, const Tensor& a, const Tensor& b, Tensor& out) {
  visit_dtype(a.dtype(), [&]<class T>() {
    visit(op, [&]<class Op>() {
      map<T, std::uint8_t>(a, b, out, [](T x, T y) { return Op::f(x, y); });
    });
  });
}

void CpuBackend::where(const Tensor& condition, const Tensor& a, const Tensor& b, Tensor& out) {
  visit_dtype(a.dtype(), [&]<class T>() {
    const Reader<std::uint8_t> read_condition(condition);
    const Reader<T> read_a(a), read_b(b);
    T* const to = out.mutable_data<T>();
    const bool whole = read_condition.contiguous() && read_a.contiguous() && read_b.contiguous();
    for_blocks(out.numel(), whole, [&](std::int64_t begin, std::int64_t n) {
      std::uint8_t buffer_condition[kBlock];
      T buffer_a[kBlock], buffer_b[kBlock];
      const std::uint8_t* c = read_condition.at(begin, n, buffer_condition);
      const T* x = read_a.at(begin, n, buffer_a);
      const T* y = read_b.at(begin, n, buffer_b);
      T* z = to + begin;
      for (std::int64_t i = 0; i < n; ++i) z[i] = c[i] != 0 ? x[i] : y[i];
    });
  });
}

}  // namespace nf
