#include "cli/table.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <numeric>

#include "cli/choice.h"
#include "data/columns.h"
#include "data/input.h"
#include "data/levels.h"
#include "data/npy.h"
#include "tensor/files.h"
#include "tensor/ops.h"

namespace nf::cli {

void check_out(const char* command, const std::string& out,
               std::initializer_list<std::string> endings, const data::Dataset& shape,
               const Common& common) {
  if (out != kStandardOutput) check_ending(command, out, endings);
  const bool pictures = std::find(endings.begin(), endings.end(), ".png") != endings.end();
  check_usage(!is_csv(out) || !shape.images(), "[", command, "] images are no table: give --out ",
              "FILE.npy", pictures ? ", or FILE.png for a picture" : "");
  check_stdout(command, out, common);
}

void check_stdout(const char* command, const std::string& out, const Common& common) {
  check_usage(out != kStandardOutput || !common.json, "[", command,
              "] --json and --out - would both write to standard output; give --out FILE.csv");
}

void write_text(const std::string& out,
                const std::function<void(const data::CsvWriter::Sink&)>& write) {
  if (out == kStandardOutput) {  // whether all got there is asked at the end of the program
    return write([](std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); });
  }
  atomic_write(out,
               [&](FileWriter& file) { write([&](std::string_view text) { file.write(text); }); });
}

bool names_labels(const data::Dataset& shape) {
  return shape.given_classes > 0 && !shape.label.empty() && !shape.class_names.empty();
}

std::vector<std::string> words_of_given(const data::Dataset& shape) {
  return names_labels(shape) ? shape.class_names : std::vector<std::string>();
}

std::vector<std::vector<std::string>> words_of(const data::Dataset& shape, std::size_t columns,
                                               bool with_data, bool with_given) {
  std::vector<std::vector<std::string>> words;
  if (with_data) words = shape.categories;
  words.resize(columns);
  if (with_given && names_labels(shape)) words.back() = words_of_given(shape);
  return words;
}

namespace {

// Numbers, of columns without names, get a letter: a header of numbers would be a row.
std::vector<std::string> with_names(std::vector<std::string> columns) {
  if (data::named(columns)) return columns;
  for (std::string& column : columns) column.insert(0, "x");
  return columns;
}

// The columns of the rows and what is given, as a file without names has them.
std::vector<std::int32_t> file_order(const data::Dataset& shape) {
  std::vector<std::string> names =
      shape.columns.empty() ? data::numbered(shape.dims) : shape.columns;
  names.insert(names.end(), shape.given.begin(), shape.given.end());
  std::vector<std::int32_t> order(names.size());
  std::iota(order.begin(), order.end(), 0);
  if (data::named(names)) return order;
  const auto number = [&](std::int32_t i) {
    return std::atoll(names[static_cast<std::size_t>(i)].c_str());
  };
  std::sort(order.begin(), order.end(),
            [&](std::int32_t a, std::int32_t b) { return number(a) < number(b); });
  return order;
}

std::vector<std::string> counted(const char* letter, std::int64_t dims) {
  std::vector<std::string> names;
  for (const std::string& number : data::numbered(dims)) names.push_back(letter + number);
  return names;
}

}  // namespace

std::vector<std::string> data_columns(const data::Dataset& shape) {
  return shape.columns.empty() ? counted("x", shape.dims) : with_names(shape.columns);
}

std::vector<std::string> given_columns(const data::Dataset& shape) {
  return with_names(names_labels(shape) ? std::vector{shape.label} : shape.given);
}

std::vector<std::string> latent_columns(std::int64_t dims) { return counted("z", dims); }

namespace {

template <class T>
std::vector<T> picked(const std::vector<T>& from, const std::vector<std::int32_t>& order) {
  std::vector<T> out;
  for (const std::int32_t i : order) out.push_back(from[static_cast<std::size_t>(i)]);
  return out;
}

}  // namespace

std::vector<bool> whole_columns(const TrainedModel& model) {
  std::vector<bool> whole(static_cast<std::size_t>(model.shape.dims), model.shape.discrete);
  const Tensor columns = model.density->whole_columns();
  if (columns.defined()) {
    const std::vector<double> values = columns.to(Device::CPU).to(DType::F64).to_vector<double>();
    std::transform(values.begin(), values.end(), whole.begin(), [](double w) { return w != 0; });
  }
  return whole;
}

