#include "data/source.h"

#include <algorithm>
#include <filesystem>
#include <optional>

#include "data/columns.h"
#include "data/csv.h"
#include "data/formats.h"
#include "data/given.h"
#include "data/glyphs.h"
#include "data/levels.h"
#include "data/setting_error.h"
#include "data/splits.h"
#include "data/tones.h"
#include "data/toy2d.h"
#include "tensor/checksum.h"
#include "tensor/text.h"

namespace nf::data {
namespace {

namespace fs = std::filesystem;

std::int64_t count_or(std::int64_t wanted, std::int64_t otherwise) {
  return wanted < 0 ? otherwise : wanted;
}

// --- files --------------------------------------------------------------------------------------

int count_classes(const Split& split) {
  if (!split.labels.defined() || split.size() == 0) return 0;
  const std::int32_t* values = split.labels.data<std::int32_t>();
  return 1 + *std::max_element(values, values + split.size());
}

/// A path, or "format:path" where there is no such path.
struct Place {
  std::string path, format;
};

std::optional<Place> find_place(const std::string& spec) {
  if (spec == kStandardInput) return Place{spec, "csv"};
  std::error_code error;
  if (fs::exists(spec, error)) return Place{spec, ""};
  const std::size_t colon = spec.find(':');
  if (colon == std::string::npos) return std::nullopt;
  const std::string format = spec.substr(0, colon), path = spec.substr(colon + 1);
  for (const std::string& known : format_names()) {
    if (format == known) return Place{path, format};
  }
  NF_CHECK(!fs::exists(path, error), "[data] '", printable(spec), "': unknown format '",
           printable(format), "'; known are ", join(format_names(), ", "));
  return std::nullopt;
}

/// "images of 28 x 28 pixels, u8 (N, 784)".
std::string kind_of(const Samples& samples) {
  const Tensor& x = samples.rows.x;
  const std::string images =
      str("images of ", samples.height, " x ", samples.width, " pixels, ", samples.channels,
          samples.channels > 1 ? " channels, " : " channel, ");
  return str(samples.channels > 0 ? images : "", describe(x));
}

/// Throws unless `other` is of the same kind as the training samples; gives it their type.
void make_alike(const std::string& path, const Samples& train, Samples& other) {
  Tensor &x = other.rows.x, like = train.rows.x;
  NF_CHECK(like.dim(1) == x.dim(1) && is_float(like.dtype()) == is_float(x.dtype()) &&
               train.channels == other.channels && train.height == other.height,
           "[data] '", path, "': training samples are ", kind_of(train), ", others ",
           kind_of(other), "; the files do not belong together");
  x = x.to(like.dtype());
}

/// The rows of a file that is a whole part, with the columns of the training rows.
Samples read_part_file(const std::string& spec, const char* setting, const Samples& train,
                       const ReadOptions& options) {
  const std::optional<Place> place = find_place(spec);
  NF_CHECK(place, "[data] ", setting, " '", printable(spec), "': no such file");
  ReadOptions like = options;
  like.may_lack_split_by = true;
  like.class_names = train.class_names;
  like.guess_categories = false;
  Dataset names;
  names.columns = train.columns;
  names.categories = train.categories;
  like.categories = categories_of(names);
  like.known = train.columns;
  Samples part = read_parts(place->path, place->format, like).train;
  Dataset rows;
  rows.name = spec;
  rows.train = part.rows;
  rows.dims = part.rows.x.dim(1);
  rows.columns = part.columns;
  const std::string note = match_columns(rows, train.columns);
  if (!note.empty()) part.notes.push_back(note);
  part.rows = rows.train;
  return part;
}

constexpr std::int64_t kMostPacked = 4'000'000'000;

/// Of pictures, with their labels.
std::int64_t bytes_of(const Parts& parts) {
  const auto of = [](const Split& rows) { return rows.x.numel() + 4 * rows.size(); };
  return of(parts.train.rows) + (parts.valid ? of(parts.valid->rows) : 0) +
         (parts.test ? of(parts.test->rows) : 0);
}

std::string checksum_of(const Parts& parts) {
  Checksum sum;
  const auto add = [&](const Samples& part) {
    sum.add(part.rows.x);
    sum.add(part.rows.labels);
    sum.add(part.rows.given);
  };
  add(parts.train);
  if (parts.valid) add(*parts.valid);
  if (parts.test) add(*parts.test);
  return sum.text();
}

/// Which columns of a table are categories and numbers: as `types` says, and of a run its own.
void choose_categories(const LoadOptions& options, ReadOptions& reading) {
  for (const auto& [name, type] : named_types(options.types)) {
    if (type == "category") {
      reading.categories[without_spaces(name)];
    } else {
      reading.numbers.push_back(without_spaces(name));
    }
  }
  for (const auto& [name, values] : options.categories) reading.categories[name] = values;
  reading.guess_categories = options.guess_categories;
}

Dataset load_path(const Place& place, const LoadOptions& options) {
  const std::string& path = place.path;
  const GivenNames given = parse_given(options.given);
  const std::string split_by = parse_split_by(options.split_by).column;
  check_setting(
      std::find(given.columns.begin(), given.columns.end(), split_by) == given.columns.end(),
      "given", "[given] '", printable(split_by),
      "' is the column of split_by, which is not kept; give other columns, or split by another");
  ReadOptions reading{.layout = options.layout,
                      .columns = options.columns,
                      .given = given.columns,
                      .split_by = split_by,
                      .may_lack_split_by = options.in_file_order || options.of_run,
                      .drop = options.drop,
                      .label = options.label,
                      .known = options.known,
                      .missing_words = options.missing_words,
                      .drop_missing = options.drop_missing,
                      .keep_missing = options.keep_missing,
                      .images = options.images,
                      .skip_bad = options.skip_bad,
                      .class_names = options.class_names,
                      .of_run = options.of_run};
  choose_categories(options, reading);
  Parts parts = read_parts(path, place.format, reading);
  check_setting(options.label.empty() || std::find(given.columns.begin(), given.columns.end(),
                                                   options.label) == given.columns.end(),
                "given", "[given] '", printable(options.label),
                "' is the label column; say given label");
  check_setting(options.layout == "auto" || options.of_run || parts.train.chose_layout, "layout",
                "[layout] would change nothing: '", printable(path),
                "' holds no images (N, A, B, C) of which A or C are the channels");
  for (const auto& [setting, given] : {std::pair{"images", !options.images.empty()},
                                       {"skip_bad", options.skip_bad},
                                       {"pack", options.keep_parts}}) {
    check_setting(!given || options.of_run || parts.train.pictures, setting, "[", setting,
                  "] would change nothing: it is for pictures in files, PNG or JPEG, and '",
                  printable(path), "' holds none");
  }
  check_setting(
      (!options.drop_missing && options.missing_words.empty()) || options.of_run ||
          !parts.train.form.empty(),
      options.drop_missing ? "missing" : "na", "[", options.drop_missing ? "missing" : "na",
      "] would change nothing: it is for tables as text, which '", printable(path), "' is not");
  Dataset out;
  out.name = shown_path(path);
  out.family = parts.train.family;
  out.dims = parts.train.rows.x.dim(1);
  out.channels = parts.train.channels;
  out.height = parts.train.height;
  out.width = parts.train.width;
  out.discrete = parts.train.rows.x.dtype() == DType::U8;
  out.columns = parts.train.columns;
  out.checksum = checksum_of(parts);
  if (options.keep_parts) {
    check_setting(options.valid_data.empty() && options.test_data.empty(), "pack",
                  "[pack] keeps one folder; put the parts into it as train, valid and test");
    check_setting(bytes_of(parts) < kMostPacked, "pack", "[pack] '", printable(path),
                  "' becomes more than a file takes here (4 GB); leave pack out");
    out.parts = std::make_shared<const Parts>(parts);
  }
  out.skipped = parts.train.skipped;
  out.class_names = parts.train.class_names;
  out.categories = parts.train.categories;
  out.form = parts.train.form;
  out.label = options.label;
  if (!options.valid_data.empty()) {
    parts.valid = read_part_file(options.valid_data, "valid_data", parts.train, reading);
    out.valid_file = options.valid_data;
  }
  if (!options.test_data.empty()) {
    parts.test = read_part_file(options.test_data, "test_data", parts.train, reading);
    out.test_file = options.test_data;
  }
  out.classes = count_classes(parts.train.rows);
  out.notes = parts.train.notes;
  for (std::optional<Samples>* part : {&parts.valid, &parts.test}) {
    if (!*part) continue;
    make_alike(path, parts.train, **part);
    out.classes = std::max(out.classes, count_classes((*part)->rows));
    out.skipped += (*part)->skipped;
    out.notes.insert(out.notes.end(), (*part)->notes.begin(), (*part)->notes.end());
  }
  if (!options.label.empty()) out.classes = static_cast<int>(std::ssize(out.class_names));
  split_rows(parts, options, out);
  take_given(out, given, options.of_run);
  if (options.names) {
    const std::string note = match_columns(out, *options.names);
    if (!note.empty()) out.notes.push_back(note);
  }
  look_at_types(out, options.types, options.of_run);
  return out;
}

// --- built-in sources ---------------------------------------------------------------------------

std::string checksum_of(const Dataset& drawn, std::uint64_t seed) {
  Checksum sum;
  sum.add(str(drawn.name, " ", seed));
  sum.add(drawn.train.x);
  return sum.text();
}

Dataset load_glyphs(const LoadOptions& options) {
  const std::int64_t train = count_or(options.train, 50000), valid = count_or(options.valid, 10000);
  Dataset out;
  out.name = "glyphs";
  out.dims = kGlyphSize * kGlyphSize;
  out.channels = 1;
  out.height = out.width = kGlyphSize;
  out.discrete = true;
  out.classes = 10;
  out.cut = "drawn: training and validation from one random stream, test from another";
  const Split drawn = glyphs(options.seed, GlyphSet::Train, 0, train + valid);
  out.train = narrow(drawn, 0, train);
  out.valid = narrow(drawn, train, valid);
  out.test = glyphs(options.seed, GlyphSet::Test, 0, count_or(options.test, 10000));
  return out;
}

Dataset load_tones(const LoadOptions& options) {
  constexpr std::uint64_t kStream = 0x746F6E6573ULL << 8;  // "tones"
  Dataset out;
  out.name = "tones";
  out.dims = kToneLength;
  out.discrete = true;
  out.cut = "drawn, each from a random stream of its own";
  out.train.x = tones(count_or(options.train, 20000), options.seed, kStream);
  out.valid.x = tones(count_or(options.valid, 2000), options.seed, kStream + 1);
  out.test.x = tones(count_or(options.test, 2000), options.seed, kStream + 2);
  return out;
}

Dataset load_toy2d(const Toy2d& toy, const LoadOptions& options) {
  constexpr std::uint64_t kStream = 0x746F793264ULL << 8;  // "toy2d"
  Dataset out;
  out.name = toy.name;
  out.dims = 2;
  out.unit_scale = true;
  out.entropy = toy.entropy;
  out.cut = "drawn, each from a random stream of its own";
  out.train.x = sample_toy2d(toy, count_or(options.train, 100000), options.seed, kStream);
  out.valid.x = sample_toy2d(toy, count_or(options.valid, 20000), options.seed, kStream + 1);
  out.test.x = sample_toy2d(toy, count_or(options.test, 20000), options.seed, kStream + 2);
  return out;
}

/// What is about files does not go with what is drawn.
void check_drawn(const std::string& name, const LoadOptions& options) {
  const std::pair<const char*, bool> settings[] = {{"valid_data", !options.valid_data.empty()},
                                                   {"test_data", !options.test_data.empty()},
                                                   {"split_by", !options.split_by.empty()},
                                                   {"fold", !options.fold.empty()},
                                                   {"columns", !options.columns.empty()},
                                                   {"drop", !options.drop.empty()},
                                                   {"label", !options.label.empty()},
                                                   {"missing", options.drop_missing},
                                                   {"na", !options.missing_words.empty()},
                                                   {"layout", options.layout != "auto"},
                                                   {"types", !options.types.empty()},
                                                   {"images", !options.images.empty()},
                                                   {"skip_bad", options.skip_bad},
                                                   {"pack", options.keep_parts}};
  for (const auto& [setting, given] : settings) {
    check_setting(!given, setting, "[data] ", setting, " is for files; '", name, "' is drawn");
  }
}

// --- paths and names ----------------------------------------------------------------------------

void take_bits(Dataset& data, const LoadOptions& options) {
  reduce_bits(data, options.bits);
  binarize(data, options.binarize);
}

[[noreturn]] void fail_unknown(const std::string& spec) {
  const std::vector<std::string> names = built_in_sources();
  const bool a_path = spec.find_first_of("/.") != std::string::npos;
  const std::string hint = a_path ? "" : did_you_mean(spec, names);
  const bool mnist = spec.find("mnist") != std::string::npos;
  fail(str("[data] '", printable(spec), "': no such file or folder, nor a built-in source", hint,
           "; built-in are: ", join(names, " "), mnist ? str("; ", kWhereMnistIs) : ""));
}

}  // namespace

std::vector<std::string> built_in_sources() {
  std::vector<std::string> names = {"glyphs", "tones"};
  for (const Toy2d& toy : toys2d()) names.push_back(toy.name);
  return names;
}

Dataset load(const std::string& spec, const LoadOptions& options) {
  for (const auto& [key, count] :
       {std::pair{"train", options.train}, {"valid", options.valid}, {"test", options.test}}) {
    check_setting(count <= std::int64_t{1} << 31, key, "[data] ", count,
                  " samples are more than a split can have (2^31)");
  }
  NF_CHECK(!spec.empty(), "[data] the data source is empty; give a name or a path");
  const Toy2d* const toy = find_toy2d(spec);
  if (toy || spec == "glyphs" || spec == "tones") {
    check_drawn(spec, options);
    Dataset drawn = toy               ? load_toy2d(*toy, options)
                    : spec == "tones" ? load_tones(options)
                                      : load_glyphs(options);
    drawn.checksum = checksum_of(drawn, options.seed);
    take_given(drawn, parse_given(options.given), options.of_run);
    take_bits(drawn, options);
    return drawn;
  }
  const std::optional<Place> place = find_place(spec);
  if (!place) fail_unknown(spec);
  Dataset read = load_path(*place, options);
  take_bits(read, options);
  return read;
}

}  // namespace nf::data
