#include "data/cifar.h"

#include <algorithm>
#include <cstdint>

#include "data/input.h"

namespace nf::data {
namespace {

constexpr std::size_t kPixels = std::size_t{kCifarChannels} * kCifarSize * kCifarSize;

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
    std::copy(from + label_bytes, from + record, pixels);
  }
  return out;
}

}  // namespace nf::data
