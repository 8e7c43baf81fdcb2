// What is fused into the fused linear layer and into convolutions: act(c + bias), on each block of
// the product while it is in the first cache.
#pragma once

#include "tensor/cpu/gemm/product.h"
#include "tensor/elementwise.h"
#include "tensor/host_device.h"
#include "tensor/tensor.h"

namespace nf::cpu {

template <class T>
class Epilogue {
 public:
  /// `bias` may be undefined, `act` null.
  Epilogue(const Tensor& bias, const UnaryOp* act, OpArgs args)
      : bias_(bias.defined() ? bias.data<T>() : nullptr), args_(args) {
    if (act) {
      block_ = visit(*act, []<class Op>() { return &apply<Op>; });
    } else if (bias_) {
      block_ = &add_bias;
    }
  }

  Finish<T> finish() const { return {block_, this}; }

 private:
  template <class Op>
  static void apply(T* c, Index ldc, Index rows, Index first, Index cols, const void* with) {
    const Epilogue& e = *static_cast<const Epilogue*>(with);
    const Args<T> args = e.args_;
    for (Index r = 0; r < rows; ++r, c += ldc) {
      if (const T* const bias = e.bias_) {
        for (Index j = 0; j < cols; ++j) c[j] = Op::f(c[j] + bias[first + j], args);
      } else {
        for (Index j = 0; j < cols; ++j) c[j] = Op::f(c[j], args);
      }
    }
  }

  static void add_bias(T* c, Index ldc, Index rows, Index first, Index cols, const void* with) {
    const T* const bias = static_cast<const Epilogue*>(with)->bias_ + first;
    for (Index r = 0; r < rows; ++r, c += ldc) {
      for (Index j = 0; j < cols; ++j) c[j] += bias[j];
    }
  }

  const T* bias_;
  Args<T> args_;
  decltype(Finish<T>::block) block_ = nullptr;
};

}  // namespace nf::cpu
