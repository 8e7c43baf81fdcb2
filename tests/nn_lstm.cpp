// The LSTM's step and RowLstm: against plain loops, their gradients, how they begin, what they
// refuse.
#include "nn/layers/lstm.h"

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <map>

#include "autograd/gradcheck.h"
#include "tests/data_util.h"
#include "tests/devices.h"

using namespace nf;
using namespace nf::nn;
using test::check_error;

namespace {

double sigma(double x) { return 1 / (1 + std::exp(-x)); }

struct Size {
  std::int64_t rows, columns, in, maps, kernel;
};

constexpr Size kSizes[] = {{4, 5, 3, 2, 3}, {3, 1, 2, 3, 1}, {1, 4, 1, 2, 3}, {3, 2, 2, 1, 5}};
constexpr std::int64_t kImages = 2;

/// f64, with parameters that are drawn.
std::shared_ptr<RowLstm> layer_of(const Size& size) {
  Generator gen(1);
  const auto layer = std::make_shared<RowLstm>(
      RowLstmOptions{.in = size.in, .maps = size.maps, .kernel = size.kernel}, gen);
  layer->to(DType::F64);
  layer->for_each_parameter(
      [&](const std::string&, Var& p) { p.set_value(normal(gen, p.shape(), DType::F64)); });
  return layer;
}

Tensor image_of(const Size& size) {
  return test::draw({kImages, size.rows, size.columns, size.in}, DType::F64, 2);
}

/// The formulas of lstm.h, one number after the other, with `more` (N, 4 M) in the sums.
std::vector<double> by_loops(RowLstm& layer, const Size& size, const Tensor& x,
                             const std::vector<double>& more) {
  std::map<std::string, std::vector<double>> p;
  for (const auto& [name, tensor] : layer.state()) p[name] = tensor.to_vector<double>();
  const std::vector<double> in = x.to_vector<double>();
  const std::int64_t wide = size.columns, m = size.maps, aside = size.kernel / 2;
  std::vector<double> told;
  for (std::int64_t n = 0; n < kImages; ++n) {
    std::vector<double> h(static_cast<std::size_t>(wide * m), 0), c = h;
    for (std::int64_t i = 0; i < size.rows; ++i) {
      const std::vector<double> above = h;
      for (std::int64_t j = 0; j < wide; ++j) {
        const auto sum = [&](std::int64_t gate, std::int64_t k) {
          const std::int64_t o = gate * m + k;
          double a = p["input.bias"][o] + more[n * 4 * m + o];
          for (std::int64_t t = -aside; t <= 0; ++t) {
            if (j + t < 0) continue;
            for (std::int64_t q = 0; q < size.in; ++q) {
              a += p["input.weight"][(o * size.in + q) * (aside + 1) + t + aside] *
                   in[((n * size.rows + i) * wide + j + t) * size.in + q];
            }
          }
          for (std::int64_t t = -aside; t <= aside; ++t) {
            if (j + t < 0 || j + t >= wide) continue;
            for (std::int64_t q = 0; q < m; ++q) {
              a +=
                  p["state.weight"][(o * m + q) * size.kernel + t + aside] * above[(j + t) * m + q];
            }
          }
          return a;
        };
        for (std::int64_t k = 0; k < m; ++k) {
          double& kept = c[j * m + k];
          kept = sigma(sum(1, k)) * kept + sigma(sum(2, k)) * std::tanh(sum(3, k));
          h[j * m + k] = sigma(sum(0, k)) * std::tanh(kept);
        }
      }
      told.insert(told.end(), h.begin(), h.end());
    }
  }
  return told;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(nn_lstm)

BOOST_AUTO_TEST_CASE(rows_are_those_of_plain_loops) {
  for (const Size& size : kSizes) {
    const auto layer = layer_of(size);
    const Tensor x = image_of(size), more = test::draw({kImages, 4 * size.maps}, DType::F64, 3);
    const Var added = Var(more.reshape({kImages, 1, 1, 4 * size.maps}));
    BOOST_TEST_CONTEXT(layer->kind()) {
      const auto expected = [&](const Tensor& with) {
        return Tensor::from(by_loops(*layer, size, x, with.to_vector<double>()),
                            layer->out_shape(x.shape()));
      };
      const Tensor plain = expected(more.zeros_like()), with_more = expected(more);
      CHECK_SAME((*layer)(x).value(), plain, 1e-12, "h");
      CHECK_SAME(layer->run(x, added).value(), with_more, 1e-12, "h with more");
      for (const Device device : test::other_devices()) {
        layer->to(device);
        CHECK_SAME((*layer)(x.to(device)).value(), plain, 1e-10, "h there");
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(gradients_are_those_of_the_values) {
  for (const Size& size : kSizes) {
    if (size.rows == 1) continue;  // nothing is above, and `state` has no gradient
    const auto layer = layer_of(size);
    const auto parameters = layer->parameters();
    std::vector<Tensor> inputs = {image_of(size)};
    for (const auto& [name, p] : parameters) inputs.push_back(p->value());
    const auto call = [&](const std::vector<Var>& in) {
      for (std::size_t i = 0; i < parameters.size(); ++i) *parameters[i].second = in[i + 1];
      return std::vector<Var>{(*layer)(in[0])};
    };
    const GradCheck result = gradcheck(call, inputs);
    BOOST_CHECK_MESSAGE(result.ok, layer->kind() << ": " << result.message);
  }
  const auto step = [](const std::vector<Var>& in) {
    const LstmState at = lstm_step(in[0], in.size() > 1 ? in[1] : Var());
    return std::vector<Var>{at.h, at.c};
  };
  const Tensor a = test::draw({3, 8}, DType::F64, 4), c = test::draw({3, 2}, DType::F64, 5);
  for (const std::vector<Tensor>& inputs : {std::vector<Tensor>{a, c}, {a}}) {
    const GradCheck result = gradcheck(step, inputs);
    BOOST_CHECK_MESSAGE(result.ok, result.message);
  }
}

BOOST_AUTO_TEST_CASE(what_is_kept_stays_for_a_while_at_first) {
  Generator gen(1);
  RowLstm layer({.in = 2, .maps = 3}, gen);
  BOOST_CHECK_EQUAL(layer.kind(), "RowLstm(2 -> 3, kernel 3)");
  std::vector<LayerInfo> rows;
  BOOST_CHECK_EQUAL(layer.inspect({2, 4, 5, 2}, "lstm", rows), Shape({2, 4, 5, 3}));
  std::int64_t counted = 0;
  for (const LayerInfo& row : rows) counted += row.parameters;
  BOOST_CHECK_EQUAL(counted, layer.parameter_count());
  BOOST_CHECK_EQUAL(counted, 12 * (2 * 2 + 1 + 3 * 3));
  for (const auto& [name, tensor] : layer.state()) {
    if (name != "input.bias") continue;
    const std::vector<double> expected = {0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0};
    BOOST_TEST(tensor.to(DType::F64).to_vector<double>() == expected);
  }
  check_error([&] { RowLstm({.in = 2, .maps = 3, .kernel = 2}, gen); }, {"[RowLstm]", "kernel 2"});
  check_error([&] { RowLstm({.in = 0, .maps = 3}, gen); }, {"[RowLstm]", "0 -> 3"});
  check_error([] { lstm_step(Tensor::zeros({2, 6}), {}); }, {"[lstm_step]", "(2, 6)"});
}

BOOST_AUTO_TEST_SUITE_END()
