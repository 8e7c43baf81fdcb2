#include "data/source.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <optional>
#include <span>

#include "data/glyphs.h"
#include "data/idx.h"
#include "data/toy2d.h"
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

// --- IDX files ----------------------------------------------------------------------------------

struct Images {
  Split rows;
  std::int64_t channels = 0, height = 0, width = 0;
};

void check_finite(const std::string& path, const Tensor& x) {
  const float* values = x.data<float>();
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    NF_CHECK(std::isfinite(values[i]), "[data] '", path, "': row ", i / x.dim(1), ", column ",
             i % x.dim(1), " is not a finite number");
  }
}

Images read_images(const std::string& path) {
  const Tensor x = read_idx(path);
  const int rank = x.rank();
  NF_CHECK(rank >= 2, "[data] '", path, "': holds ", x.shape(),
           ", one number for each sample: labels where images or rows were expected");
  NF_CHECK(x.numel() > 0, "[data] '", path, "': holds nothing: ", x.shape());
  NF_CHECK(rank <= 4, "[data] '", path, "': holds ", x.shape(),
           "; expected rows (N, D) or images (N, H, W) or (N, C, H, W)");
  Images out;
  if (rank >= 3) {
    NF_CHECK(x.dtype() == DType::U8, "[data] '", path, "': images of ", name(x.dtype()),
             "; pixels must be u8 (IDX type 8)");
    out.channels = rank == 4 ? x.dim(1) : 1;
    out.height = x.dim(-2);
    out.width = x.dim(-1);
  }
  const std::int64_t n = x.dim(0);
  out.rows.x = x.reshape({n, x.numel() / n});
  if (x.dtype() != DType::U8) {
    out.rows.x = out.rows.x.to(DType::F32);
    check_finite(path, out.rows.x);
  }
  return out;
}

Tensor read_labels(const std::string& path, std::int64_t samples) {
  constexpr std::int32_t kMostClasses = 1 << 16;
  const Tensor file = read_idx(path);
  NF_CHECK(file.rank() == 1 && !is_float(file.dtype()), "[data] '", path, "': holds ",
           describe(file), " where labels were expected: integers of shape (N)");
  NF_CHECK(file.dim(0) == samples, "[data] '", path, "': ", file.dim(0), " labels, but ", samples,
           " images beside it; the files do not belong together");
  const Tensor labels = file.to(DType::I32);
  const std::int32_t* values = labels.data<std::int32_t>();
  for (std::int64_t i = 0; i < samples; ++i) {
    NF_CHECK(values[i] >= 0 && values[i] < kMostClasses, "[data] '", path, "': label ", i, " is ",
             values[i], "; labels count from 0 to at most ", kMostClasses - 1);
  }
  return labels;
}

int count_classes(const Split& split) {
  if (!split.labels.defined() || split.size() == 0) return 0;
  const std::int32_t* values = split.labels.data<std::int32_t>();
  return 1 + *std::max_element(values, values + split.size());
}

void take_kind(const Images& from, Dataset& out) {
  out.dims = from.rows.x.dim(1);
  out.channels = from.channels;
  out.height = from.height;
  out.width = from.width;
  out.discrete = from.rows.x.dtype() == DType::U8;
}

constexpr const char* kImages[] = {"-images-idx3-ubyte", "-images.idx3-ubyte"};
constexpr const char* kLabels[] = {"-labels-idx1-ubyte", "-labels.idx1-ubyte"};
constexpr const char* kWhereMnistIs =
    "MNIST is four files, train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte "
    "and t10k-labels-idx1-ubyte, gzipped (.gz) or not, from yann.lecun.com/exdb/mnist or a mirror";

std::optional<std::string> find_in(const fs::path& folder, const std::string& part,
                                   std::span<const char* const> names) {
  for (const char* name : names) {
    for (const char* suffix : {"", ".gz"}) {
      const fs::path path = folder / (part + name + suffix);
      if (fs::exists(path)) return path.string();
    }
  }
  return std::nullopt;
}

