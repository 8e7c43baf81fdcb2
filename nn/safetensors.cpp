#include "nn/safetensors.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>
#include <vector>

#include "tensor/checksum.h"
#include "tensor/files.h"
#include "tensor/text.h"
#include "tensor/threads.h"

namespace nf::nn {

namespace {

using Json = nlohmann::json;  // sorted by name: an ordered_json looks through all names for each

// The format's own limit, which keeps a hostile length from becoming an allocation.
constexpr std::uint64_t kMaxHeader = 100'000'000;

const char* format_name(DType dtype) {
  switch (dtype) {
    case DType::F32:
      return "F32";
    case DType::F64:
      return "F64";
    case DType::U8:
      return "U8";
    case DType::I32:
      return "I32";
  }
  return "?";
}

DType parse_dtype(const std::string& where, const std::string& name) {
  for (DType dtype : {DType::F32, DType::F64, DType::U8, DType::I32}) {
    if (name == format_name(dtype)) return dtype;
  }
  fail(str(where, "dtype ", printable(name),
           " is not supported; convert it to F32, F64, U8 or I32"));
}

std::string_view bytes_of(const Tensor& host) {
  return visit_dtype(host.dtype(), [&]<class T>() -> std::string_view {
    if (host.numel() == 0) return {};
    return {reinterpret_cast<const char*>(host.data<T>()),
            static_cast<std::size_t>(host.numel()) * sizeof(T)};
  });
}

std::uint64_t little_endian(const unsigned char bytes[8]) {
  std::uint64_t value = 0;
  for (int i = 7; i >= 0; --i) value = value << 8 | bytes[i];
  return value;
}

struct Entry {
  DType dtype;
  Shape shape;
  std::uint64_t begin, end;
};

// --- the checksum ------------------------------------------------------------------------------

// An entry of the metadata: "<header>-<elements>", 16 digits each, so that the first can be checked
// where the elements are not read. What has another length is of another program.
const std::string kChecksum = "checksum";
constexpr std::size_t kChecksumLength = 33;

bool is_ours(const std::string& checksum) { return checksum.size() == kChecksumLength; }

std::string header_checksum(const Metadata& metadata, const std::map<std::string, Entry>& entries) {
  Checksum sum;
  for (const auto& [key, value] : metadata) {
    if (key == kChecksum) continue;
    sum.add(key);
    sum.add(value);
  }
  sum.add("");
  for (const auto& [name, entry] : entries) {
    sum.add(name);
    sum.add(format_name(entry.dtype));
    sum.add(str(entry.shape));
  }
  return sum.text();
}

// The checksum of elements is that of the numbers of their pieces, tensor after tensor in the order
// of the names. A piece is looked at where it was just read, while it is in the processor's cache.
template <class Byte, class Read>
void add_pieces(Checksum& sum, Byte* bytes, std::uint64_t size, const Read& read) {
  constexpr std::uint64_t kPiece = 1 << 18;
  std::vector<std::uint64_t> pieces((size + kPiece - 1) / kPiece);
  parallel_for(std::ssize(pieces), 4, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::uint64_t at = static_cast<std::uint64_t>(i) * kPiece;
      const std::size_t now = std::min(kPiece, size - at);
      read(at, bytes + at, now);
      pieces[static_cast<std::size_t>(i)] = fast_checksum({bytes + at, now});
    }
  });
  for (const std::uint64_t piece : pieces) sum.add(piece);
}

[[noreturn]] void fail_damaged(const std::string& path) {
  fail(str("[safetensors] ", path, " is damaged: its checksum does not fit its content; restore ",
           "it from a copy"));
}

}  // namespace

