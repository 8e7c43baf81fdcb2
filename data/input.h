// Reading bytes from front to back: whole files, gzipped or not, and deflated parts of files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

struct gzFile_s;  // zlib's
struct z_stream_s;

namespace nf::data {

/// Bytes in a row. The reader asks for as many as the format says there are and no more are ever
/// inflated, so a deflate bomb costs nothing. Every error is one line that begins with the name.
class Input {
 public:
  explicit Input(std::string name) : name_(std::move(name)) {}
  virtual ~Input() = default;
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;

  /// The path, and which part of the file: what messages call it.
  const std::string& name() const { return name_; }
  /// Reads exactly `bytes`; `what` names them in the error for an input that ends too early.
  /// Throws also for a corrupt stream.
  void read(void* out, std::size_t bytes, const char* what);
  /// Reads at most `bytes`, fewer only where the input ends, and tells how many.
  std::size_t read_up_to(void* out, std::size_t bytes);
  /// Passes over exactly `bytes`.
  void skip(std::uint64_t bytes, const char* what);
  /// All that is left, for formats that do not announce how much that is. Throws when a packed
  /// input grows beyond 100 times its size, which texts and images do not.
  std::string read_rest();
  /// Throws unless the input ends here and, when packed, its checksum is right.
  void expect_end();
  /// Throws when `bytes` more cannot possibly be there: raw bytes are counted, and deflate makes
  /// nothing more than 1032 times smaller. To be asked before memory is allocated for a size that
  /// a header claims.
  void expect_room_for(std::uint64_t bytes, const char* what) const;

 protected:
  virtual std::size_t read_some(void* out, std::size_t bytes) = 0;  // fewer only at the end
  virtual std::uint64_t stored_bytes() const = 0;                   // as they lie in the file
  virtual bool packed() const = 0;

 private:
  std::string name_;
  std::uint64_t read_ = 0;  // bytes given out so far
};

/// A whole file. Its content says whether it is gzipped (magic 1f 8b), not its name.
class InputFile : public Input {
 public:
  explicit InputFile(const std::string& path);  ///< throws when missing, a folder or unreadable

 private:
  std::size_t read_some(void* out, std::size_t bytes) override;
  std::uint64_t stored_bytes() const override { return bytes_; }
  bool packed() const override;

  std::uint64_t bytes_ = 0;
  std::unique_ptr<gzFile_s, int (*)(gzFile_s*)> file_;
};

enum class Packing { None, Deflate, Zlib };  ///< RFC 1951, RFC 1950

/// `bytes` bytes of a file from byte `begin` on, inflated on the way when they are packed.
class InputPart : public Input {
 public:
  /// Throws when the file is missing, or ends before the part does.
  InputPart(const std::string& path, std::uint64_t begin, std::uint64_t bytes,
            Packing packing = Packing::None, const std::string& part = "");
  ~InputPart() override;

  std::uint32_t crc32() const { return crc32_; }  ///< of all bytes given out so far

 private:
  std::size_t read_some(void* out, std::size_t bytes) override;
  std::uint64_t stored_bytes() const override { return bytes_; }
  bool packed() const override { return stream_ != nullptr; }
  std::size_t read_stored(void* out, std::size_t bytes);
  std::size_t inflate_some(void* out, std::size_t bytes);

  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_;
  std::uint64_t bytes_, stored_left_;
  std::unique_ptr<z_stream_s> stream_;  // null when not packed
  std::vector<unsigned char> buffer_;   // packed bytes, on their way
  bool ended_ = false;                  // the stream says so
  std::uint32_t crc32_ = 0;
};

/// Bytes in memory.
class InputBytes : public Input {
 public:
  InputBytes(const std::string& name, std::string bytes) : Input(name), bytes_(std::move(bytes)) {}

 private:
  std::size_t read_some(void* out, std::size_t bytes) override;
  std::uint64_t stored_bytes() const override { return bytes_.size(); }
  bool packed() const override { return false; }

  std::string bytes_;
  std::size_t at_ = 0;
};

/// All of standard input, read once to its end and kept.
const std::string& standard_input();

/// Size of a file in bytes; throws when it is missing or a folder.
std::uint64_t file_size(const std::string& path);

}  // namespace nf::data
