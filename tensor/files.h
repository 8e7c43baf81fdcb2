// Whole files, read with a limit and written atomically. POSIX only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <string>
#include <string_view>

namespace nf {

/// The bytes of a file. Throws Error, naming the file, when it is missing, a folder, unreadable or
/// larger than `limit` bytes (found out before more than that is read).
std::string read_file(const std::string& path, std::uint64_t limit);

/// What atomic_write gives to its callback. Buffered; write() throws Error when the disk is full.
class FileWriter {
 public:
  FileWriter(std::FILE* file, const std::string& path) : file_(file), path_(path) {}
  void write(const void* data, std::size_t bytes);
  void write(std::string_view text) { write(text.data(), text.size()); }

 private:
  std::FILE* file_;
  const std::string& path_;  // the destination, for messages
};

/// Writes `path` so that at every moment, whatever crashes, it holds either its old content or all
/// of the new: a file "<path>.tmp-<pid>-<n>" beside it, flushed to the disk, then renamed. When
/// `write` throws, the old file stays, the new one is removed, and the exception goes on.
/// Throws Error, naming the file and the system's reason, when the folder is missing or read-only
/// or the disk is full.
void atomic_write(const std::string& path, const std::function<void(FileWriter&)>& write);
void atomic_write(const std::string& path, std::string_view bytes);

}  // namespace nf
