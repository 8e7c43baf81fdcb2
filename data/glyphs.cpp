#include "data/glyphs.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <vector>

#include "data/draws.h"
#include "data/idx.h"
#include "tensor/threads.h"

namespace nf::data {
namespace {

struct P {
  float x, y;
};

// --- the digits: strokes in a box of height 1, x centred, y down --------------------------------

enum class Kind { Line, Curve, Loop };  // straight, through the points smoothly, the same closed

struct Stroke {
  Kind kind;
  std::vector<P> points;
};

struct Shape2d {
  int digit;
  double weight;  // how often among its digit's variants
  std::vector<Stroke> strokes;
};

// clang-format off
const std::vector<Shape2d>& shapes() {
  using enum Kind;
  static const std::vector<Shape2d> all = {
      {0, 1, {{Loop, {{0, 0}, {-.22, .13}, {-.31, .5}, {-.22, .87}, {0, 1}, {.22, .87}, {.31, .5},
                      {.22, .13}}}}},
      {1, 3, {{Line, {{0, 0}, {0, 1}}}}},
      {1, 2, {{Line, {{-.16, .22}, {.02, 0}, {.02, 1}}}}},
      {1, 1, {{Line, {{-.16, .22}, {.02, 0}, {.02, 1}}}, {Line, {{-.22, 1}, {.26, 1}}}}},
      {2, 2, {{Curve, {{-.28, .22}, {-.16, .04}, {.06, 0}, {.25, .12}, {.25, .33}, {.1, .57},
                       {-.1, .79}, {-.31, 1}}},
              {Line, {{-.31, 1}, {.33, 1}}}}},
      {2, 1, {{Curve, {{-.28, .2}, {-.14, .03}, {.08, 0}, {.26, .14}, {.23, .38}, {.05, .68},
                       {-.15, .93}, {-.3, .96}, {-.29, .82}, {-.1, .79}, {.1, .92}, {.34, .98}}}}},
      {3, 2, {{Curve, {{-.27, .13}, {-.08, 0}, {.15, .03}, {.24, .21}, {.13, .39}, {-.09, .46}}},
              {Curve, {{-.09, .46}, {.17, .52}, {.29, .71}, {.19, .92}, {-.05, 1}, {-.3, .89}}}}},
      {3, 1, {{Line, {{-.27, 0}, {.25, 0}, {-.04, .4}}},
              {Curve, {{-.04, .4}, {.18, .46}, {.29, .68}, {.19, .92}, {-.05, 1}, {-.3, .9}}}}},
      {4, 2, {{Line, {{-.22, 0}, {-.3, .53}, {.33, .53}}}, {Line, {{.19, .04}, {.13, 1}}}}},
      {4, 1, {{Line, {{.15, 1}, {.15, 0}, {-.32, .66}, {.34, .66}}}}},
      {5, 1, {{Line, {{.28, 0}, {-.19, 0}, {-.24, .44}}},
              {Curve, {{-.24, .44}, {-.02, .36}, {.21, .46}, {.29, .68}, {.18, .92}, {-.06, 1},
                       {-.3, .91}}}}},
      {6, 1, {{Curve, {{.2, 0}, {-.05, .19}, {-.22, .45}, {-.27, .74}, {-.14, .96}, {.09, .99},
                       {.27, .84}, {.24, .62}, {.06, .52}, {-.14, .59}, {-.27, .78}}}}},
      {7, 2, {{Line, {{-.3, 0}, {.29, 0}}},
              {Curve, {{.29, 0}, {.13, .34}, {.01, .67}, {-.06, 1}}}}},
      {7, 1, {{Line, {{-.3, 0}, {.29, 0}, {-.06, 1}}}, {Line, {{-.14, .5}, {.27, .5}}}}},
      {8, 1, {{Loop, {{.21, .09}, {0, 0}, {-.21, .09}, {-.2, .29}, {0, .46}, {.23, .65},
                      {.24, .88}, {0, 1}, {-.24, .88}, {-.23, .65}, {0, .46}, {.2, .29}}}}},
      {9, 1, {{Loop, {{.25, .2}, {.12, .02}, {-.12, .03}, {-.26, .22}, {-.16, .43}, {.07, .45}}},
              {Line, {{.25, .2}, {.17, 1}}}}},
      {9, 1, {{Loop, {{.25, .2}, {.12, .02}, {-.12, .03}, {-.26, .22}, {-.16, .43}, {.07, .45}}},
              {Curve, {{.25, .2}, {.25, .55}, {.16, .88}, {-.04, 1}, {-.23, .92}}}}},
  };
  return all;
}
// clang-format on

/// Catmull-Rom spline through b and c, at t of the way from b to c.
P catmull_rom(P a, P b, P c, P d, float t) {
  const auto blend = [t](float p, float q, float r, float s) {
    return q + .5F * t * (r - p + t * (2 * p - 5 * q + 4 * r - s + t * (3 * (q - r) + s - p)));
  };
  return {blend(a.x, b.x, c.x, d.x), blend(a.y, b.y, c.y, d.y)};
}

/// The stroke as a chain of short straight pieces, for the warp to bend.
void flatten(const Stroke& stroke, std::vector<P>& out) {
  constexpr int kPieces = 6;
  const std::vector<P>& p = stroke.points;
  const int n = static_cast<int>(p.size());
  const bool loop = stroke.kind == Kind::Loop;
  const auto at = [&](int i) { return loop ? p[(i + n) % n] : p[std::clamp(i, 0, n - 1)]; };
  out.clear();
  out.push_back(p[0]);
  for (int i = 0; i < (loop ? n : n - 1); ++i) {
    const P b = at(i), c = at(i + 1);
    for (int k = 1; k <= kPieces; ++k) {
      const float t = static_cast<float>(k) / kPieces;
      out.push_back(stroke.kind == Kind::Line ? P{b.x + t * (c.x - b.x), b.y + t * (c.y - b.y)}
                                              : catmull_rom(at(i - 1), b, c, at(i + 2), t));
    }
  }
}

// --- one hand: how the strokes of an image are bent, placed and how thick the pen is ------------

class Hand {
 public:
  explicit Hand(Draws& draws) {
    for (std::size_t k = 0; k < modes_.size(); ++k) {
      const float sd = k < 3 ? .022F : .012F;  // in heights of a digit
      modes_[k] = {normal(draws, sd), normal(draws, sd)};
    }
    const float angle = normal(draws, .07F), shear = -.12F + normal(draws, .13F);
    const float size = static_cast<float>(draws.uniform(16.8, 19));
    const float wide = size * static_cast<float>(draws.uniform(.88, 1.16));
    const float c = std::cos(angle), s = std::sin(angle);
    // rotation * shear * scale
    xx_ = wide * c, xy_ = size * (c * shear - s);
    yx_ = wide * s, yy_ = size * (s * shear + c);
    shift_ = {static_cast<float>(draws.uniform(-.8, .8)),
              static_cast<float>(draws.uniform(-.8, .8))};
    radius = static_cast<float>(draws.uniform(.95, 1.65));
  }

