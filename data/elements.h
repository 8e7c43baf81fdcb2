// Array elements as files have them, and the Tensors that they become.
#pragma once

#include <cstdint>
#include <span>

#include "data/input.h"
#include "tensor/tensor.h"

namespace nf::data {

/// What .npy and .mat files store. A Tensor holds fewer types.
enum class ElementType { I8, U8, I16, U16, I32, U32, I64, U64, F32, F64 };

std::size_t size_of(ElementType type);
/// The Tensor type that takes it: u8, f32 and f64 as they are, all other integers i32.
DType dtype_for(ElementType type);

/// The shape of these sizes, when so many elements can be in the input. Throws Error for more than
/// 6 dimensions, an overflow, and more bytes than `in` has room for.
Shape checked_shape(const Input& in, std::span<const std::uint64_t> sizes,
                    std::size_t element_bytes);

/// Reads elements into a row-major tensor of this shape and dtype. Throws Error where the input
/// ends, and for a number that `dtype` cannot hold (int64 beyond 32 bits).
Tensor read_elements(Input& in, ElementType type, bool big_endian, const Shape& shape, DType dtype);

/// A view with the axes in reverse order. Column-major elements of sizes (a, b, c) are row-major
/// ones of (c, b, a), seen this way.
Tensor reversed_axes(const Tensor& x);

}  // namespace nf::data
