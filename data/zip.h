// The directory of a zip file: where its entries lie. Source: PKWARE's APPNOTE.TXT, 4.3.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "data/input.h"

namespace nf::data {

struct ZipEntry {
  std::string name;
  std::uint64_t begin = 0;         ///< of its bytes in the file
  std::uint64_t packed_bytes = 0;  ///< as they lie there
  Packing packing = Packing::None;
  std::uint32_t crc32 = 0;  ///< of the bytes when unpacked
};

/// Whether a file that begins with these bytes can be a zip file.
bool looks_like_zip(std::string_view head);

/// Entries in the order of the directory. Throws Error, naming the file and the rule, for a
/// malformed or missing directory, entries outside the file, entries that overlap (so that the
/// file's size bounds what can be unpacked), encryption, zip64 and packing other than deflate.
std::vector<ZipEntry> read_zip_directory(const std::string& path);

}  // namespace nf::data
