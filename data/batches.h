// Batches: the rows of a split, some at a time, shuffled anew in every epoch.
#pragma once

#include <cstdint>
#include <future>

#include "data/dataset.h"

namespace nf::data {

struct Batch {
  Tensor x = {};       ///< (B, ...), the split's dtype, a fresh tensor; undefined with rows_only
  Tensor rows = {};    ///< i32 (B) on the split's device: where in the split's x they are
  Tensor labels = {};  ///< i32 (B), or undefined
  Tensor given = {};   ///< (B, G), what is given with these rows, or undefined
  std::int64_t epoch = 0;  ///< counted from 0
  std::int64_t index = 0;  ///< of the batch in its epoch
};

struct BatchOptions {
  std::int64_t batch_size = 200;
  bool shuffle = true;          ///< false: the split's own order, for evaluation
  bool drop_last = false;       ///< true: leaves out the short batch at an epoch's end
  std::uint64_t seed = 0;       ///< of the order; epoch e is a pure function of (seed, e)
  Device device = Device::CPU;  ///< where the split lives and batches are gathered
  bool rows_only = false;       ///< x is not gathered: for who takes the rows of split() himself
};

/// An endless row of batches, epoch after epoch:
///
///     Batches batches(data.train, {.batch_size = 200, .seed = 7});
///     for (std::int64_t i = 0; i < batches.per_epoch(); ++i) step(batches.next());
///
/// While the caller works on a batch, the rows of the next one are gathered on another thread
/// (small ones are gathered when asked for); on another device than the CPU that device gathers
/// them, and nobody waits. Not to be used by two threads at a time.
class Batches {
 public:
  /// Throws Error for an empty split, a batch size below 1, and when drop_last leaves nothing.
  explicit Batches(Split split, const BatchOptions& options = {});
  Batches(const Batches&) = delete;  // the thread looks at this object
  Batches& operator=(const Batches&) = delete;

  std::int64_t per_epoch() const { return per_epoch_; }
  /// Position of the batch that next() will return; save both and seek() there to resume.
  std::int64_t epoch() const { return epoch_; }
  std::int64_t index() const { return index_; }
  /// index may be per_epoch(): the start of the next epoch.
  void seek(std::int64_t epoch, std::int64_t index);
  Batch next();
  const Split& split() const { return split_; }  ///< on the device

 private:
  void start();  // begins to gather batch index_ of epoch_
  std::future<Batch> gather(std::int64_t first, std::int64_t count);  // rows of order_

  Split split_;
  BatchOptions options_;
  std::int64_t per_epoch_ = 0;
  std::int64_t epoch_ = 0, index_ = 0;
  Tensor order_;  // i32 (N) on the split's device, the order of epoch order_epoch_
  std::int64_t order_epoch_ = -1;
  std::future<Batch> pending_;  // its destructor waits for the thread
};

}  // namespace nf::data
