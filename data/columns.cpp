#include "data/columns.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>

#include "data/csv_cells.h"
#include "data/given.h"
#include "data/samples.h"
#include "data/setting_error.h"
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

[[noreturn]] void fail_twice(const std::string& path, const std::string& name) {
  fail(str("[data] in '", printable(path), "' two columns are named '", printable(name),
           "', so they cannot be told apart by name; rename one"));
}

void check_unique(const std::string& path, Names names) {
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  if (twice != names.end()) fail_twice(path, *twice);
}

std::string by_position(const Dataset& data, const Names& wanted) {
  const bool model_named = named(wanted);
  NF_CHECK(wanted.empty() || data.dims == std::ssize(wanted), "[data] '", printable(data.name),
           "' has ", data.dims, " columns", model_named ? " without names" : "",
           data.given.empty() ? "" : " beside what is given", ", the model was trained on ",
           wanted.size(), model_named ? ": " + listed(wanted) : "");
  if (model_named == named(data.columns)) return {};
  return model_named
             ? str("'", printable(data.name),
                   "' has no names of columns: they are taken by position, as ", listed(wanted))
             : "the model knows no names of columns: they are taken by position";
}

}  // namespace

bool named(const Names& columns) {
  return std::any_of(columns.begin(), columns.end(), [](const std::string& name) {
    return name.empty() || name.find_first_not_of("0123456789") != std::string::npos;
  });
}

std::string without_spaces(const std::string& name) {
  const std::size_t first = name.find_first_not_of(' ');
  if (first == std::string::npos) return {};
  return name.substr(first, name.find_last_not_of(' ') - first + 1);
}

void check_one_column(const std::string& path, const Names& columns, const std::string& name) {
  if (std::count(columns.begin(), columns.end(), name) > 1) fail_twice(path, name);
}

std::map<std::string, Names> categories_of(const Dataset& data) {
  std::map<std::string, Names> out;
  for (std::size_t j = 0; j < data.categories.size(); ++j) {
    if (!data.categories[j].empty()) out[data.columns[j]] = data.categories[j];
  }
  return out;
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
  if (!data.categories.empty()) {
    std::vector<Names> categories;
    for (const std::int32_t i : columns) {
      categories.push_back(data.categories[static_cast<std::size_t>(i)]);
    }
    data.categories = std::move(categories);
  }
  data.dims = std::ssize(columns);
}

std::string match_columns(Dataset& data, const Names& wanted, const Names& ignored) {
  if (data.columns == wanted) return {};
  if (!named(wanted) || !named(data.columns)) {
    const std::string note = by_position(data, wanted);
    data.columns = wanted;
    return note;
  }
  const std::string file = "in '" + printable(data.name) + "'";
  const Names lacking = missing(wanted, data.columns);
  NF_CHECK(lacking.empty(), "[data] ", file, " there is no column ", listed(lacking),
           ", which the model was trained on",
           lacking.empty() ? "" : printable(did_you_mean(lacking[0], data.columns)));
  const Names extra = missing(missing(data.columns, wanted), ignored);
  check_unique(data.name, data.columns);
  std::vector<std::int32_t> order;
  for (const std::string& name : wanted) {
    const auto at = std::find(data.columns.begin(), data.columns.end(), name);
    order.push_back(static_cast<std::int32_t>(at - data.columns.begin()));
  }
  take_columns(data, order);
  return extra.empty() ? ""
                       : str(file, " the model does not know column ", listed(extra),
                             ", which is not looked at");
}

// --- types --------------------------------------------------------------------------------------

namespace {

std::string plain_name(const Names& columns, std::int64_t i) {
  return columns.empty() ? std::to_string(i + 1) : columns[static_cast<std::size_t>(i)];
}

std::string quoted_name(const Names& columns, std::int64_t i) {
  return columns.empty() ? std::to_string(i + 1)
                         : "'" + printable(columns[static_cast<std::size_t>(i)], 40) + "'";
}

/// Calls use(column, values of all rows of a part) for real rows.
template <class Use>
void for_each_column(const Split& part, Use&& use) {
  if (part.size() == 0 || !is_float(part.x.dtype())) return;
  const Tensor x = part.x.contiguous();
  const std::int64_t n = x.dim(0), dims = x.dim(1);
  visit_dtype(x.dtype(), [&]<class T>() {
    const T* values = x.data<T>();
    for (std::int64_t j = 0; j < dims; ++j) {
      use(j, [=](auto&& each) {
        for (std::int64_t i = 0; i < n; ++i) {
          const auto value = static_cast<double>(values[i * dims + j]);
          if (!std::isnan(value) && !each(i, value)) return;  // NaN: the cell is missing
        }
      });
    }
  });
}

}  // namespace

