// fit: training, of maximum likelihood or another objective, shared by flowcli and library users.
//
//   auto result = fit(density, dataset, {.epochs = 10});
//
// A Trainer is the same with its state in hand: it can be saved between two steps and continues bit
// for bit where it stopped.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "comm/shards.h"
#include "data/batches.h"
#include "flows/train/objective.h"
#include "flows/train/position.h"
#include "nn/layers/spectral.h"
#include "nn/optim/optim.h"
#include "tensor/communicator.h"
#include "tensor/graph.h"

namespace nf::flows {

class GradientSum;

struct FitOptions {
  std::int64_t epochs = 10;
  std::int64_t steps = 0;  ///< when positive, training ends after this many updates
  std::int64_t batch_size = 200;
  nn::OptimizerOptions optimizer = {};
  nn::Schedule schedule = {};  ///< total = 0: the whole training
  double clip_norm = 0;        ///< bound of the gradient's norm; 0: none
  double ema_decay = 0;        ///< of averaged weights, which are what is evaluated; 0: none
  bool graph = true;           ///< on CUDA, record a step and replay it (tensor/graph.h)
  bool initialize = true;      ///< lets layers set initial values from the first samples, once in
                               ///< a density's life; false where weights were loaded into it
  std::int64_t patience = 0;   ///< training ends after so many epochs without a better validation
                               ///< result; 0: it does not
  std::int64_t best_from = 0;  ///< updates before which no epoch is the best, nor counts for
                               ///< `patience`, but one that training ends with: while a warm-up of
                               ///< the loss lasts, validation, which has none, says little
  bool keep_best = true;       ///< a copy of the best weights is kept, which fit() leaves behind
  ImageMoves moves = {};       ///< of training images, anew in every epoch; of Trainers with data
  std::uint64_t seed = 0;      ///< of the order of batches, and of moves
  /// V, a power of two: a batch is cut into so many parts, whose gradients are added up by one
  /// tree. Every number of processes up to V gives the same bits. Statistics of batches, and the
  /// other means that a loss takes over a batch, are those of a part.
  std::int64_t shards = 1;
  /// BF16: the gradient of each shard, and each sum of two, is rounded, on however many processes;
  /// statistics are not. Sums are computed in the dtype of the parameters.
  comm::Wire wire = comm::Wire::Exact;
  /// So many gradients are exchanged together, on the CPU while backward computes others; 0: all,
  /// behind it.
  std::int64_t bucket = std::int64_t{1} << 18;
  /// The processes that train together, each with a Trainer of the same options and data; null:
  /// this one alone. All functions of a Trainer that change weights, and save none, are collective.
  comm::Group* group = nullptr;
  /// Of the processes of the group, each with the density on a GPU of its own (comm/devices.h):
  /// gradients are added up between the GPUs, so that steps are recorded and losses read late as by
  /// one process alone. Equal to rounding then, not bit for bit. Null: the hosts add up.
  Communicator* communicator = nullptr;
};

/// After every step.
struct StepReport {
  std::int64_t epoch = 0;        ///< counted from 1
  std::int64_t step = 0;         ///< updates done in all
  std::int64_t total_steps = 0;  ///< of the whole training
  double nats = 0;  ///< mean of this batch, on CUDA of the latest ones that have been looked at
  std::int64_t samples = 0;  ///< of this batch; an epoch's last one may be short
};

/// After every epoch: one line of log.jsonl. Where training ends in mid-epoch, that epoch is told
/// as far as it went, and may be the best; a training that goes on from there tells it again, as a
/// whole.
struct EpochReport {
  std::int64_t epoch = 0;
  std::int64_t step = 0;
  double seconds = 0;        ///< spent training and validating so far, over all resumptions
  double train_nats = 0;     ///< mean over the epoch's samples, as they were trained on
  double valid_nats = kNaN;  ///< NaN when there are no validation samples
  double valid_bits_per_dim = kNaN;
  int bound_draws = 1;  ///< of the bound that both are (Density::bound_draws)
  double lr = 0;
  double grad_norm = 0;  ///< of the epoch's last step, before clipping
  bool best = false;     ///< the best valid_nats so far
};

/// All optional. on_step returns false to stop: run() then comes back between two steps, of several
/// processes after the next one, which tells the others. on_checkpoint is called where an epoch
/// goes on, once wants_checkpoint() said so in one of the processes, and in all of them.
struct FitCallbacks {
  std::function<bool(const StepReport&)> on_step = {};
  std::function<void(const EpochReport&)> on_epoch = {};
  std::function<bool()> wants_checkpoint = {};
  std::function<void()> on_checkpoint = {};
};

struct FitResult {
  bool finished = false;       ///< false: on_step asked to stop
  bool stopped_early = false;  ///< finished, and `patience` was the reason
  std::int64_t epochs = 0;     ///< completed
  std::int64_t steps = 0;
  std::int64_t best_epoch = 0;    ///< the one with the best validation result; 0: none was made
  double best_valid_nats = kNaN;  ///< NaN: none was made
  double last_valid_nats = kNaN;
};

/// Changes the status of a saved state, and adds `extra` to its metadata; all else stays as it is.
void mark_state(const std::string& path, TrainingStatus status, const nn::Metadata& extra = {});

/// A loss, a gradient, a validation result or a weight is NaN or infinite. The message names the
/// layer or the parameter.
class Diverged : public Error {
 public:
  explicit Diverged(const std::string& what, std::int64_t step = 0) : Error(what), step_(step) {}
  std::int64_t step() const {
    return step_;
  }  ///< where it was seen, counted from 1; 0: no training