  float radius;  // half the width of the pen, in pixels

  /// From the digit's box to pixels relative to the image's centre.
  P place(P p) const {
    // A smooth field of cosines, so that strokes which touch go on touching.
    const float u = 3.14159265F * (p.x + .5F), v = 3.14159265F * p.y;
    const float cu = std::cos(u), cv = std::cos(v), cuu = std::cos(2 * u), cvv = std::cos(2 * v);
    const std::array<float, 6> waves = {cu, cv, cu * cv, cuu, cvv, cu * cvv};
    float x = p.x, y = p.y - .5F;
    for (std::size_t k = 0; k < waves.size(); ++k) {
      x += modes_[k].x * waves[k];
      y += modes_[k].y * waves[k];
    }
    return {xx_ * x + xy_ * y, yx_ * x + yy_ * y};
  }
  P shift() const { return shift_; }

 private:
  static float normal(Draws& draws, float sd) { return sd * static_cast<float>(draws.normal()); }

  std::array<P, 6> modes_;
  float xx_, xy_, yx_, yy_;
  P shift_;
};

// --- ink ----------------------------------------------------------------------------------------

constexpr float kSoft = 1.2F;  // pixels from full ink to none: the blur of a scanned digit

class Canvas {
 public:
  Canvas() { distance2_.fill(1e9F); }

  /// Notes for each pixel near a-b how near it is.
  void segment(P a, P b, float reach) {
    const auto low = [&](float v) { return std::max(0, static_cast<int>(std::ceil(v - reach))); };
    const auto high = [&](float v) {
      return std::min(kGlyphSize - 1, static_cast<int>(std::floor(v + reach)));
    };
    const float dx = b.x - a.x, dy = b.y - a.y;
    const float inverse = 1 / std::max(dx * dx + dy * dy, 1e-12F);
    for (int y = low(std::min(a.y, b.y)); y <= high(std::max(a.y, b.y)); ++y) {
      for (int x = low(std::min(a.x, b.x)); x <= high(std::max(a.x, b.x)); ++x) {
        const float px = static_cast<float>(x) - a.x, py = static_cast<float>(y) - a.y;
        const float t = std::clamp((px * dx + py * dy) * inverse, 0.F, 1.F);
        const float ex = px - t * dx, ey = py - t * dy;
        float& d = distance2_[y * kGlyphSize + x];
        d = std::min(d, ex * ex + ey * ey);
      }
    }
  }

