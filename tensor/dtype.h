// Element types, and the one place where a runtime dtype becomes a C++ type.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "tensor/error.h"

namespace nf {

/// F32 and F64 are for computing (gradients are checked in F64), U8 and I32 are for data and
/// indices.
enum class DType : std::uint8_t { F32, F64, U8, I32 };

constexpr std::size_t size_of(DType dtype) {
  switch (dtype) {
    case DType::F32:
      return 4;
    case DType::F64:
      return 8;
    case DType::U8:
      return 1;
    case DType::I32:
      return 4;
  }
  return 0;
}

constexpr const char* name(DType dtype) {
  switch (dtype) {
    case DType::F32:
      return "f32";
    case DType::F64:
      return "f64";
    case DType::U8:
      return "u8";
    case DType::I32:
      return "i32";
  }
  return "?";
}

constexpr bool is_float(DType dtype) { return dtype == DType::F32 || dtype == DType::F64; }

template <class T>
constexpr DType dtype_of() {
  if constexpr (std::is_same_v<T, float>) {
    return DType::F32;
  } else if constexpr (std::is_same_v<T, double>) {
    return DType::F64;
  } else if constexpr (std::is_same_v<T, std::uint8_t>) {
    return DType::U8;
  } else {
    static_assert(std::is_same_v<T, std::int32_t>,
                  "a Tensor holds float, double, uint8_t, int32_t");
    return DType::I32;
  }
}

/// Calls `body.template operator()<T>()` with T the C++ type of `dtype`:
///   visit_dtype(t.dtype(), [&]<class T>() { ... });
template <class Body>
decltype(auto) visit_dtype(DType dtype, Body&& body) {
  switch (dtype) {
    case DType::F32:
      return body.template operator()<float>();
    case DType::F64:
      return body.template operator()<double>();
    case DType::U8:
      return body.template operator()<std::uint8_t>();
    case DType::I32:
      return body.template operator()<std::int32_t>();
  }
  fail("[dtype] not a dtype");
}

/// The same for the two computing types only. Kernels assume that the front end has checked.
template <class Body>
decltype(auto) visit_float(DType dtype, Body&& body) {
  if (dtype == DType::F64) return body.template operator()<double>();
  return body.template operator()<float>();
}

}  // namespace nf
