#include "flows/coupling.h"

#include "tensor/names.h"

namespace nf::flows {

namespace {

class Additive : public CouplingMap {
 public:
  std::string name() const override { return "additive"; }
  int parameters() const override { return 1; }
  double flops() const override { return 1; }
  Mapped forward(const Var& x, const Var& t) const override { return {x + t, zero_log_det(x)}; }
  Mapped inverse(const Var& z, const Var& t) const override { return {z - t, zero_log_det(z)}; }
};

// s in (-limit, limit), with slope 1 at 0.
Var soft_bound(const Var& h, double limit) { return tanh(h / limit) * limit; }
constexpr double kSoftBoundFlops = 3;

class Multiplicative : public CouplingMap {
 public:
  explicit Multiplicative(double limit) : limit_(limit) {}
  std::string name() const override { return "multiplicative"; }
  int parameters() const override { return 1; }
  double flops() const override { return kSoftBoundFlops + 3; }  // exp, *, and the sum
  Mapped forward(const Var& x, const Var& h) const override {
    const Var s = soft_bound(h, limit_);
    return {x * exp(s), sum(s, {1})};
  }
  Mapped inverse(const Var& z, const Var& h) const override {
    const Var s = -soft_bound(h, limit_);
    return {z * exp(s), sum(s, {1})};
  }

 private:
  double limit_;
};

class Affine : public CouplingMap {
 public:
  explicit Affine(double limit) : limit_(limit) {}
  std::string name() const override { return "affine"; }
  int parameters() const override { return 2; }
  double flops() const override { return kSoftBoundFlops + 4; }  // exp, *, +, and the sum
  Mapped forward(const Var& x, const Var& parameters) const override {
    const auto [s, t] = scale_and_shift(x, parameters);
    return {x * exp(s) + t, sum(s, {1})};
  }
  Mapped inverse(const Var& z, const Var& parameters) const override {
    const auto [s, t] = scale_and_shift(z, parameters);
    return {(z - t) * exp(-s), -sum(s, {1})};
  }

 private:
  std::pair<Var, Var> scale_and_shift(const Var& x, const Var& parameters) const {
    const std::int64_t n = x.dim(1);
    return {soft_bound(narrow(parameters, 1, 0, n), limit_), narrow(parameters, 1, n, n)};
  }
  double limit_;
};

}  // namespace

std::shared_ptr<const CouplingMap> additive_map() { return std::make_shared<Additive>(); }

std::shared_ptr<const CouplingMap> multiplicative_map(double limit) {
  NF_CHECK(limit > 0, "[multiplicative] the bound of log scales must be positive, got ", limit);
  return std::make_shared<Multiplicative>(limit);
}

std::shared_ptr<const CouplingMap> affine_map(double limit) {
  NF_CHECK(limit > 0, "[affine] the bound of log scales must be positive, got ", limit);
  return std::make_shared<Affine>(limit);
}

namespace {

using MakeMap = std::shared_ptr<const CouplingMap> (*)(double limit);

const Names<MakeMap>& coupling_maps() {
  static const Names<MakeMap> names("coupling",
                                    {{"additive", [](double) { return additive_map(); }},
                                     {"multiplicative", multiplicative_map},
                                     {"affine", affine_map}});
  return names;
}

}  // namespace

std::vector<std::string> coupling_map_names() { return coupling_maps().all(); }

std::shared_ptr<const CouplingMap> coupling_map_by_name(const std::string& name, double limit) {
  return coupling_maps().at(name)(limit);
}

Coupling::Coupling(Partition partition, std::shared_ptr<const CouplingMap> map,
                   std::shared_ptr<nn::Layer> net)
    : partition_(std::move(partition)),
      map_(std::move(map)),
      net_(add_module("net", std::move(net))) {}

Var Coupling::parameters_for(const Var& passive, const Var& context) {
  Var parameters = net_.forward(context.defined() ? concat({passive, context}, 1) : passive);
  const std::int64_t expected = partition_.active() * map_->parameters();
  NF_CHECK(parameters.rank() == 2 && parameters.dim(1) == expected, "[Coupling] the conditioner ",
           net_.kind(), " gives ", parameters.shape(), ", ", map_->name(), " needs (N, ", expected,
           ")");
  return parameters;
}

Mapped Coupling::forward(const Var& x, const Var& context) {
  const auto [passive, active] = partition_.split(x);
  const auto [value, log_det] = map_->forward(active, parameters_for(passive, context));
  return {partition_.join(passive, value), log_det};
}

Mapped Coupling::inverse(const Var& z, const Var& context) {
  const auto [passive, active] = partition_.split(z);
  const auto [value, log_det] = map_->inverse(active, parameters_for(passive, context));
  return {partition_.join(passive, value), log_det};
}

std::string Coupling::kind() const {
  return str("Coupling(", map_->name(), ", ", partition_.text(), ")");
}

Shape Coupling::inspect(const Shape& in, const std::string& name,
                        std::vector<nn::LayerInfo>& rows) const {
  net_.inspect({in.dim(0), partition_.passive()}, nn::join_names(name, "net"), rows);
  const double changed = static_cast<double>(in.dim(0) * partition_.active());
  rows.push_back({name, kind(), in, 0, changed * map_->flops()});
  return in;
}

}  // namespace nf::flows
