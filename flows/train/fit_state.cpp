// The state of a training: all that continuing needs, in one file.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <set>
#include <sstream>
#include <utility>

#include "flows/train/fit.h"
#include "tensor/clock.h"
#include "tensor/text.h"

namespace nf::flows {

namespace {

const std::string& entry(const nn::SafetensorsFile& file, const std::string& path,
                         const std::string& key) {
  const auto found = file.metadata.find(key);
  NF_CHECK(found != file.metadata.end(), "[resume] ", path, " has no '", key,
           "'; it is not a training state");
  return found->second;
}

// Of a generator: seed, stream and offset.
const std::string kGenerator = "generator.";

// The generators of a file, in the order of the density's. States that are older than generators of
// layers have `noise_offset` instead: the density's stay as they are.
std::vector<Generator> saved_generators(const nn::SafetensorsFile& file, const std::string& path,
                                        Density& density) {
  std::vector<Generator> saved;
  std::set<std::string> known;
  const bool older = file.metadata.contains("noise_offset");
  density.for_each_generator([&](const std::string& name, const Generator& own) {
    known.insert(kGenerator + name);
    if (older) return saved.push_back(own);
    std::istringstream text(entry(file, path, kGenerator + name));
    std::uint64_t seed = 0, stream = 0, offset = 0;
    const bool three = (text >> seed >> stream >> offset) && (text >> std::ws).eof();
    NF_CHECK(three && text.str().find('-') == std::string::npos, "[resume] ", path, ": '",
             kGenerator, name, "' is not a seed, a stream and an offset");
    saved.emplace_back(seed, stream);
    saved.back().set_offset(offset);
  });
  for (const auto& [key, value] : file.metadata) {
    NF_CHECK(!key.starts_with(kGenerator) || known.contains(key), "[resume] ", path, ": '",
             printable(key), "' is of no layer of the model; it was made for another one");
  }
  return saved;
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
  for (auto& [name, tensor] : best_) all.emplace_back("best." + name, tensor);
  return all;
}

void mark_state(const std::string& path, TrainingStatus status, const nn::Metadata& extra) {
  nn::SafetensorsFile file = nn::load_safetensors(path);
  for (const auto& [key, value] : extra) file.metadata[key] = value;
  file.metadata["status"] = name_of(status);
  nn::save_safetensors(path, {file.tensors.begin(), file.tensors.end()}, file.metadata);
}

void Trainer::save(const std::string& path, TrainingStatus status, const nn::Metadata& extra) {
  check_weights();
  read_rest();
  const double running = started_ > 0 ? seconds_now() - started_ : 0;
  nn::Metadata metadata = to_metadata({.status = status,
                                       .epoch = batches_.epoch(),
                                       .batch = batches_.index(),
                                       .step = step(),
                                       .batch_size = options_.batch_size,
                                       .samples = objective_.samples().size(),
                                       .prepared = prepared_,
                                       .epoch_nats = epoch_nats_,
                                       .epoch_samples = epoch_samples_,
                                       .seconds = seconds_ + running,
                                       .best_epoch = best_epoch_,
                                       .since_best = since_best_,
                                       .best_valid_nats = best_valid_nats_,
                                       .last_valid_nats = last_valid_nats_});
  metadata["seed"] = str(options_.seed);
  density_.for_each_generator([&](const std::string& name, const Generator& gen) {
    metadata[kGenerator + name] = str(gen.seed(), " ", gen.stream(), " ", gen.offset());
  });
  metadata.insert(extra.begin(), extra.end());
  metadata.insert(density_.description().begin(), density_.description().end());
  nn::save_safetensors(path, state(), metadata);
}

// The best weights of a file are taken when they are kept here, and left out otherwise.
void Trainer::load_tensors(std::map<std::string, Tensor> tensors) {
  const auto is_best = [](const auto& entry) { return entry.first.starts_with("best."); };
  const bool kept = std::any_of(tensors.begin(), tensors.end(), is_best) && options_.keep_best;
  if (!kept) std::erase_if(tensors, is_best);
  nn::StateDict before = std::exchange(best_, {});
  if (kept) {
    for (const auto& [name, tensor] : density_.state()) best_.emplace_back(name, tensor.clone());
  }
  try {
    nn::copy_state(state(), tensors);
  } catch (...) {
    best_ = std::move(before);
    throw;
  }
}

void Trainer::load(const std::string& path) {
  const nn::SafetensorsFile file = nn::load_safetensors(path);
  const Position at = position_from(file.metadata, "[resume] " + path);
  NF_CHECK(at.batch_size == options_.batch_size && at.samples == objective_.samples().size(),
           "[resume] ", path, " was made with batches of ", at.batch_size, " from ", at.samples,
           " samples, not of ", options_.batch_size, " from ", objective_.samples().size(),
           "; continue with the same data");
  const auto seed = file.metadata.find("seed");
  NF_CHECK(seed == file.metadata.end() || seed->second == str(options_.seed), "[resume] ", path,
           " was made with seed ", printable(seed->second), ", not ", options_.seed,
           "; it is the state of another training");
  density_.check_description(file.metadata, "[resume] " + path);
  const std::vector<Generator> generators = saved_generators(file, path, density_);
  load_tensors(file.tensors);  // the last thing that can fail
  converged_at_ = -1;
  optimizer_.set_steps(at.step);
  // What else the objective draws from is placed for every batch: it has nothing to continue.
  const std::vector<Generator*> own = density_.generators();
  for (std::size_t i = 0; i < own.size(); ++i) *own[i] = generators[i];
  batches_.seek(at.epoch, at.batch);
  epoch_nats_ = at.epoch_nats;
  epoch_samples_ = at.epoch_samples;
  seconds_ = at.seconds;
  prepared_ = at.prepared;
  if (prepared_) density_.mark_initialized();
  best_epoch_ = at.best_epoch;
  since_best_ = at.since_best;
  best_valid_nats_ = at.best_valid_nats;
  last_valid_nats_ = at.last_valid_nats;
  // It had ended within the warm-up, and goes on: what was its best says little.
  if (at.step < options_.best_from && at.step < total_steps_) forget_best();
}

void Trainer::save_weights(const std::string& path, const nn::Metadata& extra) {
  nn::Metadata metadata = density_.description();
  metadata.insert(extra.begin(), extra.end());
  with_evaluated_weights([&] { nn::save_safetensors(path, density_.state(), metadata); });
}

}  // namespace nf::flows
