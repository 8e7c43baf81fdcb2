#include "data/samples.h"

#include <cmath>

namespace nf::data {
namespace {

void check_finite(const std::string& path, const Tensor& x) {
  const float* values = x.data<float>();
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    NF_CHECK(std::isfinite(values[i]), "[data] '", path, "': row ", i / x.dim(1), ", column ",
             i % x.dim(1), " is not a finite number");
  }
}

/// Channels first, as everywhere here: (N, H, W, 3) is how NumPy keeps colour images.
Tensor channels_first(const Tensor& x) {
  const bool last = x.rank() == 4 && x.dim(3) == 3 && x.dim(1) != 3 && x.dim(1) != 1;
  return last ? x.permute({0, 3, 1, 2}) : x;
}

}  // namespace

Samples samples_of(const std::string& path, const Tensor& array) {
  const int rank = array.rank();
  NF_CHECK(rank >= 2, "[data] '", path, "': holds ", array.shape(),
           ", one number for each sample: labels where images or rows were expected");
  NF_CHECK(array.numel() > 0, "[data] '", path, "': holds nothing: ", array.shape());
  NF_CHECK(rank <= 4, "[data] '", path, "': holds ", array.shape(),
           "; expected rows (N, D) or images (N, H, W) or (N, C, H, W)");
  const Tensor x = channels_first(array);
  Samples out;
  if (rank >= 3) {
    NF_CHECK(x.dtype() == DType::U8, "[data] '", path, "': images of ", name(x.dtype()),
             "; pixels must be u8");
    out.channels = rank == 4 ? x.dim(1) : 1;
    out.height = x.dim(-2);
    out.width = x.dim(-1);
  }
  const std::int64_t n = x.dim(0);
  out.rows.x = x.contiguous().reshape({n, x.numel() / n});
  if (x.dtype() != DType::U8) {
    out.rows.x = out.rows.x.to(DType::F32);
    check_finite(path, out.rows.x);
  }
  return out;
}

Tensor labels_of(const std::string& path, const Tensor& array, std::int64_t samples) {
  constexpr std::int32_t kMostClasses = 1 << 16;
  const bool column = array.rank() == 2 && array.dim(1) == 1;
  NF_CHECK((array.rank() == 1 || column) && !is_float(array.dtype()), "[data] '", path, "': holds ",
           describe(array), " where labels were expected: integers of shape (N)");
  NF_CHECK(array.dim(0) == samples, "[data] '", path, "': ", array.dim(0), " labels, but ", samples,
           " images beside it; the files do not belong together");
  const Tensor labels = array.contiguous().reshape({samples}).to(DType::I32);
  const std::int32_t* values = labels.data<std::int32_t>();
  for (std::int64_t i = 0; i < samples; ++i) {
    NF_CHECK(values[i] >= 0 && values[i] < kMostClasses, "[data] '", path, "': label ", i, " is ",
             values[i], "; labels count from 0 to at most ", kMostClasses - 1);
  }
  return labels;
}

}  // namespace nf::data
