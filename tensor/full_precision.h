// Products in f32 for a while.
#pragma once

#include "tensor/backend.h"

namespace nf {

/// As long as it lives, a device's products of f32 numbers are made in f32, whatever is set. For
/// what becomes a latent itself: a log-determinant is that of the factors as they are, and an
/// inverse undoes nothing else. What a network computes may be rounded, because forward and inverse
/// round it alike.
class FullPrecision {
 public:
  explicit FullPrecision(Device device)
      : backend_(backend_for(device)), before_(backend_.precision()) {
    backend_.set_precision(Precision::F32);
  }
  ~FullPrecision() { backend_.set_precision(before_); }
  FullPrecision(const FullPrecision&) = delete;
  FullPrecision& operator=(const FullPrecision&) = delete;

 private:
  Backend& backend_;
  Precision before_;
};

}  // namespace nf
