// Folders of PNG and JPEG files, and single pictures, as samples.
#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <thread>
#include <tuple>

#include "data/decode.h"
#include "data/format.h"
#include "data/input.h"
#include "data/picture_attributes.h"
#include "data/picture_files.h"
#include "data/picture_steps.h"
#include "data/progress.h"
#include "data/setting_error.h"
#include "tensor/files.h"
#include "tensor/memory.h"
#include "tensor/ops.h"
#include "tensor/text.h"
#include "tensor/threads.h"

namespace nf::data {
namespace {

constexpr std::uint64_t kMostFileBytes = std::uint64_t{1} << 30;  // of a file

/// A file on its way.
struct PictureEntry {
  PictureFile file;
  PictureInfo info = {};
  PictureSize size = {};        ///< after all steps, before it is cut into patches
  std::int64_t first = 0;       ///< its first row in its part
  std::int64_t rows = 0;        ///< 0 of a bad file
  std::int64_t attributes = 0;  ///< where they are in their table
  std::string bad = {};         ///< why it cannot be read
  bool deep = false, cmyk = false, see_through = false;
};
using PictureEntries = std::vector<PictureEntry>;

/// body(i) for each i below n, by all threads in order, until one gives false. What was begun
/// before is still done: so the first i that gives false is the same with any number of threads.
template <class Body>
void by_threads(std::int64_t n, Body&& body) {
  const std::thread::id caller = std::this_thread::get_id();
  std::atomic<std::int64_t> next = 0;
  std::atomic<bool> stop = false;
  parallel_for(num_threads(), 1, [&](std::int64_t begin, std::int64_t end) {
    for (; begin < end; ++begin) {
      while (!stop) {
        const std::int64_t i = next++;
        if (i >= n) break;
        if (!body(i)) stop = true;
        if (reading_report() && std::this_thread::get_id() == caller) reading_report()(i, n);
      }
    }
  });
  if (reading_report()) reading_report()(n, n);
}

class PictureReader {
 public:
  PictureReader(PictureFolder folder, bool single, const ReadOptions& options)
      : folder_(std::move(folder)),
        single_(single),
        options_(options),
        steps_(parse_picture_steps(options.images)) {
    check_setting(options.columns.empty() && options.split_by.empty(),
                  options.columns.empty() ? "split_by" : "columns", "[data] '",
                  printable(folder_.path),
                  "': columns and split_by are for tables, this holds pictures");
    if (!options.given.empty()) attributes_ = {folder_.path, options.given};
    const std::vector<PictureFile>* const lists[] = {&folder_.train, &folder_.valid, &folder_.test};
    for (std::size_t p = 0; p < parts_.size(); ++p) {
      for (const PictureFile& file : *lists[p]) parts_[p].push_back({file});
    }
  }

  Parts read() {
    look_at_headers();
    choose_channels();
    choose_size();
    double numbers = 0;
    for (PictureEntries& part : parts_) numbers += static_cast<double>(place_rows(part) * dims());
    check_memory(2 * numbers, str("[data] '", printable(folder_.path), "'"),
                 "make pictures smaller with --images");
    Parts out{read_part(parts_[0]), {}, {}};
    if (!parts_[1].empty()) out.valid = read_part(parts_[1]);
    if (!parts_[2].empty()) out.test = read_part(parts_[2]);
    tell(out.train);
    return out;
  }

 private:
  std::string path_of(const PictureEntry& entry) const {
    const std::filesystem::path folder = folder_.path;
    return single_ ? folder_.path : (folder / entry.file.path).string();
  }
  std::string name_of(const PictureEntry& entry) const {
    return str("[picture] '", printable(path_of(entry)), "'");
  }
  std::int64_t dims() const { return size_.width * size_.height * channels_; }

