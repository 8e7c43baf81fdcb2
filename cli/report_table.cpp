// Columns of a table beside those of samples.
#include "cli/report_table.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "cli/column_numbers.h"
#include "cli/html.h"
#include "cli/lines.h"
#include "cli/quantile.h"
#include "data/png.h"
#include "data/samples.h"
#include "data/svg.h"
#include "tensor/text.h"

namespace nf::cli {

namespace {

constexpr std::size_t kMostColumns = 24, kMostPairs = 10, kMostPlots = 3, kMostRows = 10,
                      kMostValues = 12;

using Numbers = std::vector<double>;

/// The finite cells of a column, ascending.
Numbers sorted_column(const Tensor& x, std::size_t column) {
  const std::int64_t dims = x.dim(1);
  Numbers values;
  for (std::int64_t i = 0; i < x.dim(0); ++i) {
    const double value = x.data<double>()[i * dims + static_cast<std::int64_t>(column)];
    if (std::isfinite(value)) values.push_back(value);
  }
  std::sort(values.begin(), values.end());
  return values;
}

bool all_whole(const Numbers& values) {
  return std::all_of(values.begin(), values.end(),
                     [](double value) { return value == std::floor(value); });
}

/// Equal ranges; of whole numbers each has one in its middle.
struct Ranges {
  double low, width;
  std::size_t count;
};

Ranges ranges_of(const Numbers& rows) {
  const bool whole = all_whole(rows);
  const double low = quantile_of(rows, 0.005, whole), high = quantile_of(rows, 0.995, whole);
  if (whole && high - low <= 60) {
    return {low - 0.5, 1, static_cast<std::size_t>(high - low) + 1};
  }
  const auto count =
      static_cast<std::size_t>(std::clamp(std::sqrt(static_cast<double>(rows.size())), 10.0, 40.0));
  const double margin = 0.1 * (high - low);
  const double width = (high - low + 2 * margin) / static_cast<double>(count);
  return {low - margin, width > 0 ? width : 1, count};
}

/// The share of the numbers in each range, as a line of steps.
data::Series steps_of(const std::string& name, const Numbers& values, const Ranges& ranges) {
  Numbers share(ranges.count, 0.0);
  for (const double value : values) {
    const double place = std::floor((value - ranges.low) / ranges.width);
    if (place >= 0 && place < static_cast<double>(ranges.count)) {
      share[static_cast<std::size_t>(place)] += 100.0 / static_cast<double>(values.size());
    }
  }
  data::Series line{name, {ranges.low}, {0}};
  for (std::size_t i = 0; i < ranges.count; ++i) {
    for (const double edge : {0.0, 1.0}) {
      line.x.push_back(ranges.low + (static_cast<double>(i) + edge) * ranges.width);
      line.y.push_back(share[i]);
    }
  }
  line.x.push_back(line.x.back());
  line.y.push_back(0);
  return line;
}

struct Pair {
  std::size_t a, b;
  double of_rows, of_samples;  // correlations
};

/// Pearson's, of the rows that have both cells; NaN where one of them is constant.
double correlation(const Tensor& x, std::size_t a, std::size_t b) {
  double n = 0, mean_a = 0, mean_b = 0, aa = 0, bb = 0, ab = 0;
  for (std::int64_t i = 0; i < x.dim(0); ++i) {
    const double* const row = x.data<double>() + i * x.dim(1);
    if (!std::isfinite(row[a]) || !std::isfinite(row[b])) continue;
    n += 1;
    const double da = row[a] - mean_a, db = row[b] - mean_b;
    mean_a += da / n;
    mean_b += db / n;
    aa += da * (row[a] - mean_a);
    bb += db * (row[b] - mean_b);
    ab += da * (row[b] - mean_b);
  }
  return ab / std::sqrt(aa * bb);
}

std::vector<Pair> pairs_of(const TwoTables& tables) {
  std::vector<Pair> pairs;
  const std::size_t columns = std::min(tables.names.size(), kMostColumns);
  for (std::size_t a = 0; a < columns; ++a) {
    for (std::size_t b = a + 1; b < columns; ++b) {
      if (tables.category(a) || tables.category(b)) continue;
      const Pair pair{a, b, correlation(tables.rows, a, b), correlation(tables.samples, a, b)};
      if (std::isfinite(pair.of_rows) && std::isfinite(pair.of_samples)) pairs.push_back(pair);
    }
  }
  return pairs;
}

std::string histograms(const TwoTables& tables, const std::vector<Numbers>& rows,
                       const std::vector<Numbers>& samples) {
  std::string out;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].empty() || tables.category(i)) continue;
    const Ranges ranges = ranges_of(rows[i]);
    out += html_drawing(
        data::curve_svg(
            {.title = "", .x = tables.names[i], .y = "%", .whole_range = true},
            {steps_of("rows", rows[i], ranges), steps_of("samples", samples[i], ranges)}),
        360, "");
  }
  return out;
}

