#include "tensor/profile.h"

#include <utility>

#include "tensor/backend.h"

namespace nf {

Profile::Cost& Profile::Cost::operator+=(const Cost& other) {
  seconds += other.seconds;
  bytes += other.bytes;
  flops += other.flops;
  operations += other.operations;
  return *this;
}

Profile::Cost Profile::Part::total() const {
  Cost sum;
  for (const Cost& cost : passes) sum += cost;
  return sum;
}

Profile::Profile(std::function<double()> clock)
    : clock_(std::move(clock)), entries_(1), places_{{nullptr, 0}}, open_(1) {
  NF_CHECK(!watching_, "[profile] this thread is watched already; end the other Profile first");
  entries_[0].done = true;  // the rest is no part
  watching_ = this;
  detail::choose_backends_anew();
  last_ = clock_();
}

Profile::~Profile() {
  watching_ = nullptr;
  detail::choose_backends_anew();
}

void Profile::enter(const void* of, const char* label, Pass pass) {
  charge();
  const auto [place, added] = places_.emplace(of, entries_.size());
  if (added) entries_.push_back({{of, label ? label : "", {}}, open_.back().entry, false});
  open_.push_back({place->second, pass});
}

void Profile::leave() {
  charge();
  const std::size_t entry = open_.back().entry;
  if (!entries_[entry].done) order_.push_back(entry);
  entries_[entry].done = true;
  open_.pop_back();
}

// All since the last look was the innermost part's. A GPU works behind the host, which has to wait
// for it to know whose the time was.
void Profile::charge() {
  for (const auto& backend : counting_) {
    if (backend) backend->synchronize();
  }
  const double now = clock_();
  const Open& at = open_.back();
  entries_[at.entry].part.passes[at.pass].seconds += now - last_;
  last_ = now;
}

void Profile::count(double bytes, double flops) {
  const Open& at = open_.back();
  entries_[at.entry].part.passes[at.pass] += {.bytes = bytes, .flops = flops, .operations = 1};
}

std::vector<Profile::Part> Profile::parts() const {
  std::vector<Entry> entries = entries_;
  std::vector<Part> parts;
  // A part is done before the one around it, so what is handed on arrives in time.
  for (const std::size_t at : order_) {
    const Entry& entry = entries[at];
    if (entry.part.total().operations > 0 || entry.around == 0) continue;
    for (std::size_t pass = 0; pass < kPasses; ++pass) {
      entries[entry.around].part.passes[pass] += entry.part.passes[pass];
    }
  }
  for (const std::size_t at : order_) {
    const Entry& entry = entries[at];
    if (entry.around == 0 || total_of(at).operations > 0) parts.push_back(entry.part);
  }
  return parts;
}

Profile::Cost Profile::whole() const {
  Cost sum;
  for (const Entry& entry : entries_) sum += entry.part.total();
  return sum;
}

}  // namespace nf
