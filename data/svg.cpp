#include "data/svg.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iomanip>
#include <sstream>

#include "tensor/files.h"
#include "tensor/text.h"

namespace nf::data {
namespace {

constexpr double kLeft = 76, kRight = 20, kTop = 44, kBottom = 56;  // margins around the plot

struct Size {
  double width, height;
};
constexpr Size kWide{760, 440};
constexpr Size kSquare{520 + kLeft + kRight, 520 + kTop + kBottom};  // the plot, not the picture
constexpr const char* kColors[] = {"#1f6fb4", "#d9541e", "#2a8f4f", "#8a4fb0", "#6b6b6b"};

struct Range {
  double low, high;
  double span() const { return high - low; }
};

/// What has a place on the chart: finite, and with room for the arithmetic.
bool drawable(double v) { return std::abs(v) <= 1e300; }

/// The range itself, or a wider one when it is too narrow to be divided into ticks.
Range divisible(const Range& range) {
  if (range.span() > 1e-9 * std::max(std::abs(range.low), std::abs(range.high))) return range;
  const double half = std::max(.5, 1e-3 * std::abs(range.low));
  return {range.low - half, range.high + half};
}

/// All drawable values; (0, 1) when there are none.
Range full_range(const std::vector<double>& values) {
  Range range{INFINITY, -INFINITY};
  for (const double v : values) {
    if (drawable(v)) range = {std::min(range.low, v), std::max(range.high, v)};
  }
  return range.low <= range.high ? divisible(range) : Range{0, 1};
}

/// The middle one of values that are not empty.
double median(std::vector<double> values) {
  const auto middle = values.begin() + std::ssize(values) / 2;
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

/// Drops what is more than ten median deviations from the median: an epoch that diverged.
void drop_absurd(std::vector<double>& values) {
  const double middle = median(values);
  std::vector<double> distances;
  for (const double v : values) distances.push_back(std::abs(v - middle));
  const double usual = median(std::move(distances));
  if (usual > 0) {
    std::erase_if(values, [&](double v) { return std::abs(v - middle) > 10 * usual; });
  }
}

/// The same without values that lie far from the others (the first epochs of a training run), which
/// would flatten the rest: at most half the spread of the middle 80 % is added on either side.
Range robust_range(std::vector<double> values) {
  std::erase_if(values, [](double v) { return !drawable(v); });
  if (!values.empty()) drop_absurd(values);
  const Range full = full_range(values);
  constexpr std::size_t kFew = 40;  // an ordinary first epoch is no outlier among few
  if (values.size() < kFew) return full;
  std::sort(values.begin(), values.end());
  const auto quantile = [&](double q) {
    return values[static_cast<std::size_t>(
        std::lround(q * static_cast<double>(values.size() - 1)))];
  };
  const double low = quantile(.1), high = quantile(.9), slack = .5 * (high - low);
  if (slack == 0) return full;
  return divisible({std::max(full.low, low - slack), std::min(full.high, high + slack)});
}

/// The power of ten of the first digit.
int exponent_of(double v) { return static_cast<int>(std::floor(std::log10(v) + 1e-9)); }

/// Where an axis has its lines, and the few characters that stand there.
class Ticks {
 public:
  /// About `count` ticks at multiples of 1, 2 or 5 times a power of ten, at least `least_step`
  /// apart.
  Ticks(const Range& range, int count, double least_step = 0) {
    const double raw = range.span() / count, power = std::pow(10, std::floor(std::log10(raw)));
    const double lead = raw / power;
    step_ = std::max(least_step, power * (lead < 1.5 ? 1 : lead < 3.5 ? 2 : lead < 7.5 ? 5 : 10));
    const double first = std::ceil(range.low / step_);
    const double last = std::floor(range.high / step_ + 1e-9);
    for (double i = 0; i <= last - first && i < kMost; ++i) at_.push_back((first + i) * step_);
    const double largest = std::max(std::abs(range.low), std::abs(range.high));
    if (!(largest / step_ >= kNear)) return;
    const double unit = std::pow(10, std::ceil(std::log10(range.span())));
    offset_ = std::round((range.low + range.span() / 2) / unit) * unit;
  }

  const std::vector<double>& at() const { return at_; }

  /// v without the offset, with as many digits as its neighbours need: 0.25, 1500, 2.5e9.
  std::string label(double v) const {
    const double shown = v - offset_, size = std::abs(shown);
    char text[64];
    if (size < step_ / 2) return "0";
    const int last_digit = exponent_of(step_);
    if (size < kPlain && last_digit >= -kDecimals) {
      std::snprintf(text, sizeof text, "%.*f", std::max(0, -last_digit), shown);
      return text;
    }
    std::snprintf(text, sizeof text, "%.*e", std::max(0, exponent_of(size) - last_digit), shown);
    const std::string digits = text;  // 2.5e+09
    const std::size_t e = digits.find('e');
    return str(digits.substr(0, e), "e", std::stoi(digits.substr(e + 1)));
  }

  /// "+ 1700000000": what all labels leave out, or nothing.
  std::string note() const {
    char text[64];
    std::snprintf(text, sizeof text, "%.15g", std::abs(offset_));
    std::string digits = text;
    if (const std::size_t e = digits.find("e+"); e != std::string::npos) digits.erase(e + 1, 1);
    return offset_ == 0 ? "" : (offset_ < 0 ? "- " : "+ ") + digits;
  }

 private:
  // Labels have about six digits; values nearer to each other than a part in kNear leave out what
  // they have in common.
  static constexpr double kPlain = 1e6, kNear = 1e5, kMost = 100;
  static constexpr int kDecimals = 4;

  double step_ = 1, offset_ = 0;
  std::vector<double> at_;
};

class Chart {
 public:
  /// Ticks of x are at least `least_step` apart: epochs are whole numbers.
  Chart(const Size& size, const Range& x, const Range& y, double least_step)
      : size_(size),
        x_(x),
        y_(y),
        ticks_x_(x, 8, least_step),
        ticks_y_(y, 6),
        title_end_(size.width - kRight),
        clip_(str("plot-", size.width, "x", size.height)) {
    out_ << std::setprecision(4);  // a tenth of a pixel
    out_ << "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " << size_.width << ' '
         << size_.height << "\" font-family=\"sans-serif\" font-size=\"13\">\n"
         << "<rect width=\"100%\" height=\"100%\" fill=\"#fdfdfb\"/>\n"
         << "<clipPath id=\"" << clip_ << "\"><rect x=\"" << kLeft << "\" y=\"" << kTop
         << "\" width=\"" << size_.width - kLeft - kRight << "\" height=\""
         << size_.height - kTop - kBottom << "\"/></clipPath>\n";
  }

  void text(double x, double y, const std::string& what, const std::string& attributes) {
    out_ << "<text x=\"" << x << "\" y=\"" << y << "\" " << attributes << '>' << markup(what)
         << "</text>\n";
  }

  void labels(const ChartLabels& labels) {
    constexpr double kCharacter = 8.8;  // of the title's size, on average
    const auto room = static_cast<std::size_t>(std::max(40., title_end_ - kLeft) / kCharacter);
    text(kLeft, 27, shortened(labels.title, room), "font-size=\"16\" fill=\"#111\"");
    text((kLeft + size_.width - kRight) / 2, size_.height - 14, shortened(labels.x, 48),
         "text-anchor=\"middle\" fill=\"#222\"");
    const double middle = (kTop + size_.height - kBottom) / 2;
    text(14, middle, shortened(labels.y, 48),
         str("text-anchor=\"middle\" fill=\"#222\" transform=\"rotate(-90 14 ", middle, ")\""));
  }

  void axes() {
    for (const double v : ticks_x_.at()) {
      line(px(v), kTop, px(v), size_.height - kBottom, "#e4e4de");
      text(px(v), size_.height - kBottom + 18, ticks_x_.label(v),
           "text-anchor=\"middle\" fill=\"#444\"");
    }
    for (const double v : ticks_y_.at()) {
      line(kLeft, py(v), size_.width - kRight, py(v), "#e4e4de");
      text(kLeft - 8, py(v) + 4.5, ticks_y_.label(v), "text-anchor=\"end\" fill=\"#444\"");
    }
    const std::string of_x = ticks_x_.note(), of_y = ticks_y_.note();
    if (!of_x.empty()) small(size_.width - kRight, size_.height - 14, of_x, "end");
    if (!of_y.empty()) small(6, kTop - 4, of_y, "start");
    line(kLeft, kTop, kLeft, size_.height - kBottom, "#444");
    line(kLeft, size_.height - kBottom, size_.width - kRight, size_.height - kBottom, "#444");
  }

  /// Says that points have no place on the chart.
  void outside(std::int64_t count) {
    if (count == 0) return;
    small(kLeft, size_.height - 14,
          str(count, count == 1 ? " point lies" : " points lie", " outside of the chart"), "start");
  }

  /// Points nearer than `least` pixels to the last one drawn are left out, but for the end. Lines
  /// end where they leave the plot.
  void curve(const Series& series, const char* color, double width = 1.8, double least = 0) {
    const std::string style = str("fill=\"none\" stroke=\"", color, "\" stroke-width=\"", width,
                                  "\" stroke-linejoin=\"round\" "
                                  "stroke-linecap=\"round\" clip-path=\"url(#",
                                  clip_, ")\"");
    std::ostringstream path;
    path << std::setprecision(4);
    bool began = false, pen_down = false;  // the pen is down where `last` is drawn
    Place last{};
    for (std::size_t i = 0; i < series.x.size(); ++i) {
      if (!drawable(series.x[i]) || !drawable(series.y[i])) {
        began = pen_down = false;
        continue;
      }
      const Place here{px(series.x[i]), py(series.y[i])};
      const bool near = began && std::hypot(here.x - last.x, here.y - last.y) < least;
      if (near && i + 1 < series.x.size()) continue;
      // A point between two gaps is a line of no length, which the round cap makes a dot.
      Place from = began ? last : here, to = here;
      if (clip(from, to)) {
        if (!pen_down || !(from == last)) path << 'M' << from.x << ' ' << from.y;
        if (!began || !(from == to)) path << 'L' << to.x << ' ' << to.y;
        pen_down = to == here;
      } else {
        pen_down = false;
      }
      began = true;
      last = here;
    }
    out_ << "<path d=\"" << path.str() << "\" " << style << "/>\n";
  }

  /// Names beside strokes of their colours, on the title's line, from the right: never on a curve.
  void legend(const std::vector<std::string>& names) {
    constexpr double kCharacter = 7.2, kStroke = 24, kSpace = 8, kGap = 18;
    double x = size_.width - kRight;
    for (std::size_t i = names.size(); i-- > 0;) {
      const std::string name = shortened(names[i], 24);
      x -= kCharacter * static_cast<double>(name.size());
      text(x, 27, name, "fill=\"#222\"");
      x -= kStroke + kSpace;
      out_ << "<line x1=\"" << x << "\" y1=\"22.5\" x2=\"" << x + kStroke
           << "\" y2=\"22.5\" stroke=\"" << kColors[i % std::size(kColors)]
           << "\" stroke-width=\"3\"/>\n";
      x -= kGap;
    }
    title_end_ = x;
  }

  static std::string shortened(const std::string& text, std::size_t most) {
    return printable(text, std::max<std::size_t>(most, 24));
  }

  std::string finish() {
    out_ << "</svg>\n";
    return out_.str();
  }

 private:
  double px(double v) const {
    return kLeft + (v - x_.low) / x_.span() * (size_.width - kLeft - kRight);
  }
  double py(double v) const {
    return size_.height - kBottom - (v - y_.low) / y_.span() * (size_.height - kTop - kBottom);
  }
  void line(double x1, double y1, double x2, double y2, const char* color) {
    out_ << "<line x1=\"" << x1 << "\" y1=\"" << y1 << "\" x2=\"" << x2 << "\" y2=\"" << y2
         << "\" stroke=\"" << color << "\"/>\n";
  }
  void small(double x, double y, const std::string& what, const char* anchor) {
    text(x, y, what, str("text-anchor=\"", anchor, "\" font-size=\"11\" fill=\"#666\""));
  }

  struct Place {
    double x, y;  // pixels
    bool operator==(const Place&) const = default;
  };

  /// Shortens a line to what is inside of the plot and a little around it; false: nothing is.
  /// (Liang and Barsky 1984)
  bool clip(Place& from, Place& to) const {
    constexpr double kAround = 4;  // half the width of a line, and more
    const double dx = to.x - from.x, dy = to.y - from.y;
    double begin = 0, end = 1;
    // Where from + t (to - from) crosses a side: `way` t <= `room`.
    const auto cut = [&](double way, double room) {
      if (way == 0) return room >= 0;
      if (way < 0) begin = std::max(begin, room / way);
      if (way > 0) end = std::min(end, room / way);
      return begin <= end;
    };
    const bool some =
        cut(-dx, from.x - kLeft + kAround) && cut(dx, size_.width - kRight + kAround - from.x) &&
        cut(-dy, from.y - kTop + kAround) && cut(dy, size_.height - kBottom + kAround - from.y);
    if (!some) return false;
    const Place all = from;
    if (end < 1) to = {all.x + end * dx, all.y + end * dy};
    if (begin > 0) from = {all.x + begin * dx, all.y + begin * dy};
    return true;
  }

  std::ostringstream out_;
  Size size_;
  Range x_, y_;
  Ticks ticks_x_, ticks_y_;
  double title_end_;  // where the legend begins
  std::string clip_;  // charts in one HTML file share their names
};

}  // namespace

std::string markup(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '&') {
      out += "&amp;";
    } else if (c == '<') {
      out += "&lt;";
    } else if (c == '>') {
      out += "&gt;";
    } else if (static_cast<unsigned char>(c) >= 0x20 || c == '\n' || c == '\t') {
      // XML forbids the other control characters.
      out += c;
    }
  }
  return out;
}

