#include "data/columns.h"

#include <algorithm>
#include <cstdint>

#include "tensor/ops.h"
#include "tensor/text.h"

namespace nf::data {
namespace {

using Names = std::vector<std::string>;

bool contains(const Names& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// "'a', 'b', 'c' and 9 more"
std::string listed(const Names& names) {
  constexpr std::size_t kListed = 5;
  Names quoted;
  for (std::size_t i = 0; i < std::min(kListed, names.size()); ++i) {
    quoted.push_back("'" + printable(names[i], 40) + "'");
  }
  return join(quoted, ", ") +
         (names.size() > kListed ? str(" and ", names.size() - kListed, " more") : "");
}

/// The names of `these` that are not among `those`.
Names missing(const Names& these, const Names& those) {
  Names out;
  for (const std::string& name : these) {
    if (!contains(those, name)) out.push_back(name);
  }
  return out;
}

void check_unique(const std::string& where, const Names& names) {
  Names sorted = names;
  std::sort(sorted.begin(), sorted.end());
  const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
  NF_CHECK(twice == sorted.end(), "[data] ", where, " two columns are named '",
           printable(twice == sorted.end() ? "" : *twice),
           "', so they cannot be matched by name; rename one");
}

std::string by_position(const Dataset& data, const Names& wanted) {
  const bool model_named = named(wanted);
  NF_CHECK(wanted.empty() || data.dims == std::ssize(wanted), "[data] '", printable(data.name),
           "' has ", data.dims, " columns", model_named ? " without names" : "",
           ", the model was trained on ", wanted.size(), model_named ? ": " + listed(wanted) : "");
  if (model_named == named(data.columns)) return {};
  return model_named
             ? str("'", printable(data.name),
                   "' has no names of columns: they are taken by position, as ", listed(wanted))
             : "the model knows no names of columns: they are taken by position";
}

}  // namespace

bool named(const Names& columns) {
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (columns[i] != std::to_string(i + 1)) return true;
  }
  return false;
}

void take_columns(Dataset& data, const std::vector<std::int32_t>& columns) {
  const Tensor index = Tensor::from(columns, {std::ssize(columns)});
  for (Split* split : {&data.train, &data.valid, &data.test}) {
    if (split->x.defined()) split->x = index_select(split->x, 1, index);
  }
  if (!data.columns.empty()) {
    Names names;
    for (const std::int32_t i : columns) names.push_back(data.columns[static_cast<std::size_t>(i)]);
    data.columns = std::move(names);
  }
  data.dims = std::ssize(columns);
}

std::string match_columns(Dataset& data, const Names& wanted, const Names& ignored) {
  if (data.columns == wanted) return {};
  if (!named(wanted) || !named(data.columns)) return by_position(data, wanted);
  const std::string file = "in '" + printable(data.name) + "'";
  const Names lacking = missing(wanted, data.columns);
  NF_CHECK(lacking.empty(), "[data] ", file, " there is no column ", listed(lacking),
           ", which the model was trained on",
           lacking.empty() ? "" : printable(did_you_mean(lacking[0], data.columns)));
  const Names extra = missing(missing(data.columns, wanted), ignored);
  NF_CHECK(extra.empty(), "[data] ", file, " the model was not trained on column ", listed(extra),
           "; leave it out of the file (the model's are ", listed(wanted), ")");
  check_unique(file, data.columns);
  std::vector<std::int32_t> order;
  for (const std::string& name : wanted) {
    const auto at = std::find(data.columns.begin(), data.columns.end(), name);
    order.push_back(static_cast<std::int32_t>(at - data.columns.begin()));
  }
  take_columns(data, order);
  return {};
}

}  // namespace nf::data
