// BatchNorm: what a coupling changes gets mean 0 and variance 1.
#pragma once

#include <string>

#include "flows/bijection.h"
#include "flows/layers/partition.h"
#include "nn/layers/norm.h"

namespace nf::flows {

/// z = (x - mean) / sqrt(variance + 1e-4) of the active part of x (N, ..., D), each channel of its
/// own; the passive part stays. log_det = -P/2 sum ln(variance + 1e-4) for P active pixels. Nothing
/// is learned. (Dinh, Sohl-Dickstein, Bengio, "Real NVP" (2017), section 3.7)
///
/// In train mode forward takes mean and variance of the batch, with a lag those of
/// nn::BatchStatistics. Then the map is of the whole batch,
/// and each sample changes it a little; its Jacobian as a whole is singular, since the outputs'
/// mean is 0 whatever the inputs are. What is told per sample is, as in the paper, log|det| of the
/// map in which mean and variance are constants; gradients do go through what the batch gives to
/// both. Evaluation mode
/// takes the running statistics (nn::BatchStatistics), and so does inverse in both modes: in train
/// mode it is the inverse only as far as they are those of the batch. walk_back, of a forward pass
/// in train mode, takes those of that batch.
///
/// With a masked checkerboard the statistics are of the active part among the zeros of the mask, as
/// in the paper's code: mean m/2, variance v/2 + m^2/4.
class BatchNorm : public Bijection {
 public:
  explicit BatchNorm(Partition changed, double lag = 0);
  Mapped forward(const Var& x, const Var& context = {}) override;
  Mapped inverse(const Var& z, const Var& context = {}) override;
  Walked walk_back(const Walked& at, const Tensor& dlog_det, const Var& context) override;
  std::string kind() const override;
  double flops(const Shape& in) const override;  ///< in evaluation mode

 private:
  Mapped restored(const Var& z, const nn::Moments& moments) const;

  Partition changed_;
  nn::BatchStatistics& statistics_;
  // By what the last batch was normalised that passed in train mode with no tape: what walk_back
  // comes back to.
  nn::Moments batch_;
};

}  // namespace nf::flows
