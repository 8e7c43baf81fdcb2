// Is a trained density what it says it is? Whether its layers invert, whether their
// log-determinants are those of their Jacobians, and whether the latents of data follow the base
// distribution.
//
// check_bijection (flows/examine/check.h) asks more, of a layer with random parameters and
// well-behaved inputs. Here the parameters are those that training found, and the inputs are data:
// a correct layer may have become so steep that f32 cannot invert it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "flows/compose.h"
#include "flows/flow_density.h"

namespace nf::flows {

/// While it lives, the parameters and float buffers of a module are in `dtype`. The destructor puts
/// back the very tensors that were there, also when something throws in between.
class InDtype {
 public:
  InDtype(nn::Module& module, DType dtype);
  ~InDtype() { put_back(); }
  InDtype(const InDtype&) = delete;
  InDtype& operator=(const InDtype&) = delete;

 private:
  void put_back();

  nn::Module& module_;
  nn::StateDict kept_;
};

/// One layer, on the samples as they reach it; or the whole map. Numbers that could not be computed
/// are NaN or infinite, never left out.
struct LayerDiagnosis {
  std::string name, kind;
  double log_det = 0;  ///< of forward: mean over samples, nats
  /// max |inverse(forward(x)) - x| / max |x|: of the worst column; for levels, of all numbers.
  /// Where the samples given are smaller there than the density's own usually are, relative to
  /// those.
  double round_trip = 0;
  double log_det_gap = 0;  ///< max |l + l'| / (1 + |l|): l of forward, l' of inverse, should cancel
  /// Only with DiagnoseOptions::jacobians > 0. J by central differences, log|det J| by LU:
  double jacobian_gap = 0;     ///< max |l - log|det J|| / (1 + |l|)
  double largest_stretch = 0;  ///< max |ln s|, s the singular values of J; of a Scaling, max |s|
  bool estimated = false;      ///< log_det is an estimate, and was not compared with anything
};

struct DiagnoseOptions {
  std::int64_t jacobians =
      0;                   ///< so many of the first samples; each costs 2 D passes of each layer
  std::uint64_t seed = 0;  ///< of the noise; the density's own generators are left as they were
  Tensor given = {};       ///< (N, G), of a conditional density; see Density
};

/// A row for each layer of a Compose, and last one named "whole map", whose Jacobian's numbers are
/// the largest of the layers. Dequantize layers, which add noise, have no row: "whole" is what
/// comes behind them. A flow that draws the noise (VariationalDequantize) has one, named
/// "dequantize.flow" where the layer is "dequantize", of its own draws beside the levels of x; the
/// last row is at least as far off, but its log_det is without it. x (N, D), N >= 1, on any device,
/// in the dtype of the parameters; runs in evaluation mode and leaves no trace. Throws Error for
/// another shape, and for Jacobians of other than f64, where differences have the digits.
std::vector<LayerDiagnosis> diagnose_layers(FlowDensity& density, const Tensor& x,
                                            const DiagnoseOptions& options = {});

/// How the latents of data compare with the base distribution, whose dimensions are all alike.
struct LatentDiagnosis {
  std::int64_t count = 0;   ///< samples
  double mean = 0;          ///< of all latents, in standard deviations of the base: ideal 0
  double deviation = 0;     ///< of all latents, in standard deviations of the base: ideal 1
  double largest = 0;       ///< max |z|, in standard deviations of the base
  double tails = 0;         ///< share of latents outside the middle 99.8 % of the base: ideal 0.002
  double ks_mean = 0;       ///< Kolmogorov-Smirnov distance of a dimension, mean over dimensions
  double ks_worst = 0;      ///< of the worst dimension
  std::int64_t ks_dim = 0;  ///< which one that is, counted from 0
  std::vector<double> ks = {};  ///< of each dimension
  /// What ks_worst exceeds with a probability of at most 1 % if the latents do follow the base:
  /// sqrt(ln(2 D / 0.01) / (2 N)). (Massart 1990, Corollary 1, for each of D dimensions)
  double ks_chance = 0;
  /// What `tails` exceeds once in 10000 times if the latents follow the base: of N D of them, all
  /// dimensions together, each is outside with a probability of 0.002.
  double tails_chance = 0;
  /// The mean square is above what so few latents have by chance, and above 4: with a handful of
  /// rows, whose ks_chance is near 1, all that can be told.
  bool wide = false;
};

/// Of the rows of x (N, D), N >= 1, `batch_size` at a time, in evaluation mode. Levels are
/// dequantised with noise of `seed`.
LatentDiagnosis diagnose_latents(FlowDensity& density, const Tensor& x,
                                 std::int64_t batch_size = 1000, std::uint64_t seed = 0,
                                 const Tensor& given = {});

/// sup |F_n - F|, F_n the empirical distribution function of `values`, F the base's; NaN when one
/// of them is. Throws Error when there are none.
double ks_distance(std::vector<double> values, const Base& base);

/// The same of values that are uniform on (0, 1) where F is right: F of each.
double ks_distance(std::vector<double> shares);

/// P(D_n > distance) of n values that follow the distribution; of n and m of two samples of one
/// distribution n is n m / (n + m). Kolmogorov's limit with the correction for small n of Stephens
/// (1970): good to two digits from n = 4 on. NaN of NaN.
double ks_p_value(double distance, double n);

}  // namespace nf::flows
