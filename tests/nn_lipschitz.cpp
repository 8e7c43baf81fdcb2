// Maps of bounded norm, activations of bounded slope, and the network made of them with the
// products of its Jacobian.
#include <boost/test/unit_test.hpp>
#include <cmath>

#include "autograd/gradcheck.h"
#include "nn/nets/lipschitz_net.h"
#include "nn/optim/optim.h"
#include "tensor/linalg.h"
#include "tests/data_util.h"

using namespace nf;
using namespace nf::nn;
using test::check_error;

namespace {

/// One small net of each kind, in f64, with its norms converged, and a batch of two for it.
struct NetCase {
  std::string name;
  std::shared_ptr<LipschitzNet> net;
  Tensor x;
};

std::vector<NetCase> net_cases() {
  std::vector<NetCase> cases;
  for (const std::string& activation : lipschitz_names()) {
    Generator gen(5);
    cases.push_back({"rows, " + activation,
                     lipschitz_mlp({.dims = 3, .hidden_units = 6, .activation = activation}, gen),
                     normal(gen, {2, 3}, DType::F64)});
    cases.push_back({"images, " + activation,
                     lipschitz_conv_net({.channels = 2,
                                         .height = 3,
                                         .width = 4,
                                         .hidden_channels = 5,
                                         .activation = activation},
                                        gen),
                     normal(gen, {2, 3, 4, 2}, DType::F64)});
  }
  for (const NetCase& c : cases) {
    c.net->to(DType::F64);
    converge_spectral_norms(*c.net);
  }
  return cases;
}

/// The matrix of a map of samples of this shape (batch first), (in, out).
Tensor matrix_of(SpectralMap& map, const Shape& in) {
  const std::int64_t d = in.numel() / in.dim(0);
  Shape all = in;
  all[0] = d;
  const NoGrad no_grad;
  const Var weight = map.bounded_weight();
  const Tensor y = map.apply(Tensor::eye(d, DType::F64).reshape(all), weight).value();
  return y.reshape({d, y.numel() / d});
}

double largest_singular_value(const Tensor& m) {
  return std::sqrt(max(eigh(matmul(m, m.t())).values).item());
}

/// The maps of a net with the shape of what each takes.
std::vector<std::pair<SpectralMap*, Shape>> maps_of(LipschitzNet& net, Shape in) {
  std::vector<std::pair<SpectralMap*, Shape>> all;
  for (SpectralMap* map : spectral_maps(net)) {
    all.emplace_back(map, in);
    in = map->out_shape(in);
  }
  return all;
}

/// J of sample `i` at x by central differences: row j is dg/dx_j.
Tensor jacobian_of(LipschitzNet& net, const Tensor& x, std::int64_t i) {
  const std::int64_t d = x.numel() / x.dim(0);
  std::vector<Tensor> rows;
  for (std::int64_t j = 0; j < d; ++j) {
    const auto at = [&](double step) {
      Tensor row = x.narrow(0, i, 1).clone();
      row.mutable_data<double>()[j] += step;
      return net.forward(row).value().reshape({1, d});
    };
    rows.push_back((at(1e-5) - at(-1e-5)) / 2e-5);
  }
  return concat(rows, 0);
}

double distance(const Tensor& a, const Tensor& b) { return max(abs(a - b)).item(); }

}  // namespace

BOOST_AUTO_TEST_SUITE(nn_lipschitz)

