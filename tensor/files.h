// Whole files, read with a limit and written atomically; locks between processes. POSIX only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace nf {

/// The bytes of a file. Throws Error, naming the file, when it is missing, a folder, a pipe (which
/// could be waited for without end), unreadable or larger than `limit` bytes (found out before more
/// than that is read).
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
/// of the new: a file temporary_of(path) beside it, flushed to the disk, then renamed. When `write`
/// throws, the old file stays, the new one is removed, and the exception goes on. A pipe or a
/// device is written to; a link to a file is replaced. Throws Error, naming the file and the
/// system's reason, when the folder is missing or read-only or the disk is full.
void atomic_write(const std::string& path, const std::function<void(FileWriter&)>& write);
void atomic_write(const std::string& path, std::string_view bytes);

/// "<path>.tmp-<16 hex digits>", drawn anew at every call.
std::string temporary_of(const std::string& path);
/// Removes from a folder what killed writers left: temporary files of names for which `of` is true.
/// Only where no other process writes those.
void remove_temporaries(const std::string& folder,
                        const std::function<bool(const std::string& name)>& of);

/// Adds `bytes` to the end of a file, made if it is not there, and flushes it to the disk. Throws
/// Error like atomic_write, when part of the bytes may be there, and for a symbolic link.
void append_to_file(const std::string& path, std::string_view bytes);

/// Makes the folder with those above it, on the disk when this returns. Throws Error.
void make_folders(const std::string& path);

/// A lock that processes take for themselves alone: flock on a file made for it. It ends with the
/// last copy of this object, and with the process, however that ends.
class FileLock {
 public:
  /// Nothing while another process holds it; `holder` is then that process, 0 when unknown. Throws
  /// Error when the file cannot be made. Where the file system knows no locks, everyone gets one,
  /// that is not held().
  static std::optional<FileLock> take(const std::string& path, long* holder = nullptr);
  bool held() const { return held_; }

 private:
  std::shared_ptr<const int> file_;  // its descriptor
  bool held_ = true;
};

}  // namespace nf
