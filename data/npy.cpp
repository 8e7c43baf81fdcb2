#include "data/npy.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "data/elements.h"
#include "data/format.h"
#include "data/zip.h"
#include "tensor/files.h"

namespace nf::data {

namespace {

constexpr std::string_view kMagic = "\x93NUMPY";

/// Elements that are no numbers.
class OtherElements : public Error {
 public:
  using Error::Error;
};

// --- reading ------------------------------------------------------------------------------------

struct Header {
  ElementType type;
  bool big_endian = false, fortran_order = false;
  std::vector<std::uint64_t> sizes;
};

/// The header is a Python literal: {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }
class HeaderParser {
 public:
  HeaderParser(const std::string& name, std::string_view text) : name_(name), rest_(text) {}

  Header parse() {
    Header out;
    bool seen[3] = {};
    expect("{");
    while (!take("}")) {
      const std::string_view key = quoted();
      expect(":");
      if (key == "descr") {
        seen[0] = true;
        parse_type(quoted(), out);
      } else if (key == "fortran_order") {
        seen[1] = true;
        out.fortran_order = take("True");
        if (!out.fortran_order) expect("False");
      } else if (key == "shape") {
        seen[2] = true;
        out.sizes = sizes();
      } else {
        bad(str("unknown key '", key, "'"));
      }
      if (take(",")) continue;
      expect("}");
      break;
    }
    skip_space();
    if (!rest_.empty()) bad("text after its end");
    if (!seen[0] || !seen[1] || !seen[2]) bad("it needs descr, fortran_order and shape");
    return out;
  }

 private:
  [[noreturn]] void bad(const std::string& what) const {
    fail(str("[npy] ", name_, ": malformed header: ", what));
  }
  void skip_space() {
    rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t\n"), rest_.size()));
  }
  bool take(std::string_view token) {
    skip_space();
    if (!rest_.starts_with(token)) return false;
    rest_.remove_prefix(token.size());
    return true;
  }
  void expect(std::string_view token) {
    if (!take(token)) bad(str("no '", token, "' where it should be"));
  }
  std::string_view quoted() {
    skip_space();
    const char quote = rest_.empty() ? '\0' : rest_[0];
    const std::size_t end =
        quote == '\'' || quote == '"' ? rest_.find(quote, 1) : std::string_view::npos;
    if (end == std::string_view::npos) bad("no text in quotes where it should be");
    const std::string_view text = rest_.substr(1, end - 1);
    for (const char c : text) {
      if (c < ' ' || c > '~') bad("a character that is not ASCII");
    }
    rest_.remove_prefix(end + 1);
    return text;
  }
  std::vector<std::uint64_t> sizes() {
    std::vector<std::uint64_t> all;
    expect("(");
    while (!take(")")) {
      std::uint64_t size = 0;
      skip_space();
      const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), size);
      if (error != std::errc()) bad("shape must hold whole numbers");
      rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
      all.push_back(size);
      if (take(",")) continue;
      expect(")");
      break;
    }
    return all;
  }
  void parse_type(std::string_view text, Header& out) const {
    constexpr std::pair<std::string_view, ElementType> kTypes[] = {
        {"u1", ElementType::U8},  {"i1", ElementType::I8},  {"b1", ElementType::U8},
        {"u2", ElementType::U16}, {"i2", ElementType::I16}, {"u4", ElementType::U32},
        {"i4", ElementType::I32}, {"u8", ElementType::U64}, {"i8", ElementType::I64},
        {"f4", ElementType::F32}, {"f8", ElementType::F64}};
    out.big_endian = text.starts_with('>');
    for (const auto& [name, type] : kTypes) {
      if (text.size() == 3 && text.substr(1) == name &&
          std::string_view("<>|=").find(text[0]) != std::string_view::npos) {
        out.type = type;
        return;
      }
    }
    throw OtherElements(str("[npy] ", name_, ": elements of type '", text,
                            "' are not supported; save it with .astype('float32') or 'uint8'"));
  }

  const std::string& name_;
  std::string_view rest_;
};