namespace {

/// One end of "bounded:LO:HI"; `open` where nothing stands.
double bound_of(const std::string& text, double open, const std::string& part) {
  const std::string bare = without_spaces(text);
  if (bare.empty() || bare == (open < 0 ? "-inf" : "inf")) return open;
  const std::optional<double> value = cell_number(bare);
  check_setting(value && std::isfinite(*value), "types", "[types] '", printable(part), "': '",
                printable(bare),
                "' is no bound; give a number, or leave it empty where there is none");
  return *value;
}

/// What stands behind COLUMN=; `part`: all of it.
ColumnType type_of(const std::string& text, const std::string& part) {
  constexpr std::string_view kBounded = "bounded:";
  if (text == "real") return {};
  if (text == "integer") return {.integer = true};
  if (text == "category") return {.category = true};
  const std::size_t colon = text.find(':', kBounded.size());
  check_setting(text.starts_with(kBounded) && colon != std::string::npos, "types", "[types] '",
                printable(part),
                "' is not COLUMN=real, integer, category or bounded:LO:HI; several "
                "go with commas between");
  constexpr double kOpen = std::numeric_limits<double>::infinity();
  const ColumnType type{
      .low = bound_of(text.substr(kBounded.size(), colon - kBounded.size()), -kOpen, part),
      .high = bound_of(text.substr(colon + 1), kOpen, part)};
  check_setting(type.low < type.high, "types", "[types] '", printable(part), "': between ",
                type.low, " and ", type.high, " there is nothing");
  check_setting(type.bounded(), "types", "[types] '", printable(part),
                "' has no bound; say COLUMN=real");
  return type;
}

std::size_t place_of(const std::string& name, const Names& names, const Names& given) {
  auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) found = std::find(names.begin(), names.end(), without_spaces(name));
  if (found == names.end()) {
    check_setting(!contains(given, without_spaces(name)), "types", "[types] column '",
                  printable(name), "' is given, not modelled, and so needs no type");
    throw SettingError("types", str("[types] there is no column '", printable(name), "'",
                                    printable(did_you_mean(name, names))));
  }
  return static_cast<std::size_t>(found - names.begin());
}

}  // namespace

std::vector<std::pair<std::string, std::string>> named_types(const std::string& types) {
  std::vector<std::pair<std::string, std::string>> out;
  if (types.empty()) return out;
  for (const std::string& part : between_commas(types)) {
    const std::size_t equals = part.rfind('=');
    check_setting(
        equals != std::string::npos && equals > 0, "types", "[types] '", printable(part),
        "' is not COLUMN=real, integer, category or bounded:LO:HI; several go with commas "
        "between");
    const std::string name = part.substr(0, equals);
    const bool quoted = without_spaces(name).starts_with('"');
    out.emplace_back(quoted ? unquoted(name) : name, without_spaces(part.substr(equals + 1)));
  }
  return out;
}

std::vector<ColumnType> column_types(const std::string& types, const Names& columns,
                                     std::int64_t dims, const Names& given) {
  const Names names = columns.empty() ? numbered(dims) : columns;
  std::vector<ColumnType> out(static_cast<std::size_t>(dims));
  for (const auto& [name, type] : named_types(types)) {
    const ColumnType parsed = type_of(type, name + "=" + type);
    out[place_of(name, names, given)] = parsed;
  }
  return out;
}

std::vector<std::int32_t> integer_columns(const std::string& types, const Names& columns,
                                          std::int64_t dims, const Names& given) {
  std::vector<std::int32_t> out;
  const std::vector<ColumnType> all = column_types(types, columns, dims, given);
  for (std::size_t j = 0; j < all.size(); ++j) {
    if (all[j].integer) out.push_back(static_cast<std::int32_t>(j));
  }
  return out;
}

void refuse_categories(const std::string& types) {
  for (const auto& [name, type] : named_types(types)) {
    check_setting(type != "category", "types", "[types] '", printable(name),
                  "=category': a category has no density here, but in the model tabular; give it "
                  "as a label, with --label and --given label, or leave it out with --drop");
  }
}

