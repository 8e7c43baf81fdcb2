#include "cli/column_table.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "cli/lines.h"
#include "data/columns.h"
#include "data/samples.h"
#include "tensor/ops.h"
#include "tensor/text.h"

namespace nf::cli {

namespace {

struct ColumnSummary {
  double low = INFINITY, high = -INFINITY, mean = 0, deviation = 0, count = 0;
};

// Of each column of x (N, D), without missing cells.
std::vector<ColumnSummary> column_summaries(const Tensor& x) {
  const Tensor rows = x.to(DType::F64).contiguous();
  const auto dims = static_cast<std::size_t>(rows.dim(1));
  const double* const values = rows.data<double>();
  const auto each = [&](auto&& use) {
    for (std::size_t i = 0; i < static_cast<std::size_t>(rows.numel()); ++i) {
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
  for (ColumnSummary& column : out) column.deviation = std::sqrt(column.deviation);
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

}  // namespace

std::string describe_columns(const data::Dataset& data, const std::string& types, Json& json) {
  constexpr std::size_t kShown = 12;
  const std::vector<ColumnSummary> columns = column_summaries(data.train.x);
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
    const auto& [low, high, mean_value, deviation, count] = columns[d];
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
    for (const double value : {low, high, mean_value, deviation}) {
      char text[32];
      std::snprintf(text, sizeof text, "%.6g", value);
      rows.back().push_back(category ? "" : text);
    }
    if (gaps) rows.back().push_back(n > count ? str(n - count) : "");
  }
  std::string text = table_text(rows, output_width(), {.left = 2});
  if (columns.size() > kShown) text += str("and ", columns.size() - kShown, " more\n");
  return text;
}

void tell_columns(const data::Dataset& data, const std::string& types, const Common& common) {
  if (!is_table(data)) return;
  Json unused;
  if (!data.form.empty()) common.note("read as CSV: " + data.form);
  common.note(describe_columns(data, types, unused));
}

}  // namespace nf::cli
