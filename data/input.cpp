#include "data/input.h"

#include <sys/stat.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "tensor/error.h"
#include "tensor/memory.h"

namespace nf::data {

// --- Input --------------------------------------------------------------------------------------

std::size_t Input::read_up_to(void* out, std::size_t bytes) {
  const std::size_t got = read_some(out, bytes);
  read_ += got;
  return got;
}

void Input::read(void* out, std::size_t bytes, const char* what) {
  const std::size_t got = read_up_to(out, bytes);
  NF_CHECK(got == bytes, "[read] ", name_, ": ends inside ", what, ": ", got, " of ", bytes,
           " bytes are there");
}

void Input::skip(std::uint64_t bytes, const char* what) {
  char nowhere[4096];
  while (bytes > 0) {
    const std::size_t now = std::min<std::uint64_t>(bytes, sizeof nowhere);
    read(nowhere, now, what);
    bytes -= now;
  }
}

std::string Input::read_rest() {
  constexpr std::uint64_t kMostGrowth = 100, kAlways = 1 << 20;
  const std::uint64_t most =
      packed() ? stored_bytes() * kMostGrowth + kAlways : stored_bytes() - read_;
  std::string all;
  const auto make_room = [&](std::uint64_t bytes) {
    if (bytes <= all.capacity()) return;
    check_memory(static_cast<double>(bytes), "[read] " + name_, "take a part of the data");
    all.reserve(bytes);
  };
  if (!packed()) make_room(most);  // all of it, so that nothing is copied on the way
  for (std::size_t chunk = 1 << 16;; chunk = std::min<std::size_t>(2 * chunk, 1 << 26)) {
    const std::size_t had = all.size();
    const std::uint64_t next = had + std::min<std::uint64_t>(chunk, most - had);
    if (next > all.capacity()) make_room(std::min(most, std::max<std::uint64_t>(next, 2 * had)));
    all.resize(next);
    const std::size_t got = read_up_to(all.data() + had, all.size() - had);
    all.resize(had + got);
    if (got == 0 || all.size() == most) break;
  }
  char extra;
  NF_CHECK(read_up_to(&extra, 1) == 0, "[read] ", name_, ": unpacks to more than ", most,
           " bytes, ", kMostGrowth, " times its size; unpack it first (gunzip) if that is right");
  return all;
}

void Input::expect_end() {
  char extra;
  NF_CHECK(read_up_to(&extra, 1) == 0, "[read] ", name_,
           ": has more bytes than its header announces (", read_ - 1, ")");
}

void Input::expect_room_for(std::uint64_t bytes, const char* what) const {
  constexpr std::uint64_t kMostShrink = 1032;  // deflate's limit, zlib.net/zlib_tech.html
  const std::uint64_t most = packed() ? stored_bytes() * kMostShrink : stored_bytes() - read_;
  NF_CHECK(bytes <= most, "[read] ", name_, ": the header announces ", bytes, " bytes of ", what,
           ", but the file has ", packed() ? "at most " : "", most);
}

std::uint64_t file_size(const std::string& path) {
  struct stat info {};
  NF_CHECK(::stat(path.c_str(), &info) == 0, "[read] '", path, "': ", std::strerror(errno));
  const char* const what = S_ISDIR(info.st_mode)    ? "a folder"
                           : S_ISFIFO(info.st_mode) ? "a pipe"
                           : S_ISREG(info.st_mode)  ? ""
                                                    : "a device or socket";
  NF_CHECK(*what == '\0', "[read] '", path, "': ", what,
           ", not a file: it is read more than once; write its content to a file first");
  return static_cast<std::uint64_t>(info.st_size);
}

// --- standard input -----------------------------------------------------------------------------

namespace {

std::string read_standard_input() {
  std::string all;
  for (std::size_t got = 1; got > 0;) {
    constexpr std::size_t kChunk = 1 << 16;
    if (all.capacity() < all.size() + kChunk) {
      const std::size_t wanted = 2 * all.size() + kChunk;
      check_memory(static_cast<double>(wanted), "[read] standard input", "take a part of the data");
      all.reserve(wanted);
    }
    const std::size_t had = all.size();
    all.resize(had + kChunk);
    got = std::fread(all.data() + had, 1, kChunk, stdin);
    all.resize(had + got);
  }
  NF_CHECK(!std::ferror(stdin), "[read] standard input: ", std::strerror(errno));
  return all;
}

}  // namespace

const std::string& standard_input() {
  static const std::string text = read_standard_input();
  return text;
}

// --- InputFile ----------------------------------------------------------------------------------

InputFile::InputFile(const std::string& path)
    : Input("'" + path + "'"), bytes_(file_size(path)), file_(nullptr, &gzclose_r) {
  file_.reset(gzopen(path.c_str(), "rbe"));
  NF_CHECK(file_, "[read] ", name(), ": ", std::strerror(errno));
  gzbuffer(file_.get(), 1 << 17);
}

bool InputFile::packed() const { return !gzdirect(file_.get()); }

std::size_t InputFile::read_some(void* out, std::size_t bytes) {
  std::size_t done = 0;
  while (done < bytes) {
    const auto chunk = static_cast<unsigned>(std::min<std::size_t>(bytes - done, 1 << 30));
    const int got = gzread(file_.get(), static_cast<char*>(out) + done, chunk);
    int status = Z_OK;
    const char* message = gzerror(file_.get(), &status);
    NF_CHECK(status != Z_BUF_ERROR, "[read] ", name(),
             ": the gzip stream is cut off; get the file again");
    NF_CHECK(got >= 0, "[read] ", name(), ": ", status == Z_ERRNO ? std::strerror(errno) : message,
             "; get the file again");
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  return done;
}

// --- InputBytes ---------------------------------------------------------------------------------

std::size_t InputBytes::read_some(void* out, std::size_t bytes) {
  const std::size_t got = bytes_.copy(static_cast<char*>(out), bytes, at_);
  at_ += got;
  return got;
}

// --- InputPart ----------------------------------------------------------------------------------

InputPart::InputPart(const std::string& path, std::uint64_t begin, std::uint64_t bytes,
                     Packing packing, const std::string& part)
    : Input("'" + path + "'" + (part.empty() ? "" : ", " + part)),
      file_(nullptr, &std::fclose),
      bytes_(bytes),
      stored_left_(bytes) {
  const std::uint64_t there = file_size(path);
  NF_CHECK(begin <= there && bytes <= there - begin, "[read] ", name(), ": bytes ", begin, " to ",
           begin, " + ", bytes, " are announced, the file has ", there);
  file_.reset(std::fopen(path.c_str(), "rbe"));
  NF_CHECK(file_ && ::fseeko(file_.get(), static_cast<off_t>(begin), SEEK_SET) == 0, "[read] ",
           name(), ": ", std::strerror(errno));
  if (packing == Packing::None) return;
  stream_ = std::make_unique<z_stream>();
  NF_CHECK(inflateInit2(stream_.get(), packing == Packing::Zlib ? MAX_WBITS : -MAX_WBITS) == Z_OK,
           "[read] ", name(), ": no memory to inflate it");
  buffer_.resize(1 << 16);
}

InputPart::~InputPart() {
  if (stream_) inflateEnd(stream_.get());
}

std::size_t InputPart::read_some(void* out, std::size_t bytes) {
  const std::size_t got = stream_ ? inflate_some(out, bytes) : read_stored(out, bytes);
  crc32_ = static_cast<std::uint32_t>(crc32_z(crc32_, static_cast<const Bytef*>(out), got));
  return got;
}

std::size_t InputPart::read_stored(void* out, std::size_t bytes) {
  const std::size_t wanted = std::min<std::uint64_t>(bytes, stored_left_);
  const std::size_t got = wanted == 0 ? 0 : std::fread(out, 1, wanted, file_.get());
  NF_CHECK(got == wanted, "[read] ", name(), ": ", std::strerror(errno));
  stored_left_ -= got;
  return got;
}

std::size_t InputPart::inflate_some(void* out, std::size_t bytes) {
  std::size_t done = 0;
  while (done < bytes && !ended_) {
    if (stream_->avail_in == 0) {
      stream_->next_in = buffer_.data();
      stream_->avail_in = static_cast<uInt>(read_stored(buffer_.data(), buffer_.size()));
    }
    const auto room = static_cast<uInt>(std::min<std::size_t>(bytes - done, 1 << 30));
    stream_->next_out = static_cast<Bytef*>(out) + done;
    stream_->avail_out = room;
    const int status = inflate(stream_.get(), Z_NO_FLUSH);
    done += room - stream_->avail_out;
    ended_ = status == Z_STREAM_END;
    NF_CHECK(status != Z_BUF_ERROR, "[read] ", name(),
             ": the deflated data is cut off; get the file again");
    NF_CHECK(status == Z_OK || ended_, "[read] ", name(), ": ",
             stream_->msg ? stream_->msg : "cannot be inflated", "; get the file again");
  }
  return done;
}

}  // namespace nf::data
