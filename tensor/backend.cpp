#include "tensor/backend.h"

#include "tensor/full_precision.h"
#include "tensor/profile.h"

namespace nf {

const char* name_of(Precision precision) {
  switch (precision) {
    case Precision::F32:
      return "f32";
    case Precision::TF32:
      return "tf32";
    case Precision::BF16:
      return "bf16";
  }
  return "?";
}

void Backend::set_precision(Precision precision) {
  NF_CHECK(precision == Precision::F32, "[precision] matrix products of this device are f32, not ",
           name_of(precision), "; leave it at f32");
}

std::unique_ptr<Recording> Backend::record(std::span<Generator* const>,
                                           const std::function<void()>&) {
  fail("[graph] this device cannot record steps; do them one by one");
}

namespace {

constinit thread_local Backend* chosen[2] = {nullptr, nullptr};  // of each device
constinit thread_local int full_precisions = 0;                  // alive

Backend& choose_backend(Device device) {
  Backend& backend = device == Device::CUDA ? cuda_backend() : cpu_backend();
  Profile* const profile = Profile::current();
  Backend& told = profile ? profile->counting(backend) : backend;
  chosen[static_cast<int>(device)] = &told;
  return told;
}

}  // namespace

FullPrecision::FullPrecision() { ++full_precisions; }
FullPrecision::~FullPrecision() { --full_precisions; }
bool FullPrecision::wanted() { return full_precisions > 0; }

void detail::choose_backends_anew() { chosen[0] = chosen[1] = nullptr; }

Backend& backend_for(Device device) {
  Backend* const backend = chosen[static_cast<int>(device)];
  return backend ? *backend : choose_backend(device);
}

}  // namespace nf