void save_safetensors(const std::string& path, const StateDict& tensors, const Metadata& metadata) {
  NF_CHECK(!metadata.contains(kChecksum), "[safetensors] '", kChecksum,
           "' in the metadata is the file's own; give yours another name");
  StateDict host;
  std::map<std::string, Entry> entries;
  std::map<std::string, std::string_view> bytes;
  std::string text;  // in the order given
  std::uint64_t at = 0;
  for (const auto& [name, tensor] : tensors) {
    const std::uint64_t end =
        at + static_cast<std::uint64_t>(tensor.numel()) * size_of(tensor.dtype());
    const bool once = name != "__metadata__" &&
                      entries.emplace(name, Entry{tensor.dtype(), tensor.shape(), at, end}).second;
    NF_CHECK(once, "[safetensors] two tensors are named '", name, "'");
    const Json shape = std::vector<std::int64_t>(tensor.shape().begin(), tensor.shape().end());
    text += "," + Json(name).dump() +
            str(R"(:{"dtype":")", format_name(tensor.dtype()), R"(","shape":)", shape.dump(),
                R"(,"data_offsets":[)", at, ",", end, "]}");
    at = end;
    host.emplace_back(name, tensor.to(Device::CPU).contiguous());
    bytes[name] = bytes_of(host.back().second);
  }
  Checksum elements;  // in the order of the names, as they are read
  for (const auto& [name, all] : bytes) {
    add_pieces(elements, all.data(), all.size(), [](auto...) {});
  }
  Metadata with_checksum = metadata;
  with_checksum[kChecksum] = header_checksum(metadata, entries) + "-" + elements.text();
  text = R"({"__metadata__":)" + Json(with_checksum).dump() + text + "}";
  text.resize((text.size() + 7) / 8 * 8, ' ');  // the elements begin at a multiple of 8

  atomic_write(path, [&](FileWriter& out) {
    unsigned char length[8];
    for (int i = 0; i < 8; ++i) length[i] = static_cast<unsigned char>(text.size() >> (8 * i));
    out.write(length, sizeof length);
    out.write(text);
    for (const auto& [name, tensor] : host) {
      if (tensor.numel() > 0) out.write(bytes_of(tensor));
    }
  });
}

namespace {

// One tensor's line of the header, checked: the shape's bytes are exactly the range claimed, and
// the range lies inside the `available` bytes of the file.
Entry parse_entry(const std::string& where, const Json& json, std::uint64_t available) {
  NF_CHECK(json.is_object() && json.contains("dtype") && json["dtype"].is_string() &&
               json.contains("shape") && json["shape"].is_array() &&
               json.contains("data_offsets") && json["data_offsets"].is_array() &&
               json["data_offsets"].size() == 2,
           where, "needs dtype, shape and data_offsets");
  Entry entry{parse_dtype(where, json["dtype"]), {}, 0, 0};
  for (const Json& offset : json["data_offsets"]) {
    NF_CHECK(offset.is_number_unsigned(), where, "data_offsets must be whole numbers");
  }
  entry.begin = json["data_offsets"][0];
  entry.end = json["data_offsets"][1];
  NF_CHECK(entry.begin <= entry.end && entry.end <= available, where, "data_offsets [", entry.begin,
           ", ", entry.end, "] lie outside the ", available, " bytes of data");
  NF_CHECK(json["shape"].size() <= kMaxDims, where, "has ", json["shape"].size(),
           " dimensions, at most ", kMaxDims, " are supported");
  std::uint64_t bytes = size_of(entry.dtype);
  bool empty = false;
  for (const Json& size : json["shape"]) {
    NF_CHECK(size.is_number_unsigned(), where, "sizes must be whole numbers");
    const std::uint64_t n = size;
    empty = empty || n == 0;
    NF_CHECK(n <= available || empty, where, "size ", n, " is larger than the file");
    // Without the zeros: strides are products of the other sizes.
    NF_CHECK(!__builtin_mul_overflow(bytes, n == 0 ? 1 : n, &bytes) && bytes <= INT64_MAX, where,
             "the shape overflows");
    entry.shape.push_back(static_cast<std::int64_t>(n));
  }
  if (empty) bytes = 0;
  NF_CHECK(bytes == entry.end - entry.begin, where, "shape ", entry.shape, " needs ", bytes,
           " bytes, data_offsets give ", entry.end - entry.begin);
  return entry;
}

std::map<std::string, Entry> parse_header(const std::string& path, const Json& header,
                                          std::uint64_t available, Metadata& metadata) {
  std::map<std::string, Entry> entries;
  std::set<std::pair<std::uint64_t, std::uint64_t>> ranges;
  for (const auto& [name, json] : header.items()) {
    if (name == "__metadata__") {
      NF_CHECK(json.is_object(), "[safetensors] ", path, ": __metadata__ must be an object");
      for (const auto& [key, value] : json.items()) {
        NF_CHECK(value.is_string(), "[safetensors] ", path, ": metadata must be text");
        metadata[key] = value;
      }
      continue;
    }
    const std::string where = str("[safetensors] ", path, ": tensor '", printable(name), "' ");
    const Entry entry = parse_entry(where, json, available);
    NF_CHECK(entry.begin == entry.end || ranges.emplace(entry.begin, entry.end).second, where,
             "shares its bytes with another");
    entries.emplace(name, entry);
  }
  std::uint64_t at = 0;
  for (const auto& [begin, end] : ranges) {
    NF_CHECK(begin >= at, "[safetensors] ", path, ": two tensors overlap at byte ", begin);
    at = end;
  }
  NF_CHECK(at == available, "[safetensors] ", path, ": ", available - at,
           " bytes after the last tensor belong to none; the file is damaged");
  return entries;
}

// Read at any place, by several threads at a time.
class InputFile {
 public:
  explicit InputFile(const std::string& path) : file_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {}
  InputFile(InputFile&& other) noexcept : file_(std::exchange(other.file_, -1)) {}
  ~InputFile() {
    if (file_ >= 0) ::close(file_);
  }
  /// False where there are not so many bytes, or none can be read.
  bool read(std::uint64_t at, void* bytes, std::uint64_t size) const {
    auto* to = static_cast<char*>(bytes);
    while (size > 0) {
      const ssize_t got = ::pread(file_, to, size, static_cast<off_t>(at));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return false;
      to += got, at += static_cast<std::uint64_t>(got), size -= static_cast<std::uint64_t>(got);
    }
    return true;
  }

