// A density in the plane and a flow that learns it, some steps at a time; and digits of weights
// that were trained elsewhere. What the page of docs/playground shows is computed here.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "flows/flow_density.h"
#include "flows/train/fit.h"

namespace nf::web {

/// The names of the densities that may be learned (data/toy2d.h).
std::vector<std::string> densities();

class Playground {
 public:
  /// `model`: a preset for the plane, realnvp-2d, nsf or maf, whose rate falls over `steps`
  /// updates. Throws Error for names that do not exist, and steps below 1.
  Playground(const std::string& model, const std::string& density, std::int64_t steps,
             std::uint64_t seed);
  /// Of a drawn density: a Gaussian of deviation `blur` around each of the points x0, y0, x1, y1,
  /// ..., in [-4, 4]. Throws Error for fewer than two points, or one that is not finite.
  Playground(const std::string& model, std::span<const float> points, double blur,
             std::int64_t steps, std::uint64_t seed);

  /// Trains for so many updates, at most to the end; returns the mean of their batches' losses in
  /// nats, NaN when training had ended.
  double train(std::int64_t updates);
  std::int64_t step() const { return trainer_->step(); }
  /// -E[ln q(x)] of held-out rows, in nats: with the entropy as its floor.
  double loss();
  double entropy() const { return data_.entropy; }  ///< NaN of a drawn density

  /// (n, 2): rows of the density; draws of the model, new ones in each call; data of latents z.
  Tensor data(std::int64_t n) const;
  Tensor samples(std::int64_t n);
  Tensor warped(const Tensor& z);
  /// q at the middles of side x side squares of [-extent, extent]^2: (side, side), row 0 at the
  /// lowest y.
  Tensor density(std::int64_t side, double extent);

 private:
  Playground(const std::string& model, data::Dataset data, std::int64_t steps, std::uint64_t seed);

  data::Dataset data_;
  std::shared_ptr<flows::FlowDensity> flow_;
  std::unique_ptr<flows::Trainer> trainer_;
  Generator draws_;
};

/// Weights of a model of pixels (best.safetensors of a run of nice), which say of themselves what
/// model they are of (docs/weights.md).
class Digits {
 public:
  /// Throws Error for a file that is damaged, or of a model that is not here or not of pixels.
  explicit Digits(const std::string& path, std::uint64_t seed = 1);
  std::int64_t side() const { return side_; }  ///< of the square pictures
  /// u8 (n, side^2), new draws in each call.
  Tensor samples(std::int64_t n, double temperature);

 private:
  std::int64_t side_ = 0;
  std::shared_ptr<flows::FlowDensity> flow_;
  Generator draws_;
};

}  // namespace nf::web
