#include "flows/runs/known_data.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <filesystem>
#include <limits>

#include "data/csv.h"
#include "data/csv_categories.h"
#include "data/formats.h"
#include "data/source.h"
#include "flows/train/targets.h"
#include "tensor/checksum.h"
#include "tensor/text.h"

namespace nf::flows {

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr double kMostRows = 0x1p31, kMostDims = 0x1p31;

const std::vector<std::string>& fact_keys() {
  static const std::vector<std::string> keys = {
      "path",          "valid_path",   "test_path", "dims",        "shape",
      "columns",       "levels",       "family",    "classes",     "entropy",
      "checksum",      "cut",          "bounds",    "parts",       "given_names",
      "given_classes", "label_counts", "skipped",   "class_names", "categories"};
  return keys;
}

/// A value of an object, with the messages of a file that may say anything.
class Facts {
 public:
  Facts(const nlohmann::json& json, std::string where) : json_(json), where_(std::move(where)) {
    NF_CHECK(json_.is_object(), where_, "must be an object");
  }

  const nlohmann::json& at(const std::string& key) const {
    const auto found = json_.find(key);
    NF_CHECK(found != json_.end(), where_, "has no '", key, "'");
    return *found;
  }
  bool has(const std::string& key) const { return json_.contains(key); }
  bool null(const std::string& key) const { return at(key).is_null(); }
  std::string text(const std::string& key) const {
    NF_CHECK(at(key).is_string(), where_, "'", key, "' must be text");
    return at(key).get<std::string>();
  }
  std::vector<std::string> texts(const std::string& key) const {
    const auto& list = at(key);
    const bool right = list.is_array() && std::all_of(list.begin(), list.end(),
                                                      [](auto& text) { return text.is_string(); });
    NF_CHECK(right, where_, "'", key, "' must be texts");
    return list.get<std::vector<std::string>>();
  }
  double real(const std::string& key) const {
    if (null(key)) return std::numeric_limits<double>::quiet_NaN();
    NF_CHECK(at(key).is_number(), where_, "'", key, "' must be a number or null");
    return at(key).get<double>();
  }
  std::int64_t count(const std::string& key, double most = kMostRows) const {
    const double value = real(key);
    NF_CHECK(value >= 0 && value <= most && value == std::floor(value), where_, "'", key,
             "' must be a whole number from 0 to ", most);
    return static_cast<std::int64_t>(value);
  }
  Facts in(const std::string& key) const { return {at(key), where_ + "'" + key + "' "}; }

 private:
  const nlohmann::json& json_;
  std::string where_;
};

KnownData::Part part_from(const Facts& facts) {
  return {facts.count("count"), facts.text("checksum"),
          facts.has("rows") ? facts.text("rows") : std::string()};
}

Json to_json(const KnownData::Part& part) {
  return {{"count", part.count}, {"checksum", part.checksum}, {"rows", part.rows}};
}

/// The path of "path" or "format:path", and the format with its colon.
std::pair<std::string, std::string> parts_of(const std::string& source) {
  std::error_code error;
  if (fs::exists(source, error)) return {"", source};
  const std::size_t colon = source.find(':');
  if (colon == std::string::npos) return {"", source};
  const std::string format = source.substr(0, colon);
  const auto names = data::format_names();
  if (std::find(names.begin(), names.end(), format) == names.end()) return {"", source};
  return {source.substr(0, colon + 1), source.substr(colon + 1)};
}

/// Of conditional models; the first runs of this version do not say it.
void read_given(const nlohmann::json& json, const Facts& facts, const std::string& where,
                KnownData& known) {
  if (!json.contains("given_names")) return;
  data::Dataset& shape = known.shape;
  shape.given = facts.texts("given_names");
  shape.given_classes = static_cast<int>(facts.count("given_classes", 1 << 20));
  NF_CHECK(shape.given_classes == 0 || shape.given.size() == 1, where,
           "'given_names' must be one for labels");
  if (!json.contains("label_counts")) return;
  const nlohmann::json& counts = facts.at("label_counts");
  const auto is_count = [](const nlohmann::json& value) { return value.is_number_unsigned(); };
  NF_CHECK(counts.is_array() && (counts.empty() || std::ssize(counts) == shape.given_classes) &&
               std::all_of(counts.begin(), counts.end(), is_count),
           where, "'label_counts' must be ", shape.given_classes, " numbers of rows");
  known.label_counts = counts.get<std::vector<std::int64_t>>();
}

/// Of tables with categories: the names of their values, for each column.
void read_categories(const Facts& facts, const std::string& where, data::Dataset& shape) {
  if (!facts.has("categories")) return;  // older runs have none
  const nlohmann::json& lists = facts.at("categories");
  const auto is_list = [](const nlohmann::json& list) {
    return list.is_array() && list.size() != 1 && list.size() <= data::kMostCategories &&
           std::all_of(list.begin(), list.end(), [](auto& text) { return text.is_string(); });
  };
  NF_CHECK(lists.is_array() && (lists.empty() || lists.size() == shape.columns.size()) &&
               std::all_of(lists.begin(), lists.end(), is_list),
           where, "'categories' must be, for each of the columns, none or 2 to ",
           data::kMostCategories, " names");
  for (const nlohmann::json& list : lists) {
    shape.categories.push_back(list.get<std::vector<std::string>>());
    std::vector<std::string> names = shape.categories.back();
    std::sort(names.begin(), names.end());
    NF_CHECK(std::adjacent_find(names.begin(), names.end()) == names.end(), where,
             "'categories' has a name twice in one column");
  }
}

std::vector<std::int64_t> counts_of(const Tensor& labels, int classes) {
  std::vector<std::int64_t> counts(static_cast<std::size_t>(classes));
  for (const std::int32_t label : labels.to_vector<std::int32_t>()) {
    ++counts.at(static_cast<std::size_t>(label));
  }
  return counts;
}

}  // namespace

