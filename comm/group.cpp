#include "comm/group.h"

#include <unistd.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <type_traits>

#include "tensor/signals.h"

namespace nf::comm {

namespace {

std::span<std::byte> bytes_of(std::string& text) {
  return std::as_writable_bytes(std::span(text.data(), text.size()));
}

class Alone final : public Group {
 public:
  Alone() : Group(0, 1) { set_hosts({host_name()}); }
  void exchange(int, std::span<const std::byte>, int, std::span<std::byte>) override {}
};

// The elements that one process has summed up, and their halves.
struct Part {
  std::size_t begin, end;
  Part half(bool upper) const {
    const std::size_t middle = begin + (end - begin) / 2;
    return upper ? Part{middle, end} : Part{begin, middle};
  }
  template <class T>
  std::span<T> of(std::span<T> all) const {
    return all.subspan(begin, end - begin);
  }
};

// Numbers as bytes: as they are, or packed into memory that is handed in.
template <class T>
std::span<const std::byte> wired(std::span<const T> numbers, std::vector<T>& /*packed*/) {
  return std::as_bytes(numbers);
}
template <class T>
std::span<const std::byte> wired(std::span<const T> numbers, std::vector<Bf16>& packed) {
  packed.resize(numbers.size());
  std::transform(numbers.begin(), numbers.end(), packed.begin(), [](T x) { return Bf16::of(x); });
  return std::as_bytes(std::span<const Bf16>(packed));
}

template <class T>
T added(T a, T b) {
  return a + b;
}
template <class T>
T added(T a, Bf16 b) {
  return round_to_bf16(static_cast<float>(a + static_cast<T>(b.value())));
}

}  // namespace

std::unique_ptr<Group> alone() { return std::make_unique<Alone>(); }

std::string host_name() {
  char name[256] = {};
  return gethostname(name, sizeof name - 1) == 0 ? name : "unknown host";
}

Group::~Group() { stop_watching(); }

std::string Group::name_of(int rank) const {
  const auto r = static_cast<std::size_t>(rank);
  return str("rank ", rank, " of ", size_, r < hosts_.size() ? " (" + hosts_[r] + ")" : "");
}

void Group::sum(std::span<float> values, Wire wire) {
  wire == Wire::BF16 ? sum_as<Bf16>(values) : sum_as<float>(values);
}
void Group::sum(std::span<double> values, Wire wire) {
  wire == Wire::BF16 ? sum_as<Bf16>(values) : sum_as<double>(values);
}

// Piece by piece, so that what arrives is added while it is in the cache. Who sends has the same
// pieces as who receives.
template <class Wired, class T>
void Group::exchange_and_add(int to, std::span<const T> out, int from, std::span<T> sum) {
  constexpr std::size_t kPiece = (std::size_t{1} << 20) / sizeof(Wired);
  std::vector<Wired> piece(std::min(kPiece, sum.size())), packed;
  while (!out.empty() || !sum.empty()) {
    const auto sent = out.first(std::min(kPiece, out.size()));
    const std::span<Wired> got(piece.data(), std::min(kPiece, sum.size()));
    exchange(to, wired(sent, packed), from, std::as_writable_bytes(got));
    for (std::size_t i = 0; i < got.size(); ++i) sum[i] = added(sum[i], got[i]);
    out = out.subspan(sent.size());
    sum = sum.subspan(got.size());
  }
}

template <class Wired, class T>
void Group::exchange_as(int other, std::span<const T> have, std::span<T> want) {
  if constexpr (std::is_same_v<Wired, T>) {
    exchange(other, std::as_bytes(have), other, std::as_writable_bytes(want));
  } else {
    std::vector<Wired> packed, got(want.size());
    exchange(other, wired(have, packed), other, std::as_writable_bytes(std::span(got)));
    for (std::size_t i = 0; i < got.size(); ++i) want[i] = got[i].value();
  }
}

template <class Wired, class T>
void Group::sum_as(std::span<T> values) {
  if (!std::has_single_bit(static_cast<unsigned>(size_))) {
    for (int d = 1; d < size_; d *= 2) {
      if (rank_ % (2 * d) == d) {
        exchange_and_add<Wired, T>(rank_ - d, values, -1, {});
        break;
      }
      if (rank_ + d < size_) exchange_and_add<Wired, T>(-1, {}, rank_ + d, values);
    }
    return broadcast(std::as_writable_bytes(values));
  }
  // Halving: at each step a partner sums up one half of the part at hand, and this process the
  // other. a + b = b + a, so both sum as the tree does.
  std::vector<Part> parts = {{0, values.size()}};
  for (int d = 1; d < size_; d *= 2) {
    const bool upper = (rank_ & d) != 0;
    const Part keep = parts.back().half(upper), give = parts.back().half(!upper);
    exchange_and_add<Wired, T>(rank_ ^ d, give.of(values), rank_ ^ d, keep.of(values));
    parts.push_back(keep);
  }
  // Doubling: the same way back.
  for (int d = size_ / 2; d > 0; d /= 2) {
    const std::span<T> have = parts.back().of(values);
    parts.pop_back();
    exchange_as<Wired, T>(rank_ ^ d, have, parts.back().half((rank_ & d) == 0).of(values));
  }
}

template <class T>
void Group::add_as(Wire wire, int to, std::span<const T> out, int from, std::span<T> sum) {
  wire == Wire::BF16 ? exchange_and_add<Bf16>(to, out, from, sum)
                     : exchange_and_add<T>(to, out, from, sum);
}

void Group::add_from(int from, std::span<float> sum, Wire wire) {
  add_as<float>(wire, -1, {}, from, sum);
}
void Group::add_from(int from, std::span<double> sum, Wire wire) {
  add_as<double>(wire, -1, {}, from, sum);
}
void Group::send_to_add(int to, std::span<const float> out, Wire wire) {
  add_as<float>(wire, to, out, -1, {});
}
void Group::send_to_add(int to, std::span<const double> out, Wire wire) {
  add_as<double>(wire, to, out, -1, {});
}

// A binomial tree: who has the bytes hands them on to the one `d` further.
void Group::broadcast(std::span<std::byte> bytes) {
  for (int d = static_cast<int>(std::bit_ceil(static_cast<unsigned>(size_))) / 2; d > 0; d /= 2) {
    const int place = rank_ % (2 * d);
    if (place == 0 && rank_ + d < size_) exchange(rank_ + d, bytes, -1, {});
    if (place == d) exchange(-1, {}, rank_ - d, bytes);
  }
}

std::vector<std::string> Group::gather(const std::string& own) {
  std::vector<std::string> all(static_cast<std::size_t>(size_));
  all[static_cast<std::size_t>(rank_)] = own;
  if (size_ == 1) return all;
  std::vector<std::uint64_t> lengths(all.size());
  const auto bytes = std::as_writable_bytes(std::span(lengths));
  const auto length_of = [&](int rank) {
    return bytes.subspan(static_cast<std::size_t>(rank) * 8, 8);
  };
  lengths[static_cast<std::size_t>(rank_)] = own.size();
  for (int r = 1; r < size_; ++r) {
    if (rank_ == r) exchange(0, length_of(r), -1, {});
    if (first()) exchange(-1, {}, r, length_of(r));
  }
  broadcast(bytes);
  constexpr std::uint64_t kMost = std::uint64_t{1} << 34;
  for (std::size_t r = 0; r < all.size(); ++r) {
    NF_CHECK(lengths[r] <= kMost, "[processes] ", name_of(static_cast<int>(r)), " sends ",
             lengths[r], " bytes; do all processes run the same program?");
    all[r].resize(lengths[r]);
  }
  for (int r = 1; r < size_; ++r) {
    std::string& text = all[static_cast<std::size_t>(r)];
    if (rank_ == r) exchange(0, std::as_bytes(std::span(text)), -1, {});
    if (first()) exchange(-1, {}, r, bytes_of(text));
  }
  for (std::string& text : all) broadcast(bytes_of(text));
  return all;
}

void Group::abort(int status) { std::_Exit(status); }

// --- signs of life ------------------------------------------------------------------------------

void Group::watch(double limit, std::function<void(int)> lost) {
  if (size_ == 1 || watching_) return;
  lost_ = std::move(lost);
  watching_ = true;
  const SignalsToOthers while_it_starts;
  watcher_ = std::thread([this, limit] { look_after(limit); });
}

void Group::stop_watching() {
  {
    const std::lock_guard lock(mutex_);
    watching_ = false;
  }
  wake_.notify_all();
  if (watcher_.joinable()) watcher_.join();
}

// Silence is counted in looks, not by the clock: a group that was stopped as a whole and goes on
// (Ctrl-Z and fg) has looked at nobody meanwhile.
void Group::look_after(double limit) {
  const double pause = std::min(0.5, limit / 8);
  std::vector<std::int64_t> seen(static_cast<std::size_t>(size_), 0);
  std::vector<double> silent(seen.size(), 0);
  std::unique_lock lock(mutex_);
  while (watching_) {
    give_sign();
    for (int r = 0; r < size_; ++r) {
      const auto i = static_cast<std::size_t>(r);
      const std::int64_t signs = r == rank_ ? -1 : signs_of(r);
      silent[i] = signs == seen[i] && signs >= 0 ? silent[i] + pause : 0;
      seen[i] = signs;
      if (signs < 0 || silent[i] < limit) continue;
      lost_(r);
      return;
    }
    wake_.wait_for(lock, std::chrono::duration<double>(pause));
  }
}

}  // namespace nf::comm
