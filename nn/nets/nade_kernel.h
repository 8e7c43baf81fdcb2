// The sums of NADE on the CPU (private to nade.cpp): compiled for speed, see CMakeLists.txt.
#pragma once

#include <cstdint>

namespace nf::nn::detail {

/// All contiguous: bits (N, D), 0 or not; w and v (D, H); start (N, H). T is float or double.
template <class T>
struct NadeInputs {
  std::int64_t rows, dims, units;
  const std::uint8_t* bits;
  const T *w, *v, *start;
};

/// logits (N, D), contiguous: v_d . sigmoid(a_d), a_1 = start, a_(d+1) = a_d + x_d w_d.
template <class T>
void nade_forward(const NadeInputs<T>& in, T* logits);

/// From dlogits (N, D) the gradients dw and dv (D, H), dstart (N, H), all written.
template <class T>
void nade_backward(const NadeInputs<T>& in, const T* dlogits, T* dw, T* dv, T* dstart);

}  // namespace nf::nn::detail