Header read_header(Input& in) {
  constexpr std::uint32_t kLongest = 1 << 16;
  std::array<unsigned char, 8> magic{};
  const std::size_t got = in.read_up_to(magic.data(), magic.size());
  const std::string_view head(reinterpret_cast<const char*>(magic.data()), got);
  NF_CHECK(looks_like_npy(head), "[npy] ", in.name(), ": not a .npy file: it must begin with ",
           "\\x93NUMPY");
  NF_CHECK(got == magic.size() && magic[6] >= 1 && magic[6] <= 3, "[npy] ", in.name(), ": version ",
           int{magic[6]}, "; 1, 2 and 3 are known");
  std::array<unsigned char, 4> length{};
  in.read(length.data(), magic[6] == 1 ? 2 : 4, "the header");
  const std::uint32_t bytes = std::uint32_t{length[0]} | std::uint32_t{length[1]} << 8 |
                              std::uint32_t{length[2]} << 16 | std::uint32_t{length[3]} << 24;
  NF_CHECK(bytes <= kLongest, "[npy] ", in.name(), ": a header of ", bytes, " bytes; at most ",
           kLongest, " are read");
  std::string text(bytes, '\0');
  in.read(text.data(), bytes, "the header");
  return HeaderParser(in.name(), text).parse();
}

Tensor read_array(Input& in) {
  Header header = read_header(in);
  // Fortran's order is the row-major order of the transposed array.
  if (header.fortran_order) std::reverse(header.sizes.begin(), header.sizes.end());
  const Shape shape = checked_shape(in, header.sizes, size_of(header.type));
  const Tensor out =
      read_elements(in, header.type, header.big_endian, shape, dtype_for(header.type));
  in.expect_end();
  return header.fortran_order ? reversed_axes(out).contiguous() : out;
}

// --- writing ------------------------------------------------------------------------------------

// Little-endian, as on every machine that this runs on.
const char* type_text(DType dtype) {
  switch (dtype) {
    case DType::F32:
      return "<f4";
    case DType::F64:
      return "<f8";
    case DType::U8:
      return "|u1";
    case DType::I32:
      return "<i4";
  }
  return "?";
}

}  // namespace

bool looks_like_npy(std::string_view head) { return head.starts_with(kMagic); }

Tensor read_npy(const std::string& path) {
  InputFile file(path);
  return read_array(file);
}

std::map<std::string, Tensor> read_npz(const std::string& path) {
  constexpr std::string_view kSuffix = ".npy";
  std::map<std::string, Tensor> arrays;
  for (const ZipEntry& entry : read_zip_directory(path)) {
    if (!entry.name.ends_with(kSuffix)) continue;
    const std::string name = entry.name.substr(0, entry.name.size() - kSuffix.size());
    InputPart in(path, entry.begin, entry.packed_bytes, entry.packing, "array '" + name + "'");
    Tensor array;
    try {
      array = read_array(in);
      NF_CHECK(in.crc32() == entry.crc32, "[npz] ", in.name(),
               ": its checksum is wrong; get the file again");
    } catch (const OtherElements&) {  // names, say, beside numbers
    }
    NF_CHECK(arrays.emplace(name, array).second, "[npz] ", in.name(), ": there twice");
  }
  NF_CHECK(!arrays.empty(), "[npz] '", path, "': a zip file without arrays (NAME.npy)");
  return arrays;
}

std::string npy_beginning(DType dtype, const Shape& shape) {
  std::string header =
      str("{'descr': '", type_text(dtype), "', 'fortran_order': False, 'shape': ", shape, ", }");
  constexpr std::size_t kPrefix = 10;  // magic, version, header length
  header.resize((kPrefix + header.size() + 1 + 63) / 64 * 64 - kPrefix - 1, ' ');
  header += '\n';
  std::string out(kMagic);
  out += std::string_view("\x01\x00", 2);
  out += static_cast<char>(header.size() & 255);
  out += static_cast<char>(header.size() >> 8);
  return out + header;
}

void write_npy(const std::string& path, DType dtype, const Shape& shape,
               const std::function<Tensor()>& next) {
  atomic_write(path, [&](FileWriter& out) {
    out.write(npy_beginning(dtype, shape));
    for (std::int64_t left = shape.numel(); left > 0;) {
      const Tensor part = next().to(Device::CPU).to(dtype).contiguous();
      NF_CHECK(part.numel() > 0 && part.numel() <= left, "[npy] a part of ", part.shape(),
               " does not fit into the ", left, " numbers that are left of ", shape);
      left -= part.numel();
      visit_dtype(dtype, [&]<class T>() {
        out.write(part.data<T>(), static_cast<std::size_t>(part.numel()) * sizeof(T));
      });
    }
  });
}

void write_npy(const std::string& path, const Tensor& values) {
  write_npy(path, values.dtype(), values.shape(), [&] { return values; });
}

// --- as samples ----------------------------------------------------------------------------------

Format npy_format() {
  return {"npy", [](const std::string&, std::string_view head) { return looks_like_npy(head); },
          [](const std::string& path, const ReadOptions& options) {
            return only(samples_of(path, read_npy(path), options));
          }};
}

}  // namespace nf::data
