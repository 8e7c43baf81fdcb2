// Line charts and maps as SVG, and histograms as text.
#pragma once

#include <string>
#include <vector>

#include "data/png.h"
#include "tensor/tensor.h"

namespace nf::data {

struct Series {
  std::string name;
  std::vector<double> x, y;  ///< equally many; values that are not finite leave a gap
};

struct ChartLabels {
  std::string title, x, y;
  /// y shows every value; else what lies far from the others may be cut, which the chart says
  bool whole_range = false;
};

/// A chart with axes, ticks and a legend, as an SVG document. A chart without a finite point has
/// empty axes. Labels of ticks are short: an offset that all have stands at the end of their axis.
std::string curve_svg(const ChartLabels& labels, const std::vector<Series>& series);
/// The same as a file, written atomically.
void write_curve_svg(const std::string& path, const ChartLabels& labels,
                     const std::vector<Series>& series);

/// Lines in the plane: both axes have one scale when the bounds are square, lines of one name have
/// one colour, what is outside is cut off.
std::string map_svg(const ChartLabels& labels, const Bounds& bounds,
                    const std::vector<Series>& lines);

/// The text with &, < and > as entities and without control characters but line breaks and tabs:
/// for SVG and HTML, between tags.
std::string markup(const std::string& text);

/// One line for each of `bins` equal ranges from the smallest to the largest value of a tensor of
/// any dtype: the range's start, its share in percent, a bar. Values that are not finite are
/// counted in a line of their own.
std::string text_histogram(const Tensor& values, int bins = 16);

}  // namespace nf::data
