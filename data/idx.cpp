#include "data/idx.h"

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "data/elements.h"
#include "data/format.h"
#include "tensor/files.h"

namespace nf::data {
namespace {

using Magic = std::array<std::uint8_t, 4>;

constexpr std::pair<std::uint8_t, ElementType> kTypes[] = {
    {0x08, ElementType::U8},  {0x09, ElementType::I8},  {0x0B, ElementType::I16},
    {0x0C, ElementType::I32}, {0x0D, ElementType::F32}, {0x0E, ElementType::F64}};

std::optional<ElementType> type_of_code(std::uint8_t code) {
  for (const auto& [known, type] : kTypes) {
    if (known == code) return type;
  }
  return std::nullopt;
}

std::uint8_t code_of(DType dtype) {
  for (const auto& [code, type] : kTypes) {
    if (dtype_for(type) == dtype && size_of(type) == size_of(dtype)) return code;
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

Shape read_sizes(InputFile& file, int rank, ElementType type) {
  std::array<std::uint32_t, kMaxDims> raw{};
  file.read(raw.data(), sizeof(raw[0]) * static_cast<std::size_t>(rank), "the header");
  swap_bytes(raw.data(), rank);
  const std::vector<std::uint64_t> sizes(raw.begin(), raw.begin() + rank);
  return checked_shape(file, sizes, size_of(type));
}

}  // namespace

bool looks_like_idx(std::string_view head) {
  Magic magic;
  return head.copy(reinterpret_cast<char*>(magic.data()), magic.size()) == magic.size() &&
         is_idx(magic);
}

Tensor read_idx(const std::string& path) {
  InputFile file(path);
  Magic magic;
  file.read(magic.data(), magic.size(), "the magic number");
  NF_CHECK(is_idx(magic), "[idx] '", path, "': not an IDX file: it starts with bytes ",
           int{magic[0]}, " ", int{magic[1]}, " ", int{magic[2]}, " ", int{magic[3]},
           ", IDX with 0 0, a type (8..14) and the number of dimensions");
  const std::optional<ElementType> type = type_of_code(magic[2]);
  NF_CHECK(type, "[idx] '", path, "': element type ", int{magic[2]},
           " is not supported; types are 8 (u8), 9 (i8), 11 (i16), 12 (i32), 13 (f32), 14 (f64)");
  NF_CHECK(magic[3] <= kMaxDims, "[idx] '", path, "': ", int{magic[3]}, " dimensions, at most ",
           kMaxDims, " are supported");
  const Shape shape = read_sizes(file, magic[3], *type);
  const Tensor out = read_elements(file, *type, /*big_endian=*/true, shape, dtype_for(*type));
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

// --- as samples ----------------------------------------------------------------------------------

namespace {

/// "train", "-images" and "idx3": train-images-idx3-ubyte, or with a dot as some mirrors have it.
std::string mnist_name(const std::filesystem::path& folder, const std::string& part,
                       const char* what, const char* idx) {
  const std::string dotted = part + what + "." + idx + "-ubyte";
  return find_in(folder, dotted) ? dotted : part + what + "-" + idx + "-ubyte";
}

Samples mnist_part(const std::filesystem::path& folder, const std::string& part) {
  const std::string images =
      need_in(folder, mnist_name(folder, part, "-images", "idx3"), kWhereMnistIs);
  Samples out = samples_of(images, read_idx(images));
  out.family = "mnist";
  if (const auto labels = find_in(folder, mnist_name(folder, part, "-labels", "idx1"))) {
    out.rows.labels = labels_of(*labels, read_idx(*labels), out.rows.size());
  }
  return out;
}

Parts mnist_parts(const std::filesystem::path& folder) {
  return {mnist_part(folder, "train"), {}, mnist_part(folder, "t10k"), /*valid_share=*/6};
}

}  // namespace

Format idx_format() {
  return {"idx",
          [](const std::string&, std::string_view head) { return looks_like_idx(head); },
          [](const std::string& path, const ReadOptions& options) {
            return only(samples_of(path, read_idx(path), options));
          },
          {{{"train-images-idx3-ubyte", "train-images.idx3-ubyte", "t10k-images-idx3-ubyte",
             "t10k-images.idx3-ubyte"},
            mnist_parts}}};
}

}  // namespace nf::data
