// Writing .npz: .npy files, stored one behind the other, and the directory of a zip file (PKWARE's
// APPNOTE.TXT, 4.3).
#include <zlib.h>

#include <cstdint>
#include <limits>

#include "data/npy.h"
#include "tensor/error.h"
#include "tensor/files.h"

namespace nf::data {
namespace {

std::string little_endian(std::uint64_t value, int bytes) {
  std::string out;
  for (; bytes > 0; --bytes, value >>= 8) out += static_cast<char>(value & 255);
  return out;
}

struct StoredArray {
  std::string name, beginning;  ///< of the .npy
  Tensor values;                ///< contiguous
  std::uint64_t at = 0;         ///< of its header in the file
  std::uint64_t crc = 0;

  std::string_view elements() const {
    return visit_dtype(values.dtype(), [&]<class T>() {
      return std::string_view(reinterpret_cast<const char*>(values.data<T>()),
                              static_cast<std::size_t>(values.numel()) * sizeof(T));
    });
  }
  std::uint64_t bytes() const { return beginning.size() + elements().size(); }
  /// What both headers of a file say: version 2.0, stored, no time.
  std::string common() const {
    return little_endian(20, 2) + little_endian(0, 2 + 2 + 4) + little_endian(crc, 4) +
           little_endian(bytes(), 4) + little_endian(bytes(), 4) + little_endian(name.size(), 2) +
           little_endian(0, 2);
  }
  std::string local_header() const { return "PK\3\4" + common() + name; }
  std::string directory_line() const {
    return "PK\1\2" + little_endian(20, 2) + common() + little_endian(0, 2 + 2 + 2 + 4) +
           little_endian(at, 4) + name;
  }
};

std::uint64_t crc_added(std::uint64_t crc, std::string_view bytes) {
  return crc32_z(crc, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size());
}

}  // namespace

void write_npz(const std::string& path, const std::map<std::string, Tensor>& arrays) {
  std::vector<StoredArray> entries;
  std::uint64_t at = 0;
  for (const auto& [name, values] : arrays) {
    StoredArray entry{name + ".npy", npy_beginning(values.dtype(), values.shape()),
                      values.to(Device::CPU).contiguous(), at};
    entry.crc = crc_added(crc_added(0, entry.beginning), entry.elements());
    at += entry.local_header().size() + entry.bytes();
    NF_CHECK(at < std::numeric_limits<std::uint32_t>::max(), "[npz] '", path, "': ", at,
             " bytes are more than a zip file takes here (4 GiB)");
    entries.push_back(std::move(entry));
  }
  atomic_write(path, [&](FileWriter& out) {
    std::string directory;
    for (const StoredArray& entry : entries) {
      out.write(entry.local_header());
      out.write(entry.beginning);
      out.write(entry.elements());
      directory += entry.directory_line();
    }
    out.write(directory);
    out.write("PK\5\6" + little_endian(0, 4) + little_endian(entries.size(), 2) +
              little_endian(entries.size(), 2) + little_endian(directory.size(), 4) +
              little_endian(at, 4) + little_endian(0, 2));
  });
}

}  // namespace nf::data
