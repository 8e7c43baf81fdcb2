#include "tensor/graph.h"

#include "tensor/backend.h"

namespace nf {

Graph::Graph(Device device, std::vector<Generator*> generators, const std::function<void()>& step)
    : generators_(std::move(generators)) {
  std::vector<std::uint64_t> starts;
  for (const Generator* generator : generators_) starts.push_back(generator->offset());
  // Nothing is drawn yet, so the generators go back to where they were.
  const auto rewind = [&](bool claim) {
    for (std::size_t i = 0; i < starts.size(); ++i) {
      if (claim) claims_.push_back(generators_[i]->offset() - starts[i]);
      generators_[i]->set_offset(starts[i]);
    }
  };
  try {
    recording_ = backend_for(device).record(generators_, step);
  } catch (...) {
    rewind(false);
    throw;
  }
  rewind(true);
}

void Graph::replay(std::span<const UpdateArgs> updates) {
  NF_CHECK(updates.size() == recording_->updates(), "[graph] the recorded step does ",
           recording_->updates(), " optimizer updates, replay() got the constants of ",
           updates.size());
  std::vector<std::uint64_t> offsets;
  for (std::size_t i = 0; i < generators_.size(); ++i) {
    offsets.push_back(generators_[i]->advance(claims_[i]));
  }
  recording_->replay(offsets, updates);
}

}  // namespace nf
