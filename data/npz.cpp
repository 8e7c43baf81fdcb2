// .npz, NumPy's archive of arrays (read by npy.cpp), as samples: the names of the arrays say which
// part they are, and which are labels.
#include <map>
#include <optional>
#include <span>

#include "data/format.h"
#include "data/npy.h"
#include "data/zip.h"

namespace nf::data {
namespace {

using Arrays = std::map<std::string, Tensor>;

/// The first of the names that is there, or null.
const Tensor* find_array(const Arrays& arrays, std::span<const char* const> names) {
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

}  // namespace

Format npz_format() {
  return {"npz", [](const std::string&, std::string_view head) { return looks_like_zip(head); },
          npz_parts};
}

}  // namespace nf::data
