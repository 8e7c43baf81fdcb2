// NADE: probabilities of bits by hidden units that share their weights.
#pragma once

#include "nn/nets/causal.h"

namespace nf::nn {

struct NadeOptions {
  std::int64_t dims = 0;     ///< D bits
  std::int64_t context = 0;  ///< numbers that every unit may know
  std::int64_t hidden_units = 500;
};

/// Logits of bits x_d = 0 or 1, one after the other, by H hidden units:
///
///   l_d = b_d + v_d . sigmoid(a_d),  a_1 = c + U context,  a_(d+1) = a_d + x_d w_d
///
/// with "in_weight" w (D, H), "in_bias" c (H), "out_weight" v (D, H), "out_bias" b (D),
/// "context_weight" U (H, context). All logits together are H D products, and so is a sample.
/// (Larochelle, Murray, "The neural autoregressive distribution estimator" (2011), eq. 5 to 7)
class Nade : public CausalNet {
 public:
  Nade(const NadeOptions& options, Generator& gen);
  /// x (N, D, 1), floats 0 and 1; (N, D, 1).
  Var forward(const Var& x, const Var& context) override;
  std::unique_ptr<CausalSweep> sweep(const Var& context, std::int64_t rows) override;
  Var* biases_of_places() override { return &b_; }
  std::string kind() const override;
  double flops(const Shape& in) const override;
  Shape inspect(const Shape& in, const std::string& name,
                std::vector<LayerInfo>& rows) const override;

  static double parameters_of(const NadeOptions& options);

 private:
  class Sweep;
  /// a_1 (N, H).
  Var start(const Var& context, std::int64_t rows) const;

  NadeOptions options_;
  Var &w_, &c_, &v_, &b_;
  Var* u_ = nullptr;
};

/// The sums v_d . sigmoid(a_d), (N, D), of x (N, D) with floats 0 and 1, w and v (D, H), start a_1
/// (N, H). On the CPU one function that keeps only its inputs; elsewhere nade_sums_in_blocks().
Var nade_sums(const Tensor& x, const Var& w, const Var& v, const Var& start);
/// The same by functions of tensors, some columns at a time, of which backward computes the hidden
/// units again.
Var nade_sums_in_blocks(const Tensor& x, const Var& w, const Var& v, const Var& start);

}  // namespace nf::nn
