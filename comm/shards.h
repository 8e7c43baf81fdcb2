// A batch in V parts, whose results are added up in one order whoever computes them.
//
//   V = 4:   0   1   2   3        leaves: the parts, each computed as a whole by one process
//             \ /     \ /
//              +       +          ((0 + 1) + (2 + 3)) on 1, 2, 3 or 4 processes
//               \     /
//                 +
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "comm/buckets.h"
#include "comm/group.h"
#include "tensor/tensor.h"

namespace nf::comm {

/// The next power of two, from 1 on: the shards of so many processes.
std::int64_t default_shards(int processes);

/// Which of V shards a process has: contiguous ones, their numbers differing by one at most.
class Shards {
 public:
  /// Keeps a reference. Throws Error unless V is a power of two and no less than the processes.
  Shards(Group& group, std::int64_t count);
  Group& group() const { return group_; }
  std::int64_t count() const { return count_; }
  Range own() const { return of(group_.rank()); }
  Range of(int rank) const;
  int owner(std::int64_t shard) const;
  /// The part of n things that a shard is: contiguous; sizes differ by one at most, and may be 0.
  Range part(std::int64_t n, std::int64_t shard) const;
  /// The parts of this process together.
  Range own_part(std::int64_t n) const;

 private:
  Group& group_;
  std::int64_t count_;
};

/// What is added up: numbers in f64, and a tensor of f32 or f64.
struct Sum {
  Tensor values;  ///< contiguous
  std::vector<double> numbers;
};

/// Equal in all processes.
struct TreeOptions {
  /// BF16: the values of each shard, and each sum of two, are rounded, whether they travel or not:
  /// so the number of processes changes no bit of it either.
  Wire wire = Wire::Exact;
  std::int64_t exact = 0;  ///< so many of the first values are never rounded
  /// Of so many values: what is complete of this process's last shard is exchanged while the rest
  /// is computed. 0: all is exchanged behind it.
  std::int64_t bucket = 0;
};

/// The sum over all shards, by the tree above: the same bits for every number of processes. A
/// process keeps at most log2 V + 1 sums.
class TreeSum {
 public:
  explicit TreeSum(const Shards& shards, const TreeOptions& options = {})
      : shards_(shards), options_(options), next_(shards.own().begin) {}
  /// Of this process's next shard; its memory is used.
  void add(Sum sum);
  /// Before the last one: its values are being written into this memory, from their end on.
  void expect(const Tensor& values);
  /// Of what is expected all values from `first` on are there; they are not looked at any more.
  void complete_from(std::int64_t first);
  /// When all shards are there. Collective. The values are on the device of those added.
  Sum total();
  /// Seconds that total() took to be there.
  struct Times {
    double exchanged = 0;  ///< with other processes, waiting for them included
    double beside = 0;     ///< from the first exchange until total() was asked for
  };
  const Times& times() const { return times_; }

 private:
  struct Node {
    std::int64_t count;  // shards
    Sum sum;
  };
  template <class T>
  using Columns = std::map<std::int64_t, std::span<T>>;  // by the first shard of each node
  void merge(std::int64_t left, std::int64_t right);
  void round(Tensor& values) const;
  void exchange_values();
  RangeWork exchange_of_ranges(bool rounded);
  template <class T>
  void sum_columns(Columns<T> nodes, Wire wire);

  const Shards& shards_;
  TreeOptions options_;
  std::int64_t next_;
  std::map<std::int64_t, Node> nodes_;  // by their first shard
  Times times_;
  std::optional<BucketWorker> worker_;  // the last member: it uses the others
};

}  // namespace nf::comm
