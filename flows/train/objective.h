// Objective: what a training brings down.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "data/batches.h"
#include "flows/train/evaluate.h"

namespace nf::flows {

/// The mean of losses over samples, for the parameters of a density. A Trainer asks for the losses
/// of a batch at a time; what is drawn for them comes from generators that it places, so that
/// they are a function of the seed, the epoch and the sample.
class Objective {
 public:
  virtual ~Objective() = default;
  virtual Density& density() = 0;
  /// The samples of an epoch. Without data: (N, 0).
  virtual const data::Split& samples() const = 0;
  /// (B), nats: losses of batch.rows of `all`, which are the samples on the density's device.
  /// batch.x and batch.given are there on the CPU only.
  virtual Var losses(const data::Batch& batch, const data::Split& all) = 0;
  /// All that losses() draws from; the density's generators are among them.
  virtual std::vector<Generator*> generators() { return density().generators(); }
  /// Lets the density set its initial values from the samples.
  virtual void initialize() {}
  /// Running statistics of batches (nn::BatchStatistics) become those of the samples, for the
  /// density as it is and in train mode: before it is evaluated or kept.
  virtual void measure_statistics() {}
  /// What training is to bring up, -loss on what is not trained on, of the density as it is;
  /// nothing where nothing is held out. Of a density that is trained by a bound of K draws
  /// (Density::bound_draws) that bound. Of several processes each may take its shards of what is
  /// held out; all get the result.
  virtual std::optional<Evaluation> evaluate(const comm::Shards& shards) = 0;
  /// Where NaN or infinity first appears for the batch; nothing when all is finite.
  virtual std::optional<std::string> find_nonfinite(const data::Batch& batch,
                                                    const data::Split& all) = 0;
  /// The same for what evaluate() looks at.
  virtual std::optional<std::string> find_nonfinite_held_out() { return std::nullopt; }
};

/// -ln p(x | given): maximum likelihood, exact or of the bound that a density with noise has; or
/// what the density has in its place while it learns (Density::training_log_prob).
class MaximumLikelihood : public Objective {
 public:
  /// Keeps references. Validation rows are moved to the density's device, where they stay. `moves`:
  /// how training images are moved before their losses, anew in every epoch, by draws of `seed`;
  /// nothing else sees them moved. With data.intensities bits are drawn of these, too. Throws Error
  /// when the data do not fit the density, and for moves of what is no image.
  MaximumLikelihood(Density& density, const data::Dataset& data, const ImageMoves& moves = {},
                    std::uint64_t seed = 0);
  Density& density() override { return density_; }
  const data::Split& samples() const override { return data_.train; }
  Var losses(const data::Batch& batch, const data::Split& all) override;
  std::vector<Generator*> generators() override;
  void initialize() override;
  /// Of at most 10,000 training rows, drawn at random, in batches of 250.
  void measure_statistics() override;
  std::optional<Evaluation> evaluate(const comm::Shards& shards) override;
  std::optional<std::string> find_nonfinite(const data::Batch& batch,
                                            const data::Split& all) override;
  std::optional<std::string> find_nonfinite_held_out() override;

 private:
  /// The first `rows` training rows in an order drawn at random, with the noise of `round`.
  Samples some_samples(std::int64_t rows, std::uint64_t round);
  /// Whether training sees other rows than those of the training part.
  bool changes() const { return moves_.any() || intensities_.defined(); }
  /// The batch's samples, (B, D), moved where images are, and drawn where bits are.
  Tensor trained_on(const data::Batch& batch, const data::Split& all);

  Density& density_;
  const data::Dataset& data_;
  data::Split valid_;
  ImageMoves moves_;
  Generator moving_;
  Tensor intensities_;  // (N, D) on the density's device, or undefined
  Generator drawing_;
};

struct ReverseKlOptions {
  std::int64_t samples_per_epoch = 10'000;
  std::int64_t evaluated = 10'000;  ///< draws of an evaluation, the same ones in each
  /// ln p counts for (e + 1) / (annealed + 1) of itself in epoch e = 0, 1, .., below `annealed`, so
  /// that a part of the target that is far away is found before the rest is fitted. Steps that
  /// are recorded (FitOptions::graph) would not see the epoch change.
  std::int64_t annealed = 0;
  std::uint64_t seed = 0;  ///< of all draws
  /// ln q(x) is computed anew from the draws, with gradients through them alone. What is left out
  /// is 0 on average (the score), and without it gradients vanish where q is p (Roeder, Wu,
  /// Duvenaud 2017). A pass of log_prob more: for models where that is cheap. Splines in the plane
  /// came nearer to their targets without it (docs/results.md).
  bool path_gradient = false;
};

/// KL(q || p) = E_q[ln q(x) - ln p(x)] for a target density p that is known but for a constant
/// factor Z: losses are ln q(x) - ln p(x) of draws of q, with gradients through the draws
/// (Rezende, Mohamed 2015, eq. 15). What is brought up is a lower bound of ln Z.
class ReverseKl : public Objective {
 public:
  /// ln p(x) + constant for x (N, D): (N), differentiable in x, finite wherever q has mass.
  using LogTarget = std::function<Var(const Var& x)>;
  ReverseKl(Density& density, LogTarget log_target, const ReverseKlOptions& options = {});
  Density& density() override { return density_; }
  const data::Split& samples() const override { return samples_; }
  Var losses(const data::Batch& batch, const data::Split& all) override;
  std::vector<Generator*> generators() override;
  std::optional<Evaluation> evaluate(const comm::Shards& shards) override;
  std::optional<std::string> find_nonfinite(const data::Batch& batch,
                                            const data::Split& all) override;

 private:
  Density& density_;
  LogTarget log_target_;
  ReverseKlOptions options_;
  data::Split samples_;
  Generator latents_;
};

}  // namespace nf::flows
