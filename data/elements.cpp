#include "data/elements.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>
#include <vector>

#include "tensor/memory.h"

namespace nf::data {
namespace {

static_assert(std::endian::native == std::endian::little, "files are read as little-endian");

/// Calls body.template operator()<T>() with T the C++ type of `type`.
template <class Body>
decltype(auto) visit_element(ElementType type, Body&& body) {
  switch (type) {
    case ElementType::I8:
      return body.template operator()<std::int8_t>();
    case ElementType::U8:
      return body.template operator()<std::uint8_t>();
    case ElementType::I16:
      return body.template operator()<std::int16_t>();
    case ElementType::U16:
      return body.template operator()<std::uint16_t>();
    case ElementType::I32:
      return body.template operator()<std::int32_t>();
    case ElementType::U32:
      return body.template operator()<std::uint32_t>();
    case ElementType::I64:
      return body.template operator()<std::int64_t>();
    case ElementType::U64:
      return body.template operator()<std::uint64_t>();
    case ElementType::F32:
      return body.template operator()<float>();
    case ElementType::F64:
      return body.template operator()<double>();
  }
  fail("[elements] not an element type");
}

template <class To, class From>
bool fits(From value) {
  if constexpr (std::is_floating_point_v<To>) {
    return true;  // rounded, or infinite, which is not for this level to judge
  } else if constexpr (std::is_floating_point_v<From>) {
    const double wide = value;  // in which both ends of To are exact; in f32 2^31 - 1 is 2^31
    return wide >= std::numeric_limits<To>::lowest() && wide <= std::numeric_limits<To>::max() &&
           wide == std::floor(wide);
  } else {
    return std::in_range<To>(value);
  }
}

template <class T>
void turn_around(T* values, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) {
    auto* bytes = reinterpret_cast<unsigned char*>(values + i);
    std::reverse(bytes, bytes + sizeof(T));
  }
}

/// A part at a time, so that memory is needed for the result only.
template <class From, class To>
void read_converted(Input& in, bool big_endian, To* out, std::int64_t n) {
  constexpr std::int64_t kPart = 1 << 16;
  std::vector<From> part(static_cast<std::size_t>(std::min(n, kPart)));
  for (std::int64_t at = 0; at < n; at += kPart) {
    const auto count = static_cast<std::size_t>(std::min(kPart, n - at));
    in.read(part.data(), count * sizeof(From), "the elements");
    if (big_endian) turn_around(part.data(), count);
    for (std::size_t i = 0; i < count; ++i) {
      NF_CHECK(fits<To>(part[i]), "[read] ", in.name(), ": element ",
               at + static_cast<std::int64_t>(i), " is ", +part[i], ", which ",
               name(dtype_of<To>()),
               " cannot hold; save numbers of rows as floats, and labels as 0, 1, 2, ...");
      out[at + static_cast<std::int64_t>(i)] = static_cast<To>(part[i]);
    }
  }
}

}  // namespace

std::size_t size_of(ElementType type) {
  return visit_element(type, []<class T>() { return sizeof(T); });
}

DType dtype_for(ElementType type) {
  return visit_element(type, []<class T>() {
    if constexpr (std::is_floating_point_v<T> || std::is_same_v<T, std::uint8_t>) {
      return dtype_of<T>();
    } else {
      return DType::I32;
    }
  });
}

Shape checked_shape(const Input& in, std::span<const std::uint64_t> sizes,
                    std::size_t element_bytes) {
  NF_CHECK(sizes.size() <= kMaxDims, "[read] ", in.name(), ": ", sizes.size(),
           " dimensions, at most ", kMaxDims, " are supported");
  // Zeros are left out of the product: strides of the other sizes must not overflow either.
  Shape shape;
  std::uint64_t bytes = element_bytes;
  for (const std::uint64_t size : sizes) {
    NF_CHECK(!__builtin_mul_overflow(bytes, std::max<std::uint64_t>(1, size), &bytes) &&
                 bytes <= std::numeric_limits<std::int64_t>::max(),
             "[read] ", in.name(),
             ": the sizes in the header are absurd (their product overflows)");
    shape.push_back(static_cast<std::int64_t>(size));
  }
  in.expect_room_for(shape.numel() == 0 ? 0 : bytes, "elements");
  return shape;
}

Tensor read_elements(Input& in, ElementType type, bool big_endian, const Shape& shape,
                     DType dtype) {
  // A packed file may be honest and still a thousand times smaller than what it holds. All that it
  // becomes must fit: the elements beside rows of u8 or f64, then these beside the parts into which
  // they are cut.
  const std::size_t row = dtype == DType::U8 ? size_of(DType::U8) : size_of(DType::F64);
  const auto most = static_cast<double>(std::max(size_of(dtype) + row, 2 * row));
  check_memory(static_cast<double>(shape.numel()) * most, "[read] " + in.name(),
               "take a part of the data");
  Tensor out = Tensor::empty(shape, dtype);
  visit_dtype(dtype, [&]<class To>() {
    To* values = out.mutable_data<To>();
    visit_element(type,
                  [&]<class From>() { read_converted<From>(in, big_endian, values, out.numel()); });
  });
  return out;
}

Tensor reversed_axes(const Tensor& x) {
  std::vector<int> order(static_cast<std::size_t>(x.rank()));
  std::iota(order.rbegin(), order.rend(), 0);
  return x.permute(order);
}

}  // namespace nf::data
