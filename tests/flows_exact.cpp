// Models whose answer is known exactly: what evaluate() tells of them is that.
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <numbers>

#include "flows/bijection.h"
#include "flows/compose.h"
#include "flows/layers/level_cdf.h"
#include "flows/layers/whitening.h"
#include "flows/models/build.h"
#include "flows/models/coupling_flow.h"
#include "flows/train/evaluate.h"
#include "tensor/linalg.h"
#include "tensor/ops.h"

using namespace nf;
using namespace nf::flows;

namespace {

constexpr std::int64_t kDims = 5;

/// A flow whose couplings are the identity: what remains is preprocessing, whitening and the base.
std::shared_ptr<FlowDensity> bare(const char* preprocess, const char* prior, const DataShape& shape,
                                  const char* whitening = "none") {
  Config config = preset("nice");
  coupling_flow(config).hidden_units = 4;
  coupling_flow(config).scaling = false;
  coupling_flow(config).preprocess = preprocess;
  coupling_flow(config).prior = prior;
  coupling_flow(config).whitening = whitening;
  return make_flow(config, shape);
}

/// (n, kDims) whose columns depend on each other and have other means and deviations.
Tensor table(std::int64_t n) {
  Generator gen(3);
  const Tensor mix = normal(gen, {kDims, kDims}), mean = normal(gen, {kDims}) * 4.0;
  return matmul(normal(gen, {n, kDims}), mix) + mean;
}

/// Covariance of x in f64 by plain loops.
Tensor covariance_of(const Tensor& x) {
  const auto n = static_cast<std::size_t>(x.dim(0)), d = static_cast<std::size_t>(x.dim(1));
  const std::vector<double> values = x.to(DType::F64).to_vector<double>();
  std::vector<double> mean(d), covariance(d * d);
  for (std::size_t i = 0; i < n * d; ++i) mean[i % d] += values[i] / static_cast<double>(n);
  for (std::size_t r = 0; r < n; ++r) {
    for (std::size_t i = 0; i < d; ++i) {
      for (std::size_t j = 0; j < d; ++j) {
        covariance[i * d + j] +=
            (values[r * d + i] - mean[i]) * (values[r * d + j] - mean[j]) / static_cast<double>(n);
      }
    }
  }
  return Tensor::from(covariance, {x.dim(1), x.dim(1)});
}

const double kGaussian = 0.5 * std::log(2 * std::numbers::pi) + 0.5;  // entropy at deviation 1

}  // namespace

BOOST_AUTO_TEST_SUITE(flows_exact)

// A logistic base behind a logit is the uniform density: every level of 256 costs 8 bits, whatever
// the image, and the density of x in [0, 1] is 1.
BOOST_AUTO_TEST_CASE(uniform_pixels_cost_8_bits) {
  Generator gen(1);
  const Tensor any = (uniform(gen, {3000, kDims}) * 256.0).to(DType::U8);
  const DataShape pixels{.dims = kDims, .discrete = true};
  for (const char* preprocess : {"logit", "cdf"}) {
    const auto density = bare(preprocess, "logistic", pixels);
    for (const Tensor& x : {any, any.zeros_like(), Tensor::full(any.shape(), 255, DType::U8)}) {
      const Evaluation e = evaluate(*density, x, {.noise_draws = 3});
      BOOST_CHECK_SMALL(e.bits_per_dim - 8, 1e-5);
      BOOST_CHECK_SMALL(e.nats, 1e-4);
      BOOST_CHECK_SMALL(e.nats_se, 1e-5);
    }
  }
}

// A table of distribution functions costs the entropy of each column's levels.
BOOST_AUTO_TEST_CASE(two_levels_cost_their_entropy) {
  constexpr std::int64_t kRows = 20'000, kOnes = 5'000;
  std::vector<std::uint8_t> levels(kRows);
  std::fill(levels.begin(), levels.begin() + kOnes, 1);
  const Tensor x = Tensor::from(levels, {kRows, 1}).broadcast_to({kRows, kDims}).clone();
  const auto density = bare("cdf", "logistic", {.dims = kDims, .discrete = true});
  density->transform().initialize(x);
  // As if each of 256 levels had been seen half a time more.
  const double total = kRows + 128, one = (kOnes + 0.5) / total,
               zero = (kRows - kOnes + 0.5) / total;
  const double bits = -0.25 * std::log2(one) - 0.75 * std::log2(zero);
  BOOST_CHECK_CLOSE_FRACTION(evaluate(*density, x).bits_per_dim, bits, 1e-5);
}

