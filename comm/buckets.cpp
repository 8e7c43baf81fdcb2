#include "comm/buckets.h"

#include <algorithm>
#include <utility>

#include "tensor/clock.h"

namespace nf::comm {

void for_buckets(std::int64_t n, std::int64_t size, const RangeWork& work) {
  for (std::int64_t end = n; end > 0;) {
    const std::int64_t begin = (end - 1) / size * size;
    work({begin, end});
    end = begin;
  }
}

BucketWorker::BucketWorker(std::int64_t n, std::int64_t size, RangeWork work)
    : work_(std::move(work)), complete_(n), thread_([this, n, size] { run(n, size); }) {}

BucketWorker::~BucketWorker() {
  {
    const std::lock_guard lock(mutex_);
    left_ = true;
  }
  told_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void BucketWorker::complete_from(std::int64_t first) {
  {
    const std::lock_guard lock(mutex_);
    if (first >= complete_) return;
    complete_ = first;
  }
  told_.notify_all();
}

bool BucketWorker::wait_for(std::int64_t first) {
  std::unique_lock lock(mutex_);
  told_.wait(lock, [&] { return left_ || complete_ <= first; });
  return !left_;
}

void BucketWorker::run(std::int64_t n, std::int64_t size) {
  try {
    for_buckets(n, size, [&](Range bucket) {
      if (!wait_for(bucket.begin)) return;
      const double before = seconds_now();
      if (bucket.end == n) began_ = before;
      work_(bucket);
      busy_ += seconds_now() - before;
    });
  } catch (...) {
    error_ = std::current_exception();
  }
}

void BucketWorker::finish() {
  thread_.join();
  if (error_) std::rethrow_exception(error_);
}

}  // namespace nf::comm
