#include "cli/given.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <optional>

#include "cli/partial.h"
#include "cli/table.h"
#include "data/columns.h"
#include "data/csv_cells.h"
#include "data/given.h"
#include "tensor/memory.h"
#include "tensor/ops.h"
#include "tensor/text.h"

namespace nf::cli {

namespace {

Tensor every_label(std::int64_t classes) {
  return Tensor::arange(classes, DType::I32).reshape({classes, 1});
}

// Rows i * M / n of (M, G), i = 0 .. n - 1.
Tensor take_evenly(const Tensor& from, std::int64_t n) {
  const double row = sizeof(std::int32_t) + sizeof(double) * static_cast<double>(from.dim(1));
  check_memory(row * static_cast<double>(n), str("what is given with ", n, " samples"),
               "take fewer at a time");
  std::vector<std::int32_t> order(static_cast<std::size_t>(n));
  for (std::int64_t i = 0; i < n; ++i) {
    order[static_cast<std::size_t>(i)] = static_cast<std::int32_t>(i * from.dim(0) / n);
  }
  return index_select(from, 0, Tensor::from(order, {n}));
}

double value_of(const std::string& text, const std::string& name) {
  const std::optional<double> value = data::cell_number(data::without_spaces(text));
  check_usage(value.has_value(), "[given] ", printable(name), ": '", printable(text),
              "' is no number");
  check_usage(std::isfinite(*value), "[given] ", printable(name), ": '", printable(text),
              "' is no finite number of 32 bits");
  return *value;
}

// A label by its name.
double label_of(const std::string& text, const data::Dataset& shape) {
  const std::string name = data::unquoted(text);
  const auto& names = shape.class_names;
  const auto found = std::find(names.begin(), names.end(), name);
  check_usage(found != names.end(), "[given] '", printable(name), "' is no ",
              shape.label.empty() ? "label" : printable(shape.label), " of the model",
              did_you_mean(name, names), "; it knows ", printable(join(names, ", "), 200));
  return static_cast<double>(found - names.begin());
}

// What is said of one thing: labels of a table by their names, others that have names by these or
// by their numbers.
double value_for(const std::string& text, const std::string& name, const data::Dataset& shape) {
  if (names_labels(shape)) return label_of(text, shape);
  const bool named = shape.given_classes > 0 && !shape.class_names.empty();
  if (named && !data::cell_number(data::without_spaces(text))) return label_of(text, shape);
  return value_of(text, name);
}

bool knows_label(double label, int classes) {
  return label == std::floor(label) && label >= 0 && label < classes;
}

std::string unknown_label(double label, int classes) {
  return str("label ", label, " is none of the model's, which are 0 to ", classes - 1);
}

// "the model is given a, b"
std::string what_is_given(const data::Dataset& shape) {
  return "the model is given " +
         printable(join(names_labels(shape) ? given_columns(shape) : shape.given, ", "));
}

// Which of what is given a name means: 3 or, as CSV has it, x3 of columns without names.
std::size_t place_of(const std::string& name, const data::Dataset& shape) {
  for (const std::vector<std::string>& names : {shape.given, given_columns(shape)}) {
    const auto found = std::find(names.begin(), names.end(), name);
    if (found != names.end()) return static_cast<std::size_t>(found - names.begin());
  }
  check_usage(false, "[given] the model is not given '", printable(name), "'",
              did_you_mean(name, shape.given), "; ", what_is_given(shape));
  return 0;
}

// "a=1,b=2" of all that is given, (1, G).
Tensor parse_row(const std::string& text, const data::Dataset& shape) {
  const GivenValues values = parse_given_values(text, shape);
  for (std::size_t i = 0; i < shape.given.size(); ++i) {
    const bool there = std::any_of(values.begin(), values.end(),
                                   [&](const auto& value) { return value.first == i; });
    check_usage(there, "[given] ", printable(shape.given[i]), " is missing; ",
                what_is_given(shape));
  }
  const DType dtype = shape.given_classes > 0 ? DType::I32 : DType::F64;
  return with_values(Tensor::zeros({1, std::ssize(shape.given)}, dtype), values);
}

// "csv:FILE", as other sources are written; there is no other format.
std::string path_of_rows(const std::string& file) {
  constexpr std::string_view kFormat = "csv:";
  std::error_code error;
  const bool prefixed = file.starts_with(kFormat) && !std::filesystem::exists(file, error);
  return prefixed ? file.substr(kFormat.size()) : file;
}

// The columns of a file that the model is given; others are not looked at.
Tensor rows_of_file(const std::string& file, const TrainedModel& model) {
  const data::Dataset& shape = model.shape;
  const std::vector<std::string> names = given_columns(shape);
  const std::string path = path_of_rows(file);
  if (names_labels(shape)) {
    const data::Table labels = data::read_csv(
        path, {.label = names[0], .labels_alone = true, .class_names = shape.class_names});
    for (const std::string& note : labels.notes) model.common.note("note: " + note);
    return labels.labels.reshape({labels.labels.numel(), 1});
  }
  const data::Table table = data::read_csv(path, {.columns = names,
                                                  .given = names,
                                                  .may_lack_split_by = true,
                                                  .lines = shape.given_classes > 0});
  for (const std::string& note : table.notes) model.common.note("note: " + note);
  if (data::named(names) && !data::named(table.columns)) {
    model.common.note(str("note: '", data::shown_path(path), "' has no names of columns: they are ",
                          "taken by position, as ", printable(join(names, ", "))));
  }
  if (shape.given_classes == 0) return table.values;
  std::vector<std::int32_t> labels;
  for (const double label : table.values.to_vector<double>()) {
    NF_CHECK(knows_label(label, shape.given_classes), "[given] '", data::shown_path(path),
             "', line ", table.lines[labels.size()], ": ",
             unknown_label(label, shape.given_classes));
    labels.push_back(static_cast<std::int32_t>(label));
  }
  return Tensor::from(labels, {std::ssize(labels), 1});
}

}  // namespace

void GivenOptions::add_to(CLI::App& app, GivenRows rows) {
  const std::string one =
      "Of a conditional model: NAME=VALUE,... (or VALUE); of tabular any of its columns";
  auto* option =
      app.add_option("--given", given,
                     rows == GivenRows::OfSamples ? one +
                                                        ", or all, every label (default: all; of "
                                                        "columns the rows of the test part)"
                     : rows == GivenRows::OfLatents ? one + ", the same for all latents"
                                                    : one);
  if (rows == GivenRows::One) return;
  app.add_option("--given-file", file,
                 rows == GivenRows::OfSamples
                     ? "The same from a CSV file, -n samples for each row"
                     : "The same from a CSV file, a row for each of the latents: what 'flowcli "
                       "encode' writes has it beside them")
      ->excludes(option);
}

Tensor GivenOptions::rows(const TrainedModel& model) const {
  const data::Dataset& shape = model.shape;
  if (any_order(model) && !(given.empty() && file.empty())) {
    return file.empty() ? known_cells(given, model)
                        : known_cells_of_file(path_of_rows(file), model);
  }
  if (shape.given.empty()) {
    check_usage(given.empty() && file.empty(), "[given] would change nothing: ", model.run.path(),
                " is no conditional model");
    return {};
  }
  if (!file.empty()) return rows_of_file(file, model);
  const bool labels = shape.given_classes > 0;
  check_usage(given != kAll || labels, "[given] all is for labels; ", what_is_given(shape),
              ": say --given NAME=VALUE or --given-file");
  if (given == kAll || (given.empty() && labels)) return every_label(shape.given_classes);
  if (!given.empty()) return parse_row(given, shape);
  const std::string way_out = str(" to take ", printable(join(shape.given, ", ")),
                                  " from: say --given NAME=VALUE or --given-file");
  check_usage(with_data_there(model.run).has_value(), "[given] the data of the run are not there",
              way_out);
  const data::Dataset data = load_run_data(model.run);
  check_usage(data.test.size() > 0, "[given] ", data.name, " has no test rows", way_out);
  return data.test.given;
}

Tensor GivenOptions::one_row(const TrainedModel& model, const char* command,
                             const char* or_else) const {
  if (!given.empty() || model.shape.given.empty()) {
    check_usage(given != kAll, "[", command, "] takes one thing that is given, not all");
    return rows(model);
  }
  check_usage(false, "[", command, "] the model is conditional: say --given ",
              printable(join(model.shape.given, "=..,")), "=..", or_else);
  return {};
}

GivenValues parse_given_values(const std::string& text, const data::Dataset& shape) {
  const std::vector<std::string>& names = shape.given;
  std::vector<bool> named(names.size(), false);
  const std::string known = "; " + what_is_given(shape);
  const bool bare = names.size() == 1 && text.find('=') == std::string::npos;
  const std::vector<std::string> parts = data::between_commas(text);
  check_usage(!bare || parts.size() == 1, "[given] '", printable(text), "' is ", parts.size(),
              " values, where one is taken; write numbers with a point", known);
  GivenValues values;
  for (const std::string& part : parts) {
    const std::size_t equals = part.rfind('=');
    check_usage(bare || equals != std::string::npos, "[given] '", printable(part),
                "' is not NAME=VALUE", known);
    const std::size_t at = bare ? 0 : place_of(data::unquoted(part.substr(0, equals)), shape);
    check_usage(!named[at], "[given] ", printable(names[at]), " stands twice");
    named[at] = true;
    const std::string value = bare ? part : part.substr(equals + 1);
    values.emplace_back(at, value_for(value, names[at], shape));
    check_usage(shape.given_classes == 0 || knows_label(values.back().second, shape.given_classes),
                "[given] ", unknown_label(values.back().second, shape.given_classes));
  }
  return values;
}

Tensor with_values(const Tensor& given, const GivenValues& values) {
  Tensor changed = given.clone();
  for (const auto& [at, value] : values) {
    changed.narrow(1, static_cast<std::int64_t>(at), 1).fill_(value);
  }
  return changed;
}

Tensor spread_over(const Tensor& given, std::int64_t n) {
  return given.defined() ? take_evenly(given, n) : Tensor();
}

Tensor given_of_pictures(const data::Dataset& data, std::int64_t n) {
  if (data.given.empty()) return {};
  if (data.given_classes > 0) return take_evenly(every_label(data.given_classes), n);
  return take_evenly(data.valid.size() > 0 ? data.valid.given : data.train.given, n);
}

}  // namespace nf::cli
