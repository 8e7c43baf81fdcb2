#include "data/source.h"

#include <algorithm>
#include <filesystem>
#include <optional>

#include "data/checksum.h"
#include "data/formats.h"
#include "data/glyphs.h"
#include "data/toy2d.h"
#include "tensor/ops.h"
#include "tensor/random.h"
#include "tensor/text.h"

namespace nf::data {
namespace {

namespace fs = std::filesystem;

// --- splits -------------------------------------------------------------------------------------

Split narrow(const Split& all, std::int64_t first, std::int64_t count) {
  Split out{all.x.narrow(0, first, count), {}};
  if (all.labels.defined()) out.labels = all.labels.narrow(0, first, count);
  return out;
}

std::int64_t count_or(std::int64_t wanted, std::int64_t otherwise) {
  return wanted < 0 ? otherwise : wanted;
}

void check_counts(const std::string& what, std::int64_t wanted, std::int64_t there) {
  NF_CHECK(wanted <= there, "[data] '", what, "': ", wanted, " samples asked for, ", there,
           " are there; ask for fewer");
}

/// Training samples from the front of `all`, validation samples from its end.
void split_training(const Split& all, std::int64_t valid, std::int64_t train, Dataset& out) {
  check_counts(out.name, train + valid, all.size());
  out.train = narrow(all, 0, train);
  out.valid = narrow(all, all.size() - valid, valid);
}

// --- files --------------------------------------------------------------------------------------

/// Rows of files without parts come in an order that must not decide which part they fall into:
/// often they are sorted. The same for every seed: which rows are the test is a property of the
/// file.
Split shuffled(const Split& rows) {
  constexpr std::uint64_t kSeed = 0, kStream = 0x73706C69;  // "spli"
  Generator gen(kSeed, kStream);
  const Tensor order = permutation(gen, rows.size());
  return {index_select(rows.x, 0, order),
          rows.labels.defined() ? index_select(rows.labels, 0, order) : Tensor()};
}

int count_classes(const Split& split) {
  if (!split.labels.defined() || split.size() == 0) return 0;
  const std::int32_t* values = split.labels.data<std::int32_t>();
  return 1 + *std::max_element(values, values + split.size());
}

void check_alike(const std::string& path, const Samples& a, const Samples& b) {
  NF_CHECK(a.rows.x.dim(1) == b.rows.x.dim(1) && a.rows.x.dtype() == b.rows.x.dtype() &&
               a.channels == b.channels && a.height == b.height,
           "[data] '", path, "': training samples are ", describe(a.rows.x), ", others ",
           describe(b.rows.x), "; the files do not belong together");
}

/// The first `wanted` of a part that is there by itself.
Split take_first(const std::string& path, const Split& rows, std::int64_t wanted) {
  const std::int64_t count = count_or(wanted, rows.size());
  check_counts(path, count, rows.size());
  return narrow(rows, 0, count);
}

/// Of a path with these parts, in words.
std::string cut_of(const Parts& parts, bool in_file_order) {
  const char* const kEnd = " the end of the training samples";
  if (parts.valid && parts.test) return "the source's own";
  if (parts.test) return str("test is the source's own, validation", kEnd);
  if (parts.valid) return str("validation is the source's own, test", kEnd);
  return in_file_order ? "in the order of the file: training, validation, test"
                       : "drawn from the rows at random, the same ones every time";
}

std::string checksum_of(const Parts& parts) {
  Checksum sum;
  const auto add = [&](const Samples& part) {
    sum.add(part.rows.x);
    sum.add(part.rows.labels);
  };
  add(parts.train);
  if (parts.valid) add(*parts.valid);
  if (parts.test) add(*parts.test);
  return sum.text();
}

Dataset load_path(const std::string& path, const std::string& format, const LoadOptions& options) {
  const Parts parts = read_parts(path, format);
  Dataset out;
  out.name = path;
  out.family = parts.train.family;
  out.dims = parts.train.rows.x.dim(1);
  out.channels = parts.train.channels;
  out.height = parts.train.height;
  out.width = parts.train.width;
  out.discrete = parts.train.rows.x.dtype() == DType::U8;
  out.columns = parts.train.columns;
  out.cut = cut_of(parts, options.in_file_order);
  out.checksum = checksum_of(parts);
  out.classes = count_classes(parts.train.rows);
  for (const std::optional<Samples>* part : {&parts.valid, &parts.test}) {
    if (!*part) continue;
    check_alike(path, parts.train, **part);
    out.classes = std::max(out.classes, count_classes((*part)->rows));
  }
  // What has no part of its own is cut from the end of the training samples, the test last.
  const bool as_it_is = parts.test || parts.valid || options.in_file_order;
  Split rest = as_it_is ? parts.train.rows : shuffled(parts.train.rows);
  const std::int64_t n = rest.size();
  const std::int64_t test = parts.test ? 0 : count_or(options.test, n / 10);
  const std::int64_t valid = parts.valid ? 0 : count_or(options.valid, n / parts.valid_share);
  check_counts(path, test + valid, n);
  out.test =
      parts.test ? take_first(path, parts.test->rows, options.test) : narrow(rest, n - test, test);
  rest = narrow(rest, 0, n - test);
  split_training(rest, valid, count_or(options.train, n - test - valid), out);
  if (parts.valid) out.valid = take_first(path, parts.valid->rows, options.valid);
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
  split_training(glyphs(options.seed, GlyphSet::Train, 0, train + valid), valid, train, out);
  out.test = glyphs(options.seed, GlyphSet::Test, 0, count_or(options.test, 10000));
  return out;
}

Dataset load_toy2d(const Toy2d& toy, const LoadOptions& options) {
  constexpr std::uint64_t kStream = 0x746F793264ULL << 8;  // "toy2d"
  Dataset out;
  out.name = toy.name;
  out.dims = 2;
  out.entropy = toy.entropy;
  out.cut = "drawn, each from a random stream of its own";
  out.train.x = sample_toy2d(toy, count_or(options.train, 100000), options.seed, kStream);
  out.valid.x = sample_toy2d(toy, count_or(options.valid, 20000), options.seed, kStream + 1);
  out.test.x = sample_toy2d(toy, count_or(options.test, 20000), options.seed, kStream + 2);
  return out;
}

// --- paths and names ----------------------------------------------------------------------------

[[noreturn]] void fail_unknown(const std::string& spec) {
  const std::vector<std::string> names = built_in_sources();
  const bool a_path = spec.find_first_of("/.") != std::string::npos;
  const std::string hint = a_path ? "" : did_you_mean(spec, names);
  const bool mnist = spec.find("mnist") != std::string::npos;
  fail(str("[data] '", spec, "': no such file or folder, nor a built-in source", hint,
           "; built-in are: ", join(names, " "), mnist ? str("; ", kWhereMnistIs) : ""));
}

}  // namespace

std::vector<std::string> built_in_sources() {
  std::vector<std::string> names = {"glyphs"};
  for (const Toy2d& toy : toys2d()) names.push_back(toy.name);
  return names;
}

Dataset load(const std::string& spec, const LoadOptions& options) {
  for (const std::int64_t count : {options.train, options.valid, options.test}) {
    NF_CHECK(count <= std::int64_t{1} << 31, "[data] ", count,
             " samples are more than a split can have (2^31)");
  }
  const Toy2d* const toy = find_toy2d(spec);
  if (spec == "glyphs" || toy) {
    Dataset drawn = toy ? load_toy2d(*toy, options) : load_glyphs(options);
    drawn.checksum = checksum_of(drawn, options.seed);
    return drawn;
  }
  std::error_code error;
  if (fs::exists(spec, error)) return load_path(spec, "", options);
  const std::size_t colon = spec.find(':');
  if (colon != std::string::npos) {
    const std::string format = spec.substr(0, colon), path = spec.substr(colon + 1);
    for (const std::string& known : format_names()) {
      if (format == known) return load_path(path, format, options);
    }
    NF_CHECK(!fs::exists(path, error), "[data] '", spec, "': unknown format '", format,
             "'; known are ", join(format_names(), ", "));
  }
  fail_unknown(spec);
}

}  // namespace nf::data