 private:
  std::int64_t step_;
};

class Trainer {
 public:
  /// Keeps references: density and data must outlive it. Throws Error when the data does not fit.
  Trainer(Density& density, const data::Dataset& data, const FitOptions& options);
  /// Of another objective, which must outlive it, too.
  Trainer(Objective& objective, const FitOptions& options);

  /// Lets layers set initial values from the first samples, unless that was done, by another
  /// training of this density too, or there were steps already: what run() would begin with. Throws
  /// Error for data that they cannot take.
  void prepare();
  /// Trains to the end, or until on_step says stop; the density then has the last weights. Throws
  /// Diverged; no update is made from what is not finite.
  FitResult run(const FitCallbacks& callbacks = {});
  /// The next validation result is the best, as if none had been before: for who has lost the best
  /// weights.
  void forget_best();
  /// Ends the training: the density gets its best weights if they were kept (keep_best), else those
  /// that are evaluated.
  void use_best_weights();

  /// Everything that continuing needs, in one file: parameters, optimizer, averages, generators,
  /// position, running means, best weights if they are kept. Written atomically. Throws Diverged
  /// when a weight is not finite: the file before it stays. Its metadata has "status" (name_of),
  /// "step", the seed and the density's description, and what `extra` adds.
  void save(const std::string& path, TrainingStatus status = TrainingStatus::Running,
            const nn::Metadata& extra = {});
  /// Throws Error, before anything is changed, when the file is damaged, contradicts itself or is
  /// of another model, seed, data set or batch size.
  void load(const std::string& path);

  /// Writes the weights that are evaluated (averaged ones if there are any) with the description of
  /// the density and `extra` in the metadata, atomically.
  void save_weights(const std::string& path, const nn::Metadata& extra = {});
  /// Calls `body` while the density has the weights that are evaluated, and the norms of spectral
  /// maps are converged for them. The training goes on from what was before, so that it is the same
  /// however often it is looked at.
  void with_evaluated_weights(const std::function<void()>& body);

  /// 16 hexadecimal digits of all parameters and buffers as they are: equal where two trainings
  /// gave the same bits.
  std::string parameters_checksum();
  /// Seconds spent so far in adding up what all processes have, waiting for others included.
  struct Communication {
    double exchanged = 0;
    double waited = 0;  ///< of these, behind the computing: the others were hidden beside it
    double beside = 0;  ///< in which exchanges can hide: from the first one to the computing's end
  };
  const Communication& communication() const { return communication_; }

