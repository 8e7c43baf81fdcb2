#include "data/zip.h"

#include <algorithm>
#include <utility>

#include "tensor/error.h"
#include "tensor/text.h"

namespace nf::data {
namespace {

constexpr std::string_view kLocal("PK\3\4", 4), kCentral("PK\1\2", 4), kEnd("PK\5\6", 4);
constexpr std::size_t kLocalBytes = 30, kCentralBytes = 46, kEndBytes = 22;

/// A little-endian number of `bytes` bytes, which are there.
std::uint32_t number(std::string_view from, std::size_t at, std::size_t bytes) {
  std::uint32_t value = 0;
  for (std::size_t i = bytes; i-- > 0;) {
    value = value << 8 | static_cast<unsigned char>(from[at + i]);
  }
  return value;
}

std::string read_at(const std::string& path, std::uint64_t begin, std::uint64_t bytes,
                    const char* what) {
  InputPart part(path, begin, bytes);
  std::string out(bytes, '\0');
  part.read(out.data(), bytes, what);
  return out;
}

/// The record at the file's end that says where the directory is.
std::string read_end(const std::string& path, std::uint64_t file_bytes) {
  constexpr std::uint64_t kLongestComment = 65535;
  const std::uint64_t bytes = std::min<std::uint64_t>(file_bytes, kEndBytes + kLongestComment);
  const std::string tail = read_at(path, file_bytes - bytes, bytes, "the directory's end");
  for (std::size_t at = tail.rfind(kEnd); at != std::string::npos;
       at = at == 0 ? std::string::npos : tail.rfind(kEnd, at - 1)) {
    if (tail.size() - at >= kEndBytes && tail.size() - at - kEndBytes == number(tail, at + 20, 2)) {
      return tail.substr(at, kEndBytes);
    }
  }
  fail(str("[zip] '", path, "': has no directory at its end: cut off, or not a zip file"));
}

Packing packing_of(const std::string& where, std::uint32_t method) {
  NF_CHECK(method == 0 || method == 8, where, "packed by method ", method,
           "; known are stored (0) and deflated (8)");
  return method == 0 ? Packing::None : Packing::Deflate;
}

/// Where an entry's bytes begin: behind its local header at `at`, which repeats the name.
std::uint64_t begin_of(const std::string& path, const std::string& where, std::uint64_t at) {
  const std::string local = read_at(path, at, kLocalBytes, "a local header");
  NF_CHECK(local.starts_with(kLocal), where, "no local header at byte ", at);
  return at + kLocalBytes + number(local, 26, 2) + number(local, 28, 2);
}

/// One line of the directory; takes it off the front of `rest`.
ZipEntry take_entry(const std::string& path, std::string_view& rest) {
  NF_CHECK(rest.size() >= kCentralBytes && rest.starts_with(kCentral), "[zip] '", path,
           "': the directory is malformed");
  const std::size_t name_bytes = number(rest, 28, 2);
  const std::size_t bytes = kCentralBytes + name_bytes + number(rest, 30, 2) + number(rest, 32, 2);
  NF_CHECK(rest.size() >= bytes, "[zip] '", path, "': the directory is cut off");
  ZipEntry entry;
  entry.name = printable(std::string(rest.substr(kCentralBytes, name_bytes)));
  const std::string where = str("[zip] '", path, "', entry '", entry.name, "': ");
  NF_CHECK((number(rest, 8, 2) & 1) == 0, where, "encrypted");
  entry.packing = packing_of(where, number(rest, 10, 2));
  entry.crc32 = number(rest, 16, 4);
  entry.packed_bytes = number(rest, 20, 4);
  const std::uint32_t unpacked = number(rest, 24, 4), local = number(rest, 42, 4);
  constexpr std::uint32_t kInZip64 = 0xFFFFFFFF;
  NF_CHECK(entry.packed_bytes != kInZip64 && unpacked != kInZip64 && local != kInZip64, where,
           "larger than 4 GiB (zip64); save the array as .npy");
  NF_CHECK(entry.packing != Packing::None || entry.packed_bytes == unpacked, where,
           "stored, but of ", entry.packed_bytes, " and ", unpacked, " bytes");
  entry.begin = begin_of(path, where, local);
  rest.remove_prefix(bytes);
  return entry;
}

}  // namespace

bool looks_like_zip(std::string_view head) {
  return head.starts_with(kLocal) || head.starts_with(kEnd);
}

std::vector<ZipEntry> read_zip_directory(const std::string& path) {
  const std::uint64_t file_bytes = file_size(path);
  const std::string end = read_end(path, file_bytes);
  const std::uint32_t count = number(end, 10, 2), bytes = number(end, 12, 4),
                      begin = number(end, 16, 4);
  NF_CHECK(std::uint64_t{begin} + bytes <= file_bytes, "[zip] '", path, "': a directory of ", bytes,
           " bytes at byte ", begin, ", the file has ", file_bytes);
  const std::string directory = read_at(path, begin, bytes, "the directory");
  std::vector<ZipEntry> entries;
  std::string_view rest = directory;
  for (std::uint32_t i = 0; i < count; ++i) entries.push_back(take_entry(path, rest));

  std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges;
  for (const ZipEntry& entry : entries) ranges.emplace_back(entry.begin, entry.packed_bytes);
  std::sort(ranges.begin(), ranges.end());
  std::uint64_t free_from = 0;
  for (const auto& [at, size] : ranges) {
    NF_CHECK(at >= free_from && at + size <= begin, "[zip] '", path, "': the entry at byte ", at,
             " overlaps another or the directory");
    free_from = at + size;
  }
  return entries;
}

}  // namespace nf::data
