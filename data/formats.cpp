#include "data/formats.h"

#include <algorithm>
#include <filesystem>
#include <string_view>

#include "data/csv.h"
#include "data/format.h"
#include "data/input.h"
#include "tensor/text.h"

// One line for each format, in the order in which they are tried: those that have no magic number
// come last. data/NAME.cpp has NAME_format().
// clang-format off
#define NF_FORMATS(X) \
  X(idx)              \
  X(npy)              \
  X(npz)              \
  X(mat)              \
  X(picture)          \
  X(csv)              \
  X(cifar)
// clang-format on

namespace nf::data {

#define NF_DECLARE(name) Format name##_format();
NF_FORMATS(NF_DECLARE)
#undef NF_DECLARE

const char* const kWhereMnistIs =
    "MNIST is four files, train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte "
    "and t10k-labels-idx1-ubyte, gzipped (.gz) or not, from yann.lecun.com/exdb/mnist or a mirror";

namespace {

namespace fs = std::filesystem;

const std::vector<Format>& formats() {
#define NF_FORMAT(name) name##_format(),
  static const std::vector<Format> all = {NF_FORMATS(NF_FORMAT)};
#undef NF_FORMAT
  return all;
}

/// Files that people try, which have to be turned into others first.
struct Foreign {
  std::size_t at;
  std::string_view magic;
  const char* what;
};
constexpr Foreign kForeign[] = {
    {257, "ustar", "a tar archive; unpack it (tar xf) and give the folder"},
    {0,
     "\xFD"
     "7zXZ",
     "packed by xz; unpack it (xz -dk)"},
    {0, "BZh", "packed by bzip2; unpack it (bunzip2 -k)"},
    {0, "\x28\xB5\x2F\xFD", "packed by zstd; unpack it (unzstd)"},
    {0, "\x89HDF", "HDF5; save it as .npy, or from MATLAB with save -v7"},
    {0, "MATLAB 7.3", "MATLAB's version 7.3, which is HDF5; save it with save -v7"},
    {0, "\x80\x02}", "a Python pickle; of CIFAR, take the binary version"},
};

std::string read_head(const std::string& path) {
  InputFile file(path);
  std::string head(512, '\0');
  head.resize(file.read_up_to(head.data(), head.size()));
  return head;
}

Parts read_file_parts(const std::string& path, const std::string& format,
                      const ReadOptions& options) {
  const std::string head = format.empty() ? read_head(path) : "";
  for (const Foreign& foreign : kForeign) {
    NF_CHECK(
        head.compare(std::min(foreign.at, head.size()), foreign.magic.size(), foreign.magic) != 0,
        "[data] '", path, "': ", foreign.what);
  }
  for (const Format& known : formats()) {
    if (format.empty() ? known.suits(path, head) : format == known.name)
      return known.read(path, options);
  }
  const std::string odd = odd_byte(head);
  NF_CHECK(odd.empty(), "[data] '", path, "', ", odd);
  fail(str("[data] '", path, "': no format that is known here; known are ",
           join(format_names(), ", "), ", gzipped or not"));
}

}  // namespace

// --- folders ------------------------------------------------------------------------------------

std::optional<std::string> find_in(const fs::path& folder, const std::string& name) {
  for (const char* suffix : {"", ".gz"}) {
    const fs::path path = folder / (name + suffix);
    std::error_code error;
    if (fs::exists(path, error)) return path.string();
  }
  return std::nullopt;
}

std::string need_in(const fs::path& folder, const std::string& name, const std::string& hint) {
  const std::optional<std::string> path = find_in(folder, name);
  NF_CHECK(path, "[data] '", folder.string(), "': no ", name, " or .gz in this folder; ", hint);
  return *path;
}

std::string names_of(const std::map<std::string, Tensor>& arrays) {
  std::vector<std::string> names;
  for (const auto& [name, array] : arrays) names.push_back(str(name, " ", array.shape()));
  return join(names, ", ");
}

namespace {

Parts read_folder_parts(const std::string& path, const std::string& format,
                        const ReadOptions& options) {
  std::vector<std::string> marks;
  for (const Format& known : formats()) {
    for (const KnownFolder& folder : known.folders) {
      marks.push_back(folder.marks[0]);
      if (!format.empty() && format != known.name) continue;
      for (const char* mark : folder.marks) {
        if (find_in(path, mark)) return folder.read(path);
      }
    }
  }
  if (format.empty() || format == "picture") {
    if (const auto pictures = read_pictures(path, options)) return *pictures;
  }
  fail(str("[data] '", path, "': no data set that is known in this folder: no ", join(marks, ", "),
           " or .gz, no .png or .jpg; for a single file, give its path; ", kWhereMnistIs));
}

}  // namespace

std::vector<std::string> format_names() {
  std::vector<std::string> names;
  for (const Format& format : formats()) names.push_back(format.name);
  return names;
}

Parts read_parts(const std::string& path, const std::string& format, const ReadOptions& options) {
  std::error_code error;
  return fs::is_directory(path, error) ? read_folder_parts(path, format, options)
                                       : read_file_parts(path, format, options);
}

}  // namespace nf::data
