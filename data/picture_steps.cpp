#include "data/picture_steps.h"

#include <zlib.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <optional>
#include <string_view>

#include "data/decode.h"
#include "data/setting_error.h"
#include "tensor/text.h"

namespace nf::data {
namespace {

using StepKind = PictureSteps::Kind;

constexpr std::int64_t kMostSide = 1 << 13;
// Of CelebA's aligned pictures: the face, as in the papers of GANs and flows that use 64 x 64.
constexpr PictureSize kAligned = {178, 218}, kFace = {148, 148};
constexpr std::int64_t kFaceLeft = 15, kFaceTop = 40;

const std::vector<std::string>& step_names() {
  static const std::vector<std::string> names = {
      "crop:WxH", "crop:N", "random:WxH", "random:N",  "square", "resize:WxH", "resize:N",
      "short:N",  "gray",   "colour",     "patches:N", "celeba", "lsun"};
  return names;
}

[[noreturn]] void fail_step(const std::string& step, const std::string& rule) {
  throw SettingError("images", str("[images] '", printable(step), "': ", rule));
}

std::optional<std::int64_t> side(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.begin(), text.end(), value);
  if (error != std::errc() || end != text.end() || value < 1 || value > kMostSide) return {};
  return value;
}

PictureSize parse_size(const std::string& step, std::string_view text) {
  const std::size_t by = text.find('x');
  const auto width = side(text.substr(0, by));
  const auto height = by == std::string_view::npos ? width : side(text.substr(by + 1));
  if (!width || !height) {
    fail_step(step,
              str("takes a size, 64 or WIDTHxHEIGHT (64x48), with sides of 1 to ", kMostSide));
  }
  return {*width, *height};
}

std::string without(const std::string& text, char unwanted) {
  std::string out = text;
  std::erase(out, unwanted);
  return out;
}

void add_step(const std::string& step, PictureSteps& out) {
  const std::size_t colon = step.find(':');
  const std::string name = step.substr(0, colon);
  const std::string_view value =
      colon == std::string::npos ? std::string_view() : std::string_view(step).substr(colon + 1);
  const bool plain = colon == std::string::npos;
  const auto number = [&](const char* of_what) {
    const auto n = side(value);
    if (!n) fail_step(step, str("takes ", of_what, ", 1 to ", kMostSide));
    return *n;
  };
  if (name == "crop") {
    out.steps.push_back({StepKind::Crop, parse_size(step, value)});
  } else if (name == "random") {
    out.steps.push_back({StepKind::Random, parse_size(step, value)});
  } else if (name == "resize") {
    out.steps.push_back({StepKind::Resize, parse_size(step, value)});
  } else if (name == "patches") {
    out.patch = number("the side of a tile");
  } else if (name == "short") {
    const std::int64_t n = number("the length of the shorter side");
    out.steps.push_back({StepKind::Short, {n, n}});
  } else if (plain && name == "square") {
    out.steps.push_back({StepKind::Square});
  } else if (plain && (name == "gray" || name == "grey")) {
    out.channels = 1;
  } else if (plain && (name == "colour" || name == "color")) {
    out.channels = 3;
  } else if (plain && name == "celeba") {
    out.steps.push_back({StepKind::Face});
    out.steps.push_back({StepKind::Resize, {64, 64}});
  } else if (plain && name == "lsun") {
    out.steps.push_back({StepKind::Short, {96, 96}});
    out.steps.push_back({StepKind::Random, {64, 64}});
  } else {
    fail_step(step, str("no such step; there are ", join(step_names(), ", "),
                        did_you_mean(step, step_names())));
  }
}

/// Where the part of a picture begins that a step takes, and its size.
struct CutOut {
  std::int64_t left, top;
  PictureSize size;
};

CutOut middle(const PictureSize& of, const PictureSize& size) {
  return {(of.width - size.width) / 2, (of.height - size.height) / 2, size};
}

/// What a step resizes to.
PictureSize new_size(const PictureSteps::Step& step, const std::string& name,
                     const PictureSize& from) {
  if (step.kind == StepKind::Resize) return step.size;
  const std::int64_t n = step.size.width, shorter = std::min(from.width, from.height);
  const auto scaled = [&](std::int64_t length) { return (length * n + shorter / 2) / shorter; };
  const PictureSize size = {scaled(from.width), scaled(from.height)};
  NF_CHECK(std::max(size.width, size.height) <= kMostSide, name, " has ", size_text(from),
           " pixels, and short:", n, " would make ", size_text(size), " of them; sides end at ",
           kMostSide);
  return size;
}

bool resizes(const PictureSteps::Step& step) {
  return step.kind == StepKind::Resize || step.kind == StepKind::Short;
}

/// Instead of the middle a place that depends on what the picture shows, not on its name or order.
void draw_place(const Tensor& pixels, CutOut& part) {
  const Tensor whole = pixels.contiguous();
  const uLong drawn =
      crc32_z(0, whole.data<std::uint8_t>(), static_cast<std::size_t>(whole.numel()));
  const auto places_across = static_cast<uLong>(pixels.dim(1) - part.size.width + 1),
             places_down = static_cast<uLong>(pixels.dim(0) - part.size.height + 1);
  part.left = static_cast<std::int64_t>(drawn % places_across);
  part.top = static_cast<std::int64_t>(drawn / places_across % places_down);
}

/// Of a picture of that size; all of it for steps that cut nothing off.
CutOut cut_out_of(const PictureSteps::Step& step, const std::string& name,
                  const PictureSize& size) {
  if (step.kind == StepKind::Square) {
    const std::int64_t shorter = std::min(size.width, size.height);
    return middle(size, {shorter, shorter});
  }
  if (step.kind == StepKind::Crop || step.kind == StepKind::Random) {
    NF_CHECK(size.width >= step.size.width && size.height >= step.size.height, name, " has ",
             size_text(size), " pixels, and ", step.kind == StepKind::Crop ? "crop" : "random",
             " takes ", size_text(step.size), " of them");
    return middle(size, step.size);
  }
  if (step.kind == StepKind::Face) {
    NF_CHECK(size == kAligned, name, " has ", size_text(size),
             " pixels, and celeba is for the aligned pictures, which have ", size_text(kAligned),
             "; for others: square,resize:64");
    return {kFaceLeft, kFaceTop, kFace};
  }
  return {0, 0, size};
}

/// Old pixels that make a new one, and how much of each: the weights add up to 1.
struct Taps {
  std::int64_t first;
  std::vector<double> weights;
};

std::vector<Taps> taps_of(std::int64_t from, std::int64_t to) {
  const double step = static_cast<double>(from) / static_cast<double>(to);
  std::vector<Taps> taps;
  for (std::int64_t i = 0; i < to; ++i) {
    if (step >= 1) {  // area
      const double begin = static_cast<double>(i * from) / static_cast<double>(to),
                   end = static_cast<double>((i + 1) * from) / static_cast<double>(to);
      Taps tap{static_cast<std::int64_t>(begin), {}};
      for (std::int64_t k = tap.first; k < from && static_cast<double>(k) < end; ++k) {
        const double low = std::max(begin, static_cast<double>(k)),
                     high = std::min(end, static_cast<double>(k + 1));
        tap.weights.push_back((high - low) / step);
      }
      taps.push_back(std::move(tap));
      continue;
    }
    const double at =
        std::clamp((static_cast<double>(i) + .5) * step - .5, 0., static_cast<double>(from - 1));
    const auto first = std::min(static_cast<std::int64_t>(at), std::max<std::int64_t>(from - 2, 0));
    const double rest = at - static_cast<double>(first);
    taps.push_back(
        {first, from == 1 ? std::vector<double>{1} : std::vector<double>{1 - rest, rest}});
  }
  return taps;
}

Tensor cut(const Tensor& pixels, const CutOut& part) {
  return pixels.narrow(0, part.top, part.size.height)
      .narrow(1, part.left, part.size.width)
      .contiguous();
}

}  // namespace

