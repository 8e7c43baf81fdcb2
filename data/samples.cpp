#include "data/samples.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <unordered_map>
#include <unordered_set>

#include "data/columns.h"
#include "data/setting_error.h"
#include "data/splits.h"
#include "tensor/ops.h"
#include "tensor/text.h"

namespace nf::data {
namespace {

void check_numbers(const std::string& path, const Tensor& x) {
  constexpr double kMost = std::numeric_limits<float>::max();
  visit_dtype(x.dtype(), [&]<class T>() {
    const T* values = x.data<T>();
    for (std::int64_t i = 0; i < x.numel(); ++i) {
      const double value = static_cast<double>(values[i]);
      NF_CHECK(std::abs(value) <= kMost, "[data] '", path, "': row ", i / x.dim(1),
               " (counted from 0), column ", 1 + i % x.dim(1), " is ", value,
               ", no finite number in the range of 32-bit reals");
    }
  });
}

bool may_be_channels(std::int64_t size) { return size == 1 || size == 3 || size == 4; }

/// Channels last, as everywhere here.
Tensor channels_last(const std::string& path, const Tensor& x, const std::string& layout) {
  const bool first = may_be_channels(x.dim(1)), last = may_be_channels(x.dim(3));
  NF_CHECK(
      layout != "auto" || first != last, "[data] '", path, "': ", x.shape(), " has ",
      first ? "two axes" : "no axis",
      " that may be channels (size 1, 3 or 4); the layout must be told: first, (N, C, H, W), or "
      "last, (N, H, W, C); 'flowcli train' and 'flowcli data' have --layout, other commands "
      "take the run's; or save gray images as (N, H, W)");
  return layout == "first" || (layout == "auto" && first) ? x.permute({0, 2, 3, 1}) : x;
}

/// A number as a group's name.
std::string group_name(double value) {
  char text[32];
  const auto [end, error] = std::to_chars(text, text + sizeof text, value);
  return {text, end};
}

/// A column as texts.
std::vector<std::string> values_of(const Tensor& rows, std::int32_t column) {
  std::vector<std::string> out;
  for (const double value : rows.narrow(1, column, 1).to(DType::F64).to_vector<double>()) {
    out.push_back(group_name(value));
  }
  return out;
}

/// Rows (N, D) with the columns that are wanted.
void choose_columns(const std::string& path, const ReadOptions& options, Samples& out) {
  if (options.columns.empty() && options.split_by.empty() && options.drop.empty() &&
      options.label.empty()) {
    return;
  }
  const std::vector<std::string> names = numbered(out.rows.x.dim(1));
  const std::int32_t group = split_by_column(path, names, options);
  if (group >= 0) out.groups = values_of(out.rows.x, group);
  if (const std::int32_t label = label_column(path, names, options); label >= 0) {
    out.class_names = options.class_names;
    out.rows.labels = labels_of_values(path, values_of(out.rows.x, label), out.class_names,
                                       [](std::size_t row) { return str("row ", row); });
  }
  const std::vector<std::int32_t> wanted = wanted_columns(path, names, options);
  out.rows.x = index_select(out.rows.x, 1, Tensor::from(wanted, {std::ssize(wanted)}));
}

/// -1: it is not there.
std::int32_t find_column(const std::string& path, const std::vector<std::string>& names,
                         const std::string& name) {
  auto found = std::find(names.begin(), names.end(), name);
  // "a, b": a space that is not in the file's name belongs to the list.
  if (found == names.end()) found = std::find(names.begin(), names.end(), without_spaces(name));
  // x3 is how the third column is called where one without a name is written.
  if (found == names.end() && name.starts_with('x') && !named(names)) {
    found = std::find(names.begin(), names.end(), name.substr(1));
  }
  if (found == names.end()) return -1;
  check_one_column(path, names, *found);
  return static_cast<std::int32_t>(found - names.begin());
}

std::int32_t need_column(const std::string& path, const std::vector<std::string>& names,
                         const std::string& name, const char* setting) {
  const std::int32_t found = find_column(path, names, name);
  if (found >= 0) return found;
  throw SettingError(setting,
                     str("[data] '", path, "': there is no column '", printable(name), "', which ",
                         setting, " names", printable(did_you_mean(name, names))));
}

std::int32_t need_given(const std::string& path, const std::vector<std::string>& names,
                        const std::string& name, const ReadOptions& options) {
  const std::int32_t found = find_column(path, names, name);
  check_setting(found >= 0, "given", "[given] '", path, "' has no column '", printable(name), "'",
                options.may_lack_split_by ? ", which the model is given" : "",
                found >= 0 ? "" : printable(did_you_mean(name, names)));
  return found;
}

}  // namespace

std::vector<std::string> numbered(std::int64_t columns) {
  std::vector<std::string> names;
  for (std::int64_t i = 1; i <= columns; ++i) names.push_back(std::to_string(i));
  return names;
}

namespace {

std::int32_t column_beside(const std::string& path, const std::vector<std::string>& names,
                           const std::string& name, const char* setting, bool may_lack) {
  if (name.empty() || (may_lack && find_column(path, names, name) < 0)) return -1;
  return need_column(path, names, name, setting);
}

/// Of each column: whether it is dropped, the groups or the labels.
std::vector<bool> left_out(const std::string& path, const std::vector<std::string>& names,
                           const ReadOptions& options) {
  std::vector<bool> out(names.size(), false);
  const auto leave_out = [&](std::int32_t column) {
    if (column >= 0) out[static_cast<std::size_t>(column)] = true;
  };
  leave_out(split_by_column(path, names, options));
  leave_out(label_column(path, names, options));
  for (const std::string& name : options.drop) {
    leave_out(column_beside(path, names, name, "drop", options.may_lack_split_by));
  }
  return out;
}

}  // namespace

std::int32_t split_by_column(const std::string& path, const std::vector<std::string>& names,
                             const ReadOptions& options) {
  return column_beside(path, names, options.split_by, "split_by", options.may_lack_split_by);
}

std::int32_t label_column(const std::string& path, const std::vector<std::string>& names,
                          const ReadOptions& options) {
  return column_beside(path, names, options.label, "label", options.may_lack_split_by);
}

namespace {

/// Of a run that took all columns: which of these it took. Empty: they have no names, or all may be
/// taken.
std::vector<bool> known_columns(const std::vector<std::string>& names, const ReadOptions& options) {
  if (options.known.empty() || !options.columns.empty()) return {};
  if (!named(names) || !named(options.known)) return {};
  const std::unordered_set<std::string> known(options.known.begin(), options.known.end());
  std::vector<bool> out;
  for (const std::string& name : names) out.push_back(known.contains(name));
  return out;
}

}  // namespace

std::string ignored_columns(const std::string& path, const std::vector<std::string>& names,
                            const ReadOptions& options) {
  constexpr std::size_t kListed = 5;
  const std::vector<bool> known = known_columns(names, options);
  const std::vector<bool> out = known.empty() ? known : left_out(path, names, options);
  std::vector<std::string> others;
  for (std::size_t i = 0; i < known.size(); ++i) {
    if (!known[i] && !out[i]) others.push_back("'" + printable(names[i], 40) + "'");
  }
  if (others.empty()) return "";
  const std::size_t more = others.size() - std::min(kListed, others.size());
  others.resize(others.size() - more);
  return str("in '", printable(path), "' the model does not know column ", join(others, ", "),
             more > 0 ? str(" and ", more, " more") : "", ", which is not looked at");
}

Tensor labels_of_values(const std::string& path, const std::vector<std::string>& values,
                        std::vector<std::string>& classes,
                        const std::function<std::string(std::size_t)>& place) {
  constexpr std::size_t kMostClasses = 1000;
  if (classes.empty()) {
    classes = values;
    std::sort(classes.begin(), classes.end(), ascending_values);
    classes.erase(std::unique(classes.begin(), classes.end()), classes.end());
    check_setting(classes.size() <= kMostClasses, "label", "[label] the label column of '",
                  printable(path), "' has ", classes.size(), " different values, of at most ",
                  kMostClasses, "; is it a number to be modelled?");
  }
  std::unordered_map<std::string, std::int32_t> places;
  for (std::size_t k = 0; k < classes.size(); ++k) {
    places.emplace(classes[k], static_cast<std::int32_t>(k));
  }
  std::vector<std::int32_t> labels;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto found = places.find(values[i]);
    NF_CHECK(found != places.end(), "[label] '", printable(path), "', ", place(i), ": '",
             printable(values[i], 40), "' is no label of the model",
             did_you_mean(values[i], classes), "; it knows ", printable(join(classes, ", "), 200));
    labels.push_back(found->second);
  }
  return Tensor::from(labels, {std::ssize(labels)});
}