Images read_part(const fs::path& folder, const std::string& part) {
  const std::optional<std::string> images = find_in(folder, part, kImages);
  NF_CHECK(images, "[data] '", folder.string(), "': no ", part, kImages[0],
           " or .gz in this folder; ", kWhereMnistIs);
  Images out = read_images(*images);
  if (const auto labels = find_in(folder, part, kLabels)) {
    out.rows.labels = read_labels(*labels, out.rows.size());
  }
  return out;
}

Dataset load_folder(const std::string& path, const LoadOptions& options) {
  const Images train = read_part(path, "train"), test = read_part(path, "t10k");
  NF_CHECK(train.rows.x.dim(1) == test.rows.x.dim(1) && train.rows.x.dtype() == test.rows.x.dtype(),
           "[data] '", path, "': training samples are ", describe(train.rows.x), ", test samples ",
           describe(test.rows.x), "; the files do not belong together");
  Dataset out;
  out.name = path;
  take_kind(train, out);
  const std::int64_t n = train.rows.size();
  const std::int64_t valid = count_or(options.valid, n / 6);
  split_training(train.rows, valid, count_or(options.train, n - std::min(valid, n)), out);
  const std::int64_t test_count = count_or(options.test, test.rows.size());
  check_counts(path, test_count, test.rows.size());
  out.test = narrow(test.rows, 0, test_count);
  out.classes = std::max(count_classes(train.rows), count_classes(test.rows));
  return out;
}

Dataset load_file(const std::string& path, const LoadOptions& options) {
  const Images all = read_images(path);
  Dataset out;
  out.name = path;
  take_kind(all, out);
  const std::int64_t n = all.rows.size();
  const std::int64_t test = count_or(options.test, n / 7), valid = count_or(options.valid, n / 7);
  check_counts(path, test + valid, n);
  split_training(narrow(all.rows, 0, n - test), valid, count_or(options.train, n - test - valid),
                 out);
  out.test = narrow(all.rows, n - test, test);
  return out;
}

// --- built-in sources ---------------------------------------------------------------------------

Dataset load_glyphs(const LoadOptions& options) {
  const std::int64_t train = count_or(options.train, 50000), valid = count_or(options.valid, 10000);
  Dataset out;
  out.name = "glyphs";
  out.dims = kGlyphSize * kGlyphSize;
  out.channels = 1;
  out.height = out.width = kGlyphSize;
  out.discrete = true;
  out.classes = 10;
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
  out.train.x = sample_toy2d(toy, count_or(options.train, 100000), options.seed, kStream);
  out.valid.x = sample_toy2d(toy, count_or(options.valid, 20000), options.seed, kStream + 1);
  out.test.x = sample_toy2d(toy, count_or(options.test, 20000), options.seed, kStream + 2);
  return out;
}

// --- paths and names ----------------------------------------------------------------------------

[[noreturn]] void fail_unknown(const std::string& spec) {
  const std::vector<std::string> names = built_in_sources();
  const bool a_path = spec.find_first_of("/.") != std::string::npos;
  const std::string hint = a_path ? "" : str("did you mean '", nearest(spec, names), "'? ");
  const bool mnist = spec.find("mnist") != std::string::npos;
  fail(str("[data] '", spec, "': no such file or folder, nor a built-in source; ", hint,
           "built-in are: ", join(names, " "), mnist ? str("; ", kWhereMnistIs) : ""));
}

Dataset load_path(const std::string& path, const LoadOptions& options, bool told_idx) {
  std::error_code error;
  if (fs::is_directory(path, error)) return load_folder(path, options);
  NF_CHECK(told_idx || looks_like_idx(path), "[data] '", path,
           "': no format that is known here; known is IDX, raw or gzipped");
  return load_file(path, options);
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
  if (spec == "glyphs") return load_glyphs(options);
  if (const Toy2d* toy = find_toy2d(spec)) return load_toy2d(*toy, options);
  if (spec.starts_with("idx:")) return load_path(spec.substr(4), options, true);
  std::error_code error;
  if (fs::exists(spec, error)) return load_path(spec, options, false);
  const std::size_t colon = spec.find(':');
  NF_CHECK(colon == std::string::npos || !fs::exists(spec.substr(colon + 1), error), "[data] '",
           spec, "': unknown format '", spec.substr(0, colon), "'; known is idx");
  fail_unknown(spec);
}

}  // namespace nf::data