std::string size_text(const PictureSize& size) { return str(size.width, " x ", size.height); }

PictureSteps parse_picture_steps(const std::string& text) {
  PictureSteps out;
  if (text.empty()) return out;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find(',', at), text.size());
    const std::string step = without(text.substr(at, end - at), ' ');
    check_setting(out.patch == 0 || step == "gray" || step == "colour", "images", "[images] '",
                  printable(step), "' stands behind patches, which is the last step");
    add_step(step, out);
    at = end + 1;
  }
  return out;
}

PictureSize size_after(const PictureSteps& steps, const std::string& name, PictureSize size) {
  for (const PictureSteps::Step& step : steps.steps) {
    size = resizes(step) ? new_size(step, name, size) : cut_out_of(step, name, size).size;
  }
  NF_CHECK(steps.patch <= std::min(size.width, size.height), name, " has ", size_text(size),
           " pixels, less than a patch of ", steps.patch);
  return size;
}

Tensor apply_steps(const PictureSteps& steps, const std::string& name, Tensor pixels) {
  if (steps.channels == 1) pixels = gray_levels(pixels);
  for (const PictureSteps::Step& step : steps.steps) {
    const PictureSize size = {pixels.dim(1), pixels.dim(0)};
    if (resizes(step)) {
      pixels = resized(pixels, new_size(step, name, size));
      continue;
    }
    CutOut part = cut_out_of(step, name, size);
    if (step.kind == StepKind::Random) draw_place(pixels, part);
    pixels = cut(pixels, part);
  }
  return pixels;
}

