// Base distributions: the simple densities of the latent space, factorised over dimensions.
#pragma once

#include <memory>
#include <string>

#include "autograd/functions.h"
#include "nn/module.h"
#include "tensor/random.h"

namespace nf::flows {

class Base : public nn::Module {
 public:
  /// log density of each row of z (N, D): (N), in nats.
  virtual Var log_prob(const Var& z) = 0;
  /// (n, dims) draws, scaled by `temperature` (1: the distribution itself). A generator that is
  /// placed draws on the device of its samples.
  virtual Tensor sample(Generator& gen, std::int64_t n, std::int64_t dims, double temperature = 1,
                        Device device = Device::CPU) = 0;
  /// P(Z <= z) of one dimension; NaN of NaN.
  virtual double cdf(double z) const = 0;
  /// The standard deviation of one dimension.
  virtual double deviation() const = 0;
};

/// N(0, I): ln p = -z^2/2 - ln(2 pi)/2 per dimension.
class StandardNormal : public Base {
 public:
  Var log_prob(const Var& z) override;
  Tensor sample(Generator& gen, std::int64_t n, std::int64_t dims, double temperature,
                Device device) override;
  double cdf(double z) const override;
  double deviation() const override { return 1; }
  double flops(const Shape& in) const override;
  std::string kind() const override { return "StandardNormal"; }
};

/// Logistic with location 0 and scale 1: ln p = -softplus(z) - softplus(-z) per dimension.
class StandardLogistic : public Base {
 public:
  Var log_prob(const Var& z) override;
  Tensor sample(Generator& gen, std::int64_t n, std::int64_t dims, double temperature,
                Device device) override;
  double cdf(double z) const override;
  double deviation() const override;
  double flops(const Shape& in) const override;
  std::string kind() const override { return "StandardLogistic"; }
};

/// "logistic" and "gaussian".
std::vector<std::string> base_names();
/// Throws for others.
std::shared_ptr<Base> base_by_name(const std::string& name);

}  // namespace nf::flows
