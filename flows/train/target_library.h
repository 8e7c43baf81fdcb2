// A target of the user's own: a shared library that exports log_density.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "autograd/functions.h"

namespace nf::flows {

/// A library that exports, with C linkage,
///
///   double log_density(const double* x, int n, double* grad);
///
/// the log density at the n numbers x but for a constant, which also writes its n derivatives into
/// grad. It is called for one point at a time, by one thread. See examples/target.c. Where it has a
/// fault, or calls exit(), the program ends with a line that says so (watched_call.h).
class TargetLibrary {
 public:
  /// Opens it. Throws Error for what is no library, or has no such function.
  TargetLibrary(const std::string& path, std::int64_t dims);
  /// x f64 (N, D) -> (N), with the gradient that the library gives.
  Var log_density(const Var& x) const;

  /// Throws Error where, at points x (N, D), f64, the log density is not finite, the function
  /// writes beyond its n derivatives, or these are not what central differences give: the message
  /// has both numbers.
  void check(const Tensor& x) const;
  /// Of the file.
  const std::string& checksum() const { return checksum_; }

 private:
  using Function = double (*)(const double* x, int n, double* grad);

  std::string path_, checksum_;
  std::int64_t dims_;
  std::shared_ptr<void> handle_;
  Function function_ = nullptr;
};

}  // namespace nf::flows