namespace {

/// Of each column: whether all its numbers are whole.
std::vector<bool> whole_columns(const Dataset& data) {
  constexpr double kMost = 1LL << 50;  // 1/2 must not be lost beside it
  std::vector<bool> whole(static_cast<std::size_t>(data.dims), true);
  for (const Split* part : {&data.train, &data.valid, &data.test}) {
    for_each_column(*part, [&](std::int64_t j, auto&& values) {
      values([&](std::int64_t, double value) {
        const bool is_whole = value == std::floor(value) && std::abs(value) < kMost;
        if (!is_whole) whole[static_cast<std::size_t>(j)] = false;
        return is_whole;
      });
    });
  }
  return whole;
}

/// Throws for a column that has a number at its bounds or beyond.
void check_bounds(const Dataset& data, const std::vector<ColumnType>& types) {
  struct Outside {
    std::int64_t count = 0;
    double first = 0;
  };
  std::vector<Outside> outside(types.size());
  for (const Split* part : {&data.train, &data.valid, &data.test}) {
    for_each_column(*part, [&](std::int64_t column, auto&& values) {
      const auto j = static_cast<std::size_t>(column);
      if (!types[j].bounded()) return;
      values([&](std::int64_t, double value) {
        if (!types[j].holds(value) && outside[j].count++ == 0) outside[j].first = value;
        return true;
      });
    });
  }
  for (std::size_t j = 0; j < types.size(); ++j) {
    check_setting(outside[j].count == 0, "types", "[types] column ",
                  quoted_name(data.columns, static_cast<std::int64_t>(j)), " of '",
                  printable(data.name), "' is to lie between ", types[j].low, " and ",
                  types[j].high, ", which ", outside[j].count,
                  " of its numbers do not, the first is ", outside[j].first,
                  "; a bound is beyond all numbers, and is none itself");
  }
}

}  // namespace

void look_at_types(Dataset& data, const std::string& types, bool of_run) {
  const std::vector<ColumnType> said = column_types(types, data.columns, data.dims, data.given);
  check_setting(types.empty() || !data.discrete, "types", "[types] '", printable(data.name),
                "' holds pixels, which are whole numbers already");
  if (data.discrete) return;
  for (std::int64_t j = 0; j < data.dims; ++j) {
    check_setting(!said[static_cast<std::size_t>(j)].category || is_category(data, j), "types",
                  "[types] column ", quoted_name(data.columns, j), " of '", printable(data.name),
                  "': categories are read from tables as text (CSV), which this is not");
  }
  const std::vector<bool> whole = whole_columns(data);
  for (std::int64_t j = 0; j < data.dims; ++j) {
    check_setting(!said[static_cast<std::size_t>(j)].integer || whole[static_cast<std::size_t>(j)],
                  "types", "[types] column ", quoted_name(data.columns, j), " of '",
                  printable(data.name), "' holds numbers that are not whole",
                  of_run ? "; train with another --types, where they are real" : "");
  }
  if (of_run) return;  // what is beyond its bounds has the density 0
  check_bounds(data, said);
  const ConstantColumns constant = constant_columns(data);
  const auto varies = [&](std::int64_t j) {
    const auto among = [&](const std::vector<std::int32_t>& columns) {
      return std::find(columns.begin(), columns.end(), j) != columns.end();
    };
    return !among(constant.everywhere) && !among(constant.training_only);
  };
  std::vector<bool> silent(static_cast<std::size_t>(data.dims), true);
  const Names all = data.columns.empty() ? numbered(data.dims) : data.columns;
  for (const auto& [name, type] : named_types(types))
    silent[place_of(name, all, data.given)] = false;
  for (std::int64_t j = 0; j < data.dims; ++j) {
    const auto at = static_cast<std::size_t>(j);
    if (!silent[at]) continue;
    if (is_category(data, j)) {
      data.texts.push_back(all[at]);
    } else if (whole[at] && data.train.size() > 1 && varies(j)) {
      data.whole.push_back(all[at]);
    }
  }
}

std::string with_guessed_types(const Dataset& data, const std::string& types) {
  std::string out = types;
  const auto add = [&](const std::string& name, const char* type) {
    if (name.find('"') != std::string::npos || name.find('=') != std::string::npos) return;
    const bool quoted = name.find(',') != std::string::npos || without_spaces(name) != name;
    out += str(out.empty() ? "" : ",", quoted ? "\"" + name + "\"" : name, "=", type);
  };
  for (const std::string& name : data.whole) add(name, "integer");
  for (const std::string& name : data.texts) add(name, "category");
  return out;
}