std::vector<std::int32_t> wanted_columns(const std::string& path,
                                         const std::vector<std::string>& names,
                                         const ReadOptions& options) {
  std::vector<std::int32_t> out;
  if (options.labels_alone) return out;
  std::vector<std::string> wanted = options.columns;
  const std::vector<bool> beside = left_out(path, names, options);
  const std::int32_t group = split_by_column(path, names, options);
  const auto among = [](const std::string& name, const std::vector<std::string>& list) {
    return std::find(list.begin(), list.end(), name) != list.end();
  };
  for (const std::string& name : options.given) {
    if (!options.columns.empty() && !among(name, wanted)) wanted.push_back(name);
  }
  // Of a run whose columns were chosen: a file without names may hold just these, match_columns()
  // takes them by their position.
  const bool by_position =
      options.may_lack_split_by && !named(names) && names.size() == wanted.size();
  for (const std::string& name : by_position ? names : wanted) {
    out.push_back(among(name, options.given) ? need_given(path, names, name, options)
                                             : need_column(path, names, name, "columns"));
    check_setting(std::count(out.begin(), out.end(), out.back()) == 1, "columns", "[data] column '",
                  printable(name), "' is named twice in columns");
    check_setting(
        by_position || out.back() == group || !beside[static_cast<std::size_t>(out.back())],
        "columns", "[data] column '", printable(name),
        "' is named in columns or given, and also in drop or label");
  }
  if (options.columns.empty()) {
    const std::vector<bool> known = known_columns(names, options);
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (!beside[i] && (known.empty() || known[i])) out.push_back(static_cast<std::int32_t>(i));
    }
  }
  check_setting(!out.empty(), options.drop.empty() ? "split_by" : "drop", "[data] '", path,
                "': no columns are left");
  return out;
}

