// What a file format says of itself to the table in formats.cpp. Each is a function NAME_format()
// in the file of the format.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/formats.h"

namespace nf::data {

/// A published data set that comes as several files of a format.
struct KnownFolder {
  std::vector<const char*> marks;  ///< any of these files says that it is this data set
  Parts (*read)(const std::filesystem::path& folder);
};

struct Format {
  const char* name;
  /// By the content: `head` are the first bytes, unpacked.
  bool (*suits)(const std::string& path, std::string_view head);
  Parts (*read)(const std::string& path, const ReadOptions& options);
  std::vector<KnownFolder> folders = {};
};

/// A folder of PNG and JPEG files (picture.cpp); nothing when there are none in it. Throws Error
/// for files that cannot be read, SettingError of "images" for pictures that differ in size.
std::optional<Parts> read_pictures(const std::string& path, const ReadOptions& options);

inline Parts only(Samples samples) { return {std::move(samples), {}, {}}; }

/// The path of a file in a folder, or of the same with .gz behind it.
std::optional<std::string> find_in(const std::filesystem::path& folder, const std::string& name);
/// The same; throws Error, ending with `hint`, when it is not there.
std::string need_in(const std::filesystem::path& folder, const std::string& name,
                    const std::string& hint);

/// "x (100, 3), y (100)": named arrays in a message.
std::string names_of(const std::map<std::string, Tensor>& arrays);

}  // namespace nf::data
