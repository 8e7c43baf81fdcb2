#include "data/levels.h"

#include <algorithm>
#include <array>

#include "data/setting_error.h"
#include "tensor/ops.h"

namespace nf::data {
namespace {

using LookUp = std::array<std::uint8_t, kLevels>;

Tensor looked_up(const Tensor& in, const LookUp& table) {
  const Tensor from = in.contiguous();
  Tensor out = Tensor::empty(in.shape(), DType::U8);
  const std::uint8_t* const value = from.data<std::uint8_t>();
  std::uint8_t* const to = out.mutable_data<std::uint8_t>();
  for (std::int64_t i = 0; i < out.numel(); ++i) to[i] = table[value[i]];
  return out;
}

constexpr std::uint64_t kBitsStream = 0x62697473;  // "bits"

/// The bits of a part's rows, which are always the same.
Tensor fixed_bits(const Split& part) {
  constexpr std::int64_t kTogether = 1000;  // rows: as floats they take four times their memory
  Generator gen(0, kBitsStream);
  const std::int64_t n = part.size();
  const Tensor rows = part.numbers.defined() ? part.numbers : Tensor::arange(n, DType::I32);
  Tensor out = Tensor::empty(part.x.shape(), DType::U8);
  for (std::int64_t at = 0; at < n; at += kTogether) {
    const std::int64_t count = std::min(kTogether, n - at);
    gen.place(rows.narrow(0, at, count), 0);
    out.narrow(0, at, count).copy_(draw_bits(gen, part.x.narrow(0, at, count)));
  }
  return out;
}

bool all_bits(const Split& part) {
  if (part.size() == 0) return true;
  const Tensor x = part.x.contiguous();
  const std::uint8_t* const pixel = x.data<std::uint8_t>();
  return std::all_of(pixel, pixel + x.numel(), [](std::uint8_t value) { return value <= 1; });
}

}  // namespace

Tensor levels_of_pixels(const Tensor& pixels, int bits) {
  NF_CHECK(bits >= 1 && bits <= 8, "[bits] pixels have 1 to 8 bits, not ", bits);
  if (bits == 8) return pixels;
  LookUp table{};
  for (int x = 0; x < kLevels; ++x) {
    table[static_cast<std::size_t>(x)] = static_cast<std::uint8_t>(x >> (8 - bits));
  }
  return looked_up(pixels, table);
}

Tensor pixels_of_levels(const Tensor& levels, int count) {
  NF_CHECK(count >= 2 && count <= kLevels, "[bits] pixels have 2 to 256 levels, not ", count);
  const int last = count - 1;
  if (is_float(levels.dtype())) {  // rounded as the table below
    const Tensor x = levels.to(Device::CPU).to(DType::F64);
    const Tensor most = Tensor::full({}, last, DType::F64);
    return clamp(affine(x, kLevels - 1, last / 2.0) / most, 0, kLevels - 1).to(DType::U8);
  }
  const Tensor whole = levels.to(Device::CPU).to(DType::U8);
  if (count == kLevels) return whole;
  LookUp table{};
  table.fill(kLevels - 1);
  for (int k = 0; k < count; ++k) {
    table[static_cast<std::size_t>(k)] =
        static_cast<std::uint8_t>((2 * (kLevels - 1) * k + last) / (2 * last));
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
  const std::uint8_t* const level =
      data.train.size() > 0 ? data.train.x.data<std::uint8_t>() : nullptr;
  if (level && std::all_of(level, level + data.train.x.numel(), [](int k) { return k == 0; })) {
    data.notes.push_back(str("no pixel is above ", (1 << (8 - bits)) - 1, ": with bits = ", bits,
                             " all become 0; binarize takes pixels of 0 and 1 as they are"));
  }
}

// The grey of 255 is exactly 1 as a float, above every u: white stays white, and black black.
Tensor draw_bits(Generator& gen, const Tensor& pixels) {
  const Tensor u = uniform(gen, pixels.shape(), DType::F32, pixels.device());
  return less(u, pixels.to(DType::F32) / (kLevels - 1.0)).to(DType::U8);
}

void binarize(Dataset& data, const std::string& how) {
  if (how == "none") return;
  check_setting(how == "static" || how == "dynamic", "binarize", "[binarize] '", how,
                "' is not one of none, static, dynamic");
  check_setting(data.discrete, "binarize", "[binarize] '", data.name,
                "' are real numbers; binarize is for pixels");
  check_setting(data.levels == kLevels, "binarize",
                "[binarize] draws bits of pixels of 8 bits; leave bits out");
  Split* const parts[] = {&data.train, &data.valid, &data.test};
  const bool bits = std::all_of(std::begin(parts), std::end(parts),
                                [](const Split* part) { return all_bits(*part); });
  data.levels = 2;
  if (bits) {
    if (data.train.size() > 0) {
      data.notes.push_back("pixels are 0 and 1 already: binarize takes them as they are");
    }
    return;
  }
  if (how == "dynamic") data.intensities = data.train.x;
  for (Split* part : parts) {
    if (part->x.defined()) part->x = fixed_bits(*part);
  }
}

}  // namespace nf::data
