#include "flows/fit.h"

#include <cmath>
#include <limits>

#include "nn/safetensors.h"
#include "tensor/clock.h"

namespace nf::flows {

Trainer::Trainer(Density& density, const data::Dataset& data, const FitOptions& options)
    : density_(density),
      data_(data),
      options_(options),
      batches_(data.train, {.batch_size = options.batch_size, .seed = options.seed}),
      optimizer_(density, options.optimizer),
      best_valid_nats_(-std::numeric_limits<double>::infinity()) {
  NF_CHECK(data.dims == density.dims(), "[fit] the model is for ", density.dims(),
           " dimensions, the data has ", data.dims);
  NF_CHECK(options.epochs > 0 || options.steps > 0, "[fit] needs epochs or steps above 0");
  total_steps_ = options.steps > 0 ? options.steps : options.epochs * batches_.per_epoch();
  if (options_.schedule.total == 0) options_.schedule.total = total_steps_;
  if (options.ema_decay > 0) ema_.emplace(density, options.ema_decay);
}

bool Trainer::done() const { return optimizer_.steps() >= total_steps_; }

FitResult Trainer::run(const FitCallbacks& callbacks) {
  density_.train();
  started_ = seconds_now();
  if (step() == 0 && options_.initialize) initialize();
  bool wanted = true;
  while (wanted && !done()) {
    const std::int64_t epoch = batches_.epoch() + 1;
    const double nats = train_step();
    const bool last_of_epoch = batches_.index() == 0;
    if (callbacks.on_step) wanted = callbacks.on_step({epoch, step(), total_steps_, nats});
    if (last_of_epoch || done()) {
      const EpochReport report = finish_epoch();
      if (callbacks.on_epoch) callbacks.on_epoch(report);
    }
  }
  seconds_ += seconds_now() - started_;
  started_ = 0;
  return {done(), batches_.epoch(), step(), best_valid_nats_};
}

void Trainer::initialize() {
  const NoGrad no_grad;
  density_.bijection().initialize(data_.train.x);
  if (ema_) ema_.emplace(density_, options_.ema_decay);  // begins where the weights begin
}

// One update; returns the batch's mean nats.
double Trainer::train_step() {
  const data::Batch batch = batches_.next();
  const std::int64_t n = batch.x.dim(0);
  double log_prob = 0;
  {
    Tape tape;
    const Var loss = -mean(density_.log_prob(batch.x));
    log_prob = -loss.value().item();
    if (!std::isfinite(log_prob)) diverged(batch.x, str("the loss is ", -log_prob));
    tape.backward(loss);
  }
  optimizer_.set_lr(options_.optimizer.lr * options_.schedule.factor(step()));
  const bool epoch_ends = batches_.index() == 0;  // next() has moved on already
  Tensor scale;
  if (options_.clip_norm > 0 || epoch_ends || step() + 1 == total_steps_) {
    const Tensor norm = nn::gradient_norm(density_);
    grad_norm_ = norm.item();
    if (options_.clip_norm > 0) scale = nn::clip_scale(norm, options_.clip_norm);
  }
  optimizer_.step(scale);
  density_.clear_grads();
  if (ema_) ema_->update();
  epoch_nats_ += density_.nats(log_prob) * static_cast<double>(n);
  epoch_samples_ += n;
  return density_.nats(log_prob);
}

EpochReport Trainer::finish_epoch() {
  EpochReport report{.epoch = batches_.epoch() + (batches_.index() == 0 ? 0 : 1),
                     .step = step(),
                     .train_nats = epoch_nats_ / static_cast<double>(epoch_samples_),
                     .lr = optimizer_.lr(),
                     .grad_norm = grad_norm_};
  epoch_nats_ = 0;
  epoch_samples_ = 0;
  if (data_.valid.size() > 0) {
    Evaluation valid;
    with_evaluated_weights([&] { valid = evaluate(density_, data_.valid.x); });
    if (!std::isfinite(valid.nats)) {
      diverged(data_.valid.x, str("validation gives ", valid.nats, " nats"));
    }
    report.valid_nats = valid.nats;
    report.valid_bits_per_dim = valid.bits_per_dim;
    report.best = valid.nats > best_valid_nats_;
    best_valid_nats_ = std::max(best_valid_nats_, valid.nats);
  }
  report.seconds = seconds_ + seconds_now() - started_;
  return report;
}

void Trainer::diverged(const Tensor& x, const std::string& what) {
  const std::int64_t rows = std::min<std::int64_t>(x.dim(0), 1000);
  const auto where = density_.find_nonfinite(x.narrow(0, 0, rows));
  throw Diverged(
      str("[fit] training diverged at step ", step() + 1, ": ", what,
          where ? ", first non-finite in " + *where : "",
          "; lower the learning rate (--lr), bound the gradient (--set clip=1) or warm up "
          "(--set warmup=500)"));
}

void Trainer::with_evaluated_weights(const std::function<void()>& body) {
  if (ema_) ema_->swap();
  try {
    body();
  } catch (...) {
    if (ema_) ema_->swap();
    throw;
  }
  if (ema_) ema_->swap();
}

// --- saving -------------------------------------------------------------------------------------

namespace {

// Doubles travel as text that reads back to the same bits.
std::string exact(double value) {
  char text[40];
  std::snprintf(text, sizeof text, "%a", value);
  return text;
}

const std::string& entry(const nn::SafetensorsFile& file, const std::string& path,
                         const std::string& key) {
  const auto found = file.metadata.find(key);
  NF_CHECK(found != file.metadata.end(), "[resume] ", path, " has no '", key,
           "'; it is not a training state");
  return found->second;
}

double number(const nn::SafetensorsFile& file, const std::string& path, const std::string& key) {
  const std::string& text = entry(file, path, key);
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  NF_CHECK(!text.empty() && *end == '\0', "[resume] ", path, ": '", key, "' is not a number");
  return value;
}

std::int64_t integer(const nn::SafetensorsFile& file, const std::string& path,
                     const std::string& key) {
  const double value = number(file, path, key);
  NF_CHECK(value >= 0 && value <= 0x1p53 && value == std::floor(value), "[resume] ", path, ": '",
           key, "' = ", value, " is not a count");
  return static_cast<std::int64_t>(value);
}

}  // namespace

// Every tensor that continuing needs.
nn::StateDict Trainer::state() {
  nn::StateDict all;
  for (auto& [name, tensor] : density_.state()) all.emplace_back("model." + name, tensor);
  for (auto& named : optimizer_.state()) all.push_back(named);
  if (ema_) {
    for (auto& named : ema_->state()) all.push_back(named);
  }
  return all;
}

void Trainer::save(const std::string& path) {
  const double running = started_ > 0 ? seconds_now() - started_ : 0;
  nn::save_safetensors(path, state(),
                       {{"epoch", str(batches_.epoch())},
                        {"batch", str(batches_.index())},
                        {"batch_size", str(options_.batch_size)},
                        {"samples", str(data_.train.size())},
                        {"step", str(step())},
                        {"noise_offset", str(density_.noise().offset())},
                        {"epoch_nats", exact(epoch_nats_)},
                        {"epoch_samples", str(epoch_samples_)},
                        {"seconds", exact(seconds_ + running)},
                        {"best_valid_nats", exact(best_valid_nats_)}});
}

void Trainer::load(const std::string& path) {
  const nn::SafetensorsFile file = nn::load_safetensors(path);
  const auto count = [&](const char* key) { return integer(file, path, key); };
  const auto real = [&](const char* key) { return number(file, path, key); };
  const std::int64_t batch_size = count("batch_size"), samples = count("samples");
  NF_CHECK(batch_size == options_.batch_size && samples == data_.train.size(), "[resume] ", path,
           " was made with batches of ", batch_size, " from ", samples, " samples, not of ",
           options_.batch_size, " from ", data_.train.size(), "; continue with the same data");
  const std::int64_t epoch = count("epoch"), batch = count("batch"), steps = count("step");
  NF_CHECK(batch < batches_.per_epoch(), "[resume] ", path, ": batch ", batch, " of ",
           batches_.per_epoch());
  const std::int64_t noise_offset = count("noise_offset"), epoch_samples = count("epoch_samples");
  const double epoch_nats = real("epoch_nats"), seconds = real("seconds");
  const double best_valid_nats = real("best_valid_nats");
  nn::copy_state(state(), file.tensors);  // the last thing that can fail
  optimizer_.set_steps(steps);
  density_.noise().set_offset(static_cast<std::uint64_t>(noise_offset));
  batches_.seek(epoch, batch);
  epoch_nats_ = epoch_nats;
  epoch_samples_ = epoch_samples;
  seconds_ = seconds;
  best_valid_nats_ = best_valid_nats;
}

void Trainer::save_weights(const std::string& path) {
  with_evaluated_weights([&] { nn::save_safetensors(path, density_.state()); });
}

FitResult fit(Density& density, const data::Dataset& data, const FitOptions& options,
              const FitCallbacks& callbacks) {
  return Trainer(density, data, options).run(callbacks);
}

}  // namespace nf::flows
