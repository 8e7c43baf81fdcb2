// AnyOrder: a density of tables that knows any columns given any others.
// Source: Uria, Murray, Larochelle, "A deep and tractable density estimator" (2014); Hoogeboom et
// al., "Autoregressive diffusion models" (2022), for the training.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "flows/density.h"
#include "flows/layers/bounded.h"
#include "flows/layers/standardize.h"
#include "nn/nets/mlp.h"

namespace nf::flows {

class TableGaussian;

struct AnyOrderOptions {
  std::int64_t dims = 0;                      ///< D
  std::vector<std::string> names = {};        ///< of the columns, for errors, or none
  std::vector<std::int32_t> whole = {};       ///< columns (from 0) of whole numbers
  std::vector<std::int32_t> categories = {};  ///< K of columns that hold 0..K-1, 0 of numbers
  std::vector<std::pair<double, double>> bounds = {};  ///< of all columns, as Bounded has them
  std::vector<double> spread = {};                     ///< as Standardize takes it
  std::int64_t hidden_units = 256;
  int hidden_layers = 3;
  nn::Activation activation = {UnaryOp::Silu, {}};
  int components = 8;  ///< logistics of each conditional, 1 to 256
  int orders = 4;      ///< whose densities are averaged
};

/// The mixtures are those of mixture_log_odds, but for the weight of the component that is not
/// learned: 1/1017 in place of 1/128. Flows need it to stretch nothing that is far from the data.
/// Here is nothing to stretch, and it would cost 0.008 nats for each number.
///
/// One network takes the columns that are known, with a mark for each, and answers with the
/// distribution of every other column: a mixture of logistics, of whole numbers with the exact
/// probability of each, F(k + 1/2) - F(k - 1/2); of categories a softmax. So
///   p(x) = mean over orders o of prod_d p(x_o(d) | x_o(1), .., x_o(d-1)),
/// which is a density, exact and normalised, for `orders` random orders that are saved. Columns
/// with gaps in the training rows come last in each.
///
/// NaN in x is a missing cell. It is never known, and log_prob is that of the cells that are there:
/// each order runs through these alone. For any set of columns this, too, is an exact density.
///
/// In train mode log_prob is an estimate: of each row a random set of t columns is known, and the
/// log densities of the others are scaled to those of a whole row. Its mean is the mean over all
/// orders of ln p. An evaluation costs D passes for each order.
class AnyOrder : public Density {
 public:
  /// Weights and orders are drawn from `weights`, what is known in training from `noise`. Throws
  /// Error for sizes that are not positive, more than 256 components, and categories of 1 value.
  AnyOrder(const AnyOrderOptions& options, std::shared_ptr<Condition> condition, Generator& weights,
           const Generator& noise);
  /// How many parameters that makes, with a context of C numbers.
  static double parameters_of(const AnyOrderOptions& options, std::int64_t context);

  Var log_prob(const Var& x, const Var& given = {}) override;
  /// Each row follows one of the orders, at random. Logistic draws are scaled by `temperature`, and
  /// Gumbel draws of categories.
  Tensor sample(Generator& gen, std::int64_t n, double temperature = 1,
                const Var& given = {}) override;
  /// ln p(x_i | the columns of the row that are known), (N, D), of all columns i. known: (N, D) or
  /// (1, D) of 1 and 0; a column that is known itself has the density that it would have had. 0 of
  /// missing cells.
  Var log_conditionals(const Var& x, const Tensor& known, const Var& given = {});
  /// x (N, D), f64, with draws where `known` (N, D) is 0 or a cell is missing; what stands there
  /// counts for nothing. The others stay as they are.
  Tensor complete(Generator& gen, const Tensor& x, const Tensor& known, double temperature = 1,
                  const Var& given = {});

  /// From now on, and wherever its weights are loaded, it is the Gaussian of this mean (M) and
  /// covariance (M, M) of the numbers, in units of the data, beside independent categories of this
  /// ln frequency (V): where the network is worse. Bounds and whole numbers hold as before
  /// (table_gaussian.h). The network is kept, and not asked. Throws Error where something is given.
  void become_gaussian(const Tensor& mean, const Tensor& covariance, const Tensor& log_frequency);
  void ask_network();  ///< takes that back
  bool is_gaussian() const;

  /// log_prob is that of the first `count` orders, itself an exact density, at that part of the
  /// time; of all for 0. For looking at a training. Not saved.
  void use_orders(int count);

  bool bound() const override { return false; }
  /// Categories are whole numbers, too.
  Tensor whole_columns() const override;
  void initialize(const Samples& rows) override;
  std::int64_t initial_rows() const override { return Transform::kAllRows; }
  std::string kind() const override;
  Shape inspect(const Shape& in, const std::string& name,
                std::vector<nn::LayerInfo>& rows) const override;

