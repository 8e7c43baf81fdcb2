// CausalNet: what is said of each place of a row by the places before it.
#pragma once

#include <cstdint>
#include <memory>

#include "nn/layers/linear.h"

namespace nf::nn {

/// The outputs of a CausalNet place by place, while its inputs become known. Each unit is computed
/// once, as soon as all that it sees is there, so that all places together are the work of one
/// pass. Nothing is recorded.
///
///   const auto sweep = net.sweep(context, n);
///   for (std::int64_t t = 0; t < net.places(); ++t) sweep->put(draw(sweep->next()));
class CausalSweep {
 public:
  virtual ~CausalSweep() = default;
  /// (N, P), the outputs of the next place.
  virtual Tensor next() = 0;
  /// (N, C), the numbers of that place.
  virtual void put(const Tensor& x) = 0;
};

struct CausalSizes {
  std::int64_t places = 0;    ///< T: pixels, samples of a signal, bits
  std::int64_t channels = 1;  ///< C numbers of a place, in [0, 1]
  std::int64_t outputs = 1;   ///< P numbers that are said of a place
  std::int64_t context = 0;   ///< numbers that every output may know
};

/// x (N, T, C) and a context (N, context), undefined for none, to (N, T, P): the outputs of a place
/// depend on the places before it, in the order of the row, and on the context.
class CausalNet : public Module {
 public:
  explicit CausalNet(const CausalSizes& sizes);
  virtual Var forward(const Var& x, const Var& context) = 0;
  Var operator()(const Var& x, const Var& context = {}) {
    const Call call(*this);
    return forward(x, context);
  }
  virtual std::unique_ptr<CausalSweep> sweep(const Var& context, std::int64_t rows) = 0;

  /// (T), what is added to the one output of each place, where places have numbers of their own for
  /// that; null.
  virtual Var* biases_of_places() { return nullptr; }

  const CausalSizes& sizes() const { return sizes_; }
  std::int64_t places() const { return sizes_.places; }
  /// Of x (N, T, C).
  Shape out_shape(const Shape& in) const override { return {in.dim(0), places(), sizes_.outputs}; }

 private:
  CausalSizes sizes_;
};

/// tanh(a) * sigmoid(b) of the two halves of the last axis (van den Oord et al. 2016).
Var gated_tanh(const Var& both);

}  // namespace nf::nn
