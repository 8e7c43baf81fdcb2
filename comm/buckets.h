// A row of numbers that is worked through from its end by a thread, as far as it is there.
//
//   elements  0 ............ n      backward fills it from the end
//                 <- | 2 | 1 | 0    buckets in the order of the work, whose bounds are the same in
//                                   all processes
#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>

namespace nf::comm {

struct Range {
  std::int64_t begin = 0, end = 0;
  std::int64_t count() const { return end - begin; }
};

using RangeWork = std::function<void(Range)>;

/// work() for all elements 0 to n - 1, in buckets of `size`, the last one first.
void for_buckets(std::int64_t n, std::int64_t size, const RangeWork& work);

/// The same by a thread, each bucket as soon as it is complete.
class BucketWorker {
 public:
  BucketWorker(std::int64_t n, std::int64_t size, RangeWork work);
  /// Waits for the bucket that is under way, and leaves the others.
  ~BucketWorker();
  BucketWorker(const BucketWorker&) = delete;
  BucketWorker& operator=(const BucketWorker&) = delete;

  /// All elements from `first` on are there: nobody else touches them any more.
  void complete_from(std::int64_t first);
  /// Waits until all is done, which must be complete. Throws what work() threw: it is not called
  /// after that.
  void finish();
  // When finished:
  double busy_seconds() const { return busy_; }  ///< spent in work()
  double began() const { return began_; }        ///< seconds_now() of the first work()

 private:
  void run(std::int64_t n, std::int64_t size);
  bool wait_for(std::int64_t first);

  RangeWork work_;
  std::mutex mutex_;
  std::condition_variable told_;
  std::int64_t complete_;
  bool left_ = false;
  std::exception_ptr error_;
  double busy_ = 0, began_ = 0;
  std::thread thread_;  // the last member: it uses the others
};

}  // namespace nf::comm
