#include "tensor/threads.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "tensor/error.h"
#include "tensor/processor.h"
#include "tensor/signals.h"

namespace nf {
namespace {

constexpr int kMaxThreads = 1024;
// A thread that waits looks again and again for so long before it sleeps: waking one up takes tens
// of microseconds, as long as a loop over a few hundred kilobytes.
constexpr std::chrono::microseconds kSpin{40};

int default_threads() {
  if (const char* text = std::getenv("NF_NUM_THREADS"); text && *text) {
    const std::string_view value(text);
    int n = 0;
    const auto [end, error] = std::from_chars(value.begin(), value.end(), n);
    NF_CHECK(error == std::errc() && end == value.end() && n >= 1 && n <= kMaxThreads,
             "[threads] NF_NUM_THREADS is \"", value, "\"; give a whole number from 1 to ",
             kMaxThreads, ", or unset it to use all processors");
    return n;
  }
  return usable_processors();
}

/// All that the files hold, a blank between two; "" without one of them.
std::string text_of(std::initializer_list<const char*> paths) {
  std::string text;
  for (const char* path : paths) {
    std::ifstream file(path);
    std::string part;
    if (!std::getline(file, part)) return "";
    text += part + " ";
  }
  return text;
}

/// What the container may take, by cgroups of version 2 and 1; 0: no limit.
int processors_of_container() {
  const int v2 = processors_of_quota(text_of({"/sys/fs/cgroup/cpu.max"}));
  return v2 > 0 ? v2
                : processors_of_quota(text_of({"/sys/fs/cgroup/cpu/cpu.cfs_quota_us",
                                               "/sys/fs/cgroup/cpu/cpu.cfs_period_us"}));
}

std::atomic<int>& thread_count() {
  static std::atomic<int> count = default_threads();
  return count;
}

/// Waits until `value` is not `old`: first awake, then asleep.
void wait_while(const std::atomic<int>& value, int old) {
  const auto deadline = std::chrono::steady_clock::now() + kSpin;
  while (std::chrono::steady_clock::now() < deadline) {
    for (int i = 0; i < 16; ++i) {
      if (value.load(std::memory_order_acquire) != old) return;
      pause_thread();
    }
  }
  while (value.load(std::memory_order_acquire) == old) value.wait(old);
}

/// True on a thread that is running a range: loops inside it run on that thread.
thread_local bool inside_range = false;

/// One loop at a time. Range t belongs to worker t, and range 0 to the caller, so that in a
/// sequence of loops over the same tensors each thread finds its part in its own cache. When the
/// caller is done with range 0 it takes over ranges whose workers have not woken up yet.
class Pool {
 public:
  void run(std::int64_t n, std::int64_t grain, int ranges, detail::RangeFn fn, void* body) {
    start_workers(ranges - 1);
    job_ = {n, grain, ranges, fn, body};
    pending_ = ranges;
    for (int t = 1; t < ranges; ++t) {
      workers_[t]->range_ready = 1;
      workers_[t]->range_ready.notify_one();
    }
    run_range(0);
    for (int t = 1; t < ranges; ++t) {
      if (workers_[t]->range_ready.exchange(0) == 1) run_range(t);
    }
    for (int left = pending_; left != 0; left = pending_) wait_while(pending_, left);
    if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
  }

  std::mutex one_loop;

 private:
  struct Job {
    std::int64_t n, grain;
    int ranges;
    detail::RangeFn fn;
    void* body;
  };
  struct alignas(64) Worker {
    std::atomic<int> range_ready = 0;  ///< whoever changes 1 to 0 runs the range
  };

  void start_workers(int count) {
    if (workers_.empty()) workers_.emplace_back();  // the caller's place
    while (static_cast<int>(workers_.size()) <= count) {
      const int t = static_cast<int>(workers_.size());
      workers_.push_back(std::make_unique<Worker>());
      try {
        const SignalsToOthers while_it_starts;
        std::thread(&Pool::work, this, t, workers_[t].get()).detach();
      } catch (const std::system_error& error) {
        workers_.pop_back();
        fail(str("[threads] cannot start thread ", t + 1, ": ", error.what(),
                 "; use fewer by NF_NUM_THREADS or set_num_threads"));
      }
    }
  }

  void work(int t, Worker* self) {
    for (;;) {
      wait_while(self->range_ready, 0);
      if (self->range_ready.exchange(0) == 1) run_range(t);
    }
  }

  void run_range(int t) {
    const std::int64_t grains = (job_.n + job_.grain - 1) / job_.grain;
    const std::int64_t begin = grains * t / job_.ranges * job_.grain;
    const std::int64_t end = std::min(grains * (t + 1) / job_.ranges * job_.grain, job_.n);
    inside_range = true;
    try {
      job_.fn(job_.body, begin, end);
    } catch (...) {
      const std::lock_guard lock(error_mutex_);
      if (!error_) error_ = std::current_exception();
    }
    inside_range = false;
    if (pending_.fetch_sub(1) == 1) pending_.notify_one();
  }

  Job job_{};
  std::atomic<int> pending_ = 0;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::mutex error_mutex_;
  std::exception_ptr error_;
};

/// Never destroyed: its threads sleep until the process ends, whatever static destructors still do.
Pool& pool() {
  static Pool* const pool = new Pool;
  return *pool;
}

}  // namespace

int processors_of_quota(std::string_view text) {
  double quota = 0, period = 0;
  std::istringstream in{std::string(text)};
  if (!(in >> quota >> period) || !(quota > 0) || !(period > 0)) return 0;
  return static_cast<int>(std::clamp(std::ceil(quota / period), 1.0, double{kMaxThreads}));
}

int usable_processors() {
  cpu_set_t set;
  // The call fails where the machine has more processors than a cpu_set_t has bits.
  const bool known = sched_getaffinity(0, sizeof set, &set) == 0;
  const int bound = known ? std::clamp(CPU_COUNT(&set), 1, kMaxThreads) : kMaxThreads;
  const int quota = processors_of_container();
  return quota > 0 ? std::min(quota, bound) : bound;
}

int num_threads() { return thread_count(); }

void set_num_threads(int n) {
  NF_CHECK(n >= 0 && n <= kMaxThreads, "[set_num_threads] ", n, " threads; give 1 to ", kMaxThreads,
           ", or 0 for the default");
  thread_count() = n == 0 ? default_threads() : n;
}

void detail::parallel_for(std::int64_t n, std::int64_t grain, RangeFn fn, void* body) {
  if (n <= 0) return;
  grain = std::max<std::int64_t>(grain, 1);
  const int ranges =
      static_cast<int>(std::min<std::int64_t>(num_threads(), (n + grain - 1) / grain));
  if (ranges > 1 && !inside_range) {
    // A second user thread that comes while a loop is running works alone.
    if (const std::unique_lock lock(pool().one_loop, std::try_to_lock); lock.owns_lock()) {
      pool().run(n, grain, ranges, fn, body);
      return;
    }
  }
  fn(body, 0, n);
}

}  // namespace nf
