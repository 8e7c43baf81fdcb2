#include "data/formats.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <span>
#include <string_view>

#include "data/cifar.h"
#include "data/csv.h"
#include "data/idx.h"
#include "data/input.h"
#include "data/mat.h"
#include "data/npy.h"
#include "data/zip.h"
#include "tensor/ops.h"
#include "tensor/text.h"

namespace nf::data {

const char* const kWhereMnistIs =
    "MNIST is four files, train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte "
    "and t10k-labels-idx1-ubyte, gzipped (.gz) or not, from yann.lecun.com/exdb/mnist or a mirror";

namespace {

namespace fs = std::filesystem;
using Arrays = std::map<std::string, Tensor>;
using Names = std::span<const char* const>;

Parts only(Samples samples) { return {std::move(samples), {}, {}}; }

// --- single files -------------------------------------------------------------------------------

Samples cifar_samples(const std::string& path) {
  const char* const family = cifar_label_bytes(path) == 2 ? "cifar-100" : "cifar-10";
  return {read_cifar(path), kCifarChannels, kCifarSize, kCifarSize, {}, family, {}, {}, false};
}

Samples csv_samples(const std::string& path, const ReadOptions& options) {
  Table table = read_csv(path, options);
  return {{table.values, {}},     0,    0, 0, std::move(table.columns), {}, std::move(table.groups),
          std::move(table.notes), false};
}

std::string names_of(const Arrays& arrays) {
  std::vector<std::string> names;
  for (const auto& [name, array] : arrays) names.push_back(str(name, " ", array.shape()));
  return join(names, ", ");
}

/// The first of the names that is there, or null.
const Tensor* find_array(const Arrays& arrays, Names names) {
  for (const char* name : names) {
    const auto found = arrays.find(name);
    if (found != arrays.end()) return &found->second;
  }
  return nullptr;
}

/// How the arrays of one part are called, by Keras, MedMNIST and others.
struct PartNames {
  std::vector<const char*> x, labels;
};
const PartNames kTrainNames = {{"train", "x_train", "X_train", "train_images", "train_x"},
                               {"train_labels", "y_train", "labels_train", "train_y"}};
const PartNames kValidNames = {
    {"valid", "val", "x_valid", "X_valid", "x_val", "X_val", "valid_images", "val_images"},
    {"valid_labels", "val_labels", "y_valid", "y_val", "labels_valid"}};
const PartNames kTestNames = {{"test", "x_test", "X_test", "test_images", "test_x"},
                              {"test_labels", "y_test", "labels_test", "test_y"}};
const PartNames kWholeNames = {{"x", "X", "data", "images", "samples", "arr_0"},
                               {"y", "labels", "label", "arr_1"}};

std::optional<Samples> take_part(const std::string& path, const Arrays& arrays,
                                 const PartNames& names, const ReadOptions& options) {
  const Tensor* x = find_array(arrays, names.x);
  if (!x) return std::nullopt;
  Samples out = samples_of(path, *x, options);
  if (const Tensor* y = find_array(arrays, names.labels)) {
    out.rows.labels = labels_of(path, *y, out.rows.size());
  }
  return out;
}

Parts npz_parts(const std::string& path, const ReadOptions& options) {
  const Arrays arrays = read_npz(path);
  if (auto train = take_part(path, arrays, kTrainNames, options)) {
    return {*train, take_part(path, arrays, kValidNames, options),
            take_part(path, arrays, kTestNames, options)};
  }
  if (auto whole = take_part(path, arrays, kWholeNames, options)) return only(*whole);
  NF_CHECK(arrays.size() == 1, "[data] '", path, "': holds ", names_of(arrays),
           "; expected train, valid and test, or x, with labels train_labels, ... or y");
  return only(samples_of(path, arrays.begin()->second, options));
}

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

/// SVHN: X (H, W, C, N) and y (N, 1). Olivetti: faces (pixels, N), each a square, column by column.
/// Otherwise the only array, (N, D).
Samples mat_samples(const std::string& path, const ReadOptions& options = {}) {
  const Arrays arrays = read_mat(path);
  const auto x = arrays.find("X"), y = arrays.find("y"), faces = arrays.find("faces");
  if (x != arrays.end() && x->second.rank() == 4) {
    Samples out = samples_of(path, as_pixels(x->second.permute({3, 2, 0, 1})), {.layout = "first"});
    out.chose_layout = false;  // the format has only this one
    if (y != arrays.end()) out.rows.labels = svhn_labels(path, y->second, out.rows.size());
    out.family = "svhn";
    return out;
  }
  if (faces != arrays.end() && faces->second.rank() == 2) {
    const Tensor rows = as_pixels(faces->second.t()).contiguous();
    const auto side =
        static_cast<std::int64_t>(std::lround(std::sqrt(static_cast<double>(rows.dim(1)))));
    NF_CHECK(side * side == rows.dim(1), "[data] '", path, "': faces of ", rows.dim(1),
             " pixels are not square");
    return samples_of(path, rows.reshape({-1, side, side}).transpose(1, 2));
  }
  NF_CHECK(arrays.size() == 1, "[data] '", path, "': holds ",
           arrays.empty() ? "no numeric arrays" : names_of(arrays),
           "; expected SVHN's X (H, W, 3, N) and y, or one array (N, D)");
  return samples_of(path, arrays.begin()->second, options);
}

struct Format {
  const char* name;
  bool (*suits)(const std::string& path, std::string_view head);  ///< by the content
  Parts (*read)(const std::string& path, const ReadOptions& options);
};

/// In the order in which they are tried: those that have no magic number come last.
const Format kFormats[] = {
    {"idx", [](const std::string&, std::string_view head) { return looks_like_idx(head); },
     [](const std::string& path, const ReadOptions& options) {
       return only(samples_of(path, read_idx(path), options));
     }},
    {"npy", [](const std::string&, std::string_view head) { return looks_like_npy(head); },
     [](const std::string& path, const ReadOptions& options) {
       return only(samples_of(path, read_npy(path), options));
     }},
    {"npz", [](const std::string&, std::string_view head) { return looks_like_zip(head); },
     npz_parts},
    {"mat", [](const std::string&, std::string_view head) { return looks_like_mat(head); },
     [](const std::string& path, const ReadOptions& options) {
       return only(mat_samples(path, options));
     }},
    {"csv", [](const std::string&, std::string_view head) { return looks_like_text(head); },
     [](const std::string& path, const ReadOptions& options) {
       return only(csv_samples(path, options));
     }},
    {"cifar", [](const std::string& path, std::string_view) { return cifar_label_bytes(path) > 0; },
     [](const std::string& path, const ReadOptions&) { return only(cifar_samples(path)); }},
};

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
    {0, "\x89PNG", "a single picture; give an array of images, .npy or IDX"},
    {0, "\xFF\xD8\xFF", "a single picture; give an array of images, .npy or IDX"},
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
  for (const Format& known : kFormats) {
    if (format.empty() ? known.suits(path, head) : format == known.name)
      return known.read(path, options);
  }
  fail(str("[data] '", path, "': no format that is known here; known are ",
           join(format_names(), ", "), ", gzipped or not"));
}

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

/// "train", "-images" and "idx3": train-images-idx3-ubyte, or with a dot as some mirrors have it.
std::string mnist_name(const fs::path& folder, const std::string& part, const char* what,
                       const char* idx) {
  const std::string dotted = part + what + "." + idx + "-ubyte";
  return find_in(folder, dotted) ? dotted : part + what + "-" + idx + "-ubyte";
}

Samples mnist_part(const fs::path& folder, const std::string& part) {
  const std::string images =
      need_in(folder, mnist_name(folder, part, "-images", "idx3"), kWhereMnistIs);
  Samples out = samples_of(images, read_idx(images));
  out.family = "mnist";
  if (const auto labels = find_in(folder, mnist_name(folder, part, "-labels", "idx1"))) {
    out.rows.labels = labels_of(*labels, read_idx(*labels), out.rows.size());
  }
  return out;
}

Parts mnist_parts(const fs::path& folder) {
  return {mnist_part(folder, "train"), {}, mnist_part(folder, "t10k"), /*valid_share=*/6};
}

Parts cifar10_parts(const fs::path& folder) {
  constexpr const char* kWhat =
      "CIFAR-10's binary version is data_batch_1.bin to data_batch_5.bin and test_batch.bin, from "
      "www.cs.toronto.edu/~kriz/cifar.html";
  std::vector<Tensor> x, labels;
  for (int batch = 1; batch <= 5; ++batch) {
    const Split part = read_cifar(need_in(folder, str("data_batch_", batch, ".bin"), kWhat));
    x.push_back(part.x);
    labels.push_back(part.labels);
  }
  const Samples train = {{concat(x, 0), concat(labels, 0)},
                         kCifarChannels,
                         kCifarSize,
                         kCifarSize,
                         {},
                         "cifar-10",
                         {},
                         {},
                         false};
  return {train, {}, cifar_samples(need_in(folder, "test_batch.bin", kWhat)), /*valid_share=*/5};
}

Parts cifar100_parts(const fs::path& folder) {
  constexpr const char* kWhat = "CIFAR-100's binary version is train.bin and test.bin";
  return {cifar_samples(need_in(folder, "train.bin", kWhat)),
          {},
          cifar_samples(need_in(folder, "test.bin", kWhat)),
          /*valid_share=*/5};
}

Parts svhn_parts(const fs::path& folder) {
  constexpr const char* kWhat =
      "SVHN's cropped digits are train_32x32.mat and test_32x32.mat, from "
      "ufldl.stanford.edu/housenumbers";
  return {mat_samples(need_in(folder, "train_32x32.mat", kWhat)),
          {},
          mat_samples(need_in(folder, "test_32x32.mat", kWhat)),
          10};
}

struct Folder {
  const char* format;
  std::vector<const char*> marks;  ///< any of these files says that it is this data set
  Parts (*read)(const fs::path& folder);
};
const Folder kFolders[] = {
    {"idx",
     {"train-images-idx3-ubyte", "train-images.idx3-ubyte", "t10k-images-idx3-ubyte",
      "t10k-images.idx3-ubyte"},
     mnist_parts},
    {"cifar", {"data_batch_1.bin", "test_batch.bin"}, cifar10_parts},
    {"cifar", {"train.bin", "test.bin"}, cifar100_parts},
    {"mat", {"train_32x32.mat", "test_32x32.mat"}, svhn_parts},
};

Parts read_folder_parts(const std::string& path, const std::string& format) {
  std::vector<std::string> marks;
  for (const Folder& known : kFolders) {
    marks.push_back(known.marks[0]);
    if (!format.empty() && format != known.format) continue;
    for (const char* mark : known.marks) {
      if (find_in(path, mark)) return known.read(path);
    }
  }
  fail(str("[data] '", path, "': no data set that is known in this folder: no ", join(marks, ", "),
           " or .gz; for a single file, give its path; ", kWhereMnistIs));
}

}  // namespace

std::vector<std::string> format_names() {
  std::vector<std::string> names;
  for (const Format& format : kFormats) names.push_back(format.name);
  return names;
}

Parts read_parts(const std::string& path, const std::string& format, const ReadOptions& options) {
  std::error_code error;
  return fs::is_directory(path, error) ? read_folder_parts(path, format)
                                       : read_file_parts(path, format, options);
}

}  // namespace nf::data
