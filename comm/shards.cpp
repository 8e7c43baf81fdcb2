#include "comm/shards.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "tensor/clock.h"
#include "tensor/dtype.h"
#include "tensor/ops.h"

namespace nf::comm {

namespace {

/// Of a tensor on the CPU.
template <class T>
std::span<T> span_of(Tensor& values) {
  return {values.mutable_data<T>(), static_cast<std::size_t>(values.numel())};
}

template <class T>
std::span<T> part_of(std::span<T> all, Range range) {
  return all.subspan(static_cast<std::size_t>(range.begin),
                     static_cast<std::size_t>(range.count()));
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
  if (worker_) {
    nodes_.at(first).sum.numbers = std::move(sum.numbers);
    return worker_->complete_from(0);
  }
  round(sum.values);
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
  to.sum.values.add_(from->second.sum.values);
  round(to.sum.values);
  add_for<double>(Wire::Exact, to.sum.numbers, from->second.sum.numbers);
  to.count += from->second.count;
  nodes_.erase(from);
}

void TreeSum::round(Tensor& values) const {
  if (options_.wire == Wire::Exact || values.numel() <= options_.exact) return;
  const Device device = values.device();
  values = values.to(Device::CPU);
  visit_float(values.dtype(), [&]<class T>() {
    const auto exact = static_cast<std::size_t>(options_.exact);
    round_for(options_.wire, span_of<T>(values).subspan(exact));
  });
  values = values.to(device);
}

// A thread does not wait for a device.
void TreeSum::expect(const Tensor& values) {
  const bool last = next_ + 1 == shards_.own().end;
  NF_CHECK(last && !worker_, "[shards] shard ", next_, " is not the last one of its process");
  const bool small = options_.bucket == 0 || values.numel() <= options_.bucket;
  if (small || shards_.group().size() == 1 || values.device() != Device::CPU) return;
  nodes_.emplace(next_, Node{1, Sum{values, {}}});
  worker_.emplace(values.numel(), options_.bucket, exchange_of_ranges(/*rounded=*/false));
}

void TreeSum::complete_from(std::int64_t first) {
  if (worker_) worker_->complete_from(first);
}

Sum TreeSum::total() {
  NF_CHECK(next_ == shards_.own().end, "[shards] the sum lacks shard ", next_);
  if (shards_.group().size() > 1) exchange_values();
  return std::move(nodes_.begin()->second.sum);
}

// A node is with the process that has its first shard. The right one of each two goes to the left,
// and what comes of it to all: into the memory of a process's first node. Where all processes have
// as many shards, group.sum() goes on with the tree when each has come to one node.
template <class T>
void TreeSum::sum_columns(Columns<T> nodes, Wire wire) {
  Group& group = shards_.group();
  const std::span<T> out = nodes.begin()->second;
  const bool alike = shards_.count() % group.size() == 0;
  for (std::int64_t half = 1; half < shards_.count(); half *= 2) {
    if (alike && half == shards_.own().count()) break;
    for (std::int64_t left = 0; left < shards_.count(); left += 2 * half) {
      const std::int64_t right = left + half;
      const int at = shards_.owner(left), from = shards_.owner(right);
      if (at == from) {
        if (at != group.rank() || !nodes.contains(right)) continue;
        add_for<T>(wire, nodes.at(left), nodes.at(right));
        nodes.erase(right);
      } else if (from == group.rank()) {
        group.send_to_add(at, nodes.at(right), wire);
        nodes.erase(right);
      } else if (at == group.rank()) {
        group.add_from(from, nodes.at(left), wire);
      }
    }
  }
  if (alike) return group.sum(out, wire);
  group.broadcast(std::as_writable_bytes(out));
}

// Numbers come last: they say whether the values are worth anything.
void TreeSum::exchange_values() {
  const Device device = nodes_.begin()->second.sum.values.device();
  double before = seconds_now();
  if (worker_) {
    worker_->finish();
    times_ = {worker_->busy_seconds(), std::max(before - worker_->began(), 0.0)};
    before = seconds_now();
  }
  if (!worker_) {
    std::int64_t n = 0;
    for (auto& [first, node] : nodes_) {
      node.sum.values = node.sum.values.to(Device::CPU);
      n = node.sum.values.numel();
    }
    for_buckets(n, options_.bucket > 0 ? options_.bucket : n, exchange_of_ranges(/*rounded=*/true));
  }
  Columns<double> numbers;
  for (auto& [first, node] : nodes_) numbers.emplace(first, node.sum.numbers);
  sum_columns(numbers, Wire::Exact);
  times_.exchanged += seconds_now() - before;
  Tensor& total = nodes_.begin()->second.sum.values;
  total = total.to(device);
}

// `rounded`: the values of the last node are what travels already.
RangeWork TreeSum::exchange_of_ranges(bool rounded) {
  return visit_float(nodes_.begin()->second.sum.values.dtype(), [&]<class T>() -> RangeWork {
    Columns<T> nodes;
    for (auto& [first, node] : nodes_) nodes.emplace(first, span_of<T>(node.sum.values));
    return [this, nodes, rounded](Range range) {
      const std::int64_t bound = std::clamp(options_.exact, range.begin, range.end);
      for (const auto& [part, wire] : {std::pair{Range{range.begin, bound}, Wire::Exact},
                                       {Range{bound, range.end}, options_.wire}}) {
        if (part.count() == 0) continue;
        Columns<T> columns;
        for (const auto& [first, all] : nodes) columns.emplace(first, part_of(all, part));
        if (!rounded) round_for(wire, columns.rbegin()->second);
        sum_columns(std::move(columns), wire);
      }
    };
  });
}

}  // namespace nf::comm
