// Nets that say of each place what follows from the places before it: who depends on whom, their
// outputs place by place, their sizes; and the sums of NADE.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <functional>

#include "autograd/gradcheck.h"
#include "nn/nets/nade.h"
#include "nn/nets/pixel_cnn.h"
#include "nn/nets/pixel_rnn.h"
#include "nn/nets/wave_net.h"
#include "tensor/threads.h"
#include "tests/data_util.h"
#include "tests/devices.h"

using namespace nf;
using namespace nf::nn;
using test::check_error;

namespace {

struct Case {
  std::string name;
  std::shared_ptr<CausalNet> net;
  double parameters;   // as they are counted from sizes
  bool bits = false;   // the only inputs that it takes
  std::int64_t field;  // at least so many places before one it knows all
};

Case nade(std::int64_t dims, std::int64_t units, std::int64_t context) {
  Generator gen(1);
  const NadeOptions o{.dims = dims, .context = context, .hidden_units = units};
  return {str("nade ", dims, " ", units), std::make_shared<Nade>(o, gen), Nade::parameters_of(o),
          true, dims};
}

Case pixels(const PixelCnnOptions& o) {
  Generator gen(1);
  return {str("pixels ", o.height, "x", o.width, "x", o.channels, " ", o.layers),
          std::make_shared<PixelCnn>(o, gen), PixelCnn::parameters_of(o), false, 3};
}

Case rows(const PixelRnnOptions& o) {
  Generator gen(1);
  return {str("rows ", o.height, "x", o.width, "x", o.channels, " ", o.layers, " ", o.kernel),
          std::make_shared<PixelRnn>(o, gen), PixelRnn::parameters_of(o), false, 3};
}

Case wave(const WaveNetOptions& o) {
  Generator gen(1);
  return {str("wave ", o.length, " ", o.blocks, " x ", o.layers), std::make_shared<WaveNet>(o, gen),
          WaveNet::parameters_of(o), false, o.blocks * ((std::int64_t{1} << o.layers) - 1) + 1};
}

/// f64.
void draw_parameters(const Case& one, Generator& gen) {
  one.net->to(DType::F64);
  one.net->for_each_parameter(
      [&](const std::string&, Var& p) { p.set_value(normal(gen, p.shape(), DType::F64)); });
}

/// With parameters that are drawn.
std::vector<Case> cases() {
  std::vector<Case> all = {
      nade(7, 5, 0),
      nade(1, 3, 2),
      nade(9, 70, 2),
      pixels({.height = 4, .width = 5, .outputs = 2, .maps = 3, .layers = 2, .head = 20}),
      pixels({.height = 6,
              .width = 3,
              .channels = 3,
              .context = 2,
              .maps = 4,
              .layers = 0,
              .head = 20}),
      pixels({.height = 1, .width = 6, .maps = 2, .layers = 1, .head = 20}),
      pixels({.height = 5, .width = 1, .context = 1, .maps = 2, .layers = 3, .head = 20}),
      rows({.height = 5, .width = 4, .outputs = 2, .maps = 3, .layers = 2, .head = 20}),
      rows({.height = 6,
            .width = 3,
            .channels = 3,
            .context = 2,
            .maps = 4,
            .layers = 1,
            .head = 20,
            .kernel = 5}),
      rows({.height = 1, .width = 6, .maps = 2, .layers = 0, .head = 20}),
      rows(
          {.height = 5, .width = 1, .context = 1, .maps = 2, .layers = 3, .head = 20, .kernel = 1}),
      wave({.length = 9, .outputs = 3, .maps = 3, .skip = 20, .layers = 2, .blocks = 2}),
      wave({.length = 5, .context = 2, .maps = 2, .skip = 20, .layers = 4}),
      wave({.length = 1, .maps = 2, .skip = 20, .layers = 1}),
  };
  Generator gen(2);
  for (const Case& one : all) draw_parameters(one, gen);
  return all;
}

Tensor input(const Case& of, std::int64_t rows) {
  Generator gen(3);
  const CausalSizes& sizes = of.net->sizes();
  const Tensor u = uniform(gen, {rows, sizes.places, sizes.channels}, DType::F64);
  if (!of.bits) return u;
  return less(u, Tensor::full({}, 0.5, DType::F64)).to(DType::F64);
}

Var context(const Case& of, std::int64_t rows) {
  Generator gen(4);
  const std::int64_t numbers = of.net->sizes().context;
  return numbers > 0 ? Var(normal(gen, {rows, numbers}, DType::F64)) : Var();
}

/// Whether anything of place t of y (1, T, P) is another in z.
bool differ(const Tensor& y, const Tensor& z, std::int64_t t) {
  return max(abs(y.narrow(1, t, 1) - z.narrow(1, t, 1))).item() > 0;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(nn_causal)

BOOST_AUTO_TEST_CASE(outputs_know_the_places_before_their_own_and_no_other) {
  for (const Case& one : cases()) {
    CausalNet& net = *one.net;
    const Tensor x = input(one, 1), y = net(x, context(one, 1)).value();
    BOOST_TEST_CONTEXT(one.name) {
      BOOST_CHECK_EQUAL(y.shape(), net.out_shape(x.shape()));
      for (std::int64_t j = 0; j < net.places(); ++j) {
        for (std::int64_t c = 0; c < net.sizes().channels; ++c) {
          Tensor moved = x.clone();
          Tensor place = moved.narrow(1, j, 1).narrow(2, c, 1);
          place.copy_(affine(place, -1, 1));
          const Tensor z = net(moved, context(one, 1)).value();
          for (std::int64_t t = 0; t < net.places(); ++t) {
            const bool must = t > j && t - j <= one.field;
            BOOST_CHECK_MESSAGE(t > j || !differ(y, z, t), t << " depends on " << j);
            BOOST_CHECK_MESSAGE(!must || differ(y, z, t), t << " does not depend on " << j);
          }
        }
      }
    }
  }
}

// What nn/nets/pixel_rnn.h says of it.
BOOST_AUTO_TEST_CASE(row_lstms_see_a_triangle) {
  for (const auto& [layers, kernel] : {std::pair{1, 3}, {2, 3}, {1, 5}, {2, 1}, {1, 11}}) {
    const std::int64_t wide = 14, row = 3, column = 7, aside = kernel / 2;
    const Case one = rows(
        {.height = 4, .width = wide, .maps = 2, .layers = layers, .head = 20, .kernel = kernel});
    Generator gen(2);
    draw_parameters(one, gen);
    Tape tape;
    const Var x = Var::leaf(input(one, 1));
    tape.backward(sum(narrow((*one.net)(x), 1, row * wide + column, 1)));
    const std::vector<double> reached = x.grad().to_vector<double>();
    for (std::int64_t place = 0; place < std::ssize(reached); ++place) {
      const std::int64_t up = row - place / wide, right = place % wide - column;
      const std::int64_t last = std::max(up > 0 ? 3 + (up - 1) * aside : -1, up * aside - 1);
      const bool seen = up >= 0 && right <= last && right >= -3 - (layers + up) * aside;
      BOOST_CHECK_MESSAGE((reached[place] != 0) == seen,
                          one.name << ": " << up << " up, " << right << " right");
    }
  }
}

BOOST_AUTO_TEST_CASE(gradients_reach_the_places_before_and_no_other) {
  for (const Case& one : cases()) {
    if (one.bits) continue;  // are no numbers to differentiate by
    BOOST_TEST_CONTEXT(one.name) {
      for (std::int64_t t = 0; t < one.net->places(); ++t) {
        Tape tape;
        const Var x = Var::leaf(input(one, 2));
        const Var y = (*one.net)(x, context(one, 2));
        tape.backward(sum(narrow(y, 1, t, 1)));
        if (t == 0 && !x.grad().defined()) continue;
        const std::int64_t behind = one.net->places() - t;
        BOOST_CHECK_EQUAL(max(abs(x.grad().narrow(1, t, behind))).item(), 0);
        if (t > 0) BOOST_CHECK_GT(max(abs(x.grad().narrow(1, t - 1, 1))).item(), 0);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(a_context_reaches_every_place) {
  for (const Case& one : cases()) {
    if (one.net->sizes().context == 0) continue;
    const Tensor x = input(one, 1), given = context(one, 1).value();
    const Tensor y = (*one.net)(x, given).value(), z = (*one.net)(x, given + 1.0).value();
    for (std::int64_t t = 0; t < one.net->places(); ++t) {
      BOOST_CHECK_MESSAGE(differ(y, z, t), one.name << " at " << t);
    }
  }
}

BOOST_AUTO_TEST_CASE(a_sweep_gives_what_a_pass_gives) {
  for (const Case& one : cases()) {
    const auto sweep = [&](const Tensor& x, const Var& given) {
      const auto steps = one.net->sweep(given, x.dim(0));
      const Shape outputs = {x.dim(0), 1, one.net->sizes().outputs};
      std::vector<Tensor> places;
      for (std::int64_t t = 0; t < one.net->places(); ++t) {
        places.push_back(steps->next().reshape(outputs));
        steps->put(x.narrow(1, t, 1).reshape({x.dim(0), x.dim(2)}));
      }
      return concat(places, 1);
    };
    const Tensor x = input(one, 3);
    const Var given = context(one, 3);
    BOOST_TEST_CONTEXT(one.name) {
      const Tensor y = (*one.net)(x, given).value();
      CHECK_SAME(sweep(x, given), y, 1e-12, "a sweep");
      for (const Device device : test::other_devices()) {
        one.net->to(device);
        const Var there = given.defined() ? Var(given.value().to(device)) : Var();
        CHECK_SAME((*one.net)(x.to(device), there).value(), y, 1e-10, "a pass there");
        CHECK_SAME(sweep(x.to(device), there), y, 1e-10, "a sweep there");
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(gradients_are_those_of_the_values) {
  for (const Case& one : cases()) {
    const auto parameters = one.net->parameters();
    std::vector<Tensor> inputs;
    for (const auto& [name, p] : parameters) inputs.push_back(p->value() * 0.3);
    const Tensor x = input(one, 2);
    const auto call = [&](const std::vector<Var>& in) {
      for (std::size_t i = 0; i < parameters.size(); ++i) *parameters[i].second = in[i];
      return std::vector<Var>{(*one.net)(x, context(one, 2))};
    };
    const GradCheck result = gradcheck(call, inputs);
    BOOST_CHECK_MESSAGE(result.ok, one.name << ": " << result.message);
  }
}

BOOST_AUTO_TEST_CASE(sizes_are_counted_from_shapes) {
  for (const Case& one : cases()) {
    BOOST_CHECK_EQUAL(static_cast<double>(one.net->parameter_count()), one.parameters);
    const CausalSizes& sizes = one.net->sizes();
    std::vector<LayerInfo> rows;
    const Shape in = {3, sizes.places, sizes.channels};
    BOOST_CHECK_EQUAL(one.net->inspect(in, "net", rows), one.net->out_shape(in));
    std::int64_t counted = 0;
    double flops = 0;
    for (const LayerInfo& row : rows) {
      counted += row.parameters;
      flops += row.flops;
    }
    BOOST_CHECK_EQUAL(counted, one.net->parameter_count());
    BOOST_CHECK_GE(flops, 3.0 * static_cast<double>(sizes.places));
  }
  Generator gen(1);
  check_error([&] { Nade({.dims = 3, .hidden_units = 0}, gen); }, {"[Nade]", "hidden units"});
  check_error([&] { Nade({.dims = 0}, gen); }, {"[CausalNet] sizes must be positive"});
  check_error([&] { PixelCnn({.height = 2, .width = 2, .maps = 0}, gen); },
              {"[PixelCnn]", "0 maps"});
  check_error([&] { PixelRnn({.height = 2, .width = 2, .maps = 0}, gen); },
              {"[PixelRnn]", "0 maps"});
  check_error([&] { WaveNet({.length = 2, .layers = 31}, gen); }, {"[WaveNet]", "at most 30"});
}

// --- NADE's sums --------------------------------------------------------------------------------

namespace {

struct Sums {
  Tensor value, dw, dv, dstart;
};

/// Two slices of units, the second one not full; more rows than go together.
template <class Function>
Sums sums_of(const Function& function, DType dtype) {
  Generator gen(5);
  const std::int64_t rows = 19, dims = 37, units = 90;
  const Tensor u = uniform(gen, {rows, dims}, dtype);
  const Tensor x = less(u, Tensor::full({}, 0.3, dtype)).to(dtype);
  const Var w = Var::leaf(normal(gen, {dims, units}, dtype)),
            v = Var::leaf(normal(gen, {dims, units}, dtype)),
            start = Var::leaf(normal(gen, {rows, units}, dtype));
  Tape tape;
  const Var y = function(x, w, v, start);
  tape.backward(sum(y * Var(normal(gen, y.shape(), dtype))));
  return {y.value(), w.grad(), v.grad(), start.grad()};
}

}  // namespace

BOOST_AUTO_TEST_CASE(nade_computes_what_the_formula_says) {
  for (const DType dtype : test::kFloats) {
    const Sums fused = sums_of(nade_sums, dtype), plain = sums_of(nade_sums_in_blocks, dtype);
    const double tolerance = dtype == DType::F64 ? 1e-12 : 2e-5;
    CHECK_SAME(fused.value, plain.value, tolerance, "sums");
    CHECK_SAME(fused.dw, plain.dw, tolerance, "dw");
    CHECK_SAME(fused.dv, plain.dv, tolerance, "dv");
    CHECK_SAME(fused.dstart, plain.dstart, tolerance, "dstart");
  }
  // By hand: two bits, one unit.
  const Tensor x = Tensor::from<double>({1, 0}, {1, 2}), w = Tensor::from<double>({0.7, 9}, {2, 1}),
               v = Tensor::from<double>({2, -3}, {2, 1}),
               start = Tensor::full({1, 1}, 0.1, DType::F64);
  const std::vector<double> y = nade_sums(x, w, v, start).value().to_vector<double>();
  BOOST_CHECK_CLOSE(y[0], 2 / (1 + std::exp(-0.1)), 1e-12);
  BOOST_CHECK_CLOSE(y[1], -3 / (1 + std::exp(-0.8)), 1e-12);
}

BOOST_AUTO_TEST_CASE(nade_has_the_same_bits_with_any_threads) {
  const Sums one = [] {
    set_num_threads(1);
    return sums_of(nade_sums, DType::F32);
  }();
  set_num_threads(3);
  const Sums three = sums_of(nade_sums, DType::F32);
  set_num_threads(0);
  CHECK_SAME(one.value, three.value, 0, "sums");
  CHECK_SAME(one.dw, three.dw, 0, "dw");
  CHECK_SAME(one.dv, three.dv, 0, "dv");
  CHECK_SAME(one.dstart, three.dstart, 0, "dstart");
}

BOOST_AUTO_TEST_SUITE_END()