BOOST_AUTO_TEST_CASE(a_gaussian_of_a_table_has_its_determinant) {
  const Tensor x = table(9'000);
  const Tensor covariance = covariance_of(x);
  const DataShape shape{.dims = kDims};
  // Standardised columns: the product of the marginal Gaussians.
  const Tensor deviations = sqrt(sum(covariance * Tensor::eye(kDims, DType::F64), {1}));
  const auto marginal = bare("standard", "gaussian", shape);
  marginal->transform().initialize(x);
  BOOST_CHECK_CLOSE_FRACTION(evaluate(*marginal, x).nats,
                             -sum(log(deviations)).item() - kDims * kGaussian, 1e-6);
  // Whitened: the Gaussian of the whole covariance. -ln sqrt(det(2 pi e covariance)), on the mean.
  const double whole = -0.5 * slogdet(covariance).logdet.item() - kDims * kGaussian;
  for (const char* whitening : {"zca", "triangular"}) {
    const auto joint = bare("standard", "gaussian", shape, whitening);
    joint->transform().initialize(x);
    BOOST_CHECK_CLOSE_FRACTION(evaluate(*joint, x).nats, whole, 1e-6);
  }
}

// --- samples in parts ----------------------------------------------------------------------------

// Far from 0 and nearly parallel: f32 products would not tell the columns apart.
BOOST_AUTO_TEST_CASE(covariances_are_those_of_f64) {
  Generator gen(2);
  const Tensor common = normal(gen, {10'000, 1});
  const Tensor x = common * 100.0 + normal(gen, {10'000, kDims}) * 0.05 + 300.0;
  const Tensor covariance = covariance_of(x);
  ZcaWhitening layer(kDims);
  layer.initialize(x);
  const auto [z, log_det] = layer.forward(x);
  // log|det W| = -ln det(covariance) / 2, which is wrong by whole nats where digits are lost.
  BOOST_CHECK_SMALL(static_cast<double>(log_det.value().to_vector<float>()[0]) +
                        0.5 * slogdet(covariance).logdet.item(),
                    1e-3);
}

BOOST_AUTO_TEST_CASE(all_samples_are_seen) {
  constexpr std::int64_t kMany = 1'000'003, kLast = 3;  // all are level 0, the last ones level 7
  std::int64_t asked = 0, most = 0;
  const Samples samples(kMany, [&](std::int64_t first, std::int64_t count) {
    asked += count;
    most = std::max(most, count);
    Tensor part = Tensor::zeros({count, 1});
    const std::int64_t end = first + count,
                       high = std::min(end - std::min(end, kMany - kLast), count);
    if (high > 0) part.narrow(0, count - high, high).fill_(7);
    return part;
  });
  auto cdf = std::make_shared<LevelCdf>(1, 8);
  Compose flow;
  flow.add("cdf", cdf);
  flow.initialize(samples);
  BOOST_CHECK_EQUAL(asked, kMany);
  BOOST_CHECK_LE(most, 10'000);  // never all at once
  const double total = static_cast<double>(kMany) + 0.5 * 8;
  for (const auto& [level, count] :
       {std::pair{0, kMany - kLast}, {3, std::int64_t{0}}, {7, kLast}}) {
    const Mapped mapped = flow.forward(Tensor::full({1, 1}, level + 0.5));
    const double mass = (static_cast<double>(count) + 0.5) / total;
    BOOST_CHECK_CLOSE_FRACTION(std::exp(mapped.log_det.value().item()), mass, 0.05);
  }
}

/// Notes how many rows it begins from, and doubles them.
struct Noted : Bijection {
  Noted(std::int64_t wanted, std::string& notes) : wanted_(wanted), notes_(notes) {}
  Mapped forward(const Var& x, const Var&) override { return {x * 2.0, zero_log_det(x)}; }
  Mapped inverse(const Var& z, const Var&) override { return {z * 0.5, zero_log_det(z)}; }
  void initialize(const Samples& x) override {
    double total = 0;
    x.for_each_part([&](const Tensor& part) { total += sum(part.to(DType::F64)).item(); });
    notes_ += str(x.size(), " rows of ", total / static_cast<double>(x.size()), "; ");
  }
  std::int64_t initial_rows() const override { return wanted_; }
  std::string kind() const override { return "Noted"; }
  std::int64_t wanted_;
  std::string& notes_;
};

BOOST_AUTO_TEST_CASE(each_layer_sees_what_those_before_it_make) {
  std::string notes;
  Compose flow;
  int i = 0;
  for (const std::int64_t wanted : {Bijection::kAllRows, std::int64_t{0}, std::int64_t{20},
                                    Bijection::kAllRows, std::int64_t{10}, std::int64_t{0}}) {
    flow.add(str("layer", i++), std::make_shared<Noted>(wanted, notes));
  }
  flow.initialize(Tensor::ones({9'000, 1}));
  BOOST_CHECK_EQUAL(notes, "9000 rows of 1; 20 rows of 4; 9000 rows of 8; 10 rows of 16; ");
  notes.clear();
  flow.initialize(Tensor::ones({15, 1}));
  BOOST_CHECK_EQUAL(notes, "15 rows of 1; 15 rows of 4; 15 rows of 8; 10 rows of 16; ");
}

BOOST_AUTO_TEST_SUITE_END()
