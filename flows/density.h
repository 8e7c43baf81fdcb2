// Density: a probability density of rows, which may depend on what is given.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "flows/condition.h"
#include "flows/samples.h"
#include "tensor/random.h"

namespace nf::flows {

/// How log densities are told to people.
struct Convention {
  /// Added to log_prob to give `nats`: D ln K for K-level data spoken of on [0, 1], 0 for real
  /// data.
  double nats_offset = 0;
  std::string text;  ///< one line in words
};

/// What can be trained, evaluated and drawn from. FlowDensity (flow_density.h) is the kind with
/// latents; a model without any, as an autoregressive one of discrete data, derives from this.
///
/// log_prob is in nats in the units of the data as given: for u8 pixels that is the log probability
/// of the levels 0..255 (of fewer bits 0..K-1), because preprocessing is part of the density. So
/// bits/dim is -log_prob / (D ln 2), with no constant to forget.
///
/// `given` (N, G) is what a conditional density p(x | given) depends on, as the data have it; its
/// Condition makes the context of it. A density without a Condition hands it to its layers as it
/// is.
class Density : public nn::Module {
 public:
  /// x (N, D) -> (N), nats.
  virtual Var log_prob(const Var& x, const Var& given = {}) = 0;
  /// log_prob of data's rows `rows`, i32 (B), with the same rows of `given`.
  virtual Var log_prob_rows(const Tensor& data, const Tensor& rows, const Tensor& given = {});
  /// What training brings up, (N): log_prob, or what a model is trained by in its place, whose mean
  /// over a batch then counts. It may depend on the update that begin_step() said.
  virtual Var training_log_prob(const Var& x, const Var& given = {}) { return log_prob(x, given); }
  virtual Var training_log_prob_rows(const Tensor& data, const Tensor& rows,
                                     const Tensor& given = {}) {
    return log_prob_rows(data, rows, given);
  }
  /// The next losses are for the update behind `step` others: a Trainer says so before each,
  /// outside of what is recorded.
  virtual void begin_step(std::int64_t /*step*/) {}
  /// Draws of the importance-weighted bound (EvaluateOptions::importance) that training brings up,
  /// and by which it is validated; 1: log_prob itself.
  virtual int bound_draws() const { return 1; }
  /// n draws (n, D) on the density's device. `given`: (n, G). `temperature` scales what is drawn,
  /// where that has a meaning.
  virtual Tensor sample(Generator& gen, std::int64_t n, double temperature = 1,
                        const Var& given = {}) = 0;
  /// Draws and their log_prob in one pass, with gradients in the parameters: what an objective
  /// needs that is an expectation over the density. Throws Error for densities that have no such
  /// draws.
  struct Drawn {
    Var x;         ///< (n, D)
    Var log_prob;  ///< (n)
  };
  virtual Drawn draw(Generator& gen, std::int64_t n, const Var& given = {});

  /// Whether log_prob is a lower bound on average and not the exact value.
  virtual bool bound() const = 0;
  /// K when the data are levels 0..K-1, 0 when they are real.
  virtual int levels() const { return 0; }
  /// (D), 1 for columns of whole numbers among reals; undefined without any.
  virtual Tensor whole_columns() const { return {}; }
  /// Sets initial values from training rows, as many as initial_rows() asks for, with what is given
  /// as their context.
  virtual void initialize(const Samples& /*rows*/) {}
  virtual std::int64_t initial_rows() const { return 0; }
  /// Where NaN or infinity first appears for the batch x: what is given, a layer, a parameter or
  /// "log_prob";
  /// nothing when all is finite.
  virtual std::optional<std::string> find_nonfinite(const Tensor& x, const Tensor& given = {});

  /// nats of log_prob to bits per dimension of the discrete (or real) data.
  double bits_per_dim(double log_prob) const;
  /// log_prob in the units of the convention.
  double nats(double log_prob) const { return log_prob + convention_.nats_offset; }

  std::int64_t dims() const { return dims_; }
  const Convention& convention() const { return convention_; }
  /// Nothing: the density is not conditional.
  const std::shared_ptr<Condition>& condition() const { return condition_; }
  /// What a file of weights says beside its tensors, so that others can use them; empty for a
  /// density that is not of flows/models/build.h.
  const std::map<std::string, std::string>& description() const { return description_; }
  void set_description(std::map<std::string, std::string> d) { description_ = std::move(d); }
  /// Throws Error when what a file says of itself contradicts the description: the message begins
  /// with `file` and names the first setting that differs with both values. What one of the two
  /// does not say is not compared.
  void check_description(const std::map<std::string, std::string>& said,
                         const std::string& file) const;

  /// Whether initial values were set from data. Training sees to it that this is done once: a
  /// second time would take back what was learned.
  bool initialized() const { return initialized_; }
  void mark_initialized() { initialized_ = true; }

 protected:
  /// dims: D of the data. `condition` becomes a part of the density.
  Density(std::int64_t dims, Convention convention, std::shared_ptr<Condition> condition = nullptr);
  /// The context (n, C) of what is given with n samples. Throws Error where it is missing, or does
  /// not fit.
  Var context_of(const Var& given, std::int64_t n) const;
  /// "what is given" or a parameter, where it is not finite.
  std::optional<std::string> nonfinite_input(const Tensor& given);

 private:
  std::int64_t dims_;
  Convention convention_;
  std::shared_ptr<Condition> condition_;
  std::map<std::string, std::string> description_;
  bool initialized_ = false;
};

/// While it lives, a density is in evaluation mode, nothing is recorded, and its generators are
/// those of `seed`, each with a stream of its own. The destructor puts back what was, also when
/// something throws in between.
class Examination {
 public:
  explicit Examination(Density& density, std::uint64_t seed = 0);
  ~Examination();
  Examination(const Examination&) = delete;
  Examination& operator=(const Examination&) = delete;

 private:
  const NoGrad no_grad_;
  Density& density_;
  bool was_training_;
  const KeepGenerators keep_;
};

}  // namespace nf::flows
