// Coupling layers: partition x elementwise map x conditioner.
// Source: Dinh, Krueger, Bengio, "NICE" (2015), section 3.2; Dinh, Sohl-Dickstein, Bengio,
// "Density estimation using Real NVP" (2017), section 3.2.
#pragma once

#include <memory>
#include <string>

#include "flows/bijection.h"
#include "flows/partition.h"
#include "nn/layers.h"

namespace nf::flows {

/// How the active part changes, given parameters from the conditioner. x is (N, A), parameters are
/// (N, A * parameters()): all first parameters, then all second ones.
class CouplingMap {
 public:
  virtual ~CouplingMap() = default;
  virtual std::string name() const = 0;
  virtual int parameters() const = 0;  ///< numbers per active dimension
  virtual double flops() const = 0;    ///< of forward, per active dimension; see Module::flops
  virtual Mapped forward(const Var& x, const Var& parameters) const = 0;
  virtual Mapped inverse(const Var& z, const Var& parameters) const = 0;
};

/// z = x + t. Keeps volume. (NICE, eq. 8)
std::shared_ptr<const CouplingMap> additive_map();
/// z = x * exp(s), s = limit * tanh(h / limit): a soft bound keeps training from blowing up.
std::shared_ptr<const CouplingMap> multiplicative_map(double limit = 2);
/// z = x * exp(s) + t, s bounded as above. (RealNVP, eq. 7)
std::shared_ptr<const CouplingMap> affine_map(double limit = 2);
/// "additive", "multiplicative" and "affine".
std::vector<std::string> coupling_map_names();
/// Throws for others.
std::shared_ptr<const CouplingMap> coupling_map_by_name(const std::string& name, double limit = 2);

/// (passive, active) -> (passive, map(active; net(passive))). The conditioner `net` takes
/// (N, passive), with the context's columns appended when one is given, and returns
/// (N, active * map->parameters()).
class Coupling : public Bijection {
 public:
  Coupling(Partition partition, std::shared_ptr<const CouplingMap> map,
           std::shared_ptr<nn::Layer> net);

  Mapped forward(const Var& x, const Var& context = {}) override;
  Mapped inverse(const Var& z, const Var& context = {}) override;
  std::string kind() const override;
  Shape inspect(const Shape& in, const std::string& name,
                std::vector<nn::LayerInfo>& rows) const override;

 private:
  Var parameters_for(const Var& passive, const Var& context);

  Partition partition_;
  std::shared_ptr<const CouplingMap> map_;
  nn::Layer& net_;
};

}  // namespace nf::flows
