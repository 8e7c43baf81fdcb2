#include "data/picture_files.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <map>
#include <set>
#include <system_error>
#include <tuple>

#include "data/picture_attributes.h"
#include "tensor/error.h"
#include "tensor/text.h"

namespace nf::data {
namespace {

namespace fs = std::filesystem;

constexpr int kDeepest = 32;

std::string in_small_letters(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

bool is_picture_name(const fs::path& name) {
  const std::string ending = in_small_letters(name.extension().string());
  return ending == ".png" || ending == ".jpg" || ending == ".jpeg";
}

/// So many of a kind, and the first of them by name.
struct LeftOut {
  std::int64_t count = 0;
  std::string first = {};

  void add(const std::string& path) { first = count++ == 0 ? path : std::min(first, path); }
  std::string text(const char* one, const char* many) const {
    return count == 1 ? str(one, " '", printable(first), "' is left out")
                      : str(count, " ", many, " are left out, as '", printable(first), "'");
  }
};

struct Found {
  std::vector<std::string> pictures;
  LeftOut others, links, deep;
};

/// Goes through `folder`, which is `below` the root ("" or "a/b/").
void walk(const fs::path& folder, const std::string& below, int depth, Found& out) {
  std::error_code error;
  fs::directory_iterator at(folder, error);
  NF_CHECK(!error, "[data] '", printable(folder.string()), "': ", error.message());
  for (; at != fs::end(at); at.increment(error)) {
    const std::string name = at->path().filename().string(), path = below + name;
    if (name.starts_with('.')) continue;
    std::error_code ignored;
    const bool link = at->is_symlink(ignored);
    if (at->is_directory(ignored)) {
      if (link) {
        out.links.add(path);
      } else if (depth == kDeepest) {
        out.deep.add(path);
      } else {
        walk(at->path(), path + "/", depth + 1, out);
      }
    } else if (at->is_regular_file(ignored) && is_picture_name(name)) {
      out.pictures.push_back(path);
    } else if (path != kAttributes) {
      out.others.add(path);
    }
  }
  NF_CHECK(!error, "[data] '", printable(folder.string()), "': ", error.message());
}

/// The name before the first /, or nothing.
std::string first_folder(const std::string& path) {
  const std::size_t slash = path.find('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}

/// The list of the part that a folder of this name is; null for others.
std::vector<PictureFile>* part_named(const std::string& folder, PictureFolder& out) {
  const std::string name = in_small_letters(folder);
  if (name == "train" || name == "training") return &out.train;
  if (name == "valid" || name == "val" || name == "validation") return &out.valid;
  return name == "test" || name == "testing" ? &out.test : nullptr;
}

/// Whether all pictures lie in folders that are parts, training among them. It may be alone.
bool has_parts(const std::vector<std::string>& paths, PictureFolder& out) {
  bool train = false;
  for (const std::string& path : paths) {
    const std::vector<PictureFile>* const part = part_named(first_folder(path), out);
    if (!part) return false;
    train = train || part == &out.train;
  }
  return train;
}

/// The folder that says the class: of a part, the one in it.
std::string class_of(const std::string& path, bool parts) {
  return first_folder(parts ? path.substr(path.find('/') + 1) : path);
}

/// The classes of the pictures at these paths, and the label of each folder.
std::map<std::string, std::int32_t> label_folders(const std::vector<std::string>& paths, bool parts,
                                                  PictureFolder& out) {
  std::set<std::string> folders;
  for (const std::string& path : paths) folders.insert(class_of(path, parts));
  std::map<std::string, std::int32_t> labels;
  if (folders.contains("")) {  // pictures that lie in no folder
    out.classes.clear();
    if (folders.size() > 1) {
      out.notes.push_back("pictures lie beside folders of pictures, so the folders are no labels");
    }
    return labels;
  }
  const bool wanted = !out.classes.empty();
  std::set<std::string> named;
  if (!wanted && folders.size() < 2) return labels;
  for (const std::string& folder : folders) {
    const std::string name = printable(folder);
    if (!wanted) out.classes.push_back(name);
    const auto at = std::find(out.classes.begin(), out.classes.end(), name);
    NF_CHECK(at != out.classes.end(), "[data] '", printable(out.path), "': the folder '", name,
             "' is no class of the model, which are ", printable(join(out.classes, ", ")));
    labels[folder] = static_cast<std::int32_t>(at - out.classes.begin());
    NF_CHECK(named.insert(name).second, "[data] '", printable(out.path),
             "': two folders of pictures are both shown as '", name, "'; rename one");
  }
  constexpr std::size_t kMostClasses = 1 << 16;
  NF_CHECK(folders.size() <= kMostClasses, "[data] '", printable(out.path), "': ", folders.size(),
           " folders of pictures, more than there may be classes (", kMostClasses, ")");
  return labels;
}

}  // namespace

PictureFolder list_pictures(const std::string& path, const std::vector<std::string>& classes) {
  PictureFolder out{.path = path, .classes = classes};
  Found found;
  walk(path, "", 0, found);
  std::sort(found.pictures.begin(), found.pictures.end());
  const bool parts = has_parts(found.pictures, out);
  const std::map<std::string, std::int32_t> labels = label_folders(found.pictures, parts, out);
  for (const std::string& file : found.pictures) {
    const auto label = labels.find(class_of(file, parts));
    std::vector<PictureFile>& part = parts ? *part_named(first_folder(file), out) : out.train;
    part.push_back({file, label == labels.end() ? -1 : label->second});
  }
  const std::tuple<const LeftOut&, const char*, const char*> kinds[] = {
      {found.others, "another file", "other files"},
      {found.links, "a link to a folder,", "links to folders"},
      {found.deep, "a folder deep inside,", "folders deep inside"}};
  for (const auto& [left_out, one, many] : kinds) {
    if (left_out.count > 0) out.notes.push_back(left_out.text(one, many));
  }
  return out;
}

}  // namespace nf::data
