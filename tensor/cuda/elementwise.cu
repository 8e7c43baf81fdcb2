// Unary, binary, compare and where.
#include "tensor/cuda/cuda_backend.h"
#include "tensor/cuda/map.h"

namespace nf {
namespace {

using namespace nf::cuda;

template <class Op, class T>
struct Unary {
  Args<T> k;
  NF_HD T operator()(T x) const { return Op::f(x, k); }
};

template <class T>
struct AnyUnary {
  UnaryOp op;
  Args<T> k;
  NF_HD T operator()(T x) const {
    return visit(op, [&]<class Op>() { return Op::f(x, k); });
  }
};

template <class Op, class T>
struct Binary {
  NF_HD T operator()(T a, T b) const { return Op::f(a, b); }
};

template <class T>
struct AnyBinary {
  BinaryOp op;
  NF_HD T operator()(T a, T b) const {
    return visit(op, [&]<class Op>() { return Op::f(a, b); });
  }
};

template <class T>
struct AnyCompare {
  CompareOp op;
  NF_HD std::uint8_t operator()(T a, T b) const {
    return visit(op, [&]<class Op>() { return Op::f(a, b); });
  }
};

template <class T>
struct Choose {
  NF_HD T operator()(std::uint8_t condition, T a, T b) const { return condition != 0 ? a : b; }
};

}  // namespace

void CudaBackend::unary(UnaryOp op, OpArgs args, const Tensor& in, Tensor& out) {
  const auto layout = walk_of(out, in);
  visit_float(in.dtype(), [&]<class T>() {
    const Args<T> k(args);
    visit(op, [&]<class Op>() {
      map(Op::name, Unary<Op, T>{k}, AnyUnary<T>{op, k}, layout, out.mutable_data<T>(),
          in.data<T>());
    });
  });
}

void CudaBackend::binary(BinaryOp op, const Tensor& a, const Tensor& b, Tensor& out) {
  const auto layout = walk_of(out, a, b);
  visit_float(a.dtype(), [&]<class T>() {
    visit(op, [&]<class Op>() {
      map(Op::name, Binary<Op, T>{}, AnyBinary<T>{op}, layout, out.mutable_data<T>(), a.data<T>(),
          b.data<T>());
    });
  });
}

void CudaBackend::compare(CompareOp op, const Tensor& a, const Tensor& b, Tensor& out) {
  const auto layout = walk_of(out, a, b);
  visit_dtype(a.dtype(), [&]<class T>() {
    const AnyCompare<T> f{op};  // no heavier than one comparison alone
    map(name_of(op), f, f, layout, out.mutable_data<std::uint8_t>(), a.data<T>(), b.data<T>());
  });
}

void CudaBackend::where(const Tensor& condition, const Tensor& a, const Tensor& b, Tensor& out) {
  const auto layout = walk_of(out, condition, a, b);
  visit_dtype(a.dtype(), [&]<class T>() {
    map("where", Choose<T>{}, Choose<T>{}, layout, out.mutable_data<T>(),
        condition.data<std::uint8_t>(), a.data<T>(), b.data<T>());
  });
}

}  // namespace nf
