// The pictures in a folder, in order, with what the folders in it say of them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace nf::data {

struct PictureFile {
  std::string path;         ///< below the folder, with / between
  std::int32_t label = -1;  ///< -1: none
};

/// The folders train, valid (val, validation) and test, if there are such, are parts of their own;
/// else all is `train`.
struct PictureFolder {
  std::string path;
  /// Each sorted by path, byte by byte.
  std::vector<PictureFile> train = {}, valid = {}, test = {};
  /// What labels are called, as printable() shows it; or none.
  std::vector<std::string> classes = {};
  std::vector<std::string> notes = {};  ///< what was left out, and why
};

/// Files ending in .png, .jpg or .jpeg in the folder and the folders in it, at most 32 deep. Where
/// all lie in two or more sub-folders (of the parts), the names of these are the classes, sorted
/// byte by byte, in all parts the same; or `classes` are, of which one folder will do. Left out are
/// what begins with a dot, other files, links to folders, and all that is no file, as pipes and
/// devices; the notes count these but for the first. Throws Error for a folder that cannot be read,
/// and one that is none of `classes`. Without a picture all lists are empty.
PictureFolder list_pictures(const std::string& path, const std::vector<std::string>& classes = {});

}  // namespace nf::data
