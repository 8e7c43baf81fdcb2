// AnyOrder: a density of tables that knows any columns given any others.
// Source: Uria, Murray, Larochelle, "A deep and tractable density estimator" (2014); Hoogeboom et
// al., "Autoregressive diffusion models" (2022), for the training.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "flows/density.h"
#include "flows/layers/standardize.h"
#include "nn/nets/mlp.h"

namespace nf::flows {

struct AnyOrderOptions {
  std::int64_t dims = 0;                 ///< D
  std::vector<std::string> names = {};   ///< of the columns, for errors, or none
  std::vector<std::int32_t> whole = {};  ///< columns (from 0) of whole numbers
  std::vector<double> spread = {};       ///< as Standardize takes it
  std::int64_t hidden_units = 256;
  int hidden_layers = 3;
  nn::Activation activation = {UnaryOp::Silu, {}};
  int components = 8;  ///< logistics of each conditional, 1 to 256
  int orders = 4;      ///< whose densities are averaged
};

/// One network takes the columns that are known, with a mark for each, and answers with the
/// distribution of every other column: a mixture of logistics, of whole numbers with the exact
/// probability of each, F(k + 1/2) - F(k - 1/2). So
///   p(x) = mean over orders o of prod_d p(x_o(d) | x_o(1), .., x_o(d-1)),
/// which is a density, exact and normalised, for `orders` random orders that are saved.
///
/// In train mode log_prob is an estimate: of each row a random set of t columns is known, and the
/// log densities of the D - t others are scaled to those of a whole row. Its mean is the mean over
/// all orders of ln p. An evaluation costs D passes for each order.
class AnyOrder : public Density {
 public:
  /// Weights and orders are drawn from `weights`, what is known in training from `noise`. Throws
  /// Error for sizes that are not positive, and for more than 256 components.
  AnyOrder(const AnyOrderOptions& options, std::shared_ptr<Condition> condition, Generator& weights,
           const Generator& noise);

  Var log_prob(const Var& x, const Var& given = {}) override;
  /// Each row follows one of the orders, at random. Logistic draws are scaled by `temperature`.
  Tensor sample(Generator& gen, std::int64_t n, double temperature = 1,
                const Var& given = {}) override;
  /// ln p(x_i | the columns of the row that are known), (N, D), of all columns i. known: (N, D) or
  /// (1, D) of 1 and 0; a column that is known itself has the density that it would have had.
  Var log_conditionals(const Var& x, const Tensor& known, const Var& given = {});
  /// x (N, D) with draws where `known` (N, D) is 0; what stands there counts for nothing. f64.
  Tensor complete(Generator& gen, const Tensor& x, const Tensor& known, double temperature = 1,
                  const Var& given = {});

  bool bound() const override { return false; }
  Tensor whole_columns() const override;
  void initialize(const Samples& rows) override;
  std::int64_t initial_rows() const override { return Transform::kAllRows; }
  std::string kind() const override;
  Shape inspect(const Shape& in, const std::string& name,
                std::vector<nn::LayerInfo>& rows) const override;

 private:
  /// Columns `first` to `first + count` of standardised numbers, and the network's answer for them.
  struct Slice {
    std::int64_t first, count;
  };
  Var standardised(const Var& x);
  Var features(const Var& z, const Tensor& known, const Var& context);
  Var parameters_of(const Var& features, Slice columns) const;
  Var conditional(const Var& z, const Var& given, Slice columns) const;
  Var estimate(const Var& z, const Var& context);
  Var in_order(const Var& z, const Var& context, const std::vector<std::int32_t>& order);
  Tensor data_of(const Tensor& z);
  Tensor completed(Generator& gen, Tensor z, Tensor known, const Var& context,
                   const std::vector<std::int32_t>& order, double temperature);
  std::vector<std::vector<std::int32_t>> orders() const;

  AnyOrderOptions options_;
  Standardize& standardize_;
  Tensor& orders_;    // i32 (R, D)
  Tensor& whole_;     // (D), 1 for whole numbers
  Tensor& half_;      // (D), half a whole number where it is told apart from its neighbours, else 0
  Tensor& log_unit_;  // (D), ln of what is 1 among the standardised numbers, per unit of the data
  nn::Sequential& hidden_;
  Var* weight_;  // (3K D, H)
  Var* bias_;    // (3K D)
  Generator& noise_;
};

}  // namespace nf::flows
