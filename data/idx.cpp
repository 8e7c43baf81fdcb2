#include "data/idx.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <optional>

#include "tensor/files.h"

namespace nf::data {
namespace {

using Magic = std::array<std::uint8_t, 4>;

std::optional<DType> dtype_of_code(std::uint8_t code) {
  switch (code) {
    case 0x08:
      return DType::U8;
    case 0x0C:
      return DType::I32;
    case 0x0D:
      return DType::F32;
    case 0x0E:
      return DType::F64;
    default:
      return std::nullopt;  // 09 is int8, 0B int16: nobody uses them
  }
}

std::uint8_t code_of(DType dtype) {
  for (const std::uint8_t code : {0x08, 0x0C, 0x0D, 0x0E}) {
    if (dtype_of_code(code) == dtype) return code;
  }
  fail("[idx] not a dtype");
}

/// Turns the bytes of every element around: IDX is big-endian, the processors we run on are not.
template <class T>
void swap_bytes(T* values, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) {
    auto* bytes = reinterpret_cast<std::uint8_t*>(values + i);
    std::reverse(bytes, bytes + sizeof(T));
  }
}

bool is_idx(const Magic& magic) {
  return magic[0] == 0 && magic[1] == 0 && magic[2] >= 0x08 && magic[2] <= 0x0E && magic[3] >= 1;
}

/// The sizes in the header, and the bytes that the elements take, checked for overflow.
Shape read_sizes(InputFile& file, int rank, DType dtype) {
  std::array<std::uint32_t, kMaxDims> sizes{};
  file.read(sizes.data(), sizeof(sizes[0]) * static_cast<std::size_t>(rank), "the header");
  swap_bytes(sizes.data(), rank);
  // Zeros are left out of the product: strides of the other sizes must not overflow either.
  Shape shape;
  std::uint64_t bytes = size_of(dtype);
  for (int i = 0; i < rank; ++i) {
    const std::uint64_t size = std::max<std::uint32_t>(1, sizes[i]);
    NF_CHECK(bytes <= std::numeric_limits<std::int64_t>::max() / size, "[idx] '", file.path(),
             "': the sizes in the header are absurd (their product overflows)");
    bytes *= size;
    shape.push_back(sizes[i]);
  }
  if (shape.numel() == 0) bytes = 0;
  file.expect_room_for(bytes, "elements");
  return shape;
}

}  // namespace

bool looks_like_idx(const std::string& path) {
  InputFile file(path);
  Magic magic;
  try {
    file.read(magic.data(), magic.size(), "the magic number");
  } catch (const Error&) {
    return false;
  }
  return is_idx(magic);
}

Tensor read_idx(const std::string& path) {
  InputFile file(path);
  Magic magic;
  file.read(magic.data(), magic.size(), "the magic number");
  NF_CHECK(is_idx(magic), "[idx] '", path, "': not an IDX file: it starts with bytes ",
           int{magic[0]}, " ", int{magic[1]}, " ", int{magic[2]}, " ", int{magic[3]},
           ", IDX with 0 0, a type (8..14) and the number of dimensions");
  const std::optional<DType> dtype = dtype_of_code(magic[2]);
  NF_CHECK(dtype, "[idx] '", path, "': element type ", int{magic[2]},
           " is not supported; types are 8 (u8), 12 (i32), 13 (f32), 14 (f64)");
  NF_CHECK(magic[3] <= kMaxDims, "[idx] '", path, "': ", int{magic[3]}, " dimensions, at most ",
           kMaxDims, " are supported");
  Tensor out = Tensor::empty(read_sizes(file, magic[3], *dtype), *dtype);
  visit_dtype(*dtype, [&]<class T>() {
    T* values = out.mutable_data<T>();
    file.read(values, static_cast<std::size_t>(out.numel()) * sizeof(T), "the elements");
    swap_bytes(values, out.numel());
  });
  file.expect_end();
  return out;
}

void write_idx(const std::string& path, const Tensor& values) {
  NF_CHECK(values.rank() >= 1, "[idx] '", path, "': a scalar has no IDX form; reshape it to (1)");
  std::array<std::uint32_t, 1 + kMaxDims> header{};
  header[0] =
      std::uint32_t{code_of(values.dtype())} << 8 | static_cast<std::uint32_t>(values.rank());
  for (int i = 0; i < values.rank(); ++i) {
    NF_CHECK(values.dim(i) <= std::numeric_limits<std::uint32_t>::max(), "[idx] '", path,
             "': sizes have 32 bits, not ", values.dim(i));
    header[1 + i] = static_cast<std::uint32_t>(values.dim(i));
  }
  swap_bytes(header.data(), 1 + values.rank());
  Tensor swapped = values.to(Device::CPU).clone();
  atomic_write(path, [&](FileWriter& out) {
    out.write(header.data(), sizeof(header[0]) * static_cast<std::size_t>(1 + values.rank()));
    visit_dtype(values.dtype(), [&]<class T>() {
      T* elements = swapped.mutable_data<T>();
      swap_bytes(elements, swapped.numel());
      out.write(elements, static_cast<std::size_t>(swapped.numel()) * sizeof(T));
    });
  });
}

}  // namespace nf::data