DataShape shape_of(const data::Dataset& data) {
  return {.dims = data.dims,
          .discrete = data.discrete,
          .levels = data.levels,
          .unit_scale = data.unit_scale,
          .columns = data.columns,
          .rows = data.train.size(),
          .channels = data.channels,
          .height = data.height,
          .width = data.width,
          .family = data.family,
          .given = data.given,
          .given_classes = data.given_classes,
          .categories = data.categories,
          .spread = data.spread};
}

std::string checksum_of(const data::Split& part) {
  Checksum sum;
  sum.add(part.x);
  sum.add(part.labels);
  const bool columns = part.given.defined() && is_float(part.given.dtype());
  if (columns) sum.add(part.given);  // else they are the labels
  return sum.text();
}

KnownData known_data(const data::Dataset& data, const Config& config) {
  KnownData known;
  known.shape = data;
  known.shape.notes = {};
  known.shape.train = known.shape.valid = known.shape.test = {};
  known.shape.intensities = {};
  known.shape.parts.reset();
  known.path = absolute_source(config.data.source);
  known.valid_path = absolute_source(config.data.valid_data);
  known.test_path = absolute_source(config.data.test_data);
  const auto part = [](const data::Split& split) {
    Checksum rows;
    rows.add(split.x);
    return KnownData::Part{split.size(), checksum_of(split), rows.text()};
  };
  known.train = part(data.train);
  known.valid = part(data.valid);
  known.test = part(data.test);
  if (data.given_classes > 0 && data.train.given.defined()) {
    known.label_counts = counts_of(data.train.given, data.given_classes);
  }
  if (is_target(config.data.source)) {
    const double reach = target_of(config.data.source).reach;
    if (reach > 0) known.bounds = data::Bounds{-reach, reach, -reach, reach};
  } else if (data.dims == 2 && !data.discrete) {
    known.bounds = data::bounds_of(data.train.x, known.axes());
  }
  return known;
}

void write_facts(const KnownData& known, Json& data) {
  const data::Dataset& shape = known.shape;
  const auto path = [](const std::string& text) { return text.empty() ? Json() : Json(text); };
  data["path"] = path(known.path);
  data["valid_path"] = path(known.valid_path);
  data["test_path"] = path(known.test_path);
  data["dims"] = shape.dims;
  data["shape"] =
      shape.images()
          ? Json{{"height", shape.height}, {"width", shape.width}, {"channels", shape.channels}}
          : Json();
  data["columns"] = shape.columns;
  data["levels"] = shape.discrete ? Json(shape.levels) : Json();
  data["given_names"] = shape.given;
  data["given_classes"] = shape.given_classes;
  data["label_counts"] = known.label_counts;
  data["family"] = shape.family;
  data["classes"] = shape.classes;
  data["entropy"] = std::isfinite(shape.entropy) ? Json(shape.entropy) : Json();
  data["checksum"] = shape.checksum;
  data["skipped"] = shape.skipped;
  data["class_names"] = shape.class_names;
  data["categories"] = shape.categories;
  data["cut"] = shape.cut;
  data["bounds"] = Json();
  if (const auto& box = known.bounds) {
    data["bounds"] = {box->left, box->right, box->bottom, box->top};
  }
  data["parts"] = {{"train", to_json(known.train)},
                   {"valid", to_json(known.valid)},
                   {"test", to_json(known.test)}};
}