  /// body(entry) for all entries, by threads. Where it throws, the entry is bad; the first such one
  /// is thrown, unless bad files are skipped.
  template <class Body>
  void each(PictureEntries& entries, Body&& body) {
    by_threads(std::ssize(entries), [&](std::int64_t i) {
      PictureEntry& entry = entries[static_cast<std::size_t>(i)];
      if (!entry.bad.empty()) return true;
      try {
        body(entry);
      } catch (const Error& error) {
        constexpr std::size_t kMost = 1000;  // names may have line breaks
        entry.bad = printable(error.what(), kMost);
      }
      return entry.bad.empty() || options_.skip_bad;
    });
    const auto bad = [](const PictureEntry& entry) { return !entry.bad.empty(); };
    const auto first = std::find_if(entries.begin(), entries.end(), bad);
    NF_CHECK(options_.skip_bad || first == entries.end(), first->bad,
             single_ ? ""
                     : "; take it out of the folder (train and data leave such files out with "
                       "--skip-bad, and so do the commands of a run that was trained with it)");
    NF_CHECK(!std::all_of(entries.begin(), entries.end(), bad) || entries.empty(), "[data] '",
             printable(folder_.path), "': none of its ", entries.size(),
             " pictures can be used: ", first->bad);
  }

  void look_at_headers() {
    constexpr std::uint64_t kHead = 1 << 16;
    for (PictureEntries& part : parts_) {
      each(part, [&](PictureEntry& entry) {
        const std::string path = path_of(entry), name = name_of(entry);
        const std::uint64_t bytes = file_size(path);
        std::string head(static_cast<std::size_t>(std::min(bytes, kHead)), '\0');
        InputPart(path, 0, head.size()).read(head.data(), head.size(), "the header");
        try {
          entry.info = picture_info(name, head, bytes);
        } catch (const Error&) {  // much may stand before the frame of a JPEG
          if (bytes <= kHead) throw;
          entry.info = picture_info(name, read_file(path, kMostFileBytes), bytes);
        }
        if (attributes_.any()) entry.attributes = attributes_.row_of(name, entry.file.path);
        entry.size = size_after(steps_, name, {entry.info.width, entry.info.height});
        entry.rows = steps_.patch == 0
                         ? 1
                         : (entry.size.width / steps_.patch) * (entry.size.height / steps_.patch);
      });
    }
  }

  template <class Use>
  void each_good(Use&& use) const {
    for (const PictureEntries& part : parts_) {
      for (const PictureEntry& entry : part) {
        if (entry.bad.empty()) use(entry);
      }
    }
  }

  /// One where all files are gray, else three; or as the steps say.
  void choose_channels() {
    each_good([&](const PictureEntry& entry) { (entry.info.gray() ? gray_ : colour_) += 1; });
    channels_ = steps_.channels > 0 ? steps_.channels : colour_ > 0 ? 3 : 1;
  }

  /// Of the samples: all have one size.
  void choose_size() {
    if (steps_.patch > 0) {
      size_ = {steps_.patch, steps_.patch};
      return;
    }
    const PictureEntry* first = nullptr;
    each_good([&](const PictureEntry& entry) {
      if (!first) first = &entry;
      check_setting(entry.size == first->size, "images", "[images] '", printable(folder_.path),
                    "': pictures of different sizes: '", printable(first->file.path), "' has ",
                    size_text(first->size), " pixels, '", printable(entry.file.path), "' ",
                    size_text(entry.size),
                    "; make them alike with --images square,resize:64, crop:N or patches:N");
    });
    size_ = first->size;
  }

  static std::int64_t place_rows(PictureEntries& part) {
    std::int64_t rows = 0;
    for (PictureEntry& entry : part) {
      entry.first = rows;
      rows += entry.bad.empty() ? entry.rows : 0;
    }
    constexpr std::int64_t kMostRows = std::int64_t{1} << 31;
    NF_CHECK(rows < kMostRows, "[data] ", rows, " samples are more than a split can have (2^31)");
    return rows;
  }

