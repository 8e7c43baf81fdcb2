#include "cli/given.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "cli/choice.h"
#include "cli/table.h"
#include "data/columns.h"
#include "data/given.h"
#include "data/samples.h"
#include "tensor/ops.h"
#include "tensor/text.h"

namespace nf::cli {

namespace {

constexpr const char* kAll = "all";

Tensor every_label(std::int64_t classes) {
  return Tensor::arange(classes, DType::I32).reshape({classes, 1});
}

// Rows i * M / n of (M, G), i = 0 .. n - 1.
Tensor take_evenly(const Tensor& from, std::int64_t n) {
  std::vector<std::int32_t> order;
  for (std::int64_t i = 0; i < n; ++i) {
    order.push_back(static_cast<std::int32_t>(i * from.dim(0) / n));
  }
  return index_select(from, 0, Tensor::from(order, {n}));
}

double value_of(const std::string& text, const std::string& name) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  check_usage(error == std::errc() && end == text.data() + text.size() && std::isfinite(value),
              "[given] ", printable(name), ": '", printable(text), "' is no number");
  return value;
}

// (1, G) of numbers, as the data have them.
Tensor as_row(const std::vector<double>& values, const data::Dataset& shape) {
  if (shape.given_classes == 0) return Tensor::from(values, {1, std::ssize(values)});
  const double label = values[0];
  check_usage(label == std::floor(label) && label >= 0 && label < shape.given_classes,
              "[given] label ", label, " is none of the model's, which are 0 to ",
              shape.given_classes - 1);
  return Tensor::from(std::vector<std::int32_t>{static_cast<std::int32_t>(label)}, {1, 1});
}

// "a=1,b=2", or "1" where one thing is given.
Tensor parse_row(const std::string& text, const data::Dataset& shape) {
  const std::vector<std::string>& names = shape.given;
  std::vector<double> values(names.size(), std::nan(""));
  const std::string known = "; the model is given " + printable(join(names, ", "));
  for (const std::string& part : data::between_commas(text)) {
    const std::size_t equals = part.rfind('=');
    const bool bare = equals == std::string::npos && names.size() == 1;
    check_usage(bare || equals != std::string::npos, "[given] '", printable(part),
                "' is not NAME=VALUE", known);
    const std::string name = bare ? names[0] : part.substr(0, equals);
    const auto found = std::find(names.begin(), names.end(), name);
    check_usage(found != names.end(), "[given] the model is not given '", printable(name), "'",
                did_you_mean(name, names), known);
    double& value = values[static_cast<std::size_t>(found - names.begin())];
    check_usage(std::isnan(value), "[given] ", printable(name), " stands twice");
    value = value_of(bare ? part : part.substr(equals + 1), name);
  }
  for (std::size_t i = 0; i < names.size(); ++i) {
    check_usage(!std::isnan(values[i]), "[given] ", printable(names[i]), " is missing", known);
  }
  return as_row(values, shape);
}

// The columns of a file that the model is given; others are not looked at.
Tensor rows_of_file(const std::string& file, const data::Dataset& shape) {
  data::LoadOptions reading;
  reading.in_file_order = true;
  data::Dataset rows = data::load("csv:" + file, reading);
  const std::vector<std::string> all =
      rows.columns.empty() ? data::numbered(rows.dims) : rows.columns;
  const std::vector<std::string> names = data::named(all) ? given_columns(shape) : shape.given;
  std::vector<std::int32_t> columns;
  for (const std::string& name : names) {
    const auto found = std::find(all.begin(), all.end(), name);
    NF_CHECK(found != all.end(), "[given] '", printable(file), "' has no column '", printable(name),
             "'", did_you_mean(name, all));
    columns.push_back(static_cast<std::int32_t>(found - all.begin()));
  }
  data::take_columns(rows, columns);
  const Tensor x = all_rows(rows).x;
  if (shape.given_classes == 0) return x.to(DType::F64);
  std::vector<Tensor> labels;
  for (const double label : x.to(DType::F64).to_vector<double>()) {
    labels.push_back(as_row({label}, shape));
  }
  return concat(labels, 0);
}

}  // namespace

void GivenOptions::add_to(CLI::App& app, bool several) {
  auto* option = app.add_option("--given", given,
                                several ? "Of a conditional model: NAME=VALUE,... (or VALUE), or "
                                          "all, every label (default: all; of columns the rows "
                                          "of the test part)"
                                        : "Of a conditional model: NAME=VALUE,... (or VALUE)");
  if (several) {
    app.add_option("--given-file", file, "The same from a CSV file, -n samples for each row")
        ->excludes(option);
  }
}

Tensor GivenOptions::rows(const TrainedModel& model) const {
  const data::Dataset& shape = model.shape;
  if (shape.given.empty()) {
    check_usage(given.empty() && file.empty(), "[given] would change nothing: ", model.run.path(),
                " is no conditional model");
    return {};
  }
  if (!file.empty()) return rows_of_file(file, shape);
  const bool labels = shape.given_classes > 0;
  check_usage(given != kAll || labels, "[given] all is for labels; the model is given ",
              printable(join(shape.given, ", ")), ": say --given NAME=VALUE or --given-file");
  if (given == kAll || (given.empty() && labels)) return every_label(shape.given_classes);
  if (!given.empty()) return parse_row(given, shape);
  check_usage(with_data_there(model.run).has_value(),
              "[given] the data of the run are not there to take ",
              printable(join(shape.given, ", ")), " from: say --given NAME=VALUE or --given-file");
  return part_of(load_run_data(model.run), "test").given;
}

Tensor GivenOptions::one_row(const TrainedModel& model, const char* command) const {
  if (!given.empty() || model.shape.given.empty()) {
    check_usage(given != kAll, "[", command, "] takes one thing that is given, not all");
    return rows(model);
  }
  check_usage(false, "[", command, "] the model is conditional: say --given ",
              printable(join(model.shape.given, "=..,")), "=..");
  return {};
}

Tensor spread_over(const Tensor& given, std::int64_t n) {
  return given.defined() ? take_evenly(given, n) : Tensor();
}

Tensor given_of_pictures(const data::Dataset& data, std::int64_t n) {
  if (data.given.empty()) return {};
  if (data.given_classes > 0) return take_evenly(every_label(data.given_classes), n);
  return take_evenly(data.valid.size() > 0 ? data.valid.given : data.train.given, n);
}

Var given_part(const Tensor& given, std::int64_t first, std::int64_t count, Device device) {
  return given.defined() ? Var(given.narrow(0, first, count).to(device)) : Var();
}

}  // namespace nf::cli
