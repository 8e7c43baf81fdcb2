// BatchNorm and LayerNorm: channels with mean 0 and variance 1, in a batch or at each place.
#pragma once

#include <string>
#include <vector>

#include "nn/layers/linear.h"

namespace nf::nn {

/// Of channels: (C) each. The variance divides by the number of values.
struct Moments {
  Var mean, variance;
};

/// Of x (N, ..., C), over all axes but the last; gradients go through.
Moments moments_of(const Var& x);

/// While it lives, statistics that are observed are averaged, for data that pass in batches of one
/// size: they become mean and variance of all of them. What a layer observes is exact for the
/// values that reach it. Batches pass in train mode, without a tape, and next_batch() is called
/// before each. (PyTorch's update_bn averages variances; here means may differ between batches.)
class StatisticsPass {
 public:
  StatisticsPass();
  ~StatisticsPass();
  StatisticsPass(const StatisticsPass&) = delete;
  StatisticsPass& operator=(const StatisticsPass&) = delete;
  void next_batch() { ++batches_; }
  std::int64_t batches() const { return batches_; }
  static const StatisticsPass* current();  ///< of this thread, or null

 private:
  const StatisticsPass* outer_;
  std::int64_t batches_ = 0;
};

/// Running statistics of batches, which a module that normalises adds under the name "": buffers
/// running_mean and running_var (C), which begin as 0 and 1. With a lag also lagged_mean and
/// lagged_var, of training alone: no StatisticsPass changes them. Throws Error unless there are
/// channels and 0 <= lag < 1.
class BatchStatistics : public Module {
 public:
  explicit BatchStatistics(std::int64_t channels, double lag = 0);
  Moments running() const { return {Var(mean_), Var(variance_)}; }
  /// What a batch is normalised by in train mode, after it was observed: its own moments. With a
  /// lag rho, but for a StatisticsPass, rho lagged + (1 - rho) batch, to which the lagged ones move
  /// where a tape records; gradients go through the batch's part alone. (Dinh et al., "Real NVP"
  /// (2017), appendix E)
  Moments take(const Moments& batch);
  /// In a step of training, that is where a tape records, the running ones move by a tenth of the
  /// difference; so a step that computes some values twice moves them once. Within a StatisticsPass
  /// they become the averages. Else nothing happens.
  void observe(const Moments& batch);
  std::string kind() const override { return "BatchStatistics"; }
  std::vector<Tensor> tensors() const;  ///< its buffers themselves, not copies

 private:
  Var lagged(Tensor& average, const Var& batch) const;

  double lag_;
  Tensor& mean_;
  Tensor& variance_;
  Tensor *lagged_mean_ = nullptr, *lagged_variance_ = nullptr;  // null without a lag
};

/// Whether there are such statistics in the module.
bool has_statistics(const Module& module);
/// All of a module: the tensors themselves, not copies, in a fixed order.
std::vector<Tensor> statistics_of(const Module& module);

struct BatchNormOptions {
  std::int64_t channels = 0;
  bool bias = true;  ///< the learned b, from 0
  double lag = 0;    ///< of BatchStatistics
};

/// y = (x - mean) / sqrt(variance + 1e-4) + b for each channel, x (N, ..., C): in train mode with
/// what BatchStatistics takes of the batch, in evaluation mode, and where the batch is empty, with
/// the running ones. There is no learned scale. NaN goes through, into the running ones too.
/// (Ioffe, Szegedy 2015; as Dinh et al., "Real NVP" (2017), have it in their networks) Throws Error
/// for other channels.
class BatchNorm : public Layer {
 public:
  static constexpr double kEps = 1e-4;
  explicit BatchNorm(const BatchNormOptions& options);
  Var forward(const Var& x) override;
  std::string kind() const override { return str("BatchNorm(", channels_, ")"); }
  double flops(const Shape& in) const override;  ///< in evaluation mode

 private:
  std::int64_t channels_;
  Var* bias_ = nullptr;
  BatchStatistics& statistics_;
};

/// y = (x - mean) / sqrt(variance + 1e-5) * scale + bias, mean and variance over the channels of
/// each place by itself: x (N, ..., C), scale (C) from 1, bias (C) from 0. It is the same in train
/// and evaluation mode. (Ba, Kiros, Hinton 2016) Throws Error for other channels.
class LayerNorm : public Layer {
 public:
  static constexpr double kEps = 1e-5;
  explicit LayerNorm(std::int64_t channels);
  Var forward(const Var& x) override;
  std::string kind() const override { return str("LayerNorm(", channels_, ")"); }
  double flops(const Shape& in) const override;

 private:
  std::int64_t channels_;
  Var& scale_;
  Var& bias_;
};

}  // namespace nf::nn