BOOST_AUTO_TEST_CASE(slopes_are_derivatives_and_at_most_one) {
  Generator gen(3);
  for (const std::string& name : lipschitz_names()) {
    BOOST_TEST_CONTEXT(name) {
      const auto act = lipschitz_activation(name);
      act->to(DType::F64);
      const Tensor x = normal(gen, {40}, DType::F64) * 4.0;
      const auto [value, slope] = act->bent(x);
      BOOST_TEST(distance(value.value(), act->forward(x).value()) < 1e-14);
      const Tensor numeric =
          (act->forward(x + 1e-5).value() - act->forward(x - 1e-5).value()) / 2e-5;
      BOOST_TEST(distance(slope.value(), numeric) < 1e-8);
      const Tensor all = affine(Tensor::arange(200'000, DType::F64), 1e-4, -10);
      BOOST_TEST(max(abs(act->bent(all).slope.value())).item() <= 1 + 1e-12);
      std::vector<Tensor> inputs = {x};
      std::vector<Var*> own;
      for (const auto& [_, p] : act->parameters()) {
        own.push_back(p);
        inputs.push_back(p->value().clone());
      }
      const GradCheck check = gradcheck(
          [&](const std::vector<Var>& in) -> std::vector<Var> {
            for (std::size_t i = 0; i < own.size(); ++i) *own[i] = in[i + 1];
            const auto bent = act->bent(in[0]);
            return {bent.value, bent.slope};
          },
          inputs);
      BOOST_TEST(check.ok, check.message);
    }
  }
  check_error([] { lipschitz_activation("relu"); }, {"'relu' is not one of elu, lipswish"});
}

// Of images the norm is that of the convolution, borders and all, not of the kernel as a matrix.
BOOST_AUTO_TEST_CASE(norms_are_those_of_the_maps) {
  for (const NetCase& c : net_cases()) {
    BOOST_TEST_CONTEXT(c.name) {
      for (const auto& [map, in] : maps_of(*c.net, c.x.shape())) {
        Var* weight = map->parameters()[0].second;
        for (const double factor : {3.0, 0.01}) {  // above the bound, and below
          weight->set_value(weight->value() * factor);
          map->converge();
          const double norm = largest_singular_value(matrix_of(*map, in));
          if (factor > 1) BOOST_CHECK_CLOSE_FRACTION(norm, 0.9, 2e-3);
          if (factor < 1) BOOST_CHECK_LT(norm, 0.9);
        }
        // Below the bound a weight is what it says.
        BOOST_CHECK_EQUAL(distance(map->bounded_weight().value(), weight->value()), 0);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(what_is_no_direction_is_left_alone) {
  Generator gen(2);
  SpectralLinear map({.in = 3, .out = 4}, gen);
  Var* weight = map.parameters()[0].second;
  const Tensor kept = weight->value().clone();
  for (const double bad : {0.0, std::nan("")}) {
    weight->mutable_value().fill_(bad);
    map.iterate(3);
    for (const auto& [name, tensor] : map.state()) {
      if (name != "weight") BOOST_TEST(all_finite(tensor), name);
    }
    weight->mutable_value().copy_(kept);
    map.converge();
    map.to(DType::F64);
    BOOST_CHECK_CLOSE_FRACTION(largest_singular_value(matrix_of(map, {1, 3})), 0.9, 1e-3);
    map.to(DType::F32);
  }
  check_error([&] { SpectralLinear({.in = 2, .out = 2, .coefficient = 0}, gen); },
              {"the bound of the norm must be above 0, got 0"});
  check_error(
      [&] { SpectralConv2d({.in = 2, .out = 2, .height = 3, .width = 3, .kernel = 2}, gen); },
      {"the kernel odd"});
  SpectralConv2d conv({.in = 1, .out = 1, .height = 3, .width = 3}, gen);
  check_error(
      [&] {
        conv.forward(Tensor::zeros({1, 4, 3, 1}));
      },
      {"its norm is that for images of 3 x 3, got (1, 4, 3, 1)"});
}

BOOST_AUTO_TEST_CASE(the_bound_holds_after_every_update) {
  for (NetCase& c : net_cases()) {
    BOOST_TEST_CONTEXT(c.name) {
      Optimizer optimizer(*c.net, {.rule = update_rule_by_name("adam"), .lr = 1e-2});
      for (int step = 0; step < 15; ++step) {
        {
          Tape tape;
          tape.backward(-sum(square(c.net->forward(c.x))));  // weights grow
        }
        optimizer.step();
        c.net->clear_grads();
        follow_spectral_norms(*c.net);
        for (const auto& [map, in] : maps_of(*c.net, c.x.shape())) {
          BOOST_CHECK_LT(largest_singular_value(matrix_of(*map, in)), 0.9 * 1.05);
        }
      }
      converge_spectral_norms(*c.net);
      for (const auto& [map, in] : maps_of(*c.net, c.x.shape())) {
        BOOST_CHECK_CLOSE_FRACTION(largest_singular_value(matrix_of(*map, in)), 0.9, 2e-3);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(products_are_those_with_the_jacobian) {
  for (const NetCase& c : net_cases()) {
    BOOST_TEST_CONTEXT(c.name) {
      Generator gen(9);
      const std::int64_t n = c.x.dim(0), d = c.x.numel() / n;
      const auto at = c.net->linearized(c.x);
      BOOST_TEST(distance(at.value.value(), c.net->forward(c.x).value()) < 1e-14);
      Shape three = c.x.shape();
      three[0] = 3 * n;
      const Tensor v = normal(gen, three, DType::F64), w = normal(gen, c.x.shape(), DType::F64);
      const Tensor ahead = c.net->jvp(at, v).value(), back = c.net->vjp(at, w);
      for (std::int64_t i = 0; i < n; ++i) {
        const Tensor j = jacobian_of(*c.net, c.x, i);
        for (std::int64_t k = 0; k < 3; ++k) {
          const auto row = [&](const Tensor& t, std::int64_t at_row) {
            return t.narrow(0, at_row, 1).reshape({1, d});
          };
          BOOST_TEST(distance(row(ahead, k * n + i), matmul(row(v, k * n + i), j)) < 1e-8);
          BOOST_TEST(distance(row(back, i), matmul(row(w, i), j.t())) < 1e-8);
        }
      }
    }
  }
}

// As a function of x, of the direction and of every parameter: so second derivatives are right.
BOOST_AUTO_TEST_CASE(products_have_gradients) {
  for (const NetCase& c : net_cases()) {
    Generator gen(9);
    std::vector<Tensor> inputs = {c.x, normal(gen, c.x.shape(), DType::F64)};
    std::vector<Var*> own;
    for (const auto& [_, p] : c.net->parameters()) {
      own.push_back(p);
      inputs.push_back(p->value() * 1.5);  // the bound holds, so sigma has a gradient
    }
    const GradCheck check = gradcheck(
        [&](const std::vector<Var>& in) -> std::vector<Var> {
          for (std::size_t i = 0; i < own.size(); ++i) *own[i] = in[i + 2];
          const auto at = c.net->linearized(in[0]);
          return {at.value, c.net->jvp(at, in[1])};
        },
        inputs, {.tolerance = 1e-6});
    BOOST_TEST(check.ok, c.name << ": " << check.message);
  }
}

BOOST_AUTO_TEST_SUITE_END()
