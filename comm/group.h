// Group: the processes of one training, and what they tell each other.
//
// A group of one process needs no `if` anywhere: its sums and gathers are what it has itself. All
// functions that involve others are collective: every process of the group calls them in the same
// order.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "comm/wire.h"
#include "tensor/error.h"

namespace nf::comm {

/// A process of the group is gone: nothing collective works any more.
class Lost : public Error {
 public:
  Lost(const std::string& what, int rank) : Error(what), rank_(rank) {}
  int rank() const { return rank_; }

 private:
  int rank_;
};

/// What failed in one process and all were told of: each of them throws it.
class Failed : public Error {
 public:
  using Error::Error;
};

class Group {
 public:
  virtual ~Group();
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;

  int rank() const { return rank_; }  ///< of this process, from 0
  int size() const { return size_; }
  bool first() const { return rank_ == 0; }  ///< the one that writes and prints
  /// "rank 1 of 4 (node7)"
  std::string name_of(int rank) const;

  /// Sends `out` to the process `to` and fills `in` from the process `from` at the same time; -1:
  /// nobody. Throws Lost when one of them is gone.
  virtual void exchange(int to, std::span<const std::byte> out, int from,
                        std::span<std::byte> in) = 0;

  /// Element by element over all processes, the same bits in each: by one binary tree over the
  /// ranks, ((0 + 1) + (2 + 3)) + ..., whatever the number of elements. Where the size is a power
  /// of two by recursive halving and doubling: 2 (P - 1) / P of the bytes in 2 log2 P messages.
  /// With BF16 the values are rounded (wire.h), and so is each sum of two.
  void sum(std::span<float> values, Wire wire = Wire::Exact);
  void sum(std::span<double> values, Wire wire = Wire::Exact);
  // Of a sum that two processes have: what one has is added to what the other has.
  void add_from(int from, std::span<float> sum, Wire wire = Wire::Exact);
  void add_from(int from, std::span<double> sum, Wire wire = Wire::Exact);
  void send_to_add(int to, std::span<const float> out, Wire wire = Wire::Exact);
  void send_to_add(int to, std::span<const double> out, Wire wire = Wire::Exact);
  /// From process 0 to all others.
  void broadcast(std::span<std::byte> bytes);
  /// What each process has, in the order of ranks, in every process.
  std::vector<std::string> gather(const std::string& own);

  /// Ends all processes of the group that can still be ended, without a further word: after an
  /// error that not all of them know of.
  [[noreturn]] virtual void abort(int status);
  /// The end of a training that all processes have come to.
  virtual void finish() {}

  // Signs of life. A thread of each process gives one now and then, and looks at those of others: a
  // process that works for long is told from one that is stopped, or whose machine is.

  /// From now on: `lost(rank)` is called, by that thread, once a process was silent for `limit`
  /// seconds.
  void watch(double limit, std::function<void(int rank)> lost);
  void stop_watching();
  /// Where the training stands, for messages.
  void at_step(std::int64_t step) { step_.store(step, std::memory_order_relaxed); }
  std::int64_t step() const { return step_.load(std::memory_order_relaxed); }
  /// True in one of all processes, once: where several see the same loss, one tells.
  virtual bool first_to_tell() { return true; }

 protected:
  Group(int rank, int size) : rank_(rank), size_(size) {}
  void set_hosts(std::vector<std::string> hosts) { hosts_ = std::move(hosts); }
  virtual void give_sign() {}
  /// How many signs of a process were seen so far; -1: it is not for this process to look.
  virtual std::int64_t signs_of(int /*rank*/) { return -1; }

 private:
  void look_after(double limit);
  // Of numbers T, which travel as a Wired: a T itself, or a Bf16.
  template <class Wired, class T>
  void exchange_as(int other, std::span<const T> have, std::span<T> want);
  template <class Wired, class T>
  void exchange_and_add(int to, std::span<const T> out, int from, std::span<T> sum);
  template <class T>
  void add_as(Wire wire, int to, std::span<const T> out, int from, std::span<T> sum);
  template <class Wired, class T>
  void sum_as(std::span<T> values);

  int rank_, size_;
  std::vector<std::string> hosts_;  // of each rank; empty: unknown
  std::atomic<std::int64_t> step_ = 0;
  std::thread watcher_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool watching_ = false;
  std::function<void(int)> lost_;
};

/// This process alone.
std::unique_ptr<Group> alone();
/// What this machine is called.
std::string host_name();

}  // namespace nf::comm
