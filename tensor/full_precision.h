// Products in f32 for a while.
#pragma once

namespace nf {

/// As long as it lives, products of f32 numbers that this thread asks for are made in f32, whatever
/// is set (Backend::precision). For what becomes a latent itself: a log-determinant is that of the
/// factors as they are, and an inverse undoes nothing else. What a network computes may be rounded,
/// because forward and inverse round it alike. Of one thread, because another may be in the middle
/// of its network.
class FullPrecision {
 public:
  FullPrecision();
  ~FullPrecision();
  FullPrecision(const FullPrecision&) = delete;
  FullPrecision& operator=(const FullPrecision&) = delete;

  static bool wanted();  ///< by this thread
};

}  // namespace nf
