#include "data/gzip.h"

#include <sys/stat.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "tensor/error.h"

namespace nf::data {

InputFile::InputFile(const std::string& path) : path_(path), file_(nullptr, &gzclose_r) {
  struct stat info {};
  NF_CHECK(::stat(path.c_str(), &info) == 0, "[read] '", path, "': ", std::strerror(errno));
  NF_CHECK(S_ISREG(info.st_mode), "[read] '", path, "': not a file");
  file_bytes_ = static_cast<std::uint64_t>(info.st_size);
  file_.reset(gzopen(path.c_str(), "rbe"));
  NF_CHECK(file_, "[read] '", path, "': ", std::strerror(errno));
  gzbuffer(file_.get(), 1 << 17);
}

std::size_t InputFile::read_some(void* out, std::size_t bytes) {
  std::size_t done = 0;
  while (done < bytes) {
    const auto chunk = static_cast<unsigned>(std::min<std::size_t>(bytes - done, 1 << 30));
    const int got = gzread(file_.get(), static_cast<char*>(out) + done, chunk);
    int status = Z_OK;
    const char* message = gzerror(file_.get(), &status);
    NF_CHECK(status != Z_BUF_ERROR, "[read] '", path_, "': the gzip stream is cut off after ",
             read_ + done, " bytes; get the file again");
    NF_CHECK(got >= 0, "[read] '", path_, "': ", status == Z_ERRNO ? std::strerror(errno) : message,
             "; get the file again");
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  read_ += done;
  return done;
}

void InputFile::read(void* out, std::size_t bytes, const char* what) {
  const std::size_t got = read_some(out, bytes);
  NF_CHECK(got == bytes, "[read] '", path_, "': ends inside ", what, ": ", got, " of ", bytes,
           " bytes are there");
}

void InputFile::expect_end() {
  char extra;
  NF_CHECK(read_some(&extra, 1) == 0, "[read] '", path_,
           "': has more bytes than its header announces (", read_ - 1, ")");
}

void InputFile::expect_room_for(std::uint64_t bytes, const char* what) const {
  constexpr std::uint64_t kMostShrink = 1032;  // deflate's limit, zlib.net/zlib_tech.html
  const bool zipped = !gzdirect(file_.get());
  const std::uint64_t most = zipped ? file_bytes_ * kMostShrink : file_bytes_ - read_;
  NF_CHECK(bytes <= most, "[read] '", path_, "': the header announces ", bytes, " bytes of ", what,
           ", but the file has ", zipped ? "at most " : "", most);
}

}  // namespace nf::data