 private:
  /// Where a column is: among the M columns of numbers, or where its K values begin among all
  /// values of categories.
  struct Place {
    std::int64_t first;
    std::int32_t values;  ///< K, 0 of numbers
    bool whole;
  };
  /// Rows as the network has them; 0 where a cell is missing.
  struct Rows {
    Var z;            ///< (N, M), numbers, standardised
    Var log_slope;    ///< (N, M) of bounds; undefined without any
    Tensor one_hot;   ///< (N, V), categories; undefined without any
    Tensor observed;  ///< (N, D), 1 for cells that are there
  };
  struct Cells;
  TableGaussian gaussian() const;
  Cells cells_of(const Tensor& x, const Tensor& known) const;
  std::vector<double> log_column(TableGaussian& gaussian, const Cells& cells,
                                 std::size_t column) const;
  void set_known(Cells& cells, std::size_t column) const;
  Tensor gaussian_log_prob(const Tensor& x) const;
  Tensor gaussian_log_conditionals(const Tensor& x, const Tensor& known) const;
  Tensor gaussian_complete(Generator& gen, const Tensor& x, const Tensor& known,
                           double temperature) const;
  void add_numbers();
  void add_categories();
  void put_gaps_last(const Samples& rows);
  std::int64_t context_dims() const;
  Rows rows_of(const Var& x);
  Tensor numbers_of(const Tensor& z);
  Var z_of(const Var& numbers, Var* log_slope = nullptr);
  Tensor data_of(const Rows& rows);
  Var features(const Rows& rows, const Tensor& known, const Var& context);
  Var of_numbers(const Rows& rows, const Var& features, std::int64_t first, std::int64_t count,
                 bool whole) const;
  Var of_category(const Rows& rows, const Var& logits, std::int32_t column) const;
  Var of_column(const Rows& rows, const Var& features, std::int32_t column) const;
  Var of_all(const Rows& rows, const Var& features) const;
  Var estimate(const Rows& rows, const Var& context);
  Var in_order(const Rows& rows, const Var& context, const std::vector<std::int32_t>& order);
  /// Of the weight of the fixed component, what is taken away.
  static constexpr double kTaken = 7.0 / 1024;
  static Var staying(const Var& log_p, const Var& log_wide);
  static Tensor draw_values(Generator& gen, const Tensor& logits, double temperature);
  Tensor draw_number(Generator& gen, const Tensor& parameters, double temperature) const;
  void draw_column(Generator& gen, Rows& rows, const Var& features, const Tensor& mark,
                   std::int32_t column, double temperature);
  Tensor completed(Generator& gen, const Tensor& x, const Tensor& known, const Var& context,
                   const std::vector<std::int32_t>& order, double temperature);
  std::vector<std::vector<std::int32_t>> orders() const;

  AnyOrderOptions options_;
  std::vector<Place> places_;              // of each column
  std::int64_t numbers_ = 0;               // M
  std::int64_t values_ = 0;                // V, of all categories together
  Standardize* standardize_ = nullptr;     // of numbers, where there are any
  Bounded* bounded_ = nullptr;             // before it, where there are bounds
  Tensor& orders_;                         // i32 (R, D)
  Tensor& whole_;                          // (D), 1 for whole numbers and categories
  Tensor& is_gaussian_;                    // (1), 1 where the network is not asked
  Tensor* gaussian_mean_ = nullptr;        // f64 (M)
  Tensor* gaussian_covariance_ = nullptr;  // f64 (M, M)
  Tensor* gaussian_frequency_ = nullptr;   // f64 (V), ln
  Tensor* half_ = nullptr;      // (M), half a whole number where it is told apart from its
                                // neighbours, else 0
  Tensor* log_unit_ = nullptr;  // (M), ln of what is 1 among the standardised numbers, per unit
  // With categories:
  Tensor* number_columns_ = nullptr;  // i32 (M), where they are in x
  Tensor* order_ = nullptr;           // i32 (D), of each column its place in (numbers, categories)
  Tensor* owners_ = nullptr;          // i32 (V), of each value its column in x
  Tensor* codes_ = nullptr;           // (V), what stands there for it
  nn::Sequential& hidden_;
  Var* weight_ = nullptr;           // (3K M, H)
  Var* bias_ = nullptr;             // (3K M)
  Var* category_weight_ = nullptr;  // (V, H)
  Var* category_bias_ = nullptr;    // (V)
  Generator& noise_;
  int orders_in_use_;
};

}  // namespace nf::flows