  std::int64_t epoch() const { return batches_.epoch(); }  ///< epochs completed
  std::int64_t step() const { return optimizer_.steps(); }
  std::int64_t total_steps() const { return total_steps_; }
  std::int64_t best_epoch() const { return best_epoch_; }  ///< 0: nothing was validated
  double best_valid_nats() const { return best_valid_nats_; }
  bool done() const;  ///< all steps are done, or patience is at its end
  /// Why steps are not recorded although they might be; empty when all is well.
  const std::string& graph_note() const { return graph_note_; }

 private:
  nn::StateDict state();
  void load_tensors(std::map<std::string, Tensor> tensors);
  void train_step();
  void update_on(const data::Batch& batch, bool measure);
  void backward_on_devices(const data::Batch& batch);
  void agree_on_wishes();
  void wait_for_devices() const;
  void record_in_all();
  void update_by_shards(const data::Batch& batch);
  comm::Sum sum_of_shards(const data::Batch& batch);
  comm::Sum sum_of_shard(const data::Batch& batch, std::int64_t shard, GradientSum& gradients,
                         comm::TreeSum& tree, std::string& failure);
  void update(const data::Batch& batch, bool late, bool measure);
  bool replay(const data::Batch& batch);
  void read_losses(const data::Batch& batch);
  void read_rest();
  Trainer(std::unique_ptr<Objective> own, const FitOptions& options);
  Var losses(const data::Batch& batch);
  EpochReport finish_epoch();
  void validate(EpochReport& report, bool whole);
  FitResult result() const;
  void check_weights();
  void check_replicas();
  std::string first_nonfinite(const data::Batch& batch);
  std::string nonfinite_gradient(const data::Batch& batch);
  /// `batch`: one that it may have come from.
  [[noreturn]] void diverged(const data::Batch& batch, const std::string& what, std::int64_t step);
  data::Batch first_samples() const;

  std::unique_ptr<comm::Group> alone_;  // where there is no group
  std::unique_ptr<Objective> own_;      // where the caller has none
  Objective& objective_;
  Density& density_;
  FitOptions options_;
  comm::Shards shards_;
  struct Wishes {
    bool stop = false, checkpoint = false;
  };
  Wishes asked_, agreed_;  // of this process; of all
  Communication communication_;
  data::Batches batches_;
  nn::Optimizer optimizer_;
  std::optional<nn::Ema> ema_;
  std::vector<Generator*> noise_;  // all that losses are drawn from
  std::int64_t total_steps_ = 0;
  bool prepared_ = false;

  // The device works behind the host, which would have to wait to look at every loss: losses are
  // added up there, and looked at now and then. On the CPU that is in every step.
  std::int64_t read_every_ = 1;
  Tensor unread_;  // f64 scalar: sum of losses over samples
  std::int64_t unread_samples_ = 0, unread_steps_ = 0;
  double recent_nats_ = 0;

  std::int64_t ordinary_steps_ = 0;  // of this object
  Tensor rows_;                      // of the batch of the recorded step
  std::optional<Graph> graph_;
  std::string graph_note_;

  double epoch_nats_ = 0;  // sums over the samples of the current epoch
  std::int64_t epoch_samples_ = 0;
  double seconds_ = 0;  // up to the last start
  double started_ = 0;
  double grad_norm_ = 0;

  std::int64_t best_epoch_ = 0;  // 0: none
  double best_valid_nats_ = kNaN, last_valid_nats_ = kNaN;
  std::int64_t since_best_ = 0;  // whole epochs
  nn::StateDict best_;           // copies of the weights, with keep_best

  std::vector<nn::SpectralVectors> converged_;  // for the weights that are evaluated
  std::int64_t converged_at_ = -1;              // the step that these are of
};

/// Trains `density`, which is left with the weights that are best on the validation samples; with
/// keep_best = false, or without such samples, with the last ones (their averages, with ema_decay).
/// A density that was trained before goes on from its weights, with a new optimizer.
FitResult fit(Density& density, const data::Dataset& data, const FitOptions& options = {},
              const FitCallbacks& callbacks = {});

}  // namespace nf::flows
