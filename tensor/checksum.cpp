#include "tensor/checksum.h"

#include <cstring>

namespace nf {

void Checksum::add(std::string_view bytes) {
  add(bytes.size());
  while (!bytes.empty()) {
    std::uint64_t word = 0;
    const std::size_t now = bytes.size() < sizeof word ? bytes.size() : sizeof word;
    std::memcpy(&word, bytes.data(), now);
    add(word);
    bytes.remove_prefix(now);
  }
}

void Checksum::add(const Tensor& values) {
  if (!values.defined()) return;
  add(describe(values));
  const Tensor host = values.to(Device::CPU).contiguous();
  if (host.numel() == 0) return;
  visit_dtype(host.dtype(), [&]<class T>() {
    add({reinterpret_cast<const char*>(host.data<T>()),
         static_cast<std::size_t>(host.numel()) * sizeof(T)});
  });
}

// The last steps of MurmurHash3 (A. Appleby).
std::uint64_t Checksum::mixed() const {
  std::uint64_t h = state_;
  h = (h ^ h >> 33) * 0xFF51AFD7ED558CCD;
  h = (h ^ h >> 33) * 0xC4CEB9FE1A85EC53;
  return h ^ h >> 33;
}

std::string Checksum::text() const {
  std::string out;
  for (int shift = 60; shift >= 0; shift -= 4) out += "0123456789abcdef"[state_ >> shift & 15];
  return out;
}

std::uint64_t fast_checksum(std::string_view bytes) {
  constexpr std::size_t kLanes = 8, kBlock = kLanes * sizeof(std::uint64_t);
  std::uint64_t lanes[kLanes];
  for (std::size_t k = 0; k < kLanes; ++k) lanes[k] = Checksum::kStart + k;
  for (; bytes.size() >= kBlock; bytes.remove_prefix(kBlock)) {
    for (std::size_t k = 0; k < kLanes; ++k) {
      std::uint64_t word = 0;  // not a copy of the block: with AVX2 that was 5 times as slow
      std::memcpy(&word, bytes.data() + k * sizeof word, sizeof word);
      lanes[k] = Checksum::step(lanes[k], word);
    }
  }
  Checksum sum;
  for (const std::uint64_t lane : lanes) sum.add(lane);
  sum.add(bytes);  // the rest
  return sum.state_;
}

std::vector<std::uint64_t> row_checksums(const Tensor& x) {
  const Tensor rows = x.to(Device::CPU).contiguous();
  std::vector<std::uint64_t> out;
  visit_dtype(rows.dtype(), [&]<class T>() {
    const std::size_t bytes = static_cast<std::size_t>(rows.dim(1)) * sizeof(T);
    const char* at = reinterpret_cast<const char*>(rows.data<T>());
    for (std::int64_t i = 0; i < rows.dim(0); ++i, at += bytes) {
      Checksum sum;
      sum.add({at, bytes});
      out.push_back(sum.mixed());
    }
  });
  return out;
}

}  // namespace nf