std::string curve_svg(const ChartLabels& labels, const std::vector<Series>& series) {
  std::vector<double> all_x, all_y;
  for (const Series& s : series) {
    NF_CHECK(s.x.size() == s.y.size(), "[svg] series '", s.name, "' has ", s.x.size(),
             " x values, but ", s.y.size(), " y values");
    all_x.insert(all_x.end(), s.x.begin(), s.x.end());
    all_y.insert(all_y.end(), s.y.begin(), s.y.end());
  }
  const Range x = full_range(all_x);
  Range y = labels.whole_range ? full_range(all_y) : robust_range(std::move(all_y));
  y = {y.low - .04 * y.span(), y.high + .04 * y.span()};

  const bool whole =
      std::all_of(all_x.begin(), all_x.end(), [](double v) { return v == std::floor(v); });
  Chart chart(kWide, x, y, whole ? 1 : 0);
  chart.axes();
  std::vector<std::string> names;
  std::int64_t outside = 0;
  for (std::size_t i = 0; i < series.size(); ++i) {
    chart.curve(series[i], kColors[i % std::size(kColors)]);
    names.push_back(series[i].name);
    outside += std::count_if(series[i].y.begin(), series[i].y.end(),
                             [&](double v) { return drawable(v) && (v < y.low || v > y.high); });
  }
  chart.outside(outside);
  if (names != std::vector{labels.y}) chart.legend(names);  // the axis says it already
  chart.labels(labels);
  return chart.finish();
}