  void develop(float radius, std::uint8_t* pixels) const {
    for (std::size_t i = 0; i < distance2_.size(); ++i) {
      const float t = (radius + kSoft / 2 - std::sqrt(distance2_[i])) / kSoft;
      const float s = std::clamp(t, 0.F, 1.F);
      pixels[i] = static_cast<std::uint8_t>(255 * s * s * (3 - 2 * s) + .5F);
    }
  }

 private:
  std::array<float, kGlyphSize * kGlyphSize> distance2_;
};

const Shape2d& choose_shape(Draws& draws) {
  const int digit = draws.index(10);
  double total = 0;
  for (const Shape2d& s : shapes()) total += s.digit == digit ? s.weight : 0;
  double rest = draws.uniform() * total;
  const Shape2d* last = nullptr;
  for (const Shape2d& s : shapes()) {
    if (s.digit != digit) continue;
    last = &s;
    if ((rest -= s.weight) < 0) break;
  }
  return *last;
}

/// One image; returns its digit. `chains` is scratch memory.
int draw_glyph(Draws draws, std::vector<std::vector<P>>& chains, std::uint8_t* pixels) {
  const Shape2d& shape = choose_shape(draws);
  const Hand hand(draws);
  P low{1e9F, 1e9F}, high{-1e9F, -1e9F};
  chains.resize(std::max(chains.size(), shape.strokes.size()));
  for (std::size_t s = 0; s < shape.strokes.size(); ++s) {
    flatten(shape.strokes[s], chains[s]);
    for (P& p : chains[s]) {
      p = hand.place(p);
      low = {std::min(low.x, p.x), std::min(low.y, p.y)};
      high = {std::max(high.x, p.x), std::max(high.y, p.y)};
    }
  }
  // The middle of the ink goes to the middle of the image, give or take.
  constexpr float kCentre = (kGlyphSize - 1) / 2.F;
  const P move = {kCentre + hand.shift().x - (low.x + high.x) / 2,
                  kCentre + hand.shift().y - (low.y + high.y) / 2};
  Canvas canvas;
  for (std::size_t s = 0; s < shape.strokes.size(); ++s) {
    for (P& p : chains[s]) p = {p.x + move.x, p.y + move.y};
    for (std::size_t i = 1; i < chains[s].size(); ++i) {
      canvas.segment(chains[s][i - 1], chains[s][i], hand.radius + kSoft / 2);
    }
  }
  canvas.develop(hand.radius, pixels);
  return shape.digit;
}

}  // namespace

Split glyphs(std::uint64_t seed, GlyphSet set, std::int64_t first, std::int64_t count) {
  constexpr std::int64_t kPixels = kGlyphSize * kGlyphSize;
  constexpr std::uint64_t kStream = 0x676C797068ULL << 8;  // "glyph"
  Split out{Tensor::empty({count, kPixels}, DType::U8), Tensor::empty({count}, DType::I32)};
  std::uint8_t* pixels = out.x.mutable_data<std::uint8_t>();
  std::int32_t* labels = out.labels.mutable_data<std::int32_t>();
  parallel_for(count, 64, [&](std::int64_t begin, std::int64_t end) {
    std::vector<std::vector<P>> chains;
    for (std::int64_t i = begin; i < end; ++i) {
      const Draws draws(seed, kStream + static_cast<std::uint64_t>(set),
                        static_cast<std::uint64_t>(first + i));
      labels[i] = draw_glyph(draws, chains, pixels + i * kPixels);
    }
  });
  return out;
}

void write_glyphs(const std::string& folder, std::uint64_t seed, std::int64_t train,
                  std::int64_t test) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  NF_CHECK(!error, "[glyphs] cannot make the folder '", folder, "': ", error.message());
  const auto write = [&](const std::string& name, GlyphSet set, std::int64_t count) {
    const Split split = glyphs(seed, set, 0, count);
    const std::filesystem::path base = std::filesystem::path(folder) / name;
    write_idx(base.string() + "-images-idx3-ubyte",
              split.x.reshape({count, kGlyphSize, kGlyphSize}));
    write_idx(base.string() + "-labels-idx1-ubyte", split.labels.to(DType::U8));
  };
  write("train", GlyphSet::Train, train);
  write("t10k", GlyphSet::Test, test);
}

}  // namespace nf::data
