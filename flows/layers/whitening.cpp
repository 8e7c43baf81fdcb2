#include "flows/layers/whitening.h"

#include "flows/layers/rows.h"
#include "tensor/linalg.h"

namespace nf::flows {

namespace {

struct Moments {
  Tensor mean;        // f64 (D)
  Tensor covariance;  // f64 (D, D)
};

// In f64, in one pass: products are of what is left when the mean of the first part is taken away,
// so that nothing cancels in the end.
Moments moments(const char* layer, const Samples& x) {
  NF_CHECK(x.size() >= 2, "[", layer, "] needs at least two samples (N, D) to whiten, got ",
           x.all().shape());
  Tensor near, total, products;
  x.for_each_part([&](const Tensor& part) {
    NF_CHECK(part.rank() == 2, "[", layer, "] needs samples (N, D) to whiten, got ", part.shape());
    const Tensor wide = part.to(Device::CPU).to(DType::F64);
    if (!near.defined()) {
      near = nf::mean(wide, {0});
      total = near.zeros_like();
      products = Tensor::zeros({part.dim(1), part.dim(1)}, DType::F64);
    }
    const Tensor centred = wide - near;
    total.add_(sum(centred, {0}));
    products.add_(matmul(centred.t(), centred));
  });
  const auto n = static_cast<double>(x.size());
  const std::int64_t dims = near.numel();
  const Tensor offset = total / n;
  const Tensor covariance = products / n - offset.reshape({dims, 1}) * offset.reshape({1, dims});
  for (std::int64_t i = 0; i < dims; ++i) {
    const double variance = covariance.narrow(0, i, 1).narrow(1, i, 1).item();
    NF_CHECK(variance > 0, "[", layer, "] dimension ", i, " is constant in all ", x.size(),
             " samples (variance ", variance, "): leave it out, or add noise to it");
  }
  return {near + offset, covariance};
}

}  // namespace

// --- ZcaWhitening -------------------------------------------------------------------------------

ZcaWhitening::ZcaWhitening(std::int64_t dims)
    : mean_(add_buffer("mean", Tensor::zeros({dims}))),
      whiten_(add_buffer("whiten", Tensor::eye(dims))),
      colour_(add_buffer("colour", Tensor::eye(dims))),
      log_det_(add_buffer("log_det", Tensor::zeros({}))) {}

Mapped ZcaWhitening::forward(const Var& x, const Var&) {
  check_dims("ZcaWhitening", x, mean_.numel());
  return {map_events(x - mean_, whiten_), log_det_.broadcast_to({x.dim(0)})};
}

Mapped ZcaWhitening::inverse(const Var& z, const Var&) {
  check_dims("ZcaWhitening", z, mean_.numel());
  return {map_events(z, colour_, mean_), broadcast_to(-Var(log_det_), {z.dim(0)})};
}

double ZcaWhitening::flops(const Shape& in) const {
  const double d = static_cast<double>(in.dim(1));
  return static_cast<double>(in.numel()) * (1 + 2 * d - 1);  // centred; W x
}

void ZcaWhitening::initialize(const Samples& x) {
  const auto [mean, covariance] = moments("ZcaWhitening", x);
  const auto [values, vectors] = eigh(covariance);
  // Fewer samples than dimensions leave eigenvalues of zero, give or take rounding.
  constexpr double kSmallest = 1e-10;
  const double largest = max(values).item();
  const Tensor lambda = clamp(values, kSmallest * largest, largest);
  mean_.copy_(mean);
  whiten_.copy_(matmul(vectors * rsqrt(lambda), vectors.t()));
  colour_.copy_(matmul(vectors * sqrt(lambda), vectors.t()));
  log_det_.copy_(sum(log(lambda)) * -0.5);
}

// --- TriangularWhitening ------------------------------------------------------------------------

TriangularWhitening::TriangularWhitening(std::int64_t dims, double rate)
    : shift_(add_parameter("shift", Tensor::zeros({dims}))),
      log_diagonal_(add_parameter("log_diagonal", Tensor::zeros({dims}))),
      below_(add_parameter("below", Tensor::zeros({dims, dims}), {.rate = rate})),
      mask_(add_buffer("mask", less(Tensor::arange(dims).reshape({1, dims}),
                                    Tensor::arange(dims).reshape({dims, 1})))) {}

Var TriangularWhitening::strict() const {
  const Tensor& b = below_.value();
  return where(mask_, below_, Tensor::zeros({1, 1}, b.dtype(), b.device()));
}

Mapped TriangularWhitening::forward(const Var& x, const Var&) {
  check_dims("TriangularWhitening", x, shift_.numel());
  const Var centred = x - shift_;
  return {(centred + map_events(centred, strict())) * exp(log_diagonal_),
          broadcast_to(sum(log_diagonal_), {x.dim(0)})};
}

Mapped TriangularWhitening::inverse(const Var& z, const Var&) {
  const std::int64_t dims = shift_.numel();
  check_dims("TriangularWhitening", z, dims);
  const Var unit = strict() + Tensor::eye(dims, z.dtype()).to(z.device());
  const Var centred = triangular_solve(unit, transpose(z * exp(-log_diagonal_), 0, 1));
  return {transpose(centred, 0, 1) + shift_, broadcast_to(-sum(log_diagonal_), {z.dim(0)})};
}

double TriangularWhitening::flops(const Shape& in) const {
  // Centred, S x as a whole product, plus, times; exp(d) and its sum.
  const double d = static_cast<double>(in.dim(1));
  return static_cast<double>(in.numel()) * (3 + 2 * d - 1) + 2 * d;
}

void TriangularWhitening::initialize(const Samples& x) {
  const auto [mean, covariance] = moments("TriangularWhitening", x);
  const std::int64_t dims = mean.numel();
  // A little of the mean variance on the diagonal: fewer samples than dimensions are no error.
  const Tensor identity = Tensor::eye(dims, DType::F64);
  const double ridge = 1e-8 * nf::mean(covariance * identity).item() * static_cast<double>(dims);
  const Tensor factor =
      triangular_solve(cholesky(covariance + identity * ridge), identity);  // of the precision
  const Tensor diagonal = sum(factor * identity, {1});
  shift_.mutable_value().copy_(mean);
  log_diagonal_.mutable_value().copy_(log(diagonal));
  below_.mutable_value().copy_(factor / diagonal.reshape({dims, 1}) - identity);
}

}  // namespace nf::flows
