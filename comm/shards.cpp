#include "comm/shards.h"

#include <bit>
#include <utility>

#include "tensor/ops.h"

namespace nf::comm {

namespace {

/// action(span) for the values, on the CPU, and for the numbers.
template <class Action>
void for_each_span(Sum& sum, const Action& action) {
  const Device device = sum.values.device();
  Tensor host = sum.values.to(Device::CPU);
  const auto n = static_cast<std::size_t>(host.numel());
  if (host.dtype() == DType::F64) {
    action(std::span(host.mutable_data<double>(), n));
  } else {
    action(std::span(host.mutable_data<float>(), n));
  }
  sum.values = host.to(device);
  action(std::span(sum.numbers));
}

void add_to(Sum& sum, const Sum& other) {
  sum.values.add_(other.values);
  for (std::size_t i = 0; i < sum.numbers.size(); ++i) sum.numbers[i] += other.numbers[i];
}

}  // namespace

std::int64_t default_shards(int processes) {
  return static_cast<std::int64_t>(std::bit_ceil(static_cast<unsigned>(processes)));
}

// --- Shards -------------------------------------------------------------------------------------

Shards::Shards(Group& group, std::int64_t count) : group_(group), count_(count) {
  NF_CHECK(count > 0 && std::has_single_bit(static_cast<std::uint64_t>(count)), "[shards] ", count,
           " shards; give a power of two: 1, 2, 4, ...");
  NF_CHECK(count >= group.size(), "[shards] ", count, " shards are too few for ", group.size(),
           " processes; give at least ", default_shards(group.size()));
}

Range Shards::of(int rank) const {
  return {rank * count_ / group_.size(), (rank + 1) * count_ / group_.size()};
}

// The last rank r with r V / P <= shard.
int Shards::owner(std::int64_t shard) const {
  return static_cast<int>(((shard + 1) * group_.size() - 1) / count_);
}

Range Shards::part(std::int64_t n, std::int64_t shard) const {
  return {n * shard / count_, n * (shard + 1) / count_};
}

Range Shards::own_part(std::int64_t n) const {
  return {part(n, own().begin).begin, part(n, own().end - 1).end};
}

// --- TreeSum ------------------------------------------------------------------------------------

void TreeSum::add(Sum sum) {
  std::int64_t first = next_++, count = 1;
  nodes_.emplace(first, Node{count, std::move(sum)});
  for (; first % (2 * count) != 0; count *= 2) {
    const auto left = nodes_.find(first - count);
    if (left == nodes_.end() || left->second.count != count) return;
    merge(first - count, first);
    first -= count;
  }
}

void TreeSum::merge(std::int64_t left, std::int64_t right) {
  const auto from = nodes_.find(right);
  Node& to = nodes_.at(left);
  add_to(to.sum, from->second.sum);
  to.count += from->second.count;
  nodes_.erase(from);
}

Sum TreeSum::total() {
  Group& group = shards_.group();
  NF_CHECK(next_ == shards_.own().end, "[shards] the sum lacks shard ", next_);
  if (nodes_.size() == 1 && shards_.count() % group.size() == 0) {
    Sum& sum = nodes_.begin()->second.sum;
    for_each_span(sum, [&](auto span) { group.sum(span); });
    return std::move(sum);
  }
  Sum sum = total_at_first();
  for_each_span(sum, [&](auto span) { group.broadcast(std::as_writable_bytes(span)); });
  return sum;
}

// A node is with the process that has its first shard. The right one of each two goes to the left.
// What the others return has the shape of the sum and no meaning.
Sum TreeSum::total_at_first() {
  Group& group = shards_.group();
  Sum out;
  for (std::int64_t half = 1; half < shards_.count(); half *= 2) {
    for (std::int64_t left = 0; left < shards_.count(); left += 2 * half) {
      const std::int64_t right = left + half;
      const int at = shards_.owner(left), from = shards_.owner(right);
      if (at == from) {
        if (at == group.rank() && nodes_.contains(right)) merge(left, right);
      } else if (from == group.rank()) {
        out = std::move(nodes_.at(right).sum);
        nodes_.erase(right);
        for_each_span(out, [&](auto span) { group.send_to_add(at, span); });
      } else if (at == group.rank()) {
        Node& node = nodes_.at(left);
        for_each_span(node.sum, [&](auto span) { group.add_from(from, span); });
        node.count += half;
      }
    }
  }
  if (group.first()) out = std::move(nodes_.at(0).sum);
  return out;
}

}  // namespace nf::comm
