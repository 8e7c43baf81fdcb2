// The derivatives of unary and binary operations times the gradient of their output.
#include "tensor/cuda/cuda_backend.h"
#include "tensor/cuda/map.h"

namespace nf {
namespace {

using namespace nf::cuda;

template <class Op, class T>
struct UnaryGrad {
  Args<T> k;
  NF_HD T operator()(T dout, T saved) const { return dout * Op::df(saved, k); }
};

template <class T>
struct AnyUnaryGrad {
  UnaryOp op;
  Args<T> k;
  NF_HD T operator()(T dout, T saved) const {
    return visit(op, [&]<class Op>() { return dout * Op::df(saved, k); });
  }
};

/// Which of the two partial derivatives.
enum class Side { A, B };

template <class Op, Side side, class T>
struct BinaryGrad {
  NF_HD T operator()(T dout, T a, T b) const {
    return dout * (side == Side::A ? Op::da(a, b) : Op::db(a, b));
  }
};

template <Side side, class T>
struct AnyBinaryGrad {
  BinaryOp op;
  NF_HD T operator()(T dout, T a, T b) const {
    return visit(op, [&]<class Op>() { return BinaryGrad<Op, side, T>{}(dout, a, b); });
  }
};

template <Side side, class Op, class T>
void binary_grad(BinaryOp op, const Tensor& dout, const Tensor& a, const Tensor& b, Tensor& din) {
  map(Op::name, BinaryGrad<Op, side, T>{}, AnyBinaryGrad<side, T>{op}, walk_of(din, dout, a, b),
      din.mutable_data<T>(), dout.data<T>(), a.data<T>(), b.data<T>());
}

}  // namespace

void CudaBackend::unary_backward(UnaryOp op, OpArgs args, const Tensor& dout, const Tensor& saved,
                                 Tensor& din) {
  visit_float(dout.dtype(), [&]<class T>() {
    const Args<T> k(args);
    visit(op, [&]<class Op>() {
      // An op that needs nothing has a constant derivative: dout stands in for `saved`.
      const Tensor& s = Op::needs == Needs::Nothing ? dout : saved;
      map(Op::name, UnaryGrad<Op, T>{k}, AnyUnaryGrad<T>{op, k}, walk_of(din, dout, s),
          din.mutable_data<T>(), dout.data<T>(), s.template data<T>());
    });
  });
}

void CudaBackend::binary_backward(BinaryOp op, const Tensor& dout, const Tensor& a, const Tensor& b,
                                  Tensor* da, Tensor* db) {
  visit_float(dout.dtype(), [&]<class T>() {
    visit(op, [&]<class Op>() {
      const Tensor& x = Op::uses_inputs ? a : dout;
      const Tensor& y = Op::uses_inputs ? b : dout;
      if (da) binary_grad<Side::A, Op, T>(op, dout, x, y, *da);
      if (db) binary_grad<Side::B, Op, T>(op, dout, x, y, *db);
    });
  });
}

}  // namespace nf
