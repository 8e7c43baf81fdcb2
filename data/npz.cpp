// .npz, NumPy's archive of arrays (read by npy.cpp), as samples: the names of the arrays say which
// part they are, and which are labels.
#include <algorithm>
#include <map>
#include <optional>
#include <span>

#include "data/format.h"
#include "data/npy.h"
#include "data/zip.h"

namespace nf::data {
namespace {

using Arrays = std::map<std::string, Tensor>;

/// The first of the names that is there, or null. Throws Error where it is no numbers.
const Tensor* find_array(const Arrays& arrays, std::span<const char* const> names) {
  for (const char* name : names) {
    const auto found = arrays.find(name);
    if (found == arrays.end()) continue;
    NF_CHECK(found->second.defined(), "[npz] array '", name, "' holds text or objects; ",
             "save numbers under that name");
    return &found->second;
  }
  return nullptr;
}

/// How the arrays of one part are called, by Keras, MedMNIST and others.
struct PartNames {
  std::vector<const char*> x, labels;
  const char* given;  ///< of write_parts()
};
const PartNames kTrainNames = {{"train", "x_train", "X_train", "train_images", "train_x"},
                               {"train_labels", "y_train", "labels_train", "train_y"},
                               "train_given"};
const PartNames kValidNames = {
    {"valid", "val", "x_valid", "X_valid", "x_val", "X_val", "valid_images", "val_images"},
    {"valid_labels", "val_labels", "y_valid", "y_val", "labels_valid"},
    "valid_given"};
const PartNames kTestNames = {{"test", "x_test", "X_test", "test_images", "test_x"},
                              {"test_labels", "y_test", "labels_test", "test_y"},
                              "test_given"};
const PartNames kWholeNames = {
    {"x", "X", "data", "images", "samples", "arr_0"}, {"y", "labels", "label", "arr_1"}, "given"};

std::optional<Samples> take_part(const std::string& path, const Arrays& arrays,
                                 const PartNames& names, const ReadOptions& options) {
  const Tensor* x = find_array(arrays, names.x);
  if (!x) return std::nullopt;
  Samples out = samples_of(path, *x, options);
  if (const Tensor* y = find_array(arrays, names.labels)) {
    out.rows.labels = labels_of(path, *y, out.rows.size());
  }
  if (!options.given.empty() && options.of_run) {
    if (const Tensor* given = find_array(arrays, std::span(&names.given, 1))) {
      NF_CHECK(given->rank() == 2 && given->dim(0) == out.rows.size() &&
                   given->dim(1) == std::ssize(options.given) && given->dtype() == DType::F64,
               "[data] '", path, "': what is given is ", describe(*given), ", not (",
               out.rows.size(), ", ", options.given.size(), ")");
      out.rows.given = *given;
    }
  }
  return out;
}

/// ImageNet's labels count from 1 to 1000, where others count from 0. All of them are in a batch.
Tensor counted_from_zero(const Tensor& labels) {
  constexpr std::int32_t kClasses = 1000;
  std::vector<std::int32_t> values = labels.to_vector<std::int32_t>();
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  if (values.empty() || *low < 1 || *high != kClasses) return labels;
  for (std::int32_t& value : values) --value;
  return Tensor::from(values, {std::ssize(values)});
}

/// A batch of small images, planes in rows under the name "data"; nothing for other files.
std::optional<Samples> batch(const std::string& path, const Arrays& arrays) {
  constexpr const char* kData[] = {"data"};
  const Tensor* const data = find_array(arrays, kData);
  if (!data) return std::nullopt;
  std::optional<Samples> out = planar_samples(path, *data);
  if (!out) return std::nullopt;
  if (const Tensor* y = find_array(arrays, kWholeNames.labels)) {
    out->rows.labels = counted_from_zero(labels_of(path, *y, out->rows.size()));
  }
  return out;
}

/// Small ImageNet (Chrabaszcz and others, 2017): ten files of training images and val_data, which
/// papers test on.
Parts imagenet_parts(const std::filesystem::path& folder) {
  constexpr int kBatches = 10;
  constexpr const char* kWhat =
      "small ImageNet is train_data_batch_1.npz to train_data_batch_10.npz and val_data.npz, from "
      "image-net.org";
  const auto read = [&](const std::string& name) {
    const std::string path = need_in(folder, name, kWhat);
    const auto out = batch(path, read_npz(path));
    NF_CHECK(out, "[data] '", path, "': no array 'data' of u8 (N, 3072) or (N, 12288)");
    return *out;
  };
  std::vector<Samples> files;
  for (int i = 1; i <= kBatches; ++i) files.push_back(read(str("train_data_batch_", i, ".npz")));
  Samples train = joined(folder.string(), files), test = read("val_data.npz");
  train.family = str("imagenet-", train.height);
  return {std::move(train), {}, std::move(test)};
}

Parts npz_parts(const std::string& path, const ReadOptions& options) {
  const Arrays arrays = read_npz(path);
  if (auto images = batch(path, arrays)) return only(std::move(*images));
  if (auto train = take_part(path, arrays, kTrainNames, options)) {
    return {*train, take_part(path, arrays, kValidNames, options),
            take_part(path, arrays, kTestNames, options)};
  }
  if (auto whole = take_part(path, arrays, kWholeNames, options)) return only(*whole);
  NF_CHECK(arrays.size() == 1 && arrays.begin()->second.defined(), "[data] '", path, "': holds ",
           names_of(arrays),
           "; expected train, valid and test, or x, with labels train_labels, ... or y");
  return only(samples_of(path, arrays.begin()->second, options));
}

}  // namespace

void write_parts(const std::string& path, const Parts& parts) {
  Arrays arrays;
  const auto add = [&](const Samples& part, const PartNames& names) {
    const Split& rows = part.rows;
    arrays[names.x[0]] = rows.x.reshape({rows.size(), part.height, part.width, part.channels});
    if (rows.labels.defined()) arrays[names.labels[0]] = rows.labels;
    if (rows.given.defined()) arrays[names.given] = rows.given;
  };
  const bool whole = !parts.valid && !parts.test;
  add(parts.train, whole ? kWholeNames : kTrainNames);
  if (parts.valid) add(*parts.valid, kValidNames);
  if (parts.test) add(*parts.test, kTestNames);
  write_npz(path, arrays);
}

Format npz_format() {
  return {"npz",
          [](const std::string&, std::string_view head) { return looks_like_zip(head); },
          npz_parts,
          {{{"train_data_batch_1.npz", "val_data.npz"}, imagenet_parts}}};
}

}  // namespace nf::data