nlohmann::json take_facts(nlohmann::json& data) {
  // A text, "a,b", is the setting by its flat name; a list is what a run's columns are called.
  if (const auto text = data.find("columns"); text != data.end() && text->is_string()) {
    const nlohmann::json wanted = *text;
    data.erase(text);
    NF_CHECK(!data.contains("wanted_columns"),
             "[config] 'data' has both 'columns' and 'wanted_columns'; give one of them");
    data["wanted_columns"] = wanted;
  }
  nlohmann::json facts = nlohmann::json::object();
  for (const std::string& key : fact_keys()) {
    if (const auto found = data.find(key); found != data.end()) {
      facts[key] = *found;
      data.erase(found);
    }
  }
  return facts;
}

KnownData known_from_facts(const nlohmann::json& json, const std::string& where) {
  const Facts facts(json, where);
  KnownData known;
  data::Dataset& shape = known.shape;
  if (!facts.null("path")) known.path = facts.text("path");
  // The first runs of this version do not have them.
  for (const auto& [key, path] :
       {std::pair{"valid_path", &known.valid_path}, {"test_path", &known.test_path}}) {
    if (json.contains(key) && !facts.null(key)) *path = facts.text(key);
  }
  shape.dims = facts.count("dims", kMostDims);
  NF_CHECK(shape.dims > 0, where, "'dims' must be above 0");
  if (!facts.null("shape")) {
    const Facts image = facts.in("shape");
    shape.height = image.count("height");
    shape.width = image.count("width");
    shape.channels = image.count("channels");
    const double pixels = static_cast<double>(shape.height) * static_cast<double>(shape.width) *
                          static_cast<double>(shape.channels);
    NF_CHECK(pixels == static_cast<double>(shape.dims), where,
             "'shape' does not have 'dims' = ", shape.dims, " numbers");
  }
  shape.columns = facts.texts("columns");
  NF_CHECK(shape.columns.empty() || std::ssize(shape.columns) == shape.dims, where,
           "'columns' has ", shape.columns.size(), " names for ", shape.dims, " dimensions");
  read_given(json, facts, where, known);
  shape.discrete = !facts.null("levels");
  if (shape.discrete) {
    const auto levels = static_cast<std::uint64_t>(facts.count("levels"));
    NF_CHECK(levels >= 2 && levels <= data::kLevels && std::has_single_bit(levels), where,
             "'levels' must be 256, of fewer bits 2 to 128 by doubling, or null");
    shape.levels = static_cast<int>(levels);
  }
  shape.family = facts.text("family");
  shape.classes = static_cast<int>(facts.count("classes", 0x1p30));
  shape.entropy = facts.real("entropy");
  shape.checksum = facts.text("checksum");
  if (facts.has("skipped")) shape.skipped = facts.count("skipped");  // not in older runs
  if (facts.has("class_names")) shape.class_names = facts.texts("class_names");
  read_categories(facts, where, shape);
  shape.cut = facts.text("cut");
  const Facts parts = facts.in("parts");
  known.train = part_from(parts.in("train"));
  known.valid = part_from(parts.in("valid"));
  known.test = part_from(parts.in("test"));
  if (!facts.null("bounds")) {
    const nlohmann::json& box = facts.at("bounds");
    const bool four = box.is_array() && box.size() == 4 &&
                      std::all_of(box.begin(), box.end(), [](auto& v) { return v.is_number(); });
    NF_CHECK(four, where, "'bounds' must be four numbers or null");
    known.bounds = {.left = box[0], .right = box[1], .bottom = box[2], .top = box[3]};
    NF_CHECK(known.bounds->left < known.bounds->right && known.bounds->bottom < known.bounds->top,
             where, "'bounds' has no inside");
  }
  return known;
}

bool built_in(const std::string& source) {
  const auto names = data::built_in_sources();
  return std::find(names.begin(), names.end(), source) != names.end();
}

std::string absolute_source(const std::string& source) {
  if (source.empty() || built_in(source) || is_target(source)) return "";
  const auto [format, path] = parts_of(source);
  std::error_code error;
  const fs::path absolute = fs::absolute(path, error);
  const std::string text = error ? source : format + absolute.lexically_normal().string();
  return is_utf8(text) ? text : "";
}

std::string source_place(const std::string& source) {
  if (built_in(source) || source == data::kStandardInput) return source;
  std::error_code error;
  const std::string path = parts_of(source).second;
  const fs::path absolute = fs::absolute(path, error).lexically_normal();
  if (error) return path;
  return (absolute.has_filename() ? absolute : absolute.parent_path()).string();  // "folder/"
}

bool source_exists(const std::string& source) {
  std::error_code error;
  return built_in(source) || fs::exists(parts_of(source).second, error);
}

}  // namespace nf::flows
