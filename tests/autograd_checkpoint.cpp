// checkpoint and invertible: the same gradients from less memory.
#include <boost/test/unit_test.hpp>

#include "autograd/functions.h"
#include "flows/bijection.h"
#include "flows/compose.h"
#include "flows/layers/coupling.h"
#include "flows/layers/permute.h"
#include "flows/layers/scaling.h"
#include "flows/maps/affine.h"
#include "nn/nets/mlp.h"
#include "tests/data_util.h"

using namespace nf;

namespace {

Var leaf(const std::vector<double>& values) {
  return Var::leaf(Tensor::from(values, {static_cast<std::int64_t>(values.size())}));
}

std::vector<double> grad(const Var& x) { return x.grad().to_vector<double>(); }

std::size_t bytes_in_use() { return backend_for(Device::CPU).bytes_in_use(); }

double largest_difference(const Tensor& a, const Tensor& b) { return max(abs(a - b)).item(); }

}  // namespace

BOOST_AUTO_TEST_SUITE(autograd_checkpoint)

// --- checkpoint ---------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(checkpoint_gives_the_same_gradients) {
  Generator gen(1);
  const Tensor x0 = normal(gen, {3, 4}, DType::F64), w0 = normal(gen, {4, 4}, DType::F64);
  Tensor values[2], dx[2], dw[2], dv[2];
  for (const bool with : {false, true}) {
    const Var x = Var::leaf(x0), w = Var::leaf(w0), v = Var::leaf(x0 * 2.0);
    Tape tape;
    const Var recorded = v * 1.0;  // captured, of the outer tape
    const MultiFn fn = [&](const std::vector<Var>& in) {
      const Var h = tanh(matmul(in[0], w)) * recorded;
      return std::vector<Var>{h, sum(h * in[1], {1}), exp(in[0])};
    };
    const std::vector<Var> in = {x * 2.0, x};
    const std::size_t before = tape.size();
    const std::vector<Var> out = with ? checkpoint(fn, in) : fn(in);
    if (with) BOOST_CHECK_EQUAL(tape.size(), before + 1);
    const Var loss = sum(out[0]) + sum(square(out[1]));  // the third output is not used
    tape.backward(loss);
    values[with] = loss.value();
    dx[with] = x.grad();
    dw[with] = w.grad();
    dv[with] = v.grad();
  }
  BOOST_CHECK_EQUAL(values[0].item(), values[1].item());
  BOOST_CHECK_SMALL(largest_difference(dx[0], dx[1]), 1e-12);
  BOOST_CHECK_SMALL(largest_difference(dw[0], dw[1]), 1e-12);
  BOOST_CHECK_SMALL(largest_difference(dv[0], dv[1]), 1e-12);
}

