#include "tensor/backend.h"

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

Backend& backend_for(Device device) {
  return device == Device::CUDA ? cuda_backend() : cpu_backend();
}

}  // namespace nf
