// Partition: which dimensions a coupling leaves alone and which it changes.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "autograd/functions.h"

namespace nf::flows {

/// Splits (N, D) into a passive part, on which the coupling conditions, and an active part, which
/// it changes, and joins them again in the original order.
class Partition {
 public:
  /// The first D/2 dimensions (rounded up) are passive; with swap, active.
  static Partition halves(std::int64_t dims, bool swap = false);
  /// Dimensions 0, 2, 4, ... are passive; with swap, active (the odd/even split of NICE, 5.1).
  static Partition odd_even(std::int64_t dims, bool swap = false);
  /// The dimensions listed are active, in this order. Throws when one is out of range or repeated.
  static Partition indices(std::int64_t dims, const std::vector<std::int64_t>& active);

  std::int64_t dims() const { return passive_ + active_; }
  std::int64_t passive() const { return passive_; }  ///< how many
  std::int64_t active() const { return active_; }
  /// Which part is changed and which conditions: "odd given even".
  const std::string& text() const { return text_; }

  std::pair<Var, Var> split(const Var& x) const;  ///< (N, passive), (N, active)
  Var join(const Var& passive, const Var& active) const;

 private:
  enum class Kind { Halves, OddEven, Indices };
  Partition(Kind kind, std::string text, std::int64_t passive, std::int64_t active, bool swap)
      : kind_(kind), text_(std::move(text)), passive_(passive), active_(active), swap_(swap) {}

  Kind kind_;
  std::string text_;
  std::int64_t passive_, active_;
  bool swap_;
  // Indices: i32 (D), dimensions in the order passive, active; and back. They move to the device of
  // the first data and stay there: a step that is recorded must find them where it looks.
  mutable Tensor order_, inverse_;
};

}  // namespace nf::flows
