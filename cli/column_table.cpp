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
  double low = INFINITY, high = -INFINITY, mean = 0, deviation = 0;
};

// Of each column of x (N, D).
std::vector<ColumnSummary> column_summaries(const Tensor& x) {
  const Tensor rows = x.to(DType::F64).contiguous();
  const auto dims = static_cast<std::size_t>(rows.dim(1));
  const double* const values = rows.data<double>();
  const auto each = [&](auto&& use) {
    for (std::size_t i = 0; i < static_cast<std::size_t>(rows.numel()); ++i) {
      use(i % dims, values[i]);
    }
  };
  const auto n = static_cast<double>(rows.dim(0));
  std::vector<ColumnSummary> out(dims);
  each([&](std::size_t d, double value) {
    out[d].low = std::min(out[d].low, value);
    out[d].high = std::max(out[d].high, value);
    out[d].mean += value / n;
  });
  each([&](std::size_t d, double value) {
    out[d].deviation += (value - out[d].mean) * (value - out[d].mean) / n;
  });
  for (ColumnSummary& column : out) column.deviation = std::sqrt(column.deviation);
  return out;
}

}  // namespace

bool is_table(const data::Dataset& data) {
  return !data.images() && !data.discrete && !data.unit_scale;
}

std::string describe_columns(const data::Dataset& data, const std::string& types, Json& json) {
  constexpr std::size_t kShown = 12;
  const std::vector<ColumnSummary> columns = column_summaries(data.train.x);
  const std::vector<std::string> names =
      data.columns.empty() ? data::numbered(data.dims) : data.columns;
  const std::vector<data::ColumnType> of_columns = data::column_types(
      data::with_guessed_types(data, types), data.columns, data.dims, data.given);
  std::vector<std::vector<std::string>> rows = {
      {"column", "type", "least", "largest", "mean", "deviation"}};
  for (std::size_t d = 0; d < columns.size(); ++d) {
    const auto& [low, high, mean_value, deviation] = columns[d];
    const bool guessed =
        std::find(data.whole.begin(), data.whole.end(), names[d]) != data.whole.end();
    const std::string type = data::type_in_words(of_columns[d]) + (guessed ? " (guessed)" : "");
    json["per_column"].push_back({{"name", names[d]},
                                  {"type", type},
                                  {"min", low},
                                  {"max", high},
                                  {"mean", mean_value},
                                  {"std", deviation}});
    if (d >= kShown) continue;
    rows.push_back({printable(names[d]), type});
    for (const double value : {low, high, mean_value, deviation}) {
      char text[32];
      std::snprintf(text, sizeof text, "%.6g", value);
      rows.back().push_back(text);
    }
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