  Samples read_part(PictureEntries& part) {
    Samples out;
    out.height = size_.height;
    out.width = size_.width;
    out.channels = channels_;
    out.pictures = true;
    const std::int64_t n = part.empty() ? 0 : part.back().first + good_rows(part.back());
    out.rows.x = Tensor::empty({n, dims()}, DType::U8);
    auto* const rows = out.rows.x.mutable_data<std::uint8_t>();
    each(part,
         [&](PictureEntry& entry) { write_rows(decoded(entry), rows + entry.first * dims()); });
    std::vector<std::int32_t> kept, labels, attributes;
    for (const PictureEntry& entry : part) {
      out.skipped += entry.bad.empty() ? 0 : 1;
      for (std::int64_t row = 0; row < good_rows(entry); ++row) {
        kept.push_back(static_cast<std::int32_t>(entry.first + row));
        labels.push_back(entry.file.label);
        attributes.push_back(static_cast<std::int32_t>(entry.attributes));
      }
    }
    if (std::ssize(kept) < n) {
      out.rows.x = index_select(out.rows.x, 0, Tensor::from(kept, {std::ssize(kept)}));
    }
    if (attributes_.any()) out.rows.given = attributes_.at(attributes);
    out.class_names = folder_.classes;
    if (!folder_.classes.empty()) out.rows.labels = Tensor::from(labels, {std::ssize(labels)});
    return out;
  }

  static std::int64_t good_rows(const PictureEntry& entry) {
    return entry.bad.empty() ? entry.rows : 0;
  }

  /// u8 (H, W, C) after all steps, C as in its file unless the steps say otherwise.
  Tensor decoded(PictureEntry& entry) const {
    const std::string name = name_of(entry);
    const Picture picture = decode_picture(name, read_file(path_of(entry), kMostFileBytes));
    const Tensor& pixels = picture.pixels;
    NF_CHECK(pixels.dim(0) == entry.info.height && pixels.dim(1) == entry.info.width &&
                 (pixels.dim(2) <= 2) == entry.info.gray(),
             name, " was changed while the folder was read");
    entry.deep = picture.deep;
    entry.cmyk = picture.cmyk;
    if (pixels.dim(2) % 2 == 0) {
      const Tensor opacity = pixels.narrow(2, pixels.dim(2) - 1, 1).contiguous();
      const std::uint8_t* const at = opacity.data<std::uint8_t>();
      entry.see_through = std::any_of(at, at + opacity.numel(), [](int a) { return a < 255; });
    }
    return apply_steps(steps_, name, over_black(pixels));
  }

  /// The picture, or its patches row by row, each a row of samples.
  void write_rows(const Tensor& picture, std::uint8_t* to) const {
    const std::int64_t width = picture.dim(1), depth = picture.dim(2);
    const std::uint8_t* const from = picture.data<std::uint8_t>();
    for (std::int64_t top = 0; top + size_.height <= picture.dim(0); top += size_.height) {
      for (std::int64_t left = 0; left + size_.width <= width; left += size_.width) {
        for (std::int64_t y = top; y < top + size_.height; ++y) {
          const std::uint8_t* at = from + (y * width + left) * depth;
          if (depth == channels_) {
            to = std::copy(at, at + size_.width * depth, to);
            continue;
          }
          for (std::int64_t x = 0; x < size_.width; ++x) to = std::fill_n(to, channels_, *at++);
        }
      }
    }
  }

  void tell_channels() {
    if (steps_.channels > 0 || colour_ == 0 || gray_ == 0) return;
    notes_.push_back(str(gray_, " of ", gray_ + colour_, " pictures are gray, and get three equal ",
                         "channels; --images gray makes all of them gray"));
  }

  void tell_patches() {
    if (steps_.patch == 0) return;
    const std::int64_t n = steps_.patch;
    std::int64_t files = 0, rows = 0;
    PictureSize rest;
    each_good([&](const PictureEntry& entry) {
      ++files;
      rows += entry.rows;
      rest = {entry.size.width % n, entry.size.height % n};
    });
    notes_.push_back(
        files > 1
            ? str(rows, " patches of ", files, " pictures; what fills no patch at the right ",
                  "and at the bottom is left out")
            : str(rows, " patches of ", n, " x ", n, "; ", rest.width, " pixels at the right ",
                  "and ", rest.height, " at the bottom are left out"));
    notes_.push_back("patches of one picture go to training, validation and test at random");
  }

