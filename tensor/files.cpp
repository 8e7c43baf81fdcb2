#include "tensor/files.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <random>

#include "tensor/error.h"
#include "tensor/fault.h"

namespace nf {
namespace {

using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

[[noreturn]] void fail_write(const std::string& path, int error) {
  fail(str("[write] '", path, "': ", std::strerror(error)));
}

constexpr const char* kTemporary = ".tmp-";
constexpr int kTemporaryDigits = 16;

// A process id would not do: in containers they come again. A file of this name that is there
// already belongs to somebody else.
std::pair<std::string, int> open_temporary(const std::string& path) {
  constexpr int kTries = 100;
  for (int i = 0; i < kTries; ++i) {
    const std::string temporary = temporary_of(path);
    const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd >= 0) return {temporary, fd};
    if (errno != EEXIST) break;
  }
  fail_write(path, errno);
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
  const int fd = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);  // a pipe would wait
  NF_CHECK(fd >= 0, "[read] '", path, "': ", std::strerror(errno));
  const File file(::fdopen(fd, "rb"), &std::fclose);
  const auto check_size = [&](std::uint64_t size) {
    NF_CHECK(size <= limit, "[read] '", path, "': larger than ", limit,
             " bytes, the most that is accepted here");
  };
  std::string bytes;
  struct stat info {};
  const bool known = ::fstat(fd, &info) == 0;
  NF_CHECK(!known || !S_ISFIFO(info.st_mode), "[read] '", path, "': a pipe, not a file");
  if (known && S_ISREG(info.st_mode)) {
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

namespace {

// A pipe or a device: nothing of it can be renamed.
bool is_stream(const std::string& path) {
  struct stat status = {};
  return ::stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode);
}

void write_to_stream(const std::string& path, const std::function<void(FileWriter&)>& write) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) fail_write(path, errno);
  File file(::fdopen(fd, "wb"), &std::fclose);
  FileWriter writer(file.get(), path);
  write(writer);
  if (std::fclose(file.release()) != 0) fail_write(path, errno);
}

}  // namespace

void atomic_write(const std::string& path, const std::function<void(FileWriter&)>& write) {
  if (is_stream(path)) return write_to_stream(path, write);
  fault_point("write-begin", path);
  const auto [temporary, fd] = open_temporary(path);
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

std::string temporary_of(const std::string& path) {
  static thread_local std::random_device random;
  std::string name = path + kTemporary;
  for (int i = 0; i < kTemporaryDigits; ++i) name += "0123456789abcdef"[random() % 16];
  return name;
}

void remove_temporaries(const std::string& folder,
                        const std::function<bool(const std::string& name)>& of) {
  namespace fs = std::filesystem;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    const std::size_t at = name.rfind(kTemporary);
    if (at == std::string::npos) continue;
    const std::string end = name.substr(at + std::string_view(kTemporary).size());
    if (end.size() == kTemporaryDigits &&
        end.find_first_not_of("0123456789abcdef") == std::string::npos && of(name.substr(0, at))) {
      std::error_code ignored;
      fs::remove(entry.path(), ignored);
    }
  }
}

void append_to_file(const std::string& path, std::string_view bytes) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0666);
  if (fd < 0 && errno == ELOOP) fail(str("[write] '", path, "': a link, not a file"));
  if (fd < 0) fail_write(path, errno);
  File file(::fdopen(fd, "ab"), &std::fclose);
  FileWriter out(file.get(), path);
  out.write(bytes.substr(0, bytes.size() / 2));
  fault_point("log-append", path, file.get());
  out.write(bytes.substr(bytes.size() / 2));
  if (std::fflush(file.get()) != 0 || ::fsync(fd) != 0) fail_write(path, errno);
  if (std::fclose(file.release()) != 0) fail_write(path, errno);
}

void make_folders(const std::string& path) {
  std::filesystem::path made;
  for (const auto& part : std::filesystem::path(path)) {
    made /= part;
    if (::mkdir(made.c_str(), 0777) == 0) {
      sync_folder_of(made.string());
      continue;
    }
    const int reason = errno;
    std::error_code error;
    if (reason != EEXIST && reason != EISDIR && !std::filesystem::is_directory(made, error)) {
      fail(str("cannot make the folder '", path, "': ", std::strerror(reason)));
    }
  }
  NF_CHECK(std::filesystem::is_directory(path), "cannot make the folder '", path,
           "': a file is in its place");
}

std::optional<FileLock> FileLock::take(const std::string& path, long* holder) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW, 0666);
  if (fd < 0) fail_write(path, errno);
  FileLock lock;
  lock.file_ = {new int(fd), [](const int* file) {
                  ::close(*file);
                  delete file;
                }};
  char text[24] = {};
  lock.held_ = ::flock(fd, LOCK_EX | LOCK_NB) == 0;
  if (!lock.held_ && errno == EWOULDBLOCK) {
    const ssize_t got = ::pread(fd, text, sizeof text - 1, 0);
    if (holder) *holder = 0;
    if (holder && got > 0) std::from_chars(text, text + got, *holder);
    return std::nullopt;
  }
  const std::string process = str(::getpid(), "\n");  // for whom it keeps out; may fail
  if (::ftruncate(fd, 0) == 0 && ::pwrite(fd, process.data(), process.size(), 0) < 0) errno = 0;
  return lock;
}

}  // namespace nf
