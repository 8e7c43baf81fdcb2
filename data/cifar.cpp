#include "data/cifar.h"

#include <algorithm>
#include <cstdint>

#include "data/format.h"
#include "data/input.h"
#include "tensor/ops.h"

namespace nf::data {
namespace {

constexpr std::size_t kPlane = std::size_t{kCifarSize} * kCifarSize;
constexpr std::size_t kPixels = kCifarChannels * kPlane;

/// Coarse and fine classes of CIFAR-100; of CIFAR-10 the classes.
constexpr int kCoarse = 20, kFine = 100, kClasses = 10;

bool labels_fit(const std::string& bytes, int label_bytes) {
  const std::size_t record = kPixels + static_cast<std::size_t>(label_bytes);
  if (bytes.empty() || bytes.size() % record != 0) return false;
  const auto* labels = reinterpret_cast<const unsigned char*>(bytes.data());
  for (std::size_t at = 0; at < bytes.size(); at += record) {
    const bool fits =
        label_bytes == 1 ? labels[at] < kClasses : labels[at] < kCoarse && labels[at + 1] < kFine;
    if (!fits) return false;
  }
  return true;
}

/// A length can suit both; then the labels tell.
int label_bytes_of(const std::string& bytes) {
  return labels_fit(bytes, 1) ? 1 : labels_fit(bytes, 2) ? 2 : 0;
}

}  // namespace

int cifar_label_bytes(const std::string& path) {
  InputFile file(path);
  return label_bytes_of(file.read_rest());
}

Split read_cifar(const std::string& path) {
  InputFile file(path);
  const std::string bytes = file.read_rest();
  const int label_bytes = label_bytes_of(bytes);
  NF_CHECK(label_bytes > 0, "[cifar] '", path, "': ", bytes.size(),
           " bytes, which are not records of a label below ", kClasses, " and ", kPixels,
           " bytes (CIFAR-10) or of two labels below ", kCoarse, " and ", kFine, " and ", kPixels,
           " bytes (CIFAR-100, binary version)");
  const std::size_t record = kPixels + static_cast<std::size_t>(label_bytes);
  const auto n = static_cast<std::int64_t>(bytes.size() / record);
  Split out{Tensor::empty({n, static_cast<std::int64_t>(kPixels)}, DType::U8),
            Tensor::empty({n}, DType::I32)};
  auto* pixels = out.x.mutable_data<std::uint8_t>();
  auto* labels = out.labels.mutable_data<std::int32_t>();
  const auto* from = reinterpret_cast<const unsigned char*>(bytes.data());
  for (std::int64_t i = 0; i < n; ++i, from += record, pixels += kPixels) {
    labels[i] = from[label_bytes - 1];
    const unsigned char* const planes = from + label_bytes;  // (channel, row, column)
    for (std::size_t p = 0; p < kPixels; ++p) {
      pixels[p] = planes[p % kCifarChannels * kPlane + p / kCifarChannels];
    }
  }
  return out;
}

// --- as samples ----------------------------------------------------------------------------------

namespace {

Samples cifar_samples(const std::string& path) {
  const char* const family = cifar_label_bytes(path) == 2 ? "cifar-100" : "cifar-10";
  return {read_cifar(path), kCifarChannels, kCifarSize, kCifarSize, {}, family, {}, {}, false};
}

Parts cifar10_parts(const std::filesystem::path& folder) {
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

Parts cifar100_parts(const std::filesystem::path& folder) {
  constexpr const char* kWhat = "CIFAR-100's binary version is train.bin and test.bin";
  return {cifar_samples(need_in(folder, "train.bin", kWhat)),
          {},
          cifar_samples(need_in(folder, "test.bin", kWhat)),
          /*valid_share=*/5};
}

}  // namespace

Format cifar_format() {
  return {"cifar",
          [](const std::string& path, std::string_view) { return cifar_label_bytes(path) > 0; },
          [](const std::string& path, const ReadOptions&) { return only(cifar_samples(path)); },
          {{{"data_batch_1.bin", "test_batch.bin"}, cifar10_parts},
           {{"train.bin", "test.bin"}, cifar100_parts}}};
}

}  // namespace nf::data
