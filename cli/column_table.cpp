#include "cli/column_table.h"

#include <algorithm>
#include <cmath>

#include "cli/column_numbers.h"
#include "cli/lines.h"
#include "cli/quantile.h"
#include "data/columns.h"
#include "data/samples.h"
#include "tensor/ops.h"
#include "tensor/text.h"

namespace nf::cli {

namespace {

struct ColumnSummary {
  double low = INFINITY, high = -INFINITY, mean = 0, deviation = 0, count = 0;
  std::vector<double> sorted = {};  // at most kSorted of its values, evenly spaced in the rows
};

// Of each column of x (N, D), without missing cells.
std::vector<ColumnSummary> column_summaries(const Tensor& x) {
  const Tensor rows = x.to(DType::F64).contiguous();
  const auto dims = static_cast<std::size_t>(rows.dim(1));
  const double* const values = rows.data<double>();
  const auto numbers = static_cast<std::size_t>(rows.numel());
  const auto each = [&](auto&& use) {
    for (std::size_t i = 0; i < numbers; ++i) {
      if (!std::isnan(values[i])) use(i % dims, values[i]);
    }
  };
  std::vector<ColumnSummary> out(dims);
  each([&](std::size_t d, double) { ++out[d].count; });
  each([&](std::size_t d, double value) {
    out[d].low = std::min(out[d].low, value);
    out[d].high = std::max(out[d].high, value);
    out[d].mean += value / out[d].count;
  });
  each([&](std::size_t d, double value) {
    out[d].deviation += (value - out[d].mean) * (value - out[d].mean) / out[d].count;
  });
  constexpr std::size_t kSorted = 10'000;
  const std::size_t step = static_cast<std::size_t>(rows.dim(0)) / kSorted + 1;
  for (std::size_t d = 0; d < dims; ++d) {
    out[d].deviation = std::sqrt(out[d].deviation);
    for (std::size_t i = d; i < numbers; i += step * dims) {
      if (std::isfinite(values[i])) out[d].sorted.push_back(values[i]);
    }
    std::sort(out[d].sorted.begin(), out[d].sorted.end());
  }
  return out;
}

}  // namespace

bool is_table(const data::Dataset& data) {
  return !data.images() && !data.discrete && !data.unit_scale;
}

namespace {

// "category of 3: blue, green, red (guessed)"
std::string type_of_column(const data::Dataset& data, std::int64_t column,
                           const data::ColumnType& type, const std::string& name) {
  const auto among = [&](const std::vector<std::string>& names) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  if (data::is_category(data, column)) {
    constexpr std::size_t kShown = 40;
    const std::vector<std::string>& values = data.categories[static_cast<std::size_t>(column)];
    return str("category of ", values.size(), ": ", printable(join(values, ", "), kShown),
               among(data.texts) ? " (guessed)" : "");
  }
  return data::type_in_words(type) + (among(data.whole) ? " (guessed)" : "");
}

std::string described(const std::vector<ColumnSummary>& columns, const data::Dataset& data,
                      const std::string& types, Json& json) {
  constexpr std::size_t kShown = 12;
  const std::vector<std::string> names =
      data.columns.empty() ? data::numbered(data.dims) : data.columns;
  const auto of_columns = data::column_types(data::with_guessed_types(data, types), data.columns,
                                             data.dims, data.given);
  const auto n = static_cast<double>(data.train.size());
  const bool gaps = std::any_of(columns.begin(), columns.end(),
                                [&](const ColumnSummary& column) { return column.count < n; });
  std::vector<std::vector<std::string>> rows = {
      {"column", "type", "least", "largest", "mean", "deviation"}};
  if (gaps) rows[0].push_back("missing");
  for (std::size_t d = 0; d < columns.size(); ++d) {
    const auto& [low, high, mean_value, deviation, count, sorted] = columns[d];
    const auto column = static_cast<std::int64_t>(d);
    const bool category = data::is_category(data, column);
    const std::string type = type_of_column(data, column, of_columns[d], names[d]);
    json["per_column"].push_back({{"name", names[d]},
                                  {"type", type},
                                  {"min", number(low)},
                                  {"max", number(high)},
                                  {"mean", number(mean_value)},
                                  {"std", number(deviation)},
                                  {"missing", n - count}});
    if (d >= kShown) continue;
    rows.push_back({printable(names[d]), type});
    const ColumnNumbers numbers(sorted);
    for (const double value : {low, high, mean_value, deviation}) {
      rows.back().push_back(category ? "" : numbers.text(value));
    }
    if (gaps) {
      rows.back().push_back(n > count ? str(static_cast<std::int64_t>(n - count)) : "");
    }
  }
  std::string text = table_text(rows, output_width(), {.left = 2});
  if (columns.size() > kShown) text += str("and ", columns.size() - kShown, " more\n");
  return text;
}

// "'a', 'b' and 4 more"
std::string some_names(const std::vector<std::string>& names) {
  constexpr std::size_t kNamed = 3;
  std::vector<std::string> first;
  for (std::size_t i = 0; i < std::min(kNamed, names.size()); ++i) {
    first.push_back("'" + printable(names[i]) + "'");
  }
  return join(first, ", ") +
         (names.size() > kNamed ? str(" and ", names.size() - kNamed, " more") : "");
}

// How far the extremes are from the median, beside the 5 % or the 95 % quantile, whichever is
// further. Of 100 000 values of a normal distribution about 3, of an exponential one 5.
double reach_of(const ColumnSummary& column) {
  if (column.sorted.empty()) return 0;
  const auto at = [&](double share) { return quantile_of(column.sorted, share, /*whole=*/false); };
  const double middle = at(0.5), usual = std::max(at(0.95) - middle, middle - at(0.05));
  return usual > 0 ? std::max(column.high - middle, middle - column.low) / usual : 0;
}

// Of real columns without bounds; empty where none has tails that long.
std::string advice_on_tails(const std::vector<ColumnSummary>& columns,
                            const std::vector<data::ColumnType>& types, const data::Dataset& data,
                            const std::vector<std::string>& names) {
  constexpr double kFar = 10;
  std::vector<std::string> far, positive;
  double reach = 0;
  for (std::size_t d = 0; d < columns.size(); ++d) {
    const bool real = !types[d].integer && !types[d].bounded() &&
                      !data::is_category(data, static_cast<std::int64_t>(d));
    const double here = real ? reach_of(columns[d]) : 0;
    if (here <= kFar) continue;
    far.push_back(names[d]);
    if (columns[d].low > 0) positive.push_back(printable(names[d]) + "=bounded:0:");
    reach = std::max(reach, here);
  }
  if (far.empty()) return "";
  std::vector<std::string> advice;
  if (!positive.empty()) advice.push_back("--types " + positive[0] + " learns the logarithm");
  if (positive.size() < far.size()) {
    advice.push_back("where values may be 0 or below, put their asinh into the file");
  }
  return str("note: column ", some_names(far), far.size() > 1 ? " have" : " has",
             " values far beyond ", far.size() > 1 ? "their" : "its", " quantiles (up to ",
             fixed(std::floor(reach), 0),
             " times as far from the median as 95 % of them): tails so long are learned badly; ",
             join(advice, "; "));
}

// Of columns that nothing is said of, and that are guessed to be integer.
std::string advice_on_zeros_and_ones(const std::vector<ColumnSummary>& columns,
                                     const data::Dataset& data,
                                     const std::vector<std::string>& names) {
  std::vector<std::string> binary;
  for (std::size_t d = 0; d < columns.size(); ++d) {
    const bool guessed =
        std::find(data.whole.begin(), data.whole.end(), names[d]) != data.whole.end();
    if (guessed && columns[d].low == 0 && columns[d].high == 1) binary.push_back(names[d]);
  }
  if (binary.empty()) return "";
  return str("note: column ", some_names(binary), binary.size() > 1 ? " hold" : " holds",
             " 0 and 1 alone; if these are kinds, not amounts, give --types ", printable(binary[0]),
             "=category");
}

}  // namespace

std::string describe_columns(const data::Dataset& data, const std::string& types, Json& json) {
  return described(column_summaries(data.train.x), data, types, json);
}

void tell_columns(const data::Dataset& data, const std::string& types, const Common& common,
                  bool categories) {
  if (!is_table(data)) return;
  Json unused;
  if (!data.form.empty()) common.note("read as CSV: " + data.form);
  const std::vector<ColumnSummary> columns = column_summaries(data.train.x);
  common.note(described(columns, data, types, unused));
  const std::vector<std::string> names =
      data.columns.empty() ? data::numbered(data.dims) : data.columns;
  const std::string tails = advice_on_tails(
      columns, data::column_types(types, data.columns, data.dims, data.given), data, names);
  if (!tails.empty()) common.note(tails);
  const std::string binary =
      categories ? advice_on_zeros_and_ones(columns, data, names) : std::string();
  if (!binary.empty()) common.note(binary);
}

}  // namespace nf::cli