Samples samples_of(const std::string& path, const Tensor& array, const ReadOptions& options) {
  const int rank = array.rank();
  NF_CHECK(rank >= 2, "[data] '", path, "': holds ", array.shape(),
           ", one number for each sample: labels where images or rows were expected");
  NF_CHECK(array.numel() > 0, "[data] '", path, "': holds nothing: ", array.shape());
  NF_CHECK(rank <= 4, "[data] '", path, "': holds ", array.shape(),
           "; expected rows (N, D) or images (N, H, W), (N, C, H, W) or (N, H, W, C)");
  const Tensor x = rank == 4 ? channels_last(path, array, options.layout) : array;
  Samples out;
  if (rank >= 3) {
    NF_CHECK(x.dtype() == DType::U8, "[data] '", path, "': images of ", name(x.dtype()),
             "; pixels are levels 0 to 255: save them as u8 (of numbers in [0, 1] in NumPy: (255 * "
             "x).round().astype('uint8')), or as rows of real numbers, x.reshape(len(x), -1)");
    for (const auto& [key, given] : {std::pair{"columns", !options.columns.empty()},
                                     {"split_by", !options.split_by.empty()},
                                     {"drop", !options.drop.empty()},
                                     {"label", !options.label.empty()}}) {
      check_setting(!given, key, "[data] '", path, "': ", key, " is for tables, this holds images ",
                    array.shape());
    }
    out.chose_layout = rank == 4;
    out.height = x.dim(1);
    out.width = x.dim(2);
    out.channels = rank == 4 ? x.dim(3) : 1;
  }
  const std::int64_t n = x.dim(0);
  out.rows.x = x.contiguous().reshape({n, x.numel() / n});
  if (x.dtype() != DType::U8) {
    out.rows.x = out.rows.x.to(DType::F64);
    check_numbers(path, out.rows.x);
  }
  if (rank == 2) choose_columns(path, options, out);
  return out;
}

std::optional<Samples> planar_samples(const std::string& path, const Tensor& array) {
  if (array.rank() != 2 || array.dtype() != DType::U8) return std::nullopt;
  for (const std::int64_t side : {32, 64}) {
    if (array.dim(1) != 3 * side * side || array.dim(0) == 0) continue;
    Samples out =
        samples_of(path, array.contiguous().reshape({-1, 3, side, side}), {.layout = "first"});
    out.chose_layout = false;  // the form has only this one
    return out;
  }
  return std::nullopt;
}

Samples joined(const std::string& path, const std::vector<Samples>& files) {
  Samples out = files.front();
  std::vector<Tensor> x, labels;
  for (const Samples& file : files) {
    NF_CHECK(file.rows.x.dim(1) == out.rows.x.dim(1) &&
                 file.rows.labels.defined() == out.rows.labels.defined(),
             "[data] '", path, "': samples of ", out.rows.x.dim(1), " and of ", file.rows.x.dim(1),
             " numbers, or labels in some files only; they do not belong ", "together");
    x.push_back(file.rows.x);
    if (file.rows.labels.defined()) labels.push_back(file.rows.labels);
  }
  out.rows.x = concat(x, 0);
  if (!labels.empty()) out.rows.labels = concat(labels, 0);
  return out;
}

Tensor labels_of(const std::string& path, const Tensor& array, std::int64_t samples) {
  constexpr std::int32_t kMostClasses = 1 << 16;
  const bool column = array.rank() == 2 && array.dim(1) == 1;
  NF_CHECK((array.rank() == 1 || column) && !is_float(array.dtype()), "[data] '", path, "': holds ",
           describe(array), " where labels were expected: integers of shape (N)");
  NF_CHECK(array.dim(0) == samples, "[data] '", path, "': ", array.dim(0), " labels, but ", samples,
           " samples beside them; they do not belong together");
  const Tensor labels = array.contiguous().reshape({samples}).to(DType::I32);
  const std::int32_t* values = labels.data<std::int32_t>();
  for (std::int64_t i = 0; i < samples; ++i) {
    NF_CHECK(values[i] >= 0 && values[i] < kMostClasses, "[data] '", path, "': label ", i, " is ",
             values[i], "; labels count from 0 to at most ", kMostClasses - 1);
  }
  return labels;
}

}  // namespace nf::data
