// Optimizers, learning-rate schedules, gradient clipping, and the average of weights.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "nn/module.h"
#include "tensor/update_rules.h"

namespace nf::nn {

struct OptimizerOptions {
  UpdateRule rule = UpdateRule::Adam;
  double lr = 1e-3;
  double beta1 = 0.9;    ///< momentum of SGD and RMSProp, decay of Adam's first moment
  double beta2 = 0.999;  ///< decay of the second moment
  double eps = 1e-8;
  double weight_decay = 0;  ///< of the parameters named "weight", unless they say otherwise
                            ///< (ParameterOptions): the size of biases, scales and whitening
                            ///< matrices says something about the data
};

/// "sgd", "rmsprop", "rmsprop-floor", "adam", "adamw", "adamax". Throws Error for others.
UpdateRule update_rule_by_name(const std::string& name);
std::vector<std::string> update_rule_names();

/// Applies a rule of tensor/update_rules.h to all parameters of a module in one fused pass, each at
/// its own rate (ParameterOptions). A parameter without a gradient is left alone.
class Optimizer {
 public:
  Optimizer(Module& module, const OptimizerOptions& options);

  /// One update from the gradients at hand. `scale` (an f32 scalar, or undefined for 1) multiplies
  /// every gradient on the way: see clip_scale.
  /// Nothing is changed when it is NaN or infinite.
  void step(const Tensor& scale = {});
  /// Counts an update and gives its constants: what a recorded step() (tensor/graph.h) wants at
  /// each replay.
  UpdateArgs advance();

  double lr() const { return options_.lr; }
  void set_lr(double lr) { options_.lr = lr; }
  std::int64_t steps() const { return steps_; }

  void set_steps(std::int64_t steps) { steps_ = steps; }

  /// "m.<parameter>" and "v.<parameter>": the tensors themselves, not copies. With the number of
  /// steps this is all that continuing needs.
  StateDict state();

 private:
  OptimizerOptions options_;
  std::vector<std::pair<std::string, Var*>> parameters_;
  std::vector<Tensor> m_, v_;
  std::vector<UpdateFactors> factors_;  ///< of each parameter
  std::int64_t steps_ = 0;
};

/// Learning rate as a function of the step, by a factor on the base rate.
struct Schedule {
  enum class Kind { Constant, Exponential, Cosine, Step };
  Kind kind = Kind::Constant;
  std::int64_t warmup = 0;  ///< steps over which the factor first rises linearly from 0 to 1
  std::int64_t total = 0;   ///< Cosine: step at which the lowest factor is reached
  double decay = 1;         ///< Exponential: factor per step. Step: factor per `every` steps
  std::int64_t every = 1;   ///< Step: number of steps between drops
  double lowest = 0;        ///< the factor never falls below this after warm-up

  double factor(std::int64_t step) const;
};

/// "constant", "exponential", "cosine" and "step".
std::vector<std::string> schedule_names();
/// Throws for others.
Schedule::Kind schedule_by_name(const std::string& name);

/// Euclidean norm of all gradients together, each times its parameter's rate, an f64 scalar on the
/// parameters' device. NaN when one of them is NaN, infinite when one is infinite.
Tensor gradient_norm(Module& module);
/// min(1, max_norm / norm), an f32 scalar computed on the device: what to give to Optimizer::step.
/// NaN when the norm is NaN or infinite, so that no such update is done; the norm tells why.
Tensor clip_scale(const Tensor& norm, double max_norm);

/// Exponential moving average of a module's parameters: average += (1 - d) (p - average). d is
/// min(decay, (1 + n) / (10 + n)) at the update after n others, so that the weights of the
/// beginning are soon forgotten, however slow the decay. (as TensorFlow's ExponentialMovingAverage,
/// with num_updates)
class Ema {
 public:
  Ema(Module& module, double decay);
  void update(std::int64_t before);  ///< after so many updates
  /// The constants of update().
  UpdateArgs args(std::int64_t before) const;
  /// Exchanges the averages with the parameters; calling it again brings them back.
  void swap();
  /// "ema.<parameter>": the averages themselves, not copies.
  StateDict state();

 private:
  double decay_;
  std::vector<std::pair<std::string, Var*>> parameters_;
  std::vector<Tensor> average_;
};

}  // namespace nf::nn
