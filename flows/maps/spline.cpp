#include "flows/maps/spline.h"

#include <cmath>

namespace nf::flows {

namespace {

class Spline : public ElementwiseMap {
 public:
  Spline(int bins, double bound) : bins_(bins), bound_(bound) {}
  std::string kind() const override { return str("spline of ", bins_, " bins"); }
  int parameters_per_dim() const override { return 3 * bins_ - 1; }
  double flops_per_dim() const override { return 15.0 * bins_ + 57; }

  Mapped forward(const Var& x, const Var& parameters) const override {
    return map(x, parameters, false);
  }
  Mapped inverse(const Var& z, const Var& parameters) const override {
    return map(z, parameters, true);
  }

 private:
  Mapped map(const Var& x, const Var& parameters, bool inverse) const {
    const auto [value, log_slope] =
        rational_quadratic_spline(x, parameters, {bins_, bound_, inverse});
    return {value, sum_event(log_slope)};
  }

  int bins_;
  double bound_;
};

}  // namespace

std::shared_ptr<ElementwiseMap> spline_map(int bins, double bound) {
  NF_CHECK(bins >= 2 && bins <= 256 && bound > 0 && std::isfinite(bound),
           "[spline] needs 2 to 256 bins and a positive bound, got ", bins, " and ", bound);
  return std::make_shared<Spline>(bins, bound);
}

}  // namespace nf::flows
