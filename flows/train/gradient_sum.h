// What shards of a batch add up: gradients and batch statistics, as one tensor (comm/shards.h).
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "comm/shards.h"
#include "flows/density.h"

namespace nf::flows {

/// All gradients of a density one after another, and the statistics that its layers keep of
/// batches (nn::BatchStatistics), each shard's weighted by its samples. Beside them numbers: the
/// sum of losses, how many samples, and votes of processes.
class GradientSum {
 public:
  enum Number : std::uint8_t { Loss, Samples, Stop, Checkpoint, Failed, kNumbers };

  explicit GradientSum(Density& density);
  /// Of a shard without samples.
  comm::Sum zero() const;
  /// Before a shard is computed: statistics as they were before the batch.
  void begin();
  /// After its backward: gradients leave the parameters.
  comm::Sum take(double loss, std::int64_t samples);
  /// The mean over all samples becomes the gradient, and the new statistics.
  void put(comm::Sum& total);

 private:
  struct Place {
    Var* parameter;
    std::int64_t offset;
  };
  /// Where in the sum's values these are.
  static Tensor view(const comm::Sum& sum, std::int64_t offset, const Tensor& like);

  std::vector<Place> gradients_;
  std::vector<std::pair<Tensor, std::int64_t>> statistics_;  // the density's own, and their offsets
  std::vector<Tensor> before_;                               // copies of them
  std::int64_t numel_ = 0;
  DType dtype_ = DType::F32;
  Device device_;
};

}  // namespace nf::flows
