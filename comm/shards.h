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
#include <vector>

#include "comm/group.h"
#include "tensor/tensor.h"

namespace nf::comm {

/// The next power of two, from 1 on: the shards of so many processes.
std::int64_t default_shards(int processes);

struct Range {
  std::int64_t begin = 0, end = 0;
  std::int64_t count() const { return end - begin; }
};

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

/// The sum over all shards, by the tree above: the same bits for every number of processes. A
/// process keeps at most log2 V + 1 sums.
class TreeSum {
 public:
  explicit TreeSum(const Shards& shards) : shards_(shards), next_(shards.own().begin) {}
  /// Of this process's next shard; its memory is used.
  void add(Sum sum);
  /// When all shards are there. Collective. The values are on the device of those added.
  Sum total();

 private:
  struct Node {
    std::int64_t count;  // shards
    Sum sum;
  };
  void merge(std::int64_t left, std::int64_t right);
  Sum total_at_first();

  const Shards& shards_;
  std::int64_t next_;
  std::map<std::int64_t, Node> nodes_;  // by their first shard
};

}  // namespace nf::comm
