// Graph: a step of work that is recorded once and then replayed as a single launch, without the
// host's cost for each operation. For devices where that cost shows: CUDA.
//
// A step is recorded, not done, so what it decides on the host is decided once: shapes, branches,
// and numbers that are not tensors. Three things may change from replay to replay: the contents of
// tensors that were made before (a batch is copied into the same tensor each time), the random
// numbers, and the constants of the optimizers.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "tensor/random.h"
#include "tensor/storage.h"
#include "tensor/update_rules.h"

namespace nf {

/// A backend's recording, see Backend::record.
class Recording {
 public:
  virtual ~Recording() = default;
  virtual std::size_t updates() const = 0;
  virtual void replay(std::span<const std::uint64_t> offsets,
                      std::span<const UpdateArgs> updates) = 0;
};

class Graph {
 public:
  /// Calls `step` and records what it asks of `device`. `generators` are those that the step draws
  /// from; they must outlive the graph. Tensors that the step makes and somebody keeps hold the
  /// values of the latest replay; the step must not read values on the host. Run it once in the
  /// ordinary way before: what is made at the first call is then there.
  /// Throws when the device cannot record, the step reads a value or draws from another generator.
  Graph(Device device, std::vector<Generator*> generators, const std::function<void()>& step);

  /// Optimizer updates that the step does: calls of Backend::update.
  std::size_t updates() const { return recording_->updates(); }

  /// Does the step, with the generators where they stand now, and moves them on as the step does.
  /// `updates`: what to give to each update in their order, updates() of them. Returns before the
  /// device is done.
  void replay(std::span<const UpdateArgs> updates = {});

 private:
  std::vector<Generator*> generators_;
  std::vector<std::uint64_t> claims_;  ///< Philox blocks that a step takes of each
  std::unique_ptr<Recording> recording_;
};

}  // namespace nf