void write_curve_svg(const std::string& path, const ChartLabels& labels,
                     const std::vector<Series>& series) {
  atomic_write(path, curve_svg(labels, series));
}

std::string map_svg(const ChartLabels& labels, const Bounds& bounds,
                    const std::vector<Series>& lines) {
  NF_CHECK(bounds.left < bounds.right && bounds.bottom < bounds.top, "[svg] the bounds are empty");
  Chart chart(kSquare, {bounds.left, bounds.right}, {bounds.bottom, bounds.top}, 0);
  chart.axes();
  std::vector<std::string> names;  // one colour each
  for (const Series& line : lines) {
    NF_CHECK(line.x.size() == line.y.size(), "[svg] line '", line.name, "' has ", line.x.size(),
             " x values, but ", line.y.size(), " y values");
    const auto known = std::find(names.begin(), names.end(), line.name);
    const auto color = static_cast<std::size_t>(known - names.begin());
    if (known == names.end()) names.push_back(line.name);
    chart.curve(line, kColors[color % std::size(kColors)], 1, .5);
  }
  chart.legend(names);
  chart.labels(labels);
  return chart.finish();
}

std::string text_histogram(const Tensor& values, int bins) {
  NF_CHECK(bins > 0, "[histogram] ", bins, " bins; it takes at least 1");
  const Tensor flat = values.to(Device::CPU).contiguous();
  std::vector<std::int64_t> counts(static_cast<std::size_t>(bins));
  double low = INFINITY, high = -INFINITY;
  std::int64_t finite = 0;
  visit_dtype(flat.dtype(), [&]<class T>() {
    const T *first = flat.data<T>(), *last = first + flat.numel();
    for (const T* v = first; v != last; ++v) {
      if (!std::isfinite(static_cast<double>(*v))) continue;
      low = std::min(low, static_cast<double>(*v));
      high = std::max(high, static_cast<double>(*v));
      ++finite;
    }
    const double scale = high > low ? bins / (high - low) : 0;
    for (const T* v = first; v != last; ++v) {
      if (!std::isfinite(static_cast<double>(*v))) continue;
      const int bin = static_cast<int>((static_cast<double>(*v) - low) * scale);
      ++counts[static_cast<std::size_t>(std::min(bin, bins - 1))];
    }
  });
  constexpr double kBar = 50;  // characters of the longest bar
  std::ostringstream out;
  const double most = static_cast<double>(*std::max_element(counts.begin(), counts.end()));
  for (int b = 0; b < bins && finite > 0; ++b) {
    const double count = static_cast<double>(counts[static_cast<std::size_t>(b)]);
    const auto bar = static_cast<std::size_t>(std::ceil(kBar * count / most));
    out << std::setw(10) << std::setprecision(4) << low + b * (high - low) / bins << std::fixed
        << std::setw(8) << std::setprecision(2) << 100 * count / static_cast<double>(finite)
        << " %  " << std::defaultfloat << std::string(bar, '#') << '\n';
  }
  if (finite < flat.numel()) out << flat.numel() - finite << " values are not finite\n";
  return out.str();
}

}  // namespace nf::data
