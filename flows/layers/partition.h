// Partition: which dimensions a coupling leaves alone and which it changes.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "autograd/functions.h"

namespace nf::flows {

/// Splits x into a passive part, on which the coupling conditions, and an active part, which it
/// changes, and joins them again in the original order. x is (N, D), or images (N, H, W, D), whose
/// D channels are split at every pixel; a checkerboard splits their pixels.
class Partition {
 public:
  /// The first D/2 dimensions (rounded up) are passive; with swap, active.
  static Partition halves(std::int64_t dims, bool swap = false);
  /// Dimensions 0, 2, 4, ... are passive; with swap, active (the odd/even split of NICE, 5.1).
  static Partition odd_even(std::int64_t dims, bool swap = false);
  /// The dimensions listed are active, in this order. Throws when one is out of range or repeated.
  static Partition indices(std::int64_t dims, const std::vector<std::int64_t>& active);
  /// Every dimension is active: of layers that change all, such as BatchNorm. No coupling.
  static Partition all(std::int64_t dims);
  /// Pixels with row + column even are passive; with swap, active (RealNVP, section 3.4). Images
  /// (N, H, W, D) have even H and W; each part is (N, H, W/2, D), row by row. The conditioner sees
  /// the passive part alone, half the work; `masked`, as the paper has it, all pixels (N, H, W, D),
  /// the active ones as 0.
  static Partition checkerboard(std::int64_t channels, bool swap = false, bool masked = false);

  /// D of x; of the part that the conditioner sees; of the part that it changes.
  std::int64_t dims() const { return board() ? passive_ : passive_ + active_; }
  std::int64_t passive() const { return passive_; }
  std::int64_t active() const { return active_; }
  bool masked() const { return kind_ == Kind::MaskedCheckerboard; }
  /// Which part is changed and which conditions: "odd given even".
  const std::string& text() const { return text_; }

  std::pair<Var, Var> split(const Var& x) const;  ///< (N, ..., passive), (N, ..., active)
  Var join(const Var& passive, const Var& active) const;
  /// The passive part as the conditioner sees it, and of what it answers (N, ..., any number) what
  /// belongs to the active part: both the same unless masked.
  Var shown(const Var& passive) const;
  Var of_active(const Var& answer) const;
  /// What lies beside images x, (N, H, W, G), as the conditioner sees it at its own pixels. Those
  /// of a checkerboard are half as many, each with what lies beside a passive pixel and beside the
  /// active one that belongs to it: (N, H, W/2, 2 G).
  Var beside(const Var& image) const;
  Shape shown_shape(const Shape& x) const;   ///< of shown(passive), for x of this shape
  Shape active_shape(const Shape& x) const;  ///< of the active part

 private:
  enum class Kind { All, Halves, OddEven, Indices, Checkerboard, MaskedCheckerboard };
  Partition(Kind kind, std::string text, std::int64_t passive, std::int64_t active, bool swap)
      : kind_(kind), text_(std::move(text)), passive_(passive), active_(active), swap_(swap) {}
  bool board() const { return kind_ == Kind::Checkerboard || kind_ == Kind::MaskedCheckerboard; }
  void check(const Shape& x) const;

  Kind kind_;
  std::string text_;
  std::int64_t passive_, active_;
  bool swap_;
  // Indices: i32 (D), dimensions in the order passive, active; and back. They move to the device of
  // the first data and stay there: a step that is recorded must find them where it looks.
  mutable Tensor order_, inverse_;
};

}  // namespace nf::flows
