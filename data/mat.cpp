#include "data/mat.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include "data/elements.h"
#include "data/format.h"
#include "tensor/text.h"

namespace nf::data {
namespace {

constexpr std::uint64_t kHeaderBytes = 128;

constexpr std::uint32_t kMatrix = 14, kCompressed = 15;  // types of elements

constexpr std::pair<std::uint32_t, ElementType> kNumbers[] = {
    {1, ElementType::I8},   {2, ElementType::U8},  {3, ElementType::I16}, {4, ElementType::U16},
    {5, ElementType::I32},  {6, ElementType::U32}, {7, ElementType::F32}, {9, ElementType::F64},
    {12, ElementType::I64}, {13, ElementType::U64}};

std::optional<ElementType> element_type(std::uint32_t number) {
  for (const auto& [known, type] : kNumbers) {
    if (known == number) return type;
  }
  return std::nullopt;
}

/// The dtype of an array class; nothing for those that are not numeric. (mxCLASS numbers)
std::optional<DType> dtype_of_class(std::uint32_t array_class) {
  if (array_class == 6) return DType::F64;
  if (array_class == 7) return DType::F32;
  if (array_class == 9) return DType::U8;
  if (array_class == 8 || (array_class >= 10 && array_class <= 15)) return DType::I32;
  return std::nullopt;
}

/// What stands before an element. A small one has its bytes, at most 4, inside its tag.
struct Tag {
  std::uint32_t type = 0, bytes = 0;
  bool small = false;
  std::array<std::uint8_t, 4> inside{};
};

Tag read_tag(Input& in) {
  std::array<std::uint32_t, 2> words;
  in.read(words.data(), sizeof words, "an element's tag");
  if (words[0] >> 16 == 0) return {words[0], words[1], false, {}};
  Tag tag{words[0] & 0xFFFF, words[0] >> 16, true, {}};
  NF_CHECK(tag.bytes <= tag.inside.size(), "[mat] ", in.name(), ": a small element of ", tag.bytes,
           " bytes; they have at most 4");
  std::memcpy(tag.inside.data(), &words[1], tag.inside.size());
  return tag;
}

/// The bytes of a short element, and the padding to a multiple of 8 behind them.
std::string read_short(Input& in, std::uint32_t longest, const char* what) {
  const Tag tag = read_tag(in);
  if (tag.small) return {tag.inside.begin(), tag.inside.begin() + tag.bytes};
  NF_CHECK(tag.bytes <= longest, "[mat] ", in.name(), ": ", what, " of ", tag.bytes,
           " bytes; at most ", longest, " are read");
  std::string bytes((tag.bytes + 7) / 8 * 8, '\0');
  in.read(bytes.data(), bytes.size(), what);
  bytes.resize(tag.bytes);
  return bytes;
}

std::uint32_t word(const std::string& bytes, std::size_t i) {
  std::uint32_t value;
  std::memcpy(&value, bytes.data() + 4 * i, sizeof value);
  return value;
}

/// The sizes in reverse: MATLAB's arrays are column-major.
std::vector<std::uint64_t> read_reversed_sizes(Input& in) {
  const std::string bytes = read_short(in, 4 * 64, "the sizes");
  NF_CHECK(bytes.size() >= 8 && bytes.size() % 4 == 0, "[mat] ", in.name(), ": sizes of ",
           bytes.size(), " bytes");
  std::vector<std::uint64_t> sizes;
  for (std::size_t i = bytes.size() / 4; i-- > 0;) {
    NF_CHECK(word(bytes, i) <= INT32_MAX, "[mat] ", in.name(), ": a negative size");
    sizes.push_back(word(bytes, i));
  }
  return sizes;
}

/// The inside of a miMATRIX element: flags, sizes, name, elements.
void read_matrix(Input& in, std::map<std::string, Tensor>& arrays) {
  const std::string flags = read_short(in, 8, "the array flags");
  NF_CHECK(flags.size() == 8, "[mat] ", in.name(), ": array flags of ", flags.size(), " bytes");
  const std::optional<DType> dtype = dtype_of_class(word(flags, 0) & 0xFF);
  if (!dtype) return;
  const std::vector<std::uint64_t> sizes = read_reversed_sizes(in);
  const std::string name = printable(read_short(in, 256, "a name"));
  constexpr std::uint32_t kComplex = 0x0800;
  NF_CHECK((word(flags, 0) & kComplex) == 0, "[mat] ", in.name(), ": '", name,
           "' holds complex numbers; save its real part");
  const Tag tag = read_tag(in);
  const std::optional<ElementType> type = element_type(tag.type);
  NF_CHECK(type, "[mat] ", in.name(), ": '", name, "' has elements of type ", tag.type,
           ", which are not numbers");
  InputBytes inside(in.name(),
                    {tag.inside.begin(), tag.inside.begin() + (tag.small ? tag.bytes : 0)});
  Input& from = tag.small ? inside : in;
  const Shape shape = checked_shape(from, sizes, size_of(*type));
  const std::uint64_t bytes = static_cast<std::uint64_t>(shape.numel()) * size_of(*type);
  NF_CHECK(bytes == tag.bytes, "[mat] ", in.name(), ": '", name, "' of sizes ", shape,
           " (reversed) needs ", bytes, " bytes, its elements have ", tag.bytes);
  const Tensor rows = read_elements(from, *type, /*big_endian=*/false, shape, *dtype);
  if (!tag.small) {
    std::array<char, 8> padding;
    in.read_up_to(padding.data(), (8 - bytes % 8) % 8);
  }
  in.expect_end();
  NF_CHECK(arrays.emplace(name, reversed_axes(rows)).second, "[mat] ", in.name(), ": '", name,
           "' is there twice");
}

void check_header(Input& in) {
  std::array<char, kHeaderBytes> header{};
  const std::size_t got = in.read_up_to(header.data(), header.size());
  const std::string_view head(header.data(), got);
  NF_CHECK(!head.starts_with("MATLAB 7.3"), "[mat] ", in.name(),
           ": version 7.3 is HDF5, which is not read here; save it with save -v7");
  NF_CHECK(looks_like_mat(head), "[mat] ", in.name(),
           ": not a .mat file of version 5, little-endian; save it with save -v7");
}

}  // namespace

bool looks_like_mat(std::string_view head) {
  return head.size() >= kHeaderBytes &&
         head.substr(kHeaderBytes - 4, 4) == std::string_view("\0\1IM", 4);
}

std::map<std::string, Tensor> read_mat(const std::string& path) {
  const std::uint64_t file_bytes = file_size(path);
  InputPart header(path, 0, file_bytes);
  check_header(header);
  std::map<std::string, Tensor> arrays;
  for (std::uint64_t at = kHeaderBytes; at < file_bytes;) {
    constexpr std::uint64_t kTagBytes = 8;
    const std::string which = str("element at byte ", at);
    InputPart before(path, at, std::min(kTagBytes, file_bytes - at), Packing::None, which);
    const Tag tag = read_tag(before);
    if (tag.small) {  // nothing that is looked for
      at += kTagBytes;
    } else if (tag.type == kCompressed) {
      InputPart in(path, at + kTagBytes, tag.bytes, Packing::Zlib, which);
      if (read_tag(in).type == kMatrix) read_matrix(in, arrays);
      at += kTagBytes + tag.bytes;
    } else {
      InputPart in(path, at + kTagBytes, tag.bytes, Packing::None, which);
      if (tag.type == kMatrix) read_matrix(in, arrays);
      at += kTagBytes + (tag.bytes + 7) / 8 * 8;
    }
  }
  return arrays;
}

// --- as samples ----------------------------------------------------------------------------------

namespace {

/// SVHN numbers its digits from 1, 0 being 10, as MATLAB counts.
Tensor svhn_labels(const std::string& path, const Tensor& y, std::int64_t samples) {
  std::vector<std::int32_t> labels;
  for (const double label : y.to(DType::F64).to_vector<double>()) {
    NF_CHECK(label >= 0 && label <= 10 && label == std::floor(label), "[data] '", path, "': label ",
             labels.size(), " is ", label, "; SVHN's are 1 to 10, 10 being the digit 0");
    labels.push_back(static_cast<std::int32_t>(label) % 10);
  }
  return labels_of(path, Tensor::from(labels, y.shape()), samples);
}

/// MATLAB computes in doubles: pixels that are saved as such are levels all the same.
Tensor as_pixels(const Tensor& x) {
  if (!is_float(x.dtype())) return x;
  std::vector<std::uint8_t> levels;
  for (const double value : x.to(DType::F64).to_vector<double>()) {
    if (!(value >= 0 && value <= 255 && value == std::floor(value))) return x;
    levels.push_back(static_cast<std::uint8_t>(value));
  }
  return Tensor::from(levels, x.shape());
}

/// SVHN: X (H, W, C, N) and y (N, 1). CIFAR for MATLAB: data (N, 3072) and labels (N, 1). Olivetti:
/// faces (pixels, N), each a square, column by column. Otherwise the only array, (N, D).
Samples mat_samples(const std::string& path, const ReadOptions& options = {}) {
  const auto arrays = read_mat(path);
  const auto x = arrays.find("X"), y = arrays.find("y"), faces = arrays.find("faces");
  if (x != arrays.end() && x->second.rank() == 4) {
    Samples out = samples_of(path, as_pixels(x->second.permute({3, 0, 1, 2})), {.layout = "last"});
    out.chose_layout = false;  // the format has only this one
    if (y != arrays.end()) {
      out.rows.labels = svhn_labels(path, y->second, out.rows.size());
      out.notes.push_back(str("'", path, "': X and y as SVHN has them, label 10 is the digit 0"));
    }
    out.family = "svhn";
    return out;
  }
  if (faces != arrays.end() && faces->second.rank() == 2) {
    const Tensor rows = as_pixels(faces->second.t()).contiguous();
    const auto side =
        static_cast<std::int64_t>(std::lround(std::sqrt(static_cast<double>(rows.dim(1)))));
    NF_CHECK(side * side == rows.dim(1), "[data] '", path, "': faces of ", rows.dim(1),
             " pixels are not square");
    Samples out = samples_of(path, rows.reshape({-1, side, side}).transpose(1, 2));
    out.notes.push_back(str("'", path, "': faces as Olivetti has them, squares column by column"));
    return out;
  }
  const auto data = arrays.find("data"), labels = arrays.find("labels"),
             fine = arrays.find("fine_labels");
  if (data != arrays.end()) {
    if (auto out = planar_samples(path, data->second)) {
      const auto& y = labels != arrays.end() ? labels : fine;
      if (y != arrays.end()) out->rows.labels = labels_of(path, y->second, out->rows.size());
      return *out;
    }
  }
  NF_CHECK(
      arrays.size() == 1, "[data] '", path, "': holds ",
      arrays.empty() ? "no numeric arrays" : names_of(arrays),
      "; expected SVHN's X (H, W, 3, N) and y, CIFAR's data (N, 3072) and labels, or one array "
      "(N, D)");
  return samples_of(path, arrays.begin()->second, options);
}

Parts svhn_parts(const std::filesystem::path& folder) {
  constexpr const char* kWhat =
      "SVHN's cropped digits are train_32x32.mat and test_32x32.mat, from "
      "ufldl.stanford.edu/housenumbers";
  return {mat_samples(need_in(folder, "train_32x32.mat", kWhat)),
          {},
          mat_samples(need_in(folder, "test_32x32.mat", kWhat)),
          10};
}

Parts batch_parts(const std::filesystem::path& folder) {
  constexpr const char* kWhat =
      "CIFAR-10 for MATLAB is data_batch_1.mat to data_batch_5.mat and test_batch.mat, from "
      "www.cs.toronto.edu/~kriz";
  const auto read = [&](const std::string& name) {
    return mat_samples(need_in(folder, name, kWhat));
  };
  std::vector<Samples> files;
  for (int i = 1; i <= 5; ++i) files.push_back(read(str("data_batch_", i, ".mat")));
  Samples train = joined(folder.string(), files);
  train.family = "cifar-10";
  return {std::move(train), {}, read("test_batch.mat"), /*valid_share=*/5};
}

}  // namespace

Format mat_format() {
  return {"mat",
          [](const std::string&, std::string_view head) { return looks_like_mat(head); },
          [](const std::string& path, const ReadOptions& options) {
            return only(mat_samples(path, options));
          },
          {{{"train_32x32.mat", "test_32x32.mat"}, svhn_parts},
           {{"data_batch_1.mat", "test_batch.mat"}, batch_parts}}};
}

}  // namespace nf::data
