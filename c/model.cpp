#include "c/model.h"

#include <algorithm>
#include <condition_variable>
#include <cstring>

#include "c/border.h"
#include "tensor/environment.h"

namespace nf::c {

namespace {

struct Precision {
  std::mutex mutex;
  std::condition_variable idle;
  int working = 0;
  std::optional<bool> bf16;  // none: not set yet
};

// Never destroyed: threads may still be at work when the process ends.
Precision& shared_precision() {
  static Precision* const precision = new Precision;
  return *precision;
}

}  // namespace

Turn::Turn(bool bf16) {
  Precision& now = shared_precision();
  std::unique_lock lock(now.mutex);
  now.idle.wait(lock, [&] { return now.working == 0 || now.bf16 == bf16; });
  if (now.bf16 != bf16) {
    flows::set_precision(Device::CPU, bf16 ? "bf16" : "f32", flows::Need::IfPossible);
    now.bf16 = bf16;
  }
  ++now.working;
}

Turn::~Turn() {
  Precision& now = shared_precision();
  const std::lock_guard lock(now.mutex);
  if (--now.working == 0) now.idle.notify_all();
}

namespace {

flows::SavedRun opened(const std::string& path) {
  check_environment();
  return flows::open_run(path);
}

std::string weights_of(const nf_options& options) {
  const std::string weights = options.weights ? options.weights : "best";
  check_call(weights == "best" || weights == "last", "[nf_open] weights are best or last, not '",
             weights, "'");
  return weights;
}

}  // namespace

}  // namespace nf::c

nf_model::nf_model(const std::string& path, const nf_options& options)
    : run(nf::c::opened(path)), bf16(run.config.training.precision == "bf16") {
  using nf::c::check_call;
  check_call(options.noise_draws >= 0 && options.noise_draws <= 1'000'000,
             "[nf_open] noise_draws is ", options.noise_draws, "; give 0 to 1000000");
  const nf::c::Turn turn(bf16);
  nf::flows::LoadedRun loaded =
      nf::flows::load_run(run, nf::c::weights_of(options), nf::Device::CPU,
                          [&](const std::string& line) { notes.push_back(line); });
  shape = std::move(loaded.shape);
  density = std::move(loaded.density);
  examination.emplace(*density);
  if (auto* const flow = dynamic_cast<nf::flows::FlowDensity*>(density.get())) parts.emplace(*flow);
  noise = density->generators();
  evaluation.noise_draws = std::max(options.noise_draws, 1);
  evaluation.importance = options.importance != 0;
  if (const nf::Tensor columns = density->whole_columns(); columns.defined()) {
    for (const double w : columns.to(nf::DType::F64).to_vector<double>()) whole.push_back(w != 0);
  }
  parameters = density->parameter_count();
}

const nf::flows::InParts& nf_model::latents(const char* what) const {
  if (!parts) nf::flows::as_flow(*density, what);  // which says that there are none
  return *parts;
}
