#include "data/levels.h"

#include <array>

#include "data/setting_error.h"

namespace nf::data {
namespace {

using Table = std::array<std::uint8_t, kLevels>;

Tensor looked_up(const Tensor& in, const Table& table) {
  const Tensor from = in.contiguous();
  Tensor out = Tensor::empty(in.shape(), DType::U8);
  const std::uint8_t* const value = from.data<std::uint8_t>();
  std::uint8_t* const to = out.mutable_data<std::uint8_t>();
  for (std::int64_t i = 0; i < out.numel(); ++i) to[i] = table[value[i]];
  return out;
}

}  // namespace

Tensor levels_of_pixels(const Tensor& pixels, int bits) {
  NF_CHECK(bits >= 1 && bits <= 8, "[bits] pixels have 1 to 8 bits, not ", bits);
  if (bits == 8) return pixels;
  Table table{};
  for (int x = 0; x < kLevels; ++x) {
    table[static_cast<std::size_t>(x)] = static_cast<std::uint8_t>(x >> (8 - bits));
  }
  return looked_up(pixels, table);
}

Tensor pixels_of_levels(const Tensor& levels, int count) {
  NF_CHECK(count >= 2 && count <= kLevels, "[bits] pixels have 2 to 256 levels, not ", count);
  const Tensor whole = levels.to(Device::CPU).to(DType::U8);
  if (count == kLevels) return whole;
  Table table{};
  table.fill(kLevels - 1);
  for (int k = 0; k < count; ++k) {
    const int most = count - 1;
    table[static_cast<std::size_t>(k)] =
        static_cast<std::uint8_t>((2 * (kLevels - 1) * k + most) / (2 * most));
  }
  return looked_up(whole, table);
}

void reduce_bits(Dataset& data, int bits) {
  if (bits == 8) return;
  check_setting(data.discrete, "bits", "[bits] '", data.name,
                "' are real numbers; bits is for pixels");
  for (Split* part : {&data.train, &data.valid, &data.test}) {
    if (part->x.defined()) part->x = levels_of_pixels(part->x, bits);
  }
  data.levels = 1 << bits;
}

}  // namespace nf::data
