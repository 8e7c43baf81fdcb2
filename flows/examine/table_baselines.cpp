#include "flows/examine/table_baselines.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "data/csv_categories.h"
#include "flows/samples.h"
#include "tensor/ops.h"

namespace nf::flows {

namespace {

constexpr const char* kRows = "rows_and_fitted";

Tensor index_of_rows(const std::vector<std::int32_t>& rows) {
  return Tensor::from(rows, {std::ssize(rows)});
}

// Of reals (N, D) the rows by which of their cells are there.
std::map<std::vector<bool>, std::vector<std::int32_t>> patterns_of(const Tensor& x) {
  const std::vector<double> cells = x.to(DType::F64).to_vector<double>();
  std::map<std::vector<bool>, std::vector<std::int32_t>> rows;
  std::vector<bool> there(static_cast<std::size_t>(x.dim(1)));
  for (std::size_t i = 0, at = 0; i < static_cast<std::size_t>(x.dim(0)); ++i) {
    for (std::size_t j = 0; j < there.size(); ++j, ++at) there[j] = !std::isnan(cells[at]);
    rows[there].push_back(static_cast<std::int32_t>(i));
  }
  return rows;
}

// The rows that have all their cells.
std::vector<std::int32_t> rows_without_gaps(const Tensor& x) {
  const auto rows = patterns_of(x);
  const auto whole = rows.find(std::vector<bool>(static_cast<std::size_t>(x.dim(1)), true));
  return whole == rows.end() ? std::vector<std::int32_t>() : whole->second;
}

}  // namespace

bool has_gaps(const Tensor& x) { return is_float(x.dtype()) && !all_finite(x); }

void TableBaselines::take_kinds(const std::vector<std::int32_t>& categories) {
  const bool any = std::any_of(categories.begin(), categories.end(), [](auto k) { return k > 0; });
  if (!any) return;
  kinds_ = categories;
  for (std::size_t j = 0; j < kinds_.size(); ++j) {
    if (kinds_[j] == 0) number_columns_.push_back(static_cast<std::int32_t>(j));
  }
}

Tensor TableBaselines::numbers_of(const Tensor& x) const {
  return kinds_.empty() ? x : index_select(x, 1, index_of_rows(number_columns_));
}

TableBaselines::TableBaselines(const Tensor& train, const std::vector<std::int32_t>& integer,
                               const Tensor& given, std::int64_t classes, int level_count,
                               const std::vector<std::int32_t>& categories) {
  take_kinds(categories);
  if (kinds_.empty() && !has_gaps(train)) {
    numbers_.emplace(train, integer, given, classes, level_count);
    return;
  }
  const Tensor x = train.to(Device::CPU).to(DType::F64);
  for (std::size_t j = 0; j < kinds_.size(); ++j) {
    std::vector<double> counts(static_cast<std::size_t>(kinds_[j]), 1);
    double all = kinds_[j];
    const auto column = static_cast<std::int64_t>(j);
    for (const double code : x.narrow(1, column, 1).to_vector<double>()) {
      if (counts.empty() || std::isnan(code)) continue;
      ++counts.at(static_cast<std::size_t>(code));
      ++all;
    }
    for (double& count : counts) count = std::log(count / all);
    frequency_.push_back(std::move(counts));
  }
  const Tensor numbers = number_columns_.empty() && !kinds_.empty() ? Tensor() : numbers_of(x);
  if (!numbers.defined()) return;
  std::vector<std::int32_t> places;  // of integer columns among the numbers
  for (const std::int32_t j : integer) {
    const auto at = std::find(number_columns_.begin(), number_columns_.end(), j);
    places.push_back(kinds_.empty() ? j : static_cast<std::int32_t>(at - number_columns_.begin()));
  }
  const std::vector<std::int32_t> whole = rows_without_gaps(numbers);
  NF_CHECK(!whole.empty(), "[baselines] each training row lacks a number");
  rows_ = x.dim(0);
  fitted_rows_ = std::ssize(whole);
  const Tensor index = index_of_rows(whole);
  numbers_.emplace(index_select(numbers, 0, index), places, given_rows(given, index), classes);
}

bool TableBaselines::can_fit(const Tensor& train, const std::vector<std::int32_t>& categories) {
  if (!has_gaps(train)) return true;
  TableBaselines some;
  some.take_kinds(categories);
  if (some.number_columns_.empty() && !some.kinds_.empty()) return true;
  return !rows_without_gaps(some.numbers_of(train.to(Device::CPU))).empty();
}

void TableBaselines::add_categories(const Tensor& x, std::vector<double>& scores) const {
  const std::vector<double> cells = x.to(Device::CPU).to(DType::F64).to_vector<double>();
  for (std::size_t i = 0, at = 0; i < scores.size(); ++i) {
    for (std::size_t j = 0; j < kinds_.size(); ++j, ++at) {
      if (kinds_[j] == 0 || std::isnan(cells[at])) continue;
      const bool known = cells[at] >= 0 && cells[at] < kinds_[j];
      scores[i] += known ? frequency_[j][static_cast<std::size_t>(cells[at])] : -INFINITY;
    }
  }
}

Baselines::Scores TableBaselines::scores(const Tensor& x, const Tensor& given) const {
  if (kinds_.empty() && !has_gaps(x)) return numbers_->scores(x, given);
  NF_CHECK(kinds_.empty() || x.dim(1) == std::ssize(kinds_), "[baselines] fitted to ",
           kinds_.size(), " columns, got ", describe(x));
  const auto n = static_cast<std::size_t>(x.dim(0));
  Baselines::Scores out{std::vector<double>(n), std::vector<double>(n)};
  if (numbers_) {
    const Tensor numbers = numbers_of(x).to(Device::CPU).to(DType::F64);
    for (const auto& [there, rows] : patterns_of(numbers)) {
      std::vector<std::int32_t> columns;
      for (std::size_t j = 0; j < there.size(); ++j) {
        if (there[j]) columns.push_back(static_cast<std::int32_t>(j));
      }
      if (columns.empty()) continue;  // ln 1
      const bool whole = columns.size() == there.size();
      const Tensor index = index_of_rows(rows), part = index_select(numbers, 0, index);
      Baselines::Scores some;
      if (whole) {
        some = numbers_->scores(part, given_rows(given, index));
      } else if (!conditional()) {
        some = numbers_->of_columns(columns).scores(index_select(part, 1, index_of_rows(columns)));
      }
      for (std::size_t i = 0; i < rows.size(); ++i) {
        const auto at = static_cast<std::size_t>(rows[i]);
        out.independent[at] = some.independent.empty() ? NAN : some.independent[i];
        out.gaussian[at] = some.gaussian.empty() ? NAN : some.gaussian[i];
      }
    }
  }
  if (!kinds_.empty()) {
    add_categories(x, out.independent);
    add_categories(x, out.gaussian);
  }
  return out;
}

std::optional<TableBaselines::Moments> TableBaselines::moments() const {
  Moments out;
  if (numbers_) {
    out.mean = numbers_->mean();
    out.covariance = numbers_->covariance();
    if (conditional() || !out.covariance.defined()) return std::nullopt;
  }
  const std::vector<double> frequency = all_frequencies();
  if (!frequency.empty()) out.log_frequency = Tensor::from(frequency, {std::ssize(frequency)});
  return out;
}

// Of all categories, one behind the other.
std::vector<double> TableBaselines::all_frequencies() const {
  std::vector<double> all;
  for (const std::vector<double>& column : frequency_)
    all.insert(all.end(), column.begin(), column.end());
  return all;
}

nn::StateDict TableBaselines::state() const {
  nn::StateDict state;
  if (numbers_) state = numbers_->state();
  if (fitted_rows_ < rows_) {
    state.emplace_back(kRows, Tensor::from(std::vector<double>{static_cast<double>(rows_),
                                                               static_cast<double>(fitted_rows_)},
                                           {2}));
  }
  if (kinds_.empty()) return state;
  const std::vector<double> kinds(kinds_.begin(), kinds_.end()), frequency = all_frequencies();
  state.emplace_back("categories", Tensor::from(kinds, {std::ssize(kinds)}));
  state.emplace_back("category_log_frequency", Tensor::from(frequency, {std::ssize(frequency)}));
  return state;
}

TableBaselines TableBaselines::from(const std::map<std::string, Tensor>& state,
                                    const std::string& where) {
  TableBaselines out;
  if (const auto rows = state.find(kRows); rows != state.end()) {
    NF_CHECK(rows->second.dtype() == DType::F64 && rows->second.shape() == Shape({2}), where, "'",
             kRows, "' should be two f64 numbers");
    const std::vector<double> counts = rows->second.to_vector<double>();
    NF_CHECK(counts[1] >= 1 && counts[1] <= counts[0] && counts[0] < 1e15, where, "'", kRows,
             "' says ", counts[1], " of ", counts[0], " rows");
    out.rows_ = static_cast<std::int64_t>(counts[0]);
    out.fitted_rows_ = static_cast<std::int64_t>(counts[1]);
  }
  const auto kinds = state.find("categories");
  if (kinds != state.end()) {
    const auto frequency = state.find("category_log_frequency");
    NF_CHECK(kinds->second.rank() == 1 && kinds->second.dtype() == DType::F64 &&
                 frequency != state.end() && frequency->second.rank() == 1 &&
                 frequency->second.dtype() == DType::F64,
             where, "'categories' and 'category_log_frequency' should be f64 lists");
    std::vector<std::int32_t> categories;
    for (const double k : kinds->second.to_vector<double>()) {
      NF_CHECK(k == 0 || (k >= 2 && k <= static_cast<double>(data::kMostCategories) &&
                          k == std::floor(k)),
               where, "'categories' has a category of ", k, " values");
      categories.push_back(static_cast<std::int32_t>(k));
    }
    out.take_kinds(categories);
    const auto values = std::accumulate(categories.begin(), categories.end(), std::int64_t{0});
    NF_CHECK(frequency->second.dim(0) == values && values > 0, where,
             "'category_log_frequency' is not of ", values, " values");
    const std::vector<double> all = frequency->second.to_vector<double>();
    auto at = all.begin();
    for (const std::int32_t k : categories) {
      out.frequency_.emplace_back(at, at + k);
      at += k;
    }
  }
  if (out.kinds_.empty() || !out.number_columns_.empty()) {
    out.numbers_ = Baselines::from(state, where);
  }
  return out;
}

}  // namespace nf::flows
