// Reading files that may be gzipped. The content says which (gzip's magic 1f 8b), not the name.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

struct gzFile_s;  // zlib's

namespace nf::data {

/// A file read from front to back, inflated on the way when it is gzipped. The reader asks for as
/// many bytes as the format says there are and no more are ever inflated, so a gzip bomb costs
/// nothing. Every error is one line that names the file.
class InputFile {
 public:
  explicit InputFile(const std::string& path);  ///< throws when missing, a folder or unreadable

  const std::string& path() const { return path_; }
  /// Reads exactly `bytes`; `what` names them in the error for a file that ends too early. Throws
  /// also for a corrupt gzip stream.
  void read(void* out, std::size_t bytes, const char* what);
  /// Throws unless the file ends here and, when gzipped, its checksum is right.
  void expect_end();
  /// Throws when `bytes` more cannot possibly be in the file: raw files have a size, and deflate
  /// makes nothing more than 1032 times smaller. To be asked before memory is allocated for a
  /// size that the file claims.
  void expect_room_for(std::uint64_t bytes, const char* what) const;

 private:
  std::size_t read_some(void* out, std::size_t bytes);

  std::string path_;
  std::uint64_t file_bytes_ = 0;
  std::uint64_t read_ = 0;  // bytes given out so far
  std::unique_ptr<gzFile_s, int (*)(gzFile_s*)> file_;
};

}  // namespace nf::data
