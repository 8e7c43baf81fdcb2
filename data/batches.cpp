#include "data/batches.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <span>
#include <utility>

#include "tensor/ops.h"
#include "tensor/profile.h"
#include "tensor/random.h"

namespace nf::data {
namespace {

/// A row tensor's first dimension replaced by `rows`.
Tensor empty_rows(const Tensor& from, std::int64_t rows) {
  Shape shape = from.shape();
  shape[0] = rows;
  return Tensor::empty(shape, from.dtype());
}

std::size_t row_bytes(const Tensor& x) {
  return static_cast<std::size_t>(x.numel() / x.dim(0)) * size_of(x.dtype());
}

/// out row i = in row rows[i].
void copy_rows(const Tensor& in, std::span<const std::int32_t> rows, Tensor& out) {
  const std::size_t bytes = row_bytes(in);
  visit_dtype(in.dtype(), [&]<class T>() {
    const auto* from = reinterpret_cast<const std::byte*>(in.data<T>());
    auto* to = reinterpret_cast<std::byte*>(out.mutable_data<T>());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      std::memcpy(to + i * bytes, from + static_cast<std::size_t>(rows[i]) * bytes, bytes);
    }
  });
}

}  // namespace

Batches::Batches(Split split, const BatchOptions& options)
    : split_(std::move(split)), options_(options) {
  const std::int64_t n = split_.size(), size = options_.batch_size;
  NF_CHECK(n > 0, "[batches] the split has no samples");
  NF_CHECK(n <= std::numeric_limits<std::int32_t>::max(), "[batches] more than 2^31 samples");
  NF_CHECK(size > 0, "[batches] batch size ", size, "; it must be at least 1");
  NF_CHECK(!split_.labels.defined() || split_.labels.dim(0) == n, "[batches] ", n, " samples, but ",
           split_.labels.numel(), " labels");
  NF_CHECK(!split_.given.defined() || split_.given.dim(0) == n, "[batches] ", n, " samples, but ",
           split_.given.dim(0), " rows of what is given");
  per_epoch_ = options_.drop_last ? n / size : (n + size - 1) / size;
  NF_CHECK(per_epoch_ > 0, "[batches] a batch of ", size, " cannot be filled from ", n,
           " samples; take a smaller one or keep the short batch (drop_last = false)");
  split_.x = split_.x.to(options_.device).contiguous();
  for (Tensor* beside : {&split_.labels, &split_.given}) {
    if (beside->defined()) *beside = beside->to(options_.device).contiguous();
  }
  if (!options_.shuffle) order_ = Tensor::arange(n, DType::I32).to(options_.device);
  start();
}

void Batches::seek(std::int64_t epoch, std::int64_t index) {
  NF_CHECK(epoch >= 0 && index >= 0 && index <= per_epoch_, "[batches] no batch ", index,
           " in epoch ", epoch, "; an epoch has ", per_epoch_);
  epoch_ = index == per_epoch_ ? epoch + 1 : epoch;
  index_ = index % per_epoch_;
  start();
}

void Batches::start() {
  pending_ = {};  // waits for a batch that is no longer wanted; nobody reads order_ after this
  const std::int64_t n = split_.size();
  if (options_.shuffle && order_epoch_ != epoch_) {
    // The top bit keeps these streams apart from those of the noise drawn with the same seed.
    Generator gen(options_.seed, std::uint64_t{1} << 63 | static_cast<std::uint64_t>(epoch_));
    order_ = permutation(gen, n).to(options_.device);
    if (options_.device != Device::CPU) check_indices(order_, n);  // once, not for every batch
    order_epoch_ = epoch_;
  }
  const std::int64_t first = index_ * options_.batch_size;
  pending_ = gather(first, std::min(options_.batch_size, n - first));
}

std::future<Batch> Batches::gather(std::int64_t first, std::int64_t count) {
  const Tensor rows = order_.narrow(0, first, count);
  if (options_.device != Device::CPU || options_.rows_only) {
    Batch batch{.rows = rows, .epoch = epoch_, .index = index_};
    if (!options_.rows_only) {
      batch.x = index_select(split_.x, 0, rows);
      if (split_.given.defined()) batch.given = index_select(split_.given, 0, rows);
    }
    if (split_.labels.defined()) batch.labels = index_select(split_.labels, 0, rows);
    std::promise<Batch> done;
    done.set_value(std::move(batch));
    return done.get_future();
  }
  // All tensors are made here, on the caller's thread; the other one only copies rows.
  Batch batch{.x = empty_rows(split_.x, count), .rows = rows, .epoch = epoch_, .index = index_};
  if (split_.labels.defined()) batch.labels = empty_rows(split_.labels, count);
  if (split_.given.defined()) batch.given = empty_rows(split_.given, count);
  constexpr std::size_t kWorthAThread = 1 << 16;  // bytes: starting one takes longer than this copy
  const bool large = static_cast<std::size_t>(count) * row_bytes(split_.x) >= kWorthAThread;
  // With both, next() does the work itself where no thread can be started.
  constexpr auto kThread = std::launch::async | std::launch::deferred;
  return std::async(
      large ? kThread : std::launch::deferred, [this, count, batch = std::move(batch)]() mutable {
        const std::span rows(batch.rows.data<std::int32_t>(), static_cast<std::size_t>(count));
        copy_rows(split_.x, rows, batch.x);
        if (batch.labels.defined()) copy_rows(split_.labels, rows, batch.labels);
        if (batch.given.defined()) copy_rows(split_.given, rows, batch.given);
        return std::move(batch);
      });
}

Batch Batches::next() {
  const Profile::Scope part("data");
  Batch batch = pending_.get();
  if (++index_ == per_epoch_) {
    index_ = 0;
    ++epoch_;
  }
  start();
  return batch;
}

}  // namespace nf::data
