#include "cli/choice.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <numeric>

#include "data/columns.h"
#include "data/csv.h"
#include "data/csv_cells.h"
#include "data/given.h"
#include "flows/layers/residual.h"
#include "flows/train/fit.h"
#include "tensor/checksum.h"
#include "tensor/files.h"
#include "tensor/ops.h"
#include "tensor/text.h"

namespace nf::cli {

void add_weights(CLI::App& app, std::string& weights) {
  app.add_option("--weights", weights, "Best on validation, or the last ones")
      ->check(one_of({"best", "last"}))
      ->capture_default_str();
}

void add_part(CLI::App& app, std::string& split, const char* help) {
  app.add_option("--split", split, help)
      ->check(one_of({"train", "valid", "test"}))
      ->capture_default_str();
}

void ModelOptions::add_to(CLI::App& app) {
  app.add_option("RUN", run, "Run folder")->required();
  add_weights(app, weights);
}

void RowOptions::add_to(CLI::App& app, std::int64_t default_count) {
  count = default_count;
  app.add_option("--data", data, "Another data source than the run's; -: CSV from standard input")
      ->type_name(source_type());
  app.add_option("--split", split,
                 "Which part; all: every row, in the file's order (default: test; all of --data)")
      ->check(one_of({"train", "valid", "test", "all"}));
  auto* few = app.add_option("-n,--count", count,
                             default_count > 0 ? "The first so many rows"
                                               : "The first so many rows (default: all)")
                  ->check(whole(1, 1'000'000'000));
  if (default_count > 0) few->capture_default_str();
  asked = [few] { return few->count() > 0; };
  app.add_option("--indices", indices, "These rows, from 0: 3,7,20-29")->excludes(few);
}

data::Split all_rows(const data::Dataset& source) {
  std::vector<Tensor> x, numbers, given;
  for (const data::Split* part : {&source.train, &source.valid, &source.test}) {
    if (part->size() == 0) continue;
    x.push_back(part->x);
    if (part->numbers.defined()) numbers.push_back(part->numbers);
    if (part->given.defined()) given.push_back(part->given);
  }
  NF_CHECK(!x.empty(), "[data] ", source.name, " has no samples");
  data::Split rows{.x = concat(x, 0)};
  if (given.size() == x.size()) rows.given = concat(given, 0);
  if (numbers.size() != x.size()) return rows;
  // Rows of several files have no place in one: there a number stands twice.
  const Tensor all = concat(numbers, 0);
  std::vector<std::int32_t> sorted = all.to_vector<std::int32_t>();
  std::sort(sorted.begin(), sorted.end());
  const bool twice = std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end();
  if (!twice) rows.numbers = all;
  return rows;
}

std::string Rows::text() const {
  constexpr std::size_t kFew = 10;
  std::string text = number.size() == 1 ? "row " : "rows ";
  for (std::size_t i = 0; i < std::min(number.size(), kFew); ++i) {
    text += str(i > 0 ? ", " : "", number[i]);
  }
  return str(text, number.size() > kFew ? ", ..." : "", " of ", name, " (", split, ")");
}

// The least share of a part that is told: rounded numbers come again by chance, too.
constexpr double kCopies = 0.1;

static std::int64_t count_among(const TrainingRows& training, const Tensor& x,
                                const Tensor& given) {
  const std::vector<bool> known = training.among(x, given);
  return std::count(known.begin(), known.end(), true);
}

static bool are_copies(std::int64_t count, std::int64_t of) {
  return count > 0 && static_cast<double>(count) >= kCopies * static_cast<double>(of);
}

Rows RowOptions::load(const TrainedModel& model) const {
  Rows rows;
  rows.split = !split.empty() ? split : data.empty() ? "test" : "all";
  rows.source = load_data_for(model, data, /*whole=*/rows.split == "all", labels_may_lack);
  const data::Dataset& source = rows.source;
  const KnownData& known = model.run.known();
  const bool own = source.checksum == known.shape.checksum;
  if (rows.split == "all" && own) {
    model.common.note(str("note: ", source.name, " is what ", model.run.path(),
                          " was trained with: ", known.train.count,
                          " of these rows were trained on; --split test takes others"));
  }
  const std::string file = rows.split == "valid"  ? source.valid_file
                           : rows.split == "test" ? source.test_file
                                                  : "";
  rows.name = file.empty() ? source.name : file;
  const data::Split part = rows.split == "all" ? all_rows(source) : part_of(source, rows.split);
  const std::int64_t size = part.size();
  if (!indices.empty()) {
    rows.number = parse_indices(indices, size);
    const std::vector<std::int32_t> order(rows.number.begin(), rows.number.end());
    const Tensor picked = Tensor::from(order, {std::ssize(order)});
    rows.x = index_select(part.x, 0, picked);
    rows.given = flows::given_rows(part.given, picked);
  } else {
    check_usage(count <= size || !asked(), "[data] ", rows.name, " has ", size, " ", rows.split,
                " samples, not ", count, "; ask for fewer with -n");
    const std::int64_t n = count > 0 ? std::min(count, size) : size;
    rows.x = part.x.narrow(0, 0, n);
    rows.given = flows::given_rows(part.given, 0, n);
    rows.number.resize(static_cast<std::size_t>(n));
    std::iota(rows.number.begin(), rows.number.end(), 0);
  }
  if (part.numbers.defined()) {
    const std::vector<std::int32_t> in_file = part.numbers.to_vector<std::int32_t>();
    for (const std::int64_t i : rows.number) {
      rows.in_file.push_back(in_file[static_cast<std::size_t>(i)]);
    }
  }
  rows.own = own && rows.split != "all";
  if (rows.own) {
    const std::int64_t n = rows.x.dim(0);
    rows.trained_on =
        rows.split == "train"
            ? n
            : count_among({source.train, model.density->whole_columns(), rows.given.defined()},
                          rows.x, rows.given);
    if (rows.split != "train" && are_copies(*rows.trained_on, n)) {
      tell_trained_on(model, *rows.trained_on, n, str(rows.name, " (", rows.split, ")"));
    }
  } else if (!own) {
    rows.trained_on = count_trained_on(model, rows.name, rows.x, rows.given);
  }
  const std::vector<std::int64_t>& of = rows.in_file.empty() ? rows.number : rows.in_file;
  rows.samples = Tensor::from(std::vector<std::int32_t>(of.begin(), of.end()), {std::ssize(of)});
  return rows;
}

namespace {

constexpr const char* kSources = "sources.json";

// As part of a file's name.
std::string name_part(const std::filesystem::path& path) {
  constexpr std::size_t kLongest = 60;
  std::string name = path.filename().string();
  for (const char* packed : {".gz", ".csv", ".npy", ".npz", ".mat"}) {
    if (name.ends_with(packed)) name.resize(name.size() - std::strlen(packed));
  }
  const auto safe = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '_';
  };
  std::replace_if(name.begin(), name.end(), std::not_fn(safe), '_');
  return name.substr(0, kLongest);
}

// "new", "b-new", "a-b-new", ... of /a/b/new.csv: what its results may be called.
std::vector<std::string> result_names(std::filesystem::path source) {
  constexpr std::size_t kLongest = 200;
  std::vector<std::string> names;
  for (; source.has_filename(); source = source.parent_path()) {
    const std::string part = name_part(source);
    names.push_back(names.empty() ? part : part + "-" + names.back());
    if (names.back().size() > kLongest) break;
  }
  return names;
}

// Which source each file of results in the run's folder is of.
Json read_sources(const RunFolder& run) {
  constexpr std::uint64_t kMost = 1 << 24;
  const std::string path = run.file(kSources);
  if (!std::filesystem::exists(path)) return Json::object();
  const Json sources = Json::parse(read_file(path, kMost), nullptr, /*allow_exceptions=*/false);
  const bool right =
      sources.is_object() && std::all_of(sources.begin(), sources.end(),
                                         [](const Json& source) { return source.is_string(); });
  NF_CHECK(right, "[run] ", path, " is damaged; delete it, and results of other sources with the ",
           "same name are overwritten once");
  return sources;
}

}  // namespace

std::string RowOptions::results_path(const std::string& out, const TrainedModel& model,
                                     const std::string& what, const std::string& ending) const {
  const std::string usual = data.empty() ? "test" : "all";
  const std::string part = split.empty() || split == usual ? ending : "." + split + ending;
  if (!out.empty() || data.empty()) return out_path(out, model.run, what + part);
  const std::string source = printable(source_place(data));
  std::vector<std::string> files;
  for (const std::string& name : result_names(data == data::kStandardInput ? "stdin" : source)) {
    files.push_back(what + "-" + name + part);
  }
  const std::string usual_path = out_path("", model.run, files.front());
  Json sources = read_sources(model.run);
  const auto is_ours = [&](const std::string& file) { return sources.value(file, "") == source; };
  const auto is_free = [&](const std::string& file) {
    return !sources.contains(file) || !std::filesystem::exists(model.run.file(file));
  };
  auto file = std::find_if(files.begin(), files.end(), is_ours);
  if (file == files.end()) file = std::find_if(files.begin(), files.end(), is_free);
  NF_CHECK(file != files.end(), "[write] ", usual_path, " is of ",
           sources[files.front()].get<std::string>(), "; give another place with --out");
  if (file != files.begin() && sources.contains(files.front())) {
    model.common.note(str("note: ", usual_path, " is of ",
                          sources[files.front()].get<std::string>(), "; these ", what, " go to ",
                          *file));
  }
  if (!is_ours(*file)) {
    sources[*file] = source;
    atomic_write(model.run.file(kSources), sources.dump(2) + "\n");
  }
  return model.run.file(*file);
}

namespace {

std::vector<std::uint64_t> checksums_with(const Tensor& x, const Tensor& given) {
  std::vector<std::uint64_t> sums = row_checksums(x);
  if (!given.defined()) return sums;
  const std::vector<std::uint64_t> beside = row_checksums(given);
  for (std::size_t i = 0; i < sums.size(); ++i) sums[i] = 3 * sums[i] + beside[i];
  return sums;
}

}  // namespace

TrainingRows::TrainingRows(const data::Split& train, const Tensor& whole, bool with_given)
    : dtype_(train.x.dtype()),
      sorted_(checksums_with(train.x, with_given ? train.given : Tensor())) {
  std::sort(sorted_.begin(), sorted_.end());
  if (!whole.defined() || !is_float(dtype_)) return;
  const std::vector<double> flags = whole.to(Device::CPU).to(DType::F64).to_vector<double>();
  for (std::size_t j = 0; j < flags.size(); ++j) {
    if (flags[j] == 0) reals_.push_back(static_cast<std::int32_t>(j));
  }
  none_ = reals_.empty();
}

std::vector<bool> TrainingRows::among(const Tensor& x, const Tensor& given) const {
  if (none_) return std::vector<bool>(static_cast<std::size_t>(x.dim(0)), false);
  // Rows of built-in densities are f32, those of files f64.
  const std::vector<std::uint64_t> rows = checksums_with(x.to(dtype_), given);
  std::vector<double> there(rows.size(), 1);  // real numbers in the row
  if (is_float(x.dtype())) {
    const Tensor reals =
        reals_.empty() ? x : index_select(x, 1, Tensor::from(reals_, {std::ssize(reals_)}));
    there = sum(equal(reals, reals).to(DType::F64), {1}).to_vector<double>();
  }
  std::vector<bool> known;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    known.push_back(there[i] > 0 && std::binary_search(sorted_.begin(), sorted_.end(), rows[i]));
  }
  return known;
}

std::optional<TrainingRows> training_rows_of(const TrainedModel& model, bool with_given) {
  try {
    return TrainingRows(load_run_data(model.run).train, model.density->whole_columns(), with_given);
  } catch (const Error&) {  // gone or changed, which is no fault of other data
    return std::nullopt;
  }
}

void tell_trained_on(const TrainedModel& model, std::int64_t count, std::int64_t of,
                     const std::string& name) {
  if (count == 0) return;
  model.common.note(str("note: ", count, " of the ", of, " rows of ", name,
                        " are also training rows of ", model.run.path(),
                        ": they say nothing of new data"));
}

void tell_copies(const data::Dataset& data, const Tensor& whole, const Common& common) {
  const bool with_given = data.train.given.defined();
  if (data.valid.size() + data.test.size() == 0) return;
  const TrainingRows training(data.train, whole, with_given);
  std::vector<std::string> told;
  for (const auto& [name, part] : {std::pair{"validation", &data.valid}, {"test", &data.test}}) {
    if (part->size() == 0) continue;
    const std::int64_t count = count_among(training, part->x, with_given ? part->given : Tensor());
    if (are_copies(count, part->size())) {
      told.push_back(str(count, " of ", part->size(), " ", name, " rows"));
    }
  }
  if (told.empty()) return;
  common.note(str("note: ", join(told, " and "),
                  " are copies of training rows: their scores will be too good. Delete copies, or "
                  "keep together what belongs together with --split-by COLUMN"));
}

std::optional<std::int64_t> count_trained_on(const TrainedModel& model, const std::string& name,
                                             const Tensor& x, const Tensor& given) {
  const std::optional<TrainingRows> training = training_rows_of(model, given.defined());
  if (!training) return std::nullopt;
  const std::int64_t count = count_among(*training, x, given);
  tell_trained_on(model, count, x.dim(0), name);
  return count;
}

void EvaluateOptions::add_to(CLI::App& app) {
  app.add_option("--noise-draws", noise_draws,
                 "Draws of dequantisation noise to average over for each sample")
      ->check(whole(1, 10'000))
      ->capture_default_str();
  app.add_option("--batch-size", batch_size, "Samples at a time")
      ->check(whole(1))
      ->capture_default_str();
  add_seed(app, seed, "Of the noise");
}

std::vector<std::int64_t> parse_indices(const std::string& text, std::int64_t size) {
  constexpr std::size_t kMost = 10'000'000;
  const char* at = text.data();
  const char* const end = at + text.size();
  const auto number = [&] {
    std::int64_t value = 0;
    const auto [next, error] = std::from_chars(at, end, value);
    check_usage(error == std::errc() && value >= 0, "[indices] '", printable(text),
                "' is no list of rows; write it like 3,7,20-29");
    check_usage(value < size, "[indices] row ", value, " is not there: rows are 0 to ", size - 1);
    at = next;
    return value;
  };
  std::vector<std::int64_t> rows;
  while (true) {
    const std::int64_t first = number();
    std::int64_t last = first;
    if (at < end && *at == '-') {
      ++at;
      last = number();
    }
    check_usage(first <= last, "[indices] ", first, "-", last, " runs backwards");
    check_usage(rows.size() + static_cast<std::size_t>(last - first) < kMost,
                "[indices] more than ", kMost, " rows");
    for (std::int64_t i = first; i <= last; ++i) rows.push_back(i);
    if (at == end) return rows;
    check_usage(*at == ',', "[indices] '", printable(text),
                "' is no list of rows; write it like 3,7,20-29");
    ++at;
  }
}

std::vector<std::pair<std::string, double>> parse_shares(const std::string& text,
                                                         const char* option) {
  std::vector<std::pair<std::string, double>> out;
  for (const std::string& part : data::between_commas(text)) {
    const std::optional<double> value = data::cell_number(data::without_spaces(part));
    check_usage(value && *value > 0 && *value < 1, "[", option, "] '", printable(part),
                "' is no number between 0 and 1; write them as .05,.5,.95");
    out.emplace_back(str(*value), *value);
  }
  return out;
}

std::string describe_nan(flows::Density& density, const Tensor& x,
                         const std::vector<double>& scores, const Tensor& given) {
  const auto is_nan = [](double score) { return std::isnan(score); };
  const auto first = std::find_if(scores.begin(), scores.end(), is_nan);
  if (first == scores.end()) return "";
  const std::int64_t row = first - scores.begin();
  const auto where = density.find_nonfinite(x.narrow(0, row, 1), flows::given_rows(given, row, 1));
  return str("the model gives NaN for ", std::count_if(first, scores.end(), is_nan), " of ",
             scores.size(), " rows, first in ", where.value_or("some draws of the noise"));
}

void check_ending(const char* command, const std::string& path,
                  std::initializer_list<std::string> endings) {
  const bool known = std::any_of(endings.begin(), endings.end(),
                                 [&](const std::string& e) { return path.ends_with(e); });
  check_usage(known, "[", command, "] ", path, " must end in ",
              join(std::vector<std::string>(endings), " or "));
}

CLI::Option* add_scale(CLI::App& app, int& scale) {
  return app
      .add_option("--scale", scale, "Picture's pixels for one of an image (default: as fits)")
      ->check(whole(1, 64));
}

std::string out_path(const std::string& out, const RunFolder& run, const std::string& name) {
  if (!out.empty()) return out;
  const std::string path = run.file(name);
  const std::string folder = path.substr(0, path.rfind('/'));
  NF_CHECK(::access(folder.c_str(), W_OK) == 0 || errno == ENOENT, "[write] '", folder,
           "': ", std::strerror(errno), "; give another place with --out");
  return path;
}

std::string convention_of(const flows::Density& density) {
  std::string text = density.convention().text;
  if (!density.bound()) return text;
  const bool estimated = flows::estimates_log_det(density);
  text += estimated ? "; but for these estimates a lower bound of the log probability"
                    : "; a lower bound of the log probability";
  return text;
}

}  // namespace nf::cli
