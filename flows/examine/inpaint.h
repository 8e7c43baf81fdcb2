// Filling in missing pixels by ascending the density. (NICE, section 5.2)
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "flows/flow_density.h"

namespace nf::flows {

/// How inpaint() goes up.
enum class Ascent {
  /// A row keeps a step only if its density rises, else its next step is half as long. Directions
  /// are gradients divided by their running size, number by number (as Adam's); noise is added to
  /// them in the first half of the steps, less and less. A model that begins with LevelCdf has a
  /// density that jumps from level to level, with hardly a slope between: there the ascent is in
  /// what LevelCdf makes of x, of which each level takes as much room as it is likely.
  Controlled,
  /// The paper's: steps and noise of a fixed size, which may end far below the start.
  Paper
};

struct InpaintOptions {
  Ascent ascent = Ascent::Controlled;
  int steps = 2000;
  /// The range of the numbers that are filled in: they begin uniform in it (behind a LevelCdf, as
  /// its levels are distributed) and are kept in it. Step sizes are for a range of width 1.
  double low = 0, high = 1;
  /// Ascent::Paper: factor of the gradient beside the noise. The paper's formula has 1; its
  /// authors' program takes the gradient of the mean over 100 images, which is 1/100 of each
  /// image's own.
  double gradient = 0.01;
  std::uint64_t seed = 0;  ///< of the start and the noise
  Tensor given = {};       ///< (N, G), of a conditional density; see Density
  /// Called after every step with the number of steps done; false ends the ascent there.
  std::function<bool(int)> on_step = {};
};

struct Inpainted {
  Tensor x;                   ///< (N, D)
  std::vector<double> start;  ///< ln p of each row as it began, nats
  std::vector<double> end;    ///< and of x; Ascent::Controlled: never below start
};

/// x (N, D) with what `observed` (u8 (N, D) or (D), 0: missing) does not cover replaced by likely
/// values, found by ascent of the density from random ones, within [low, high]. log_prob
/// has to be differentiable in x: of levels take density.continuous(), whose x is in [0, K).
/// Parameters get no gradients. Ascent::Paper is (NICE, section 5.2)
///
///     x <- x + a_i (g d ln p(x)/dx + e),   a_i = 10 / (100 + i),   e ~ N(0, 1)
///
/// Throws Error for shapes that do not fit, an empty range, no steps, and when the density of the
/// result is not finite.
Inpainted inpaint(FlowDensity& density, const Tensor& x, const Tensor& observed,
                  const InpaintOptions& options = {});

/// The paper's masks for images, by the part that is missing: top, bottom, odd, even, left, right,
/// middle-vertical (the middle half of the rows), middle-horizontal (of the columns), random-75 and
/// random-90 (so many percent of the pixels). Pixels count from 1, row by row.
const std::vector<std::string>& inpaint_masks();
/// Such a mask, u8 (height * width * channels): 1 where observed, alike in all channels. `gen` is
/// for the random ones. Throws Error for other names.
Tensor inpaint_mask(const std::string& name, std::int64_t channels, std::int64_t height,
                    std::int64_t width, Generator& gen);

}  // namespace nf::flows