void write_samples(const std::string& out, const Tensor& x, const TrainedModel& model, int scale,
                   const Tensor& given, std::int64_t columns_of_grid, std::int64_t numbered) {
  if (!is_csv(out)) return write_samples(out, x, model.shape, columns_of_grid, scale);
  std::vector<bool> whole = whole_columns(model);
  std::vector<std::string> names = data_columns(model.shape);
  Tensor table = model.shape.discrete ? data::pixels_of_levels(x, model.shape.levels) : x;
  std::size_t columns = names.size();
  if (given.defined()) {
    const std::vector<std::string> beside = given_columns(model.shape);
    names.insert(names.end(), beside.begin(), beside.end());
    columns = names.size();
    whole.resize(columns, model.shape.given_classes > 0);
  }
  std::vector<std::vector<std::string>> words =
      words_of(model.shape, columns, /*with_data=*/true, given.defined());
  if (given.defined()) {
    const std::vector<std::int32_t> order = file_order(model.shape);
    table = index_select(concat(std::vector{table.to(DType::F64), given.to(DType::F64)}, 1), 1,
                         Tensor::from(order, {std::ssize(order)}));
    names = picked(names, order);
    whole = picked(whole, order);
    words = picked(words, order);
  }
  if (numbered > 0) {
    std::vector<double> rows(static_cast<std::size_t>(x.dim(0)));
    for (std::size_t i = 0; i < rows.size(); ++i) {
      rows[i] = static_cast<double>(static_cast<std::int64_t>(i) / numbered);
    }
    table = concat(std::vector{Tensor::from(rows, {x.dim(0), 1}), table.to(DType::F64)}, 1);
    names.insert(names.begin(), "given_row");
    whole.insert(whole.begin(), true);
    words.insert(words.begin(), std::vector<std::string>());
  }
  write_text(out, [&](const data::CsvWriter::Sink& sink) {
    data::CsvWriter(sink, names, whole, words).add(table);
  });
}

namespace {

bool is_npy(const std::string& path) {
  if (path == data::kStandardInput) return false;
  data::InputFile file(path);
  std::string head(16, '\0');
  head.resize(file.read_up_to(head.data(), head.size()));
  return data::looks_like_npy(head);
}

Tensor latents_of_table(const std::string& path, const data::Dataset& shape, std::int64_t dims) {
  data::ReadOptions options;
  if (names_labels(shape)) {  // words may stand behind the latents
    options.may_lack_split_by = true;
    options.known = latent_columns(dims);
  }
  data::Table table = data::read_csv(path, options);
  const std::string where = str("[decode] '", data::shown_path(path), "'");
  const bool beside = data::named(table.columns);  // what was given may stand behind the latents
  const std::int64_t most = dims + (beside ? std::ssize(shape.given) : 0);
  NF_CHECK(table.values.dim(1) >= dims && table.values.dim(1) <= most, where, " has ",
           table.values.dim(1), " columns, the model has ", dims, " latents");
  if (!data::named(table.columns)) return table.values;
  const std::vector<std::string> names = latent_columns(dims);
  std::vector<std::int32_t> order;
  for (const std::string& name : names) {
    const auto at = std::find(table.columns.begin(), table.columns.end(), name);
    NF_CHECK(at != table.columns.end(), where, " holds no latents: its columns are not called z1 ",
             "to z", dims, ", as 'flowcli encode' names them; a file without names is taken ",
             "by position");
    order.push_back(static_cast<std::int32_t>(at - table.columns.begin()));
  }
  return index_select(table.values, 1, Tensor::from(order, {dims}));
}

}  // namespace

Tensor read_latents(const std::string& path, const data::Dataset& shape, std::int64_t dims) {
  const Tensor z = is_npy(path) ? data::read_npy(path) : latents_of_table(path, shape, dims);
  const Shape rows = {z.rank() > 0 ? z.dim(0) : 0, dims};
  const bool of_pixels = shape.images() && dims == shape.dims;
  const bool fits = z.shape() == rows || (of_pixels && z.shape() == data::shape_of(shape, rows[0]));
  NF_CHECK(
      is_float(z.dtype()) && fits && rows[0] > 0, "[decode] the model's latents are reals of ",
      "shape (N, ", dims, ")",
      of_pixels ? str(" or (N, ", shape.height, ", ", shape.width, ", ", shape.channels, ")") : "",
      ", '", path, "' holds ", describe(z));
  const Tensor narrow = z.to(DType::F32);
  NF_CHECK(all_finite(narrow), "[decode] '", path,
           "' holds numbers that are not finite, or beyond those of 32 bits");
  return narrow.reshape(rows);
}

std::string shown_out(const std::string& out) {
  return out == kStandardOutput ? "standard output" : out;
}

void tell_result(const Common& common, const std::string& out, const Json& object,
                 const std::string& text) {
  if (out == kStandardOutput) {  // said when it is there
    NF_CHECK(std::fflush(stdout) == 0 && !std::ferror(stdout),
             "[write] standard output: ", std::strerror(errno));
    return common.note(text);
  }
  common.result(object, text);
}

}  // namespace nf::cli
