// BackwardWatch: for who uses gradients while backward still runs, to send them to others.
//
// Which are complete? Every node holds the slots that it adds to. So the gradient of a leaf is
// complete when no node of the tape holds its slot any more: when slot().use_count() is again what
// it was before anything was recorded.
#pragma once

#include <functional>

namespace nf {

/// While it lives, Tape::backward of this thread calls `passed` after each node, which is freed by
/// then; the backward of a tape within a node does not.
class BackwardWatch {
 public:
  explicit BackwardWatch(std::function<void()> passed);
  ~BackwardWatch();
  BackwardWatch(const BackwardWatch&) = delete;
  BackwardWatch& operator=(const BackwardWatch&) = delete;

 private:
  friend class Tape;
  std::function<void()> passed_;
  BackwardWatch* before_;
};

}  // namespace nf
