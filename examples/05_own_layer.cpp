// A layer of one's own: written, put to the library's test, and trained among the library's layers.
#include <cmath>
#include <cstdio>

#include "examples/picture.h"
#include "flows/bijection.h"
#include "flows/compose.h"
#include "flows/examine/check.h"
#include "flows/layers/scaling.h"
#include "flows/train/fit.h"

using namespace nf;

/// z = asinh(y), y = x exp(-w), one learned w per dimension: nearly linear for |x| < exp(w),
/// logarithmic beyond. dz/dx = exp(-w) / sqrt(y^2 + 1).
class Asinh : public flows::Bijection {
 public:
  explicit Asinh(std::int64_t dims)
      : log_width_(add_parameter("log_width", Tensor::zeros({dims}))) {}

  flows::Mapped forward(const Var& x, const Var& = {}) override {
    const Var z = asinh(x * exp(-log_width_));
    return {z, sum(-log_cosh(z) - log_width_, {1})};
  }
  flows::Mapped inverse(const Var& z, const Var& = {}) override {
    const Var sinh = (expm1(z) - expm1(-z)) / 2;
    return {sinh * exp(log_width_), sum(log_cosh(z) + log_width_, {1})};
  }
  std::string kind() const override { return str("Asinh(", log_width_.numel(), ")"); }

 private:
  // Never squares y = sinh z, nor takes exp of a large z.
  static Var log_cosh(const Var& z) { return z + softplus(-2 * z) - std::log(2.0); }

  Var& log_width_;  // (D)
};

/// The same, with a mistake that training would not tell.
class Careless : public Asinh {
 public:
  using Asinh::Asinh;
  flows::Mapped forward(const Var& x, const Var& = {}) override {
    return {Asinh::forward(x).value, flows::zero_log_det(x)};
  }
};

static Tensor inputs(Generator& gen) { return 3 * normal(gen, {4, 3}, DType::F64); }

template <class Layer>
static std::vector<std::string> broken_promises(const char* name) {
  return flows::check_bijection(
      {.name = name,
       .make = [](Generator&) { return std::make_shared<Layer>(3); },
       .input = inputs,
       .extremes = Tensor::from<double>({0, -1e30, 1e30, 1e-30, -1e-30, 0}, {2, 3})});
}

/// A Gaussian of width and centre of its own, behind an Asinh or alone.
static std::shared_ptr<flows::Density> trained(const data::Dataset& data, bool with_asinh) {
  auto flow = std::make_shared<flows::Compose>();
  if (with_asinh) flow->add("asinh", std::make_shared<Asinh>(data.dims));
  flow->add("scaling", std::make_shared<flows::Scaling>(data.dims));
  auto density =
      std::make_shared<flows::Density>(flow, std::make_shared<flows::StandardNormal>(), data.dims);
  fit(*density, data, {.epochs = 4, .optimizer = {.lr = 3e-2}, .schedule = {.warmup = 20}});
  return density;
}

/// Both densities beside the data, between -100 and 100.
static void draw(const char* path, const Tensor& rows, flows::Density& gaussian,
                 flows::Density& asinh) {
  const Tensor x = Tensor::arange(401).reshape({401, 1}) / 2.0 - 100;
  const auto line = [](const Tensor& t) { return t.to(DType::F64).to_vector<double>(); };
  data::write_curve_svg(path, {"Heavy tails", "x", "density", /*whole_range=*/true},
                        {histogram("data", line(rows), -100, 100, 100),
                         {"a Gaussian", line(x), line(exp(gaussian.log_prob(x).value()))},
                         {"behind an Asinh", line(x), line(exp(asinh.log_prob(x).value()))}});
}

int main(int argc, char** argv) {
  const std::size_t broken = broken_promises<Asinh>("Asinh").size();
  const auto caught = broken_promises<Careless>("Careless");
  std::printf("Asinh: %zu broken promises\n", broken);
  for (const std::string& line : caught) std::printf("%s\n", line.c_str());

  // Heavy tails: x = 10 sinh(1.5 n), n normal; the largest of 20000 are some thousands.
  Generator gen;
  const Tensor n = 1.5 * normal(gen, {20000, 1}), x = 5 * (exp(n) - exp(-n));
  data::Dataset data;
  data.dims = 1;
  data.train.x = x.narrow(0, 0, 18000);
  data.test.x = x.narrow(0, 18000, 2000);
  const auto gaussian = trained(data, false), asinh = trained(data, true);
  const double without = evaluate(*gaussian, data.test.x).nats;
  const double with = evaluate(*asinh, data.test.x).nats;
  std::printf("a Gaussian %.2f nats, behind an Asinh %.2f\n", without, with);
  if (argc > 1) draw(argv[1], x, *gaussian, *asinh);
  return broken == 0 && !caught.empty() && with > without + 0.5 ? 0 : 1;
}
