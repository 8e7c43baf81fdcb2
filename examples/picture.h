// What the pictures of the book need beside the charts of data/svg.h: histograms, and boxes, words
// and arrows.
#pragma once

#include <algorithm>
#include <cmath>
#include <sstream>
#include <string>
#include <vector>

#include "data/svg.h"
#include "tensor/files.h"

/// The density of some numbers as a staircase: the share of them in each of `cells` equal cells of
/// [low, high), divided by the width of a cell.
inline nf::data::Series histogram(const std::string& name, const std::vector<double>& numbers,
                                  double low, double high, int cells) {
  const double width = (high - low) / cells;
  std::vector<double> height(static_cast<std::size_t>(cells), 0.0);
  for (const double v : numbers) {
    const double cell = std::floor((v - low) / width);
    if (cell < 0 || cell >= cells) continue;
    height[static_cast<std::size_t>(cell)] += 1 / (width * static_cast<double>(numbers.size()));
  }
  nf::data::Series steps{name, {}, {}};
  for (int i = 0; i < cells; ++i) {
    steps.x.insert(steps.x.end(), {low + i * width, low + (i + 1) * width});
    steps.y.insert(steps.y.end(), 2, height[static_cast<std::size_t>(i)]);
  }
  return steps;
}

/// Boxes, words and arrows. Lengths are pixels, from the upper left corner.
class Diagram {
 public:
  static constexpr const char *kBlue = "#1f6fb4", *kOrange = "#c2470f", *kGreen = "#2a8f4f",
                              *kGray = "#777", *kBlack = "#222";

  Diagram(double width, double height) {
    out_ << "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " << width << ' ' << height
         << "\" width=\"" << width
         << "\" font-family=\"sans-serif\" font-size=\"13\" text-anchor=\"middle\">\n"
         << "<rect width=\"100%\" height=\"100%\" fill=\"#fdfdfb\"/>\n";
  }
  void text(double x, double y, const std::string& words, const char* color = kBlack) {
    out_ << "<text x=\"" << x << "\" y=\"" << y + 4.5 << "\" fill=\"" << color << "\">"
         << nf::data::markup(words) << "</text>\n";
  }
  void box(double x, double y, double width, double height, const std::string& words,
           const char* fill = "#fff") {
    out_ << "<rect x=\"" << x << "\" y=\"" << y << "\" width=\"" << width << "\" height=\""
         << height << "\" rx=\"3\" fill=\"" << fill << "\" stroke=\"#444\"/>\n";
    text(x + width / 2, y + height / 2, words);
  }
  void line(double x1, double y1, double x2, double y2, const char* color = kGray) {
    out_ << "<line x1=\"" << x1 << "\" y1=\"" << y1 << "\" x2=\"" << x2 << "\" y2=\"" << y2
         << "\" stroke=\"" << color << "\" stroke-width=\"1.6\"/>\n";
  }
  void arrow(double x1, double y1, double x2, double y2, const char* color = kGray) {
    line(x1, y1, x2, y2, color);
    const double turn = std::atan2(y2 - y1, x2 - x1);
    for (const double side : {-0.4, 0.4}) {
      line(x2, y2, x2 - 9 * std::cos(turn + side), y2 - 9 * std::sin(turn + side), color);
    }
  }
  void dot(double x, double y, const char* color) {
    out_ << "<circle cx=\"" << x << "\" cy=\"" << y << "\" r=\"5\" fill=\"" << color << "\"/>\n";
  }
  void write(const std::string& path) const { nf::atomic_write(path, out_.str() + "</svg>\n"); }

 private:
  std::ostringstream out_;
};