 private:
  int file_;
};

struct Opened {
  InputFile in;
  std::uint64_t data_begin;
  std::map<std::string, Entry> entries;
  Metadata metadata;
  std::string checksum, elements_checksum;  // empty: the file has none
};

Opened open_safetensors(const std::string& path) {
  struct stat info {};
  NF_CHECK(stat(path.c_str(), &info) == 0, "[safetensors] ", path, ": ", std::strerror(errno));
  NF_CHECK(S_ISREG(info.st_mode), "[safetensors] ", path, " is not a file");
  const std::uint64_t file_bytes = static_cast<std::uint64_t>(info.st_size);
  Opened file{InputFile(path), 0, {}, {}, {}, {}};
  unsigned char length[8];
  NF_CHECK(file.in.read(0, length, 8), "[safetensors] ", path, " is too short to be a checkpoint (",
           file_bytes, " bytes)");
  const std::uint64_t header_bytes = little_endian(length);
  NF_CHECK(header_bytes <= kMaxHeader && header_bytes <= file_bytes - 8, "[safetensors] ", path,
           ": the header claims ", header_bytes, " bytes of a file of ", file_bytes,
           "; it is cut short or not in this format");
  std::string text(header_bytes, '\0');
  NF_CHECK(file.in.read(8, text.data(), header_bytes), "[safetensors] ", path, ": cannot be read");
  const Json header = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  NF_CHECK(header.is_object(), "[safetensors] ", path, ": the header is not a JSON object");
  file.data_begin = 8 + header_bytes;
  file.entries = parse_header(path, header, file_bytes - file.data_begin, file.metadata);
  const auto checksum = file.metadata.find(kChecksum);
  if (checksum == file.metadata.end() || !is_ours(checksum->second)) return file;
  const std::string header_sum = header_checksum(file.metadata, file.entries);
  if (!checksum->second.starts_with(header_sum + "-")) fail_damaged(path);
  file.checksum = checksum->second;
  file.elements_checksum = checksum->second.substr(header_sum.size() + 1);
  file.metadata.erase(checksum);
  return file;
}

}  // namespace

SafetensorsFile load_safetensors(const std::string& path) {
  Opened opened = open_safetensors(path);
  SafetensorsFile file{{}, std::move(opened.metadata)};
  Checksum elements;
  for (const auto& named : opened.entries) {
    const auto& name = named.first;
    const auto& entry = named.second;
    Tensor tensor = Tensor::empty(entry.shape, entry.dtype);
    if (entry.end > entry.begin) {
      std::atomic<bool> whole = true;
      visit_dtype(entry.dtype, [&]<class T>() {
        const std::uint64_t begin = opened.data_begin + entry.begin;
        add_pieces(elements, reinterpret_cast<char*>(tensor.mutable_data<T>()),
                   entry.end - entry.begin, [&](std::uint64_t at, char* to, std::uint64_t size) {
                     if (!opened.in.read(begin + at, to, size)) whole = false;
                   });
      });
      NF_CHECK(whole, "[safetensors] ", path, ": ends inside tensor '", printable(name), "'");
    }
    file.tensors.emplace(name, std::move(tensor));
  }
  const std::string& expected = opened.elements_checksum;
  if (!expected.empty() && expected != elements.text()) fail_damaged(path);
  return file;
}

SafetensorsHeader read_safetensors_header(const std::string& path) {
  Opened opened = open_safetensors(path);
  SafetensorsHeader header{{}, std::move(opened.metadata), std::move(opened.checksum)};
  for (const auto& [name, entry] : opened.entries) {
    header.tensors.emplace(name, SafetensorsHeader::Entry{entry.dtype, entry.shape});
  }
  return header;
}

}  // namespace nf::nn