Tensor resized(const Tensor& pixels, PictureSize size) {
  const std::int64_t height = pixels.dim(0), width = pixels.dim(1), channels = pixels.dim(2);
  if (width == size.width && height == size.height) return pixels;
  const std::vector<Taps> across = taps_of(width, size.width), down = taps_of(height, size.height);
  const std::int64_t row = size.width * channels;
  std::vector<double> narrow(static_cast<std::size_t>(height * row)),
      sum(static_cast<std::size_t>(row));
  const Tensor whole = pixels.contiguous();
  const std::uint8_t* const from = whole.data<std::uint8_t>();
  double* to = narrow.data();
  for (std::int64_t y = 0; y < height; ++y) {
    for (const Taps& tap : across) {
      for (std::int64_t c = 0; c < channels; ++c, ++to) {
        const std::uint8_t* at = from + (y * width + tap.first) * channels + c;
        for (const double weight : tap.weights) *to += weight * *at, at += channels;
      }
    }
  }
  Tensor out = Tensor::empty({size.height, size.width, channels}, DType::U8);
  auto* level = out.mutable_data<std::uint8_t>();
  for (const Taps& tap : down) {
    std::fill(sum.begin(), sum.end(), 0.);
    const double* at = narrow.data() + tap.first * row;
    for (const double weight : tap.weights) {
      for (double& value : sum) value += weight * *at++;
    }
    // What is exactly between two levels in numbers goes up, whatever its sum was rounded to.
    constexpr double kUp = .5 + 1e-9;
    for (const double value : sum)
      *level++ = static_cast<std::uint8_t>(std::min(value + kUp, 255.));
  }
  return out;
}

Tensor over_black(const Tensor& pixels) {
  const std::int64_t channels = pixels.dim(2), count = pixels.dim(0) * pixels.dim(1);
  if (channels == 1 || channels == 3) return pixels;
  Tensor out = Tensor::empty({pixels.dim(0), pixels.dim(1), channels - 1}, DType::U8);
  const std::uint8_t* from = pixels.data<std::uint8_t>();
  auto* to = out.mutable_data<std::uint8_t>();
  for (std::int64_t i = 0; i < count; ++i, ++from) {
    const int opacity = from[channels - 1];
    for (std::int64_t c = 1; c < channels; ++c) {
      *to++ = static_cast<std::uint8_t>((*from++ * opacity + 127) / 255);
    }
  }
  return out;
}

}  // namespace nf::data