  void tell_classes() {
    constexpr std::size_t kShown = 10;
    const std::vector<std::string>& classes = folder_.classes;
    if (classes.empty()) return;
    std::vector<std::string> shown;
    for (std::size_t i = 0; i < std::min(kShown, classes.size()); ++i) {
      shown.push_back(str(i, " '", printable(classes[i]), "'"));
    }
    const std::size_t more = classes.size() - shown.size();
    notes_.push_back(
        str("labels by folder: ", join(shown, ", "), more > 0 ? str(" and ", more, " more") : ""));
  }

  /// How many of the pictures are of a kind, and the first of them.
  template <class Is>
  void tell_kind(Is&& is, const char* what) {
    std::int64_t count = 0;
    std::string first;
    each_good([&](const PictureEntry& entry) {
      if (is(entry) && count++ == 0) first = entry.file.path;
    });
    if (count > 0)
      notes_.push_back(str(count, count == 1 ? " picture" : " pictures", what, ": '",
                           printable(first), "'", count > 1 ? " and others" : ""));
  }

  void tell_attributes() {
    std::error_code error;
    const std::filesystem::path table = std::filesystem::path(folder_.path) / kAttributes;
    if (attributes_.any() || single_ || !std::filesystem::exists(table, error)) return;
    notes_.push_back(str(kAttributes, " is not read without --given and names of its columns"));
  }

  void tell_skipped() {
    constexpr std::size_t kShown = 5;
    std::int64_t all = 0, skipped = 0;
    std::vector<std::string> shown;
    for (const PictureEntries& part : parts_) {
      for (const PictureEntry& entry : part) {
        ++all;
        if (entry.bad.empty()) continue;
        ++skipped;
        if (shown.size() < kShown) shown.push_back(entry.bad);
      }
    }
    if (skipped == 0) return;
    std::string note = str("skipped ", skipped, " of ", all, " pictures, which cannot be used");
    if (!options_.of_run) {
      note += str(": ", join(shown, "; "), skipped > std::ssize(shown) ? "; and others" : "");
    }
    notes_.push_back(note);
  }

  /// A run whose data are read again has told the rest.
  void tell(Samples& out) {
    tell_skipped();
    if (!options_.of_run) {
      tell_attributes();
      tell_classes();
      tell_channels();
      tell_patches();
      tell_kind([](const PictureEntry& e) { return e.deep; },
                " of 16 bits, of which the upper 8 are taken");
      tell_kind([](const PictureEntry& e) { return e.see_through; },
                " with transparent pixels, which are taken as over black");
      tell_kind([](const PictureEntry& e) { return e.cmyk; },
                " in the colours of print (CMYK), turned into RGB without a colour profile");
      tell_kind([](const PictureEntry& e) { return e.info.orientation != 1; },
                ", taken with the camera turned (EXIF), made upright");
      notes_.insert(notes_.end(), folder_.notes.begin(), folder_.notes.end());
    }
    out.notes = notes_;
  }

  PictureFolder folder_;
  bool single_;  // the path is the file
  const ReadOptions& options_;
  PictureSteps steps_;
  PictureAttributes attributes_;
  std::array<PictureEntries, 3> parts_;  // train, valid, test
  std::int64_t gray_ = 0, colour_ = 0;   // pictures
  int channels_ = 0;
  PictureSize size_;
  std::vector<std::string> notes_;
};

Parts read_picture(const std::string& path, const ReadOptions& options) {
  return PictureReader({.path = path, .train = {{path}}}, /*single=*/true, options).read();
}

}  // namespace

std::optional<Parts> read_pictures(const std::string& path, const ReadOptions& options) {
  PictureFolder folder = list_pictures(path, options.class_names);
  if (folder.train.empty()) return std::nullopt;
  return PictureReader(std::move(folder), /*single=*/false, options).read();
}

Format picture_format() {
  return {"picture",
          [](const std::string&, std::string_view head) { return looks_like_picture(head); },
          read_picture};
}

}  // namespace nf::data