std::string advice_on_types(const Dataset& data) {
  constexpr std::size_t kNamed = 3;
  if (data.whole.empty()) return "";
  Names advice;
  for (std::size_t i = 0; i < std::min(kNamed, data.whole.size()); ++i) {
    advice.push_back(data.whole[i] + "=integer");
  }
  return str("whole numbers only in column ", listed(data.whole),
             ": as real numbers their density has no bound; if they are counts or levels, give "
             "--types ",
             printable(join(advice, ",")), data.whole.size() > kNamed ? ",..." : "");
}

std::string type_in_words(const ColumnType& type) {
  if (type.integer) return "integer";
  if (type.category) return "category";
  if (!type.bounded()) return "real";
  return std::isinf(type.low)    ? str("below ", type.high)
         : std::isinf(type.high) ? str("above ", type.low)
                                 : str("between ", type.low, " and ", type.high);
}

ConstantColumns constant_columns(const Dataset& data) {
  std::vector<double> value(static_cast<std::size_t>(data.dims));
  std::vector<bool> in_training(value.size(), false), elsewhere(value.size(), false);
  for_each_column(data.train, [&](std::int64_t j, auto&& values) {
    const auto at = static_cast<std::size_t>(j);
    in_training[at] = true;
    bool first = true;  // the cell of the first row may be missing
    values([&](std::int64_t, double x) {
      if (std::exchange(first, false)) value[at] = x;
      in_training[at] = x == value[at];
      return x == value[at];
    });
  });
  for (const Split* part : {&data.valid, &data.test}) {
    for_each_column(*part, [&](std::int64_t j, auto&& values) {
      const auto at = static_cast<std::size_t>(j);
      values([&](std::int64_t, double x) {
        elsewhere[at] = elsewhere[at] || x != value[at];
        return x == value[at];
      });
    });
  }
  ConstantColumns out;
  for (std::int64_t j = 0; j < data.dims; ++j) {
    if (!in_training[static_cast<std::size_t>(j)]) continue;
    auto& columns = elsewhere[static_cast<std::size_t>(j)] ? out.training_only : out.everywhere;
    columns.push_back(static_cast<std::int32_t>(j));
  }
  return out;
}

namespace {

/// Of a column in all rows.
double deviation_of(const Dataset& data, std::int64_t column) {
  double count = 0, mean = 0, squares = 0;  // Welford's way: columns may lie far from 0
  for (const Split* part : {&data.train, &data.valid, &data.test}) {
    for_each_column(*part, [&](std::int64_t j, auto&& values) {
      if (j != column) return;
      values([&](std::int64_t, double x) {
        const double off = x - mean;
        mean += off / ++count;
        squares += off * (x - mean);
        return true;
      });
    });
  }
  return std::sqrt(squares / count);
}

}  // namespace

void check_varies(Dataset& data, const std::string& types, bool scaled) {
  const std::vector<std::int32_t> integers = integer_columns(types, data.columns, data.dims);
  if (data.discrete || data.train.size() == 0) return;
  ConstantColumns constant = constant_columns(data);
  const auto real = [&](std::int32_t j) {
    return !std::binary_search(integers.begin(), integers.end(), j) && !is_category(data, j);
  };
  const auto names_of = [&](const std::vector<std::int32_t>& columns) {
    Names names;
    for (const std::int32_t j : columns) {
      if (real(j)) names.push_back(plain_name(data.columns, j));
    }
    return names;
  };
  const Names everywhere = names_of(constant.everywhere);
  NF_CHECK(
      everywhere.empty(), "[data] constant in all of '", printable(data.name), "': column ",
      listed(everywhere),
      ": it has no density; leave it out with --drop, or choose the others with --columns a,b,...");
  const Names training_only = names_of(constant.training_only);
  if (training_only.empty()) return;
  data.spread.assign(static_cast<std::size_t>(data.dims), 0);
  for (const std::int32_t j : constant.training_only) {
    if (real(j)) data.spread[static_cast<std::size_t>(j)] = deviation_of(data, j);
  }
  data.notes.push_back(str(
      "column ", listed(training_only), " is constant in the ", data.train.size(),
      " training rows, but not in all: ",
      scaled ? "its scale is that of all rows, and rows where it differs will have a very low "
               "density"
             : "without preprocessing its density grows there without bound, and rows where it "
               "differs will have a very low one; leave it out, or give --preprocess standard"));
}

}  // namespace nf::data
