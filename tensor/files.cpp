#include "tensor/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>

#include "tensor/error.h"
#include "tensor/fault.h"

namespace nf {
namespace {

using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

[[noreturn]] void fail_write(const std::string& path, int error) {
  fail(str("[write] '", path, "': ", std::strerror(error)));
}

std::string temporary_name(const std::string& path) {
  static std::atomic<unsigned> counter{0};
  return str(path, ".tmp-", ::getpid(), "-", counter++);
}

// The rename is on the disk only when the folder is. Some file systems cannot do this; the file's
// content is safe without it.
void sync_folder_of(const std::string& path) {
  std::filesystem::path folder = std::filesystem::path(path).parent_path();
  if (folder.empty()) folder = ".";
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  ::fsync(fd);
  ::close(fd);
}

}  // namespace

std::string read_file(const std::string& path, std::uint64_t limit) {
  const File file(std::fopen(path.c_str(), "rbe"), &std::fclose);
  NF_CHECK(file, "[read] '", path, "': ", std::strerror(errno));
  const auto check_size = [&](std::uint64_t size) {
    NF_CHECK(size <= limit, "[read] '", path, "': larger than ", limit,
             " bytes, the most that is accepted here");
  };
  std::string bytes;
  struct stat info {};
  if (::fstat(::fileno(file.get()), &info) == 0 && S_ISREG(info.st_mode)) {
    check_size(static_cast<std::uint64_t>(info.st_size));
    bytes.reserve(static_cast<std::size_t>(info.st_size));
  }
  std::string buffer(1 << 16, '\0');
  while (const std::size_t got = std::fread(buffer.data(), 1, buffer.size(), file.get())) {
    check_size(bytes.size() + got);
    bytes.append(buffer, 0, got);
  }
  NF_CHECK(!std::ferror(file.get()), "[read] '", path, "': ", std::strerror(errno));
  return bytes;
}

void FileWriter::write(const void* data, std::size_t bytes) {
  if (std::fwrite(data, 1, bytes, file_) != bytes) fail_write(path_, errno);
  fault_point("write-part", path_, file_);
}

void atomic_write(const std::string& path, const std::function<void(FileWriter&)>& write) {
  fault_point("write-begin", path);
  const std::string temporary = temporary_name(path);
  const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (fd < 0) fail_write(path, errno);
  File file(::fdopen(fd, "wb"), &std::fclose);
  try {
    FileWriter writer(file.get(), path);
    write(writer);
    fault_point("write-sync", path, file.get());
    if (std::fflush(file.get()) != 0 || ::fsync(fd) != 0) fail_write(path, errno);
    if (std::fclose(file.release()) != 0) fail_write(path, errno);
    fault_point("write-rename", path);
    if (std::rename(temporary.c_str(), path.c_str()) != 0) fail_write(path, errno);
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
  fault_point("write-done", path);
  sync_folder_of(path);
}

void atomic_write(const std::string& path, std::string_view bytes) {
  atomic_write(path, [&](FileWriter& out) { out.write(bytes); });
}

}  // namespace nf