std::string quantiles(const TwoTables& tables, const std::vector<Numbers>& rows,
                      const std::vector<Numbers>& samples) {
  std::vector<std::vector<std::string>> cells = {
      {"column", "5 %", "of samples", "median", "of samples", "95 %", "of samples"}};
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (tables.category(i)) continue;
    const ColumnNumbers numbers(rows[i]);
    const bool whole = all_whole(rows[i]) && all_whole(samples[i]);
    cells.push_back({tables.names[i]});
    for (const double share : {0.05, 0.5, 0.95}) {
      for (const Numbers* side : {&rows[i], &samples[i]}) {
        cells.back().push_back(side->empty() ? "" : numbers.text(quantile_of(*side, share, whole)));
      }
    }
  }
  return cells.size() > 1 ? html_section("Quantiles", html_grid(cells)) : "";
}

/// How many of the cells have each value of a category, in percent.
Numbers shares_of(const Numbers& codes, std::size_t values) {
  Numbers out(values, 0.0);
  for (const double code : codes) {
    if (code >= 0 && code < static_cast<double>(values)) {
      out[static_cast<std::size_t>(code)] += 100 / static_cast<double>(codes.size());
    }
  }
  return out;
}

std::string categories(const TwoTables& tables, const std::vector<Numbers>& rows,
                       const std::vector<Numbers>& samples) {
  std::vector<std::vector<std::string>> cells = {{"column", "value", "of rows", "of samples"}};
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (!tables.category(i)) continue;
    const std::vector<std::string>& words = tables.categories[i];
    const Numbers of_rows = shares_of(rows[i], words.size()),
                  of_samples = shares_of(samples[i], words.size());
    std::vector<std::size_t> order(words.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return of_rows[a] > of_rows[b]; });
    double other_rows = 0, other_samples = 0;
    for (std::size_t k = 0; k < order.size(); ++k) {
      const std::size_t v = order[k];
      if (k < kMostValues) {
        cells.push_back({k == 0 ? tables.names[i] : "", words[v], fixed(of_rows[v], 1) + " %",
                         fixed(of_samples[v], 1) + " %"});
        continue;
      }
      other_rows += of_rows[v];
      other_samples += of_samples[v];
    }
    if (order.size() > kMostValues) {
      cells.push_back({"", str(order.size() - kMostValues, " others"), fixed(other_rows, 1) + " %",
                       fixed(other_samples, 1) + " %"});
    }
  }
  return cells.size() > 1 ? html_section("Categories", html_grid(cells)) : "";
}

std::string correlations(const TwoTables& tables, std::vector<Pair> pairs) {
  const auto gap = [](const Pair& p) { return std::abs(p.of_rows - p.of_samples); };
  std::stable_sort(pairs.begin(), pairs.end(),
                   [&](const Pair& p, const Pair& q) { return gap(p) > gap(q); });
  std::vector<std::vector<std::string>> cells = {{"columns", "", "of rows", "of samples"}};
  for (std::size_t i = 0; i < std::min(pairs.size(), kMostPairs); ++i) {
    const Pair& p = pairs[i];
    cells.push_back(
        {tables.names[p.a], tables.names[p.b], fixed(p.of_rows, 3), fixed(p.of_samples, 3)});
  }
  return html_grid(cells);
}

/// Two columns (N, 2) of the rows that have both.
Tensor two_columns(const Tensor& x, const Pair& pair) {
  Numbers values;
  for (std::int64_t i = 0; i < x.dim(0); ++i) {
    const double* const row = x.data<double>() + i * x.dim(1);
    if (!std::isfinite(row[pair.a]) || !std::isfinite(row[pair.b])) continue;
    values.push_back(row[pair.a]);
    values.push_back(row[pair.b]);
  }
  return Tensor::from(values, {std::ssize(values) / 2, 2});
}

