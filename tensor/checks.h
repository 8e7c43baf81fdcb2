// What several front-end functions check of their arguments; `op` names the function in the error.
#pragma once

#include "tensor/elementwise.h"
#include "tensor/tensor.h"

namespace nf::detail {

inline void check_float(const char* op, const Tensor& x) {
  NF_CHECK(x.defined() && is_float(x.dtype()), "[", op, "] needs an f32 or f64 tensor, got ",
           describe(x), "; convert with .to(DType::F32)");
}

inline void check_same(const char* op, const Tensor& a, const Tensor& b) {
  NF_CHECK(a.defined() && b.defined() && a.dtype() == b.dtype() && a.device() == b.device(), "[",
           op, "] needs one dtype and one device, got ", describe(a), " and ", describe(b));
}

/// What is done to a product with w (out, ..): act(product + bias), bias (out) or undefined.
inline void check_fused(const char* op, const Tensor& w, const Tensor& bias, const UnaryOp* act) {
  if (bias.defined()) {
    check_same(op, w, bias);
    NF_CHECK(bias.shape() == Shape({w.dim(0)}), "[", op, "] bias ", bias.shape(), " for weight ",
             w.shape(), ": expected (", w.dim(0), ",)");
  }
  NF_CHECK(!act || needs_of(*act) != Needs::Input, "[", op, "] ", name_of(*act),
           " cannot be fused: its derivative needs its input");
}

}  // namespace nf::detail
