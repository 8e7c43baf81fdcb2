// What shards of a batch add up: gradients and batch statistics, as one tensor (comm/shards.h).
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "comm/shards.h"
#include "flows/density.h"

namespace nf::flows {

/// The statistics that layers keep of batches (nn::BatchStatistics), each shard's weighted by its
/// samples, and behind them all gradients of a density one after another, so that these are
/// complete from the end on while backward runs. Beside them numbers: the sum of losses, how many
/// samples, and votes of processes.
class GradientSum {
 public:
  enum Number : std::uint8_t { Loss, Samples, Stop, Checkpoint, Failed, kNumbers };

  explicit GradientSum(Density& density);
  /// So many of the first values are statistics.
  std::int64_t statistics() const { return numel_of_statistics_; }
  /// Before a shard is recorded: its sum, to be filled by the others. Statistics are as they were
  /// before the batch.
  comm::Sum begin();
  /// In backward, after a node (autograd/watch.h): gradients that are complete leave the
  /// parameters. From the element that is returned on all is there.
  std::int64_t take_complete(comm::Sum& sum);
  /// After backward: what is left. Throws Error for a gradient that came after it was taken.
  void take_rest(comm::Sum& sum, double loss, std::int64_t samples);
  /// Instead of that, of a shard without samples or one that failed: zeros.
  void take_nothing(comm::Sum& sum);
  /// The mean over all samples becomes the gradient, and the new statistics.
  void put(comm::Sum& total);

 private:
  struct Place {
    std::string name;
    Var* parameter;
    std::int64_t offset;
    long holders = 0;  // of its slot, before a shard is recorded
  };
  /// Where in the sum's values these are.
  static Tensor view(const comm::Sum& sum, std::int64_t offset, const Tensor& like);
  void take_next(comm::Sum& sum);

  std::vector<Place> gradients_;
  std::size_t left_ = 0;  // gradients that are not taken yet: the first ones
  std::vector<std::pair<Tensor, std::int64_t>> statistics_;  // the density's own, and their offsets
  std::vector<Tensor> before_;                               // copies of them
  std::int64_t numel_ = 0, numel_of_statistics_ = 0;
  DType dtype_ = DType::F32;
  Device device_;
};

}  // namespace nf::flows
