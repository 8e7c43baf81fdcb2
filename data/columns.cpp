#include "data/columns.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

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
  check_unique(data.name, data.columns);
  std::vector<std::int32_t> order;
  for (const std::string& name : wanted) {
    const auto at = std::find(data.columns.begin(), data.columns.end(), name);
    order.push_back(static_cast<std::int32_t>(at - data.columns.begin()));
  }
  take_columns(data, order);
  return {};
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
        for (std::int64_t i = 0; i < n && each(i, static_cast<double>(values[i * dims + j])); ++i) {
        }
      });
    }
  });
}

}  // namespace

std::vector<std::int32_t> integer_columns(const std::string& types, const Names& columns,
                                          std::int64_t dims, const Names& given) {
  std::vector<std::int32_t> out;
  const Names names = columns.empty() ? numbered(dims) : columns;
  std::size_t at = 0;
  while (at < types.size()) {
    const std::size_t end = std::min(types.find(',', at), types.size());
    const std::string part = types.substr(at, end - at);
    at = end + 1;
    const std::size_t equals = part.rfind('=');
    const bool right =
        equals != std::string::npos && equals > 0 && part.substr(equals + 1) == "integer";
    check_setting(right, "types", "[types] '", printable(part),
                  "' is not COLUMN=integer; several go with commas between");
    const std::string name = part.substr(0, equals);
    auto found = std::find(names.begin(), names.end(), name);
    if (found == names.end()) found = std::find(names.begin(), names.end(), without_spaces(name));
    if (found == names.end()) {
      check_setting(!contains(given, without_spaces(name)), "types", "[types] column '",
                    printable(name), "' is given, not modelled, and so needs no type");
      throw SettingError("types", str("[types] there is no column '", printable(name), "'",
                                      printable(did_you_mean(name, names))));
    }
    out.push_back(static_cast<std::int32_t>(found - names.begin()));
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

void look_at_types(Dataset& data, const std::string& types, bool advise,
                   const std::vector<std::string>& names) {
  const bool nameless = data.columns.empty() && std::ssize(names) == data.dims;
  const std::vector<std::int32_t> named_so =
      integer_columns(types, nameless ? names : data.columns, data.dims, data.given);
  check_setting(named_so.empty() || !data.discrete, "types", "[types] '", printable(data.name),
                "' holds pixels, which are whole numbers already");
  if (data.discrete) return;
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
  for (const std::int32_t j : named_so) {
    check_setting(whole[static_cast<std::size_t>(j)], "types", "[types] column ",
                  quoted_name(data.columns, j), " of '", printable(data.name),
                  "' holds numbers that are not whole");
    whole[static_cast<std::size_t>(j)] = false;  // known
  }
  Names found, advice;
  for (std::int64_t j = 0; j < data.dims; ++j) {
    if (!whole[static_cast<std::size_t>(j)]) continue;
    found.push_back(plain_name(data.columns, j));
    if (advice.size() < 3) advice.push_back(found.back() + "=integer");
  }
  if (!advise || found.empty() || data.train.size() < 2) return;
  data.notes.push_back(str("whole numbers only in column ", listed(found),
                           ": as real numbers their density has no bound; if they are counts or "
                           "levels, give --types ",
                           printable(join(advice, ",")),
                           found.size() > advice.size() ? ",..." : ""));
}

ConstantColumns constant_columns(const Dataset& data) {
  std::vector<double> value(static_cast<std::size_t>(data.dims));
  std::vector<bool> in_training(value.size(), false), elsewhere(value.size(), false);
  for_each_column(data.train, [&](std::int64_t j, auto&& values) {
    const auto at = static_cast<std::size_t>(j);
    in_training[at] = true;
    values([&](std::int64_t i, double x) {
      if (i == 0) value[at] = x;
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
    return !std::binary_search(integers.begin(), integers.end(), j);
  };
  const auto names_of = [&](const std::vector<std::int32_t>& columns) {
    Names names;
    for (const std::int32_t j : columns) {
      if (real(j)) names.push_back(plain_name(data.columns, j));
    }
    return names;
  };
  const Names everywhere = names_of(constant.everywhere);
  NF_CHECK(everywhere.empty(), "[data] constant in all of '", printable(data.name), "': column ",
           listed(everywhere), ": it has no density; choose the others with --columns a,b,...");
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
