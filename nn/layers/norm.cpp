#include "nn/layers/norm.h"

namespace nf::nn {

namespace {

thread_local const StatisticsPass* current_pass = nullptr;

}  // namespace

Moments moments_of(const Var& x) {
  Axes axes;
  for (int i = 0; i + 1 < x.rank(); ++i) axes.push_back(i);
  return {mean(x, axes), variance(x, axes)};
}

StatisticsPass::StatisticsPass() : outer_(current_pass) { current_pass = this; }
StatisticsPass::~StatisticsPass() { current_pass = outer_; }
const StatisticsPass* StatisticsPass::current() { return current_pass; }

// --- BatchStatistics ----------------------------------------------------------------------------

BatchStatistics::BatchStatistics(std::int64_t channels, double lag)
    : lag_(lag),
      mean_(add_buffer("running_mean", Tensor::zeros({channels}))),
      variance_(add_buffer("running_var", Tensor::ones({channels}))) {
  NF_CHECK(channels > 0, "[BatchNorm] needs channels, got ", channels);
  NF_CHECK(lag >= 0 && lag < 1, "[BatchNorm] needs a lag of 0 to less than 1, got ", lag);
  if (lag == 0) return;
  lagged_mean_ = &add_buffer("lagged_mean", Tensor::zeros({channels}));
  lagged_variance_ = &add_buffer("lagged_var", Tensor::ones({channels}));
}

Moments BatchStatistics::take(const Moments& batch) {
  observe(batch);
  if (lag_ == 0 || StatisticsPass::current()) return batch;
  return {lagged(*lagged_mean_, batch.mean), lagged(*lagged_variance_, batch.variance)};
}

Var BatchStatistics::lagged(Tensor& average, const Var& batch) const {
  const Var moved = batch * (1 - lag_) + Var(average * lag_);
  if (Tape::recording()) average.copy_(moved.value());
  return moved;
}

void BatchStatistics::observe(const Moments& batch) {
  constexpr double kStep = 0.1;
  const StatisticsPass* pass = StatisticsPass::current();
  if (!pass && !Tape::recording()) return;
  const Tensor &mean = batch.mean.value(), &variance = batch.variance.value();
  if (pass && pass->batches() <= 1) {
    mean_.copy_(mean);
    variance_.copy_(variance);
    return;
  }
  const double step = pass ? 1.0 / static_cast<double>(pass->batches()) : kStep;
  const Tensor distance = mean - mean_;
  Tensor moved = variance_ + (variance - variance_) * step;
  if (pass) moved = moved + distance * distance * (step * (1 - step));  // of means among batches
  mean_.copy_(mean_ + distance * step);
  variance_.copy_(moved);
}

std::vector<Tensor> BatchStatistics::tensors() const {
  if (lag_ == 0) return {mean_, variance_};
  return {mean_, variance_, *lagged_mean_, *lagged_variance_};
}

std::vector<Tensor> statistics_of(const Module& module) {
  std::vector<Tensor> all;
  module.for_each_module([&](const std::string&, const Module& part) {
    const auto* statistics = dynamic_cast<const BatchStatistics*>(&part);
    if (!statistics) return;
    for (const Tensor& tensor : statistics->tensors()) all.push_back(tensor);
  });
  return all;
}

bool has_statistics(const Module& module) { return !statistics_of(module).empty(); }

// --- BatchNorm ----------------------------------------------------------------------------------

BatchNorm::BatchNorm(const BatchNormOptions& options)
    : channels_(options.channels),
      statistics_(
          add_module("", std::make_shared<BatchStatistics>(options.channels, options.lag))) {
  if (options.bias) bias_ = &add_parameter("bias", Tensor::zeros({channels_}));
}

Var BatchNorm::forward(const Var& x) {
  NF_CHECK(x.rank() >= 2 && x.dim(-1) == channels_, "[BatchNorm] expected (N, ..., ", channels_,
           "), got ", x.shape());
  Moments moments = statistics_.running();
  if (training() && x.numel() > 0) {
    moments = statistics_.take(moments_of(x));
  }
  const Var scale = rsqrt(moments.variance + kEps);
  const Var shift = -moments.mean * scale;
  return x * scale + (bias_ ? shift + *bias_ : shift);
}

double BatchNorm::flops(const Shape& in) const {
  return static_cast<double>(2 * in.numel() + (bias_ ? 5 : 4) * channels_);
}

// --- LayerNorm ----------------------------------------------------------------------------------

LayerNorm::LayerNorm(std::int64_t channels)
    : channels_(channels),
      scale_(add_parameter("scale", Tensor::ones({channels}))),
      bias_(add_parameter("bias", Tensor::zeros({channels}))) {
  NF_CHECK(channels > 0, "[LayerNorm] needs channels, got ", channels);
}

Var LayerNorm::forward(const Var& x) {
  NF_CHECK(x.rank() >= 2 && x.dim(-1) == channels_, "[LayerNorm] expected (N, ..., ", channels_,
           "), got ", x.shape());
  const Var centred = x - mean(x, {-1}, true);
  const Var scale = rsqrt(mean(square(centred), {-1}, true) + kEps);
  return centred * scale * scale_ + bias_;
}

double LayerNorm::flops(const Shape& in) const {
  return 7 * static_cast<double>(in.numel());  // mean, x - mean, square, its mean, three more
}

}  // namespace nf::nn