std::string plots(const TwoTables& tables, std::vector<Pair> pairs) {
  constexpr int kSide = 300;
  std::stable_sort(pairs.begin(), pairs.end(), [](const Pair& p, const Pair& q) {
    return std::abs(p.of_rows) > std::abs(q.of_rows);
  });
  std::string out;
  for (std::size_t i = 0; i < std::min(pairs.size(), kMostPlots); ++i) {
    const Tensor rows = two_columns(tables.rows, pairs[i]);
    const data::Bounds bounds = data::bounds_of(rows, data::Axes::OwnUnits);
    const std::string of =
        str(tables.names[pairs[i].a], " (across) and ", tables.names[pairs[i].b], " (up)");
    out += html_picture(data::scatter_png(rows, kSide, bounds), of + ": rows") +
           html_picture(data::scatter_png(two_columns(tables.samples, pairs[i]), kSide, bounds),
                        "samples");
  }
  return out;
}

}  // namespace

std::string html_columns(const TwoTables& tables) {
  std::vector<Numbers> rows, samples;
  for (std::size_t i = 0; i < std::min(tables.names.size(), kMostColumns); ++i) {
    rows.push_back(sorted_column(tables.rows, i));
    samples.push_back(sorted_column(tables.samples, i));
  }
  std::string out = histograms(tables, rows, samples);
  if (tables.names.size() > kMostColumns) {
    out += str("<p>The first ", kMostColumns, " of ", tables.names.size(), " columns.</p>\n");
  }
  out += quantiles(tables, rows, samples) + categories(tables, rows, samples);
  const std::vector<Pair> pairs = pairs_of(tables);
  if (pairs.empty()) return out;
  return out + html_section("Correlations that differ most", correlations(tables, pairs)) +
         html_section("Columns that depend most on each other", plots(tables, pairs));
}

namespace {

/// Empty for a cell that is missing.
std::string cell_text(const TwoTables& tables, const ColumnNumbers& numbers, std::size_t column,
                      double value) {
  if (std::isnan(value)) return "";
  if (!tables.category(column)) return numbers.text(value);
  const std::vector<std::string>& words = tables.categories[column];
  const bool known = value >= 0 && value < static_cast<double>(words.size());
  return known ? words[static_cast<std::size_t>(value)] : fixed(value, 0);
}

}  // namespace

std::string html_least_likely(const TwoTables& tables, const std::vector<double>& scores,
                              const Tensor& numbers) {
  std::vector<std::size_t> order(scores.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const std::size_t count = std::min(order.size(), kMostRows);
  // NaN before all.
  const auto before = [&](std::size_t i, std::size_t j) {
    if (std::isnan(scores[i]) || std::isnan(scores[j])) {
      return std::isnan(scores[i]) && !std::isnan(scores[j]);
    }
    return scores[i] < scores[j];
  };
  std::stable_sort(order.begin(), order.end(), before);
  const std::size_t columns = std::min(tables.names.size(), kMostColumns);
  const auto in_file =
      numbers.defined() ? numbers.to_vector<std::int32_t>() : std::vector<std::int32_t>();
  std::vector<std::vector<std::string>> cells = {{"row", "log density"}};
  cells[0].insert(cells[0].end(), tables.names.begin(),
                  tables.names.begin() + static_cast<std::ptrdiff_t>(columns));
  std::vector<ColumnNumbers> numbers_of;
  for (std::size_t d = 0; d < columns; ++d) {
    numbers_of.emplace_back(sorted_column(tables.rows, d));
  }
  for (std::size_t k = 0; k < count; ++k) {
    const std::size_t i = order[k];
    cells.push_back(
        {str(in_file.empty() ? static_cast<std::int32_t>(i) : in_file[i]), fixed(scores[i], 3)});
    const double* const row =
        tables.rows.data<double>() + static_cast<std::int64_t>(i) * tables.rows.dim(1);
    for (std::size_t d = 0; d < columns; ++d) {
      cells.back().push_back(cell_text(tables, numbers_of[d], d, row[d]));
    }
  }
  return html_grid(cells);
}

}  // namespace nf::cli
