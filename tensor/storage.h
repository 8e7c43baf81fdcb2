// Storage: a reference-counted block of memory on one device, with a version that counts writes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <ostream>

namespace nf {

enum class Device : std::uint8_t { CPU, CUDA };

constexpr const char* name(Device device) { return device == Device::CPU ? "cpu" : "cuda"; }
inline std::ostream& operator<<(std::ostream& out, Device device) { return out << name(device); }

/// Owns `bytes` of memory from its device's backend and gives them back when the last tensor dies.
/// The version is raised by every write through a Tensor; the tape compares it to notice that a
/// tensor saved for backward has been overwritten.
class Storage {
 public:
  Storage(std::size_t bytes, Device device);
  ~Storage();
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  void* data() const { return data_; }
  std::size_t bytes() const { return bytes_; }
  Device device() const { return device_; }
  std::uint64_t version() const { return version_; }
  void bump_version() { ++version_; }
  /// Takes back what a write raised that nobody can notice (Tensor::write_unread_).
  void restore_version(std::uint64_t version) { version_ = version; }

  /// The smallest and largest of `count` indices from `offset` on, as they were at `version`.
  struct IndexRange {
    std::uint64_t version = 0;
    std::int64_t offset = 0, count = 0;
    std::int32_t lowest = 0, highest = 0;
  };
  /// What is known of indices in this storage; not for the CPU, where looking again costs little.
  std::optional<IndexRange> known_range;

 private:
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
  Device device_;
  std::uint64_t version_ = 0;
};

}  // namespace nf
