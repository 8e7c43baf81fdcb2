// MADE: a network each of whose outputs knows only the inputs before its own in an order.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "nn/layers/masked_linear.h"
#include "nn/nets/residual_mlp.h"

namespace nf::nn {

struct MadeOptions {
  std::int64_t dims = 0;     ///< D
  std::int64_t context = 0;  ///< C, numbers that every output may know
  int outputs_per_dim = 1;   ///< P
  std::int64_t hidden_units = 64;
  int hidden_layers = 1;  ///< with `residual` blocks of two
  bool residual = false;
  Activation activation = {};
  /// Every dimension 0..D-1 once, that which knows no other first; empty: as they come.
  std::vector<std::int32_t> order = {};
  Init init = {};
  Init last_init = {};  ///< of the last layer. Zeros: all outputs are 0 at first
};

/// x (N, D + C), the inputs and behind them the context, to (N, P D), all first outputs, then all
/// second ones, as an ElementwiseMap has them. The outputs of the dimension at place t of the order
/// (from 0) depend on the inputs at places 0..t-1 and on the context. (Germain, Gregor, Murray,
/// Larochelle, "MADE" (2015); residual: Durkan et al., "Neural spline flows" (2019))
///
/// Degrees: an input has its place counted from 1, an output the same and sees units of lower
/// degree only. Hidden units have degrees 1..D-1, evenly and in ascending order, the same in every
/// layer, as sums of a residual net need it: so a mask is a staircase, and what is known of a layer
/// at some place is its first units (MadeSweep). The context has degree 0. It enters in the first
/// layer, and where there is one, hidden degrees begin at 0: these units see the context alone and
/// hand it on to every output, the first one too, which without them would be a constant. D = 1 has
/// degree 0 only: outputs are constants, or functions of the context.
class Made : public Layer {
 public:
  /// Throws Error for sizes that are not positive and for an order that is none.
  Made(const MadeOptions& options, Generator& gen);
  Var forward(const Var& x) override { return net_(x); }
  std::string kind() const override;
  Shape out_shape(const Shape& in) const override { return net_.out_shape(in); }
  Shape inspect(const Shape& in, const std::string& name,
                std::vector<LayerInfo>& rows) const override {
    return net_.inspect(in, name, rows);
  }

  const MadeOptions& options() const { return options_; }
  const std::vector<std::int32_t>& order() const { return options_.order; }
  Var& last_bias() { return layers_.back()->bias(); }  ///< (P D), added to the outputs
  /// Trained numbers of such a network, those that are masked too.
  static double parameters_of(const MadeOptions& options);

 private:
  friend class MadeSweep;
  struct Built {
    std::shared_ptr<Layer> net;
    std::vector<std::shared_ptr<MaskedLinear>> layers;  // from the first to the last
  };
  static Built build(const MadeOptions& options, Generator& gen);
  Made(const MadeOptions& options, Built built);

  MadeOptions options_;
  std::vector<std::shared_ptr<MaskedLinear>> layers_;
  Layer& net_;
  // i32 (C + D): columns of the first weight, the context's before the inputs' in their order; (D),
  // the places of the dimensions; (D P), rows of the last weight: the outputs of the first
  // dimension in the order, then those of the second, and so on.
  Tensor columns_, places_, rows_;
};

/// The outputs of a Made dimension by dimension, while its inputs become known: what the inverse of
/// an autoregressive map needs. Each unit is computed once, as soon as all that it sees is there,
/// so that all steps together are the work of one pass; no mask is needed. Gradients go through.
///
///   MadeSweep sweep(net, context, n);
///   for (std::int32_t d : net.order()) sweep.put(inverse(column d of z, sweep.next()));
///   x = sweep.inputs();
class MadeSweep {
 public:
  /// context (N, C); undefined for C = 0.
  MadeSweep(Made& net, const Var& context, std::int64_t rows);
  /// (N, P), the outputs of the next dimension in the order.
  Var next();
  /// (N, 1), the input of that dimension.
  void put(const Var& x);
  /// (N, D), when all are known.
  Var inputs() const;

 private:
  /// Some places, whose units and outputs are summed over all that is known before the first of
  /// them by one product each. The steps then add what became known since.
  struct Block {
    std::int64_t place = 0, end = 0;  // its places
    std::int64_t inputs = 0;          // rows of known_ at its begin
    std::int64_t units = 0;           // hidden units at its begin
    std::vector<Var> sums;            // of each layer but the last, (units of the block, N)
    Var weight, outputs;  // rows of the last layer, place by place: (P places, H), (P places, N)

    std::int64_t known(std::size_t layer) const { return layer == 0 ? inputs : units; }
  };
  void start_block();
  const Var& weight(std::size_t layer) const;  // its columns in the order of seen()
  const Var& seen(std::size_t layer) const;    // what the layer sees, (.., N)
  Var grown(std::size_t layer, const Var& sums, const Var& weight) const;
  Var units(std::size_t layer) const;
  void grow(Var& whole, const Var& part) const { whole = append(whole, 0, begin_, part); }

  Made& net_;
  Block block_;
  std::int64_t place_ = 0;            // of the next dimension
  std::int64_t begin_ = 0, end_ = 0;  // the hidden units that this place adds
  Var first_weight_;                  // its columns as `known_` has them
  // A unit for each row of these, so that the few units of a step are products of short matrices
  // with long ones, not of long ones with short ones, whose lanes would stand empty:
  Var known_;                // (C + D, N), the context, then the inputs in their order
  std::vector<Var> hidden_;  // (H, N), what each layer but the first sees
};

}  // namespace nf::nn
