#include "data/given.h"

#include <algorithm>
#include <cstdlib>
#include <limits>

#include "data/columns.h"
#include "data/samples.h"
#include "data/setting_error.h"
#include "tensor/ops.h"
#include "tensor/text.h"

namespace nf::data {
namespace {

constexpr const char* kLabel = "label";
constexpr const char* kColumn = "column:";

bool among(const std::string& name, const std::vector<std::string>& names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

void take_labels(Dataset& data, bool of_run) {
  const bool has_column = among(kLabel, data.columns);
  check_setting(data.train.labels.defined(), "given", "[given] '", printable(data.name),
                "' has no labels",
                of_run       ? ", which the model is given; give data with labels, pictures in "
                               "folders that are called like the classes"
                : has_column ? "; for its column of that name give column:label"
                             : "; give names of columns, or data with labels");
  for (Split* part : {&data.train, &data.valid, &data.test}) {
    check_setting(part->size() == 0 || part->labels.defined(), "given",
                  "[given] only some parts of '", printable(data.name), "' have labels");
    if (part->labels.defined()) part->given = part->labels.reshape({part->size(), 1});
  }
  data.given = {kLabel};
  data.given_classes = data.classes;
}

void take_columns_given(Dataset& data, const std::vector<std::string>& wanted, bool of_run) {
  if (data.images() && data.train.given.defined()) {  // read beside them (picture_attributes.h)
    data.given = wanted;
    return;
  }
  check_setting(!data.images(), "given", "[given] '", printable(data.name),
                "' holds images, which have no columns; give label");
  const std::vector<std::string> names = data.columns.empty() ? numbered(data.dims) : data.columns;
  std::vector<std::int32_t> given, others;
  for (const std::string& name : wanted) {
    auto found = std::find(names.begin(), names.end(), name);
    if (found == names.end() && !named({name})) {  // a number: of a model without names
      const std::int64_t place = std::atoll(name.c_str());
      if (place >= 1 && place <= data.dims) found = names.begin() + (place - 1);
    }
    check_setting(found != names.end(), "given", "[given] '", printable(data.name),
                  "' has no column '", printable(name), "'",
                  of_run ? ", which the model is given" : "",
                  found == names.end() ? printable(did_you_mean(name, names)) : "");
    check_one_column(data.name, names, *found);
    given.push_back(static_cast<std::int32_t>(found - names.begin()));
  }
  for (std::int32_t i = 0; i < static_cast<std::int32_t>(data.dims); ++i) {
    if (std::find(given.begin(), given.end(), i) == given.end()) others.push_back(i);
  }
  check_setting(!others.empty(), "given", "[given] no column of '", printable(data.name),
                "' is left to be modelled");
  const Tensor index = Tensor::from(given, {std::ssize(given)});
  for (Split* part : {&data.train, &data.valid, &data.test}) {
    if (part->x.defined()) part->given = index_select(part->x, 1, index).to(DType::F64);
  }
  data.columns = names;  // numbers are names from here on: what is left has gaps
  take_columns(data, others);
  data.given = wanted;
  data.entropy = std::numeric_limits<double>::quiet_NaN();  // it was that of all columns
}

}  // namespace

std::vector<std::string> between_commas(const std::string& text) {
  std::vector<std::string> parts(1);
  bool begins = true, quoted = false;  // a name or a value begins here; within quotes
  for (const char c : text) {
    if (c == ',' && !quoted) {
      parts.emplace_back();
      begins = true;
      continue;
    }
    parts.back() += c;
    if (c == '"') quoted = begins || quoted ? !quoted : quoted;
    begins = begins ? c == ' ' : c == '=' && !quoted;
  }
  if (!quoted) return parts;
  parts.clear();  // a quote that is never closed is a character
  for (std::size_t at = 0, end = 0; end < text.size(); at = end + 1) {
    end = std::min(text.find(',', at), text.size());
    parts.push_back(text.substr(at, end - at));
  }
  return parts;
}

std::string unquoted(const std::string& name) {
  const std::string bare = without_spaces(name);
  const bool quoted = bare.size() > 1 && bare.front() == '"' && bare.back() == '"';
  return quoted ? bare.substr(1, bare.size() - 2) : bare;
}

GivenNames parse_given(const std::string& text) {
  GivenNames out;
  if (text.empty()) return out;
  for (const std::string& part : between_commas(text)) {
    std::string name = without_spaces(part);
    check_setting(!name.empty(), "given", "[given] '", printable(text),
                  "' has an empty name; give label, or columns as a,b");
    if (name == kLabel) {
      out.labels = true;
      continue;
    }
    if (name.starts_with(kColumn)) name = name.substr(std::string(kColumn).size());
    name = unquoted(name);
    check_setting(!among(name, out.columns), "given", "[given] '", printable(name),
                  "' stands twice");
    out.columns.push_back(name);
  }
  check_setting(!out.labels || out.columns.empty(), "given",
                "[given] labels and columns cannot be given together; a column named label is "
                "column:label");
  return out;
}

void take_given(Dataset& data, const GivenNames& names, bool of_run) {
  if (names.labels) take_labels(data, of_run);
  if (!names.columns.empty()) take_columns_given(data, names.columns, of_run);
}

void check_labels(const Dataset& data, int classes) {
  for (const Split* part : {&data.train, &data.valid, &data.test}) {
    if (part->size() == 0 || !part->given.defined()) continue;
    const std::int32_t* labels = part->given.data<std::int32_t>();
    const std::int32_t most = *std::max_element(labels, labels + part->size());
    NF_CHECK(most < classes, "[given] '", printable(data.name), "' has the label ", most,
             ", the model knows 0 to ", classes - 1);
  }
}

}  // namespace nf::data
