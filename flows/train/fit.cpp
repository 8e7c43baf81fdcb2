#include "flows/train/fit.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "tensor/clock.h"
#include "tensor/text.h"

namespace nf::flows {

namespace {

[[noreturn]] void tell_divergence(const std::string& what, const std::string& where,
                                  std::int64_t step) {
  throw Diverged(
      str("[fit] training diverged at step ", step, ": ", what,
          where.empty() ? "" : ", first non-finite in " + where,
          "; lower the learning rate (--lr), bound the gradient (--set clip=1) or warm up "
          "(--set warmup=500)"),
      step);
}

}  // namespace

Trainer::Trainer(Density& density, const data::Dataset& data, const FitOptions& options)
    : Trainer(std::make_unique<MaximumLikelihood>(density, data, options.moves, options.seed),
              options) {}

Trainer::Trainer(std::unique_ptr<Objective> own, const FitOptions& options)
    : Trainer(*own, options) {
  own_ = std::move(own);
}

Trainer::Trainer(Objective& objective, const FitOptions& options)
    : alone_(options.group ? nullptr : comm::alone()),
      objective_(objective),
      density_(objective.density()),
      options_(options),
      shards_(options.group ? *options.group : *alone_, options.shards),
      batches_(objective.samples(), {.batch_size = options.batch_size,
                                     .seed = options.seed,
                                     .device = density_.device(),
                                     .rows_only = density_.device() != Device::CPU}),
      optimizer_(density_, options.optimizer),
      noise_(objective.generators()) {
  NF_CHECK(options.epochs > 0 || options.steps > 0, "[fit] needs epochs or steps above 0");
  NF_CHECK(!options.communicator || density_.device() != Device::CPU,
           "[fit] a communicator adds up what is on GPUs, and the density is on the CPU; move it "
           "there (density.to(Device::CUDA)), or leave the communicator out");
  total_steps_ = options.steps > 0 ? options.steps : options.epochs * batches_.per_epoch();
  if (options_.schedule.total == 0) options_.schedule.total = total_steps_;
  if (options.ema_decay > 0) ema_.emplace(density_, options.ema_decay);
  constexpr std::int64_t kReadEvery = 32;
  const bool by_host = shards_.count() > 1 && !options.communicator;
  if (density_.device() != Device::CPU && !by_host) read_every_ = kReadEvery;
  unread_ = Tensor::zeros({}, DType::F64, density_.device());
}

bool Trainer::done() const {
  const bool patient = options_.patience == 0 || since_best_ < options_.patience;
  return optimizer_.steps() >= total_steps_ || !patient;
}

FitResult Trainer::run(const FitCallbacks& callbacks) {
  density_.train();
  started_ = seconds_now();
  prepare();
  check_replicas();
  asked_ = agreed_ = {};
  const Wishes& wishes = shards_.group().size() > 1 ? agreed_ : asked_;
  while (!wishes.stop && !done()) {
    const std::int64_t epoch = batches_.epoch() + 1, before = epoch_samples_ + unread_samples_;
    train_step();
    const bool last_of_epoch = batches_.index() == 0;
    if (callbacks.on_step) {
      asked_.stop |= !callbacks.on_step(
          {epoch, step(), total_steps_, recent_nats_, epoch_samples_ + unread_samples_ - before});
    }
    if (last_of_epoch || done()) {
      const EpochReport report = finish_epoch();
      if (callbacks.on_epoch) callbacks.on_epoch(report);
      asked_.checkpoint = false;
      continue;
    }
    if (callbacks.wants_checkpoint) asked_.checkpoint = callbacks.wants_checkpoint();
    if (!wishes.checkpoint || wishes.stop) continue;
    read_rest();  // in all processes, which look at losses at the same steps
    callbacks.on_checkpoint();
    asked_.checkpoint = false;
  }
  read_rest();
  check_replicas();  // first: then what is wrong with weights is known to all
  check_weights();
  seconds_ += seconds_now() - started_;
  started_ = 0;
  return result();
}

FitResult Trainer::result() const {
  return {.finished = done(),
          .stopped_early = done() && step() < total_steps_,
          .epochs = batches_.epoch(),
          .steps = step(),
          .best_epoch = best_epoch_,
          .best_valid_nats = best_valid_nats_,
          .last_valid_nats = last_valid_nats_};
}

void Trainer::prepare() {
  if (prepared_ || step() > 0 || !options_.initialize) return;
  prepared_ = density_.initialized();
  if (prepared_) return;
  density_.train();
  const NoGrad no_grad;
  objective_.initialize();
  if (ema_) ema_.emplace(density_, options_.ema_decay);  // begins where the weights begin
  density_.mark_initialized();  // not before: data that a layer cannot take are an error
  prepared_ = true;
}

// What is drawn for a sample is that of its row in the split and of the epoch.
Var Trainer::losses(const data::Batch& batch) {
  const Placed placed(noise_, batch.rows, static_cast<std::uint64_t>(batch.epoch));
  return objective_.losses(batch, batches_.split());
}

void Trainer::train_step() {
  const data::Batch batch = batches_.next();
  // next() has moved on already.
  const bool measure = batches_.index() == 0 || step() + 1 == total_steps_;
  optimizer_.set_lr(options_.optimizer.lr * options_.schedule.factor(step()));
  density_.begin_step(step());
  shards_.group().at_step(step() + 1);
  if (options_.communicator) agree_on_wishes();
  if (shards_.count() > 1 && !options_.communicator) {
    update_by_shards(batch);
  } else if (measure || !replay(batch)) {
    update_on(batch, measure);
    ++ordinary_steps_;
  }
  unread_samples_ += batch.rows.dim(0);
  if (++unread_steps_ >= read_every_ || measure) read_losses(batch);
}

// One update. What a graph records: on CUDA nothing here may look at a value, unless `measure`,
// which asks for the gradient's norm. On the CPU that is looked at in every step.
//
// What is not finite makes no update. On CUDA `unread_` sees to it: once a loss or a gradient is
// not finite, it is NaN until it is read, and so is the scale of all updates until then.
void Trainer::update_on(const data::Batch& batch, bool measure) {
  const bool late = density_.device() != Device::CPU;
  if (options_.communicator) {
    backward_on_devices(batch);
  } else {
    Tape tape;
    const Profile::Scope part("loss", Profile::Forward);
    const Var loss = mean(losses(batch));
    const Tensor& value = loss.value();
    if (!late && !std::isfinite(value.item())) {
      diverged(batch, str("the loss is ", value.item()), step() + 1);
    }
    unread_.add_(value.to(DType::F64) * static_cast<double>(batch.rows.dim(0)));
    tape.backward(loss);
  }
  update(batch, late, measure);
}

// From the gradients at hand. `late`: nothing is looked at but what `measure` asks for.
void Trainer::update(const data::Batch& batch, bool late, bool measure) {
  const Tensor norm = nn::gradient_norm(density_);
  if (measure) wait_for_devices();
  if (!late || measure) grad_norm_ = norm.item();
  if (!late && !std::isfinite(grad_norm_)) {
    diverged(batch, str("the norm of the gradient is ", grad_norm_), step() + 1);
  }
  Tensor scale;
  if (options_.clip_norm > 0) scale = nn::clip_scale(norm, options_.clip_norm);
  if (late) {
    unread_.add_(affine(norm, 0, 0));  // f64: 0 or NaN
    const Tensor one_or_nan = affine(unread_, 0, 1).to(DType::F32);
    scale = scale.defined() ? scale * one_or_nan : one_or_nan;
  }
  optimizer_.step(scale);
  nn::follow_spectral_norms(density_);
  density_.clear_grads();
  if (ema_) ema_->update(step() - 1);
}

// The same by a recorded step. False when there is none for this batch.
bool Trainer::replay(const data::Batch& batch) {
  constexpr std::int64_t kStepsBeforeRecording =
      2;  // ordinary steps: what is made at the first one is then there
  const Tensor& rows = batch.rows;
  if (!options_.graph || rows.device() == Device::CPU || ordinary_steps_ < kStepsBeforeRecording)
    return false;
  if (rows.dim(0) != options_.batch_size) return false;
  if (!rows_.defined()) rows_ = rows.clone();
  const Placed placed(noise_, rows_, static_cast<std::uint64_t>(batch.epoch));
  if (!graph_) {
    const std::int64_t steps = optimizer_.steps();
    check_indices(rows_, batches_.split().size());  // now, for a recorded step cannot look at them
    try {
      graph_.emplace(rows.device(), noise_,
                     [&] { update_on({.rows = rows_, .epoch = batch.epoch}, false); });
    } catch (const Error& error) {  // for instance a layer that looks at a value
      options_.graph = false;
      graph_note_ = error.what();
      density_.clear_grads();
    }
    optimizer_.set_steps(steps);  // recorded, not done
    if (options_.communicator) record_in_all();
    if (!graph_) return false;
  }
  rows_.copy_(rows);
  std::vector<UpdateArgs> constants = {optimizer_.advance()};
  if (ema_) constants.push_back(ema_->args(step() - 1));
  graph_->replay(constants);
  return true;
}

// `batch` is the latest: what is not finite came from it or from one of the few before.
void Trainer::read_losses(const data::Batch& batch) {
  wait_for_devices();
  const double mean = unread_.item() / static_cast<double>(unread_samples_);
  if (!std::isfinite(mean)) {
    const std::string steps =
        unread_steps_ > 1 ? str(", in one of the last ", unread_steps_, " steps") : "";
    diverged(batch, "a loss or a gradient is not finite" + steps, step());
  }
  recent_nats_ = density_.nats(-mean);
  epoch_nats_ += recent_nats_ * static_cast<double>(unread_samples_);
  epoch_samples_ += unread_samples_;
  unread_.fill_(0);
  unread_samples_ = unread_steps_ = 0;
}

void Trainer::read_rest() {
  if (unread_samples_ == 0) return;
  read_losses(first_samples());
}

data::Batch Trainer::first_samples() const {
  const std::int64_t some = std::min(options_.batch_size, objective_.samples().size());
  return {.rows = Tensor::arange(some, DType::I32).to(density_.device())};
}

// A training that ends in mid-epoch keeps the sums of that epoch, for one that goes on from there.
EpochReport Trainer::finish_epoch() {
  check_replicas();
  check_weights();
  const bool whole = batches_.index() == 0;
  EpochReport report{.epoch = batches_.epoch() + (whole ? 0 : 1),
                     .step = step(),
                     .train_nats = epoch_nats_ / static_cast<double>(epoch_samples_),
                     .bound_draws = density_.bound_draws(),
                     .lr = optimizer_.lr(),
                     .grad_norm = grad_norm_};
  if (whole) {
    epoch_nats_ = 0;
    epoch_samples_ = 0;
  }
  with_evaluated_weights([&] { objective_.measure_statistics(); });
  validate(report, whole);
  report.seconds = seconds_ + seconds_now() - started_;
  return report;
}

void Trainer::validate(EpochReport& report, bool whole) {
  std::optional<Evaluation> valid;
  with_evaluated_weights([&] { valid = objective_.evaluate(shards_); });
  if (!valid) return;
  if (!std::isfinite(valid->nats)) {
    const auto where = objective_.find_nonfinite_held_out();
    const std::string what = str("validation gives ", valid->nats, " nats");
    if (where) tell_divergence(what, *where, step());
    diverged(first_samples(), what, step());
  }
  report.valid_nats = last_valid_nats_ = valid->nats;
  report.valid_bits_per_dim = valid->bits_per_dim;
  if (step() < options_.best_from && step() < total_steps_) return;
  report.best = best_epoch_ == 0 || valid->nats > best_valid_nats_;
  if (whole) ++since_best_;
  if (!report.best) return;
  best_epoch_ = report.epoch;
  best_valid_nats_ = valid->nats;
  since_best_ = 0;
  if (!options_.keep_best) return;
  with_evaluated_weights([&] {
    best_.clear();
    for (const auto& [name, tensor] : density_.state()) best_.emplace_back(name, tensor.clone());
  });
}

void Trainer::forget_best() {
  best_epoch_ = since_best_ = 0;
  best_valid_nats_ = kNaN;
  best_.clear();
}

void Trainer::use_best_weights() {
  if (!best_.empty()) {
    density_.load_state({best_.begin(), best_.end()});
    return;
  }
  if (ema_) ema_->swap();
  nn::converge_spectral_norms(density_);
}

// An update from finite gradients may still be beyond what a number can hold.
void Trainer::check_weights() {
  const auto check = [&](const std::string& name, const Tensor& value) {
    if (all_finite(value)) return;
    tell_divergence("a weight is not finite", "parameter " + name, step());
  };
  density_.for_each_parameter([&](const std::string& name, Var& p) { check(name, p.value()); });
  if (!ema_) return;
  for (const auto& [name, average] : ema_->state()) check(name, average);
}

// The parameter whose gradient is not finite, or nothing. Backward goes from the last layer to the
// first, so it began with the last such parameter.
std::string Trainer::nonfinite_gradient(const data::Batch& batch) {
  std::string found;
  bool at_hand = false;
  density_.for_each_parameter(
      [&](const std::string&, Var& p) { at_hand = at_hand || p.grad().defined(); });
  if (!at_hand && !Tape::recording()) {
    Tape tape;
    tape.backward(mean(losses(batch)));
  }
  density_.for_each_parameter([&](const std::string& name, Var& p) {
    if (p.grad().defined() && !all_finite(p.grad())) found = "the gradient of parameter " + name;
  });
  density_.clear_grads();
  return found;
}

void Trainer::diverged(const data::Batch& batch, const std::string& what, std::int64_t step) {
  tell_divergence(what, first_nonfinite(batch), step);
}

void Trainer::with_evaluated_weights(const std::function<void()>& body) {
  const std::vector<nn::SpectralVectors> own = nn::spectral_vectors(density_);
  const auto put_back = [&] {
    if (ema_) ema_->swap();
    nn::set_spectral_vectors(density_, own);
  };
  if (ema_) ema_->swap();
  try {
    if (converged_at_ == step()) {
      nn::set_spectral_vectors(density_, converged_);
    } else {
      nn::converge_spectral_norms(density_);
      converged_ = nn::spectral_vectors(density_);
      converged_at_ = step();
    }
    body();
  } catch (...) {
    put_back();
    throw;
  }
  put_back();
}

FitResult fit(Density& density, const data::Dataset& data, const FitOptions& options,
              const FitCallbacks& callbacks) {
  Trainer trainer(density, data, options);
  const FitResult result = trainer.run(callbacks);
  trainer.use_best_weights();
  return result;
}

}  // namespace nf::flows
