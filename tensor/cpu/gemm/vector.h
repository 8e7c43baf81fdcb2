// Vectors of the compiler's own (GCC's and Clang's vector types): one source for every instruction
// set, without intrinsics.
#pragma once

#include <cstring>

namespace nf::cpu {

template <class T, int N>
struct VectorType {
  typedef T type __attribute__((vector_size(N * sizeof(T))));
};
/// N numbers of type T in one register.
template <class T, int N>
using VectorOf = typename VectorType<T, N>::type;

template <class T, int N>
VectorOf<T, N> load_vector(const T* from) {
  VectorOf<T, N> v;
  std::memcpy(&v, from, sizeof v);
  return v;
}

template <class T, class Vector>
void store_vector(T* to, const Vector& v) {
  std::memcpy(to, &v, sizeof v);
}

}  // namespace nf::cpu