BOOST_AUTO_TEST_CASE(checkpoints_nest_and_keep_only_their_inputs) {
  const MultiFn inner = [](const std::vector<Var>& v) {
    return std::vector<Var>{sin(sin(sin(sin(v[0]))))};
  };
  const MultiFn outer = [&](const std::vector<Var>& v) {
    return checkpoint(inner, checkpoint(inner, v));
  };
  const Var x = Var::leaf(Tensor::full({10'000}, 0.5, DType::F64));
  std::size_t kept[2];
  Tensor grads[2];
  for (const bool with : {false, true}) {
    Var(x).clear_grad();
    const std::size_t start = bytes_in_use();
    Tape tape;
    const Var loss = sum((with ? checkpoint(outer, {x}) : outer({x}))[0]);
    kept[with] = bytes_in_use() - start;
    tape.backward(loss);
    grads[with] = x.grad();
  }
  BOOST_CHECK_LT(kept[1], 10'000);  // the loss only
  BOOST_CHECK_GT(kept[0], 80'000);  // the middle
  BOOST_CHECK_SMALL(largest_difference(grads[0], grads[1]), 1e-15);
  // Without a tape it is fn itself.
  BOOST_CHECK(!checkpoint(outer, {x})[0].requires_grad());
}

BOOST_AUTO_TEST_CASE(a_checkpoint_may_return_its_inputs) {
  const Var x = leaf({1, 2}), y = leaf({3, 4});
  Tape tape;
  const Var scaled = x * 2.0;
  const auto out = checkpoint(
      [](const std::vector<Var>& in) {
        return std::vector<Var>{in[0], in[0], in[1] * 3.0, in[1]};
      },
      {scaled, y});
  tape.backward(sum(out[0] + out[1] * 10.0 + out[2] + out[3]));
  BOOST_CHECK(grad(x) == std::vector<double>({22, 22}));
  BOOST_CHECK(grad(y) == std::vector<double>({4, 4}));
}

// --- invertible ---------------------------------------------------------------------------------

namespace {

std::shared_ptr<flows::Compose> couplings(int depth, std::int64_t dims, std::int64_t context,
                                          DType dtype) {
  Generator gen(5);
  auto flow = std::make_shared<flows::Compose>();
  for (int i = 0; i < depth; ++i) {
    const auto partition = flows::Partition::odd_even(dims, i % 2 == 1);
    const auto net = nn::mlp({.in = partition.passive() + context,
                              .out = 2 * partition.active(),
                              .hidden_units = 8,
                              .hidden_layers = 1,
                              .activation = nn::activation_by_name("tanh")},
                             gen);
    flow->add(str("couplings.", i),
              std::make_shared<flows::Coupling>(partition, flows::affine_map(), net));
    if (i == 1) flow->add("reverse", flows::Permute::reverse(dims));
  }
  flow->add("scaling", std::make_shared<flows::Scaling>(dims));
  flow->to(dtype);
  return flow;
}

}  // namespace

BOOST_AUTO_TEST_CASE(invertible_gives_the_same_gradients) {
  Generator gen(2);
  const Tensor x0 = normal(gen, {5, 6}, DType::F64), c0 = normal(gen, {5, 2}, DType::F64);
  const auto flow = couplings(4, 6, 2, DType::F64);
  const auto single = flow->parts()[0].second;
  for (flows::Transform* f : std::initializer_list<flows::Transform*>{flow.get(), single.get()}) {
    for (const int uses : {1, 2, 3}) {  // value, log_det, both
      std::vector<Tensor> grads[2];
      double losses[2];
      for (const bool with : {false, true}) {
        f->clear_grads();
        const Var x = Var::leaf(x0), context = Var::leaf(c0);
        Tape tape;
        const Var scaled = x * 1.5, context_scaled = context * 0.5;
        const auto [z, log_det] = with ? flows::invertible(*f, scaled, context_scaled)
                                       : f->forward(scaled, context_scaled);
        Var loss = sum(x * 0.1);
        if (uses & 1) loss = loss + sum(square(z));
        if (uses & 2) loss = loss + sum(exp(log_det));
        tape.backward(loss);
        losses[with] = loss.value().item();
        grads[with] = {x.grad(), context.grad()};
        for (auto& [name, p] : f->parameters()) {
          if (p->grad().defined()) grads[with].push_back(p->grad());
        }
      }
      BOOST_CHECK_EQUAL(losses[0], losses[1]);
      BOOST_REQUIRE_EQUAL(grads[0].size(), grads[1].size());
      for (std::size_t i = 0; i < grads[0].size(); ++i) {
        BOOST_CHECK_SMALL(largest_difference(grads[0][i], grads[1][i]), 1e-10);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(invertible_may_be_the_identity) {
  struct Identity : flows::Bijection {
    flows::Mapped forward(const Var& x, const Var&) override { return {x, flows::zero_log_det(x)}; }
    flows::Mapped inverse(const Var& z, const Var&) override { return {z, flows::zero_log_det(z)}; }
    std::string kind() const override { return "Identity"; }
  };
  const auto flow = couplings(2, 6, 0, DType::F64);
  Identity single;
  flow->add("identity", std::make_shared<Identity>());
  for (flows::Transform* f : std::initializer_list<flows::Transform*>{&single, flow.get()}) {
    Tensor grads[2];
    for (const bool with : {false, true}) {
      const Var x = Var::leaf(Tensor::full({3, 6}, 0.5, DType::F64));
      Tape tape;
      const auto [z, log_det] = with ? flows::invertible(*f, x) : f->forward(x);
      tape.backward(sum(square(z)) + sum(log_det));
      grads[with] = x.grad();
    }
    BOOST_CHECK_SMALL(largest_difference(grads[0], grads[1]), 1e-12);
  }
}

BOOST_AUTO_TEST_CASE(invertible_keeps_the_same_bytes_for_any_depth) {
  constexpr std::int64_t kBatch = 1000, kDims = 6;
  std::size_t kept[2];
  for (const bool deep : {false, true}) {
    const auto flow = couplings(deep ? 16 : 2, kDims, 0, DType::F32);
    const Var x = Var::leaf(Tensor::ones({kBatch, kDims}));
    const std::size_t start = bytes_in_use();
    Tape tape;
    const auto [z, log_det] = flows::invertible(*flow, x);
    kept[deep] = bytes_in_use() - start;
    BOOST_CHECK_EQUAL(tape.size(), 1U);
    tape.backward(sum(z) + sum(log_det));
    BOOST_CHECK(x.grad().defined());
  }
  BOOST_CHECK_EQUAL(kept[0], kept[1]);
  // Without a tape it is flow.forward.
  BOOST_CHECK(!flows::invertible(*couplings(2, 6, 0, DType::F32), Tensor::ones({2, 6}))
                   .value.requires_grad());
}

BOOST_AUTO_TEST_SUITE_END()
