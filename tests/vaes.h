// Small variational autoencoders, for tests of them.
#pragma once

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <numbers>

#include "flows/layers/vae.h"
#include "flows/models/latent_flow.h"
#include "flows/models/vae_density.h"
#include "flows/train/fit.h"
#include "nn/nets/mlp.h"
#include "tensor/linalg.h"
#include "tests/data_util.h"
#include "tests/datasets.h"
#include "tests/trainings.h"

namespace nf::test {

inline std::shared_ptr<nn::Layer> net(std::int64_t in, std::int64_t out, Generator& gen) {
  return nn::mlp({.in = in,
                  .out = out,
                  .hidden_units = 5,
                  .hidden_layers = 1,
                  .activation = nn::activation_by_name("tanh")},
                 gen);
}

inline void randomise(nn::Module& module, double size) {
  Generator gen(21);
  module.for_each_parameter([&](const std::string&, Var& p) {
    p.set_value(normal(gen, p.shape(), DType::F64).to(p.dtype()) * size);
  });
}

/// A layer with these weights (out, in) and bias (out).
inline std::shared_ptr<nn::Layer> linear_of(const Tensor& weight, const Tensor& bias) {
  Generator gen(1);
  auto layer = std::make_shared<nn::Linear>(
      nn::LinearOptions{.in = weight.dim(1), .out = weight.dim(0)}, gen);
  layer->for_each_parameter(
      [&](const std::string& name, Var& p) { p.set_value(name == "weight" ? weight : bias); });
  return layer;
}

/// ln N(x; mean, covariance) of each row of x (N, D), f64; mean (D), covariance (D, D).
inline std::vector<double> ln_gaussian(const Tensor& x, const Tensor& mean,
                                       const Tensor& covariance) {
  const Tensor centred = x - mean, half = matmul(centred, inverse(covariance));
  const double rest = slogdet(covariance).logdet.item() +
                      static_cast<double>(x.dim(1)) * std::log(2 * std::numbers::pi);
  return (sum(half * centred, {1}) * -0.5 - rest / 2).to_vector<double>();
}

/// Each draw of the bound, alone and among several, is the log-probability `exact` of its row.
inline void expect_exact_draws(Density& density, const Tensor& x,
                               const std::vector<double>& exact) {
  for (const int draws : {1, 3}) {
    const auto scores = score(density, x, {.noise_draws = draws, .importance = draws > 1});
    for (std::size_t i = 0; i < exact.size(); ++i) BOOST_CHECK_CLOSE(scores[i], exact[i], 1e-8);
  }
}

/// All rows of so many levels, (levels^dims, dims), f64.
inline Tensor all_rows(std::int64_t dims, int levels) {
  std::int64_t count = 1;
  for (std::int64_t d = 0; d < dims; ++d) count *= levels;
  std::vector<double> rows;
  for (std::int64_t i = 0; i < count; ++i) {
    for (std::int64_t d = 0, rest = i; d < dims; ++d, rest /= levels) {
      rows.push_back(static_cast<double>(rest % levels));
    }
  }
  return Tensor::from(rows, {count, dims});
}

inline data::Dataset bits_of(std::int64_t train, std::int64_t valid) {
  data::Dataset data = dependent_bytes(train, valid);
  data.levels = 2;
  for (data::Split* part : {&data.train, &data.valid}) {
    part->x = greater(part->x.to(DType::F32), Tensor::scalar(128)).to(DType::U8);
  }
  return data;
}

inline Config small_vae(const std::vector<std::string>& settings) {
  Config config = preset("vae", {.dims = 6, .discrete = true, .levels = 2});
  for (const char* setting : {"latents=2", "hidden_units=8", "posterior_width=8", "batch_size=8",
                              "epochs=3", "seed=3", "bits=1"}) {
    set(config, setting);
  }
  for (const std::string& setting : settings) set(config, setting);
  return config;
}

inline std::shared_ptr<FlowDensity> build_vae(const Config& config) {
  return make_flow(config, {.dims = 6, .discrete = true, .levels = 2});
}

}  // namespace nf::test
