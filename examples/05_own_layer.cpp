// A layer of one's own (asinh.h), put to the library's test and trained among the library's layers.
#include <cstdio>

#include "examples/asinh.h"
#include "examples/heavy_tails.h"
#include "examples/picture.h"
#include "flows/examine/check.h"

using namespace nf;

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

  const data::Dataset data = heavy_tails();
  const auto gaussian = trained(data, nullptr), asinh = trained(data, std::make_shared<Asinh>(1));
  const double without = evaluate(*gaussian, data.test.x).nats;
  const double with = evaluate(*asinh, data.test.x).nats;
  std::printf("a Gaussian %.2f nats, behind an Asinh %.2f\n", without, with);
  if (argc > 1) draw(argv[1], data.train.x, *gaussian, *asinh);
  return broken == 0 && !caught.empty() && with > without + 0.5 ? 0 : 1;
}
