// Whose memory results and gradients lie in: nobody's who still looks at it, and no more than
// needed.
#include <boost/test/unit_test.hpp>
#include <functional>
#include <utility>
#include <vector>

#include "autograd/functions.h"
#include "tensor/backend.h"
#include "tensor/random.h"
#include "tests/peak.h"

using namespace nf;
using test::peak_of;

namespace {

using Doubles = std::vector<double>;

Tensor vector(const Doubles& values) {
  return Tensor::from(values, {static_cast<std::int64_t>(values.size())});
}

Doubles values(const Tensor& t) { return t.to_vector<double>(); }

}  // namespace

BOOST_AUTO_TEST_SUITE(autograd_memory)

// --- how much -----------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(a_chain_of_tensors_needs_one_piece_of_memory) {
  constexpr std::size_t kBytes = 1 << 20;
  const Tensor x = Tensor::ones({kBytes / sizeof(float)});
  const struct {
    const char* name;
    std::function<Tensor()> run;
    std::size_t pieces;
  } cases[] = {
      {"unary", [&] { return exp(neg(square(x))); }, 1},
      {"constants", [&] { return clamp(2.0 * (x * 3.0 - 1.0), 0, 1); }, 1},
      {"binary", [&] { return square(x) + x; }, 1},
      {"binary, the other way round", [&] { return x - square(x); }, 1},
      {"of two", [&] { return square(x) * exp(x); }, 2},
      {"of one that is still held",
       [&] {
         const Tensor y = square(x);
         return exp(y);
       },
       2},
  };
  for (const auto& c : cases) BOOST_TEST(peak_of([&] { c.run(); }) == c.pieces * kBytes, c.name);
}

BOOST_AUTO_TEST_CASE(a_residual_network_needs_one_gradient_beside_what_it_keeps) {
  constexpr std::int64_t kImages = 8, kChannels = 8, kSize = 32;
  constexpr std::size_t kMap = kImages * kChannels * kSize * kSize * sizeof(float);
  Generator gen(1);
  std::vector<Var> weights;
  for (int i = 0; i < 9; ++i)
    weights.push_back(Var::leaf(normal(gen, {kChannels, kChannels, 3, 3}) * 0.1));
  const Var last = Var::leaf(normal(gen, {1, kChannels, 1, 1}));
  const Tensor x = normal(gen, {kImages, kSize, kSize, kChannels}),
               dout = normal(gen, {kImages, kSize, kSize, 1});
  const UnaryOp act = UnaryOp::Relu;
  const ConvGeometry same{1, 1, 1};
  const std::size_t peak = peak_of([&] {
    Tape tape;
    Var h = conv2d(x, weights[0], {}, same);
    for (std::size_t i = 1; i < 9; i += 2) {
      const Var inner = conv2d(relu(h), weights[i], {}, same, &act);
      h = h + conv2d(inner, weights[i + 1], {}, same);
    }
    const Var out[] = {conv2d(relu(std::move(h)), last, {}, {})};
    tape.backward(out, {&dout, 1});
  });
  // Kept are two maps of each block and the last; the result is an eighth of one.
  BOOST_TEST(peak >= 9 * kMap);
  BOOST_TEST(peak <= 10 * kMap + kMap / 2);
}

// --- whose --------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(what_somebody_looks_at_is_not_written_to) {
  const struct {
    const char* name;
    std::function<Tensor(Tensor x)> f;  // x = (1, 2, 3, 4) is nobody else's
    Doubles result;
  } cases[] = {
      {"x itself", [](Tensor x) { return neg(std::move(x)); }, {-1, -2, -3, -4}},
      {"x again", [](const Tensor& x) { return square(x) + x; }, {2, 6, 12, 20}},
      {"x twice", [](const Tensor& x) { return x * x; }, {1, 4, 9, 16}},
      {"another handle",
       [](Tensor x) {
         const Tensor held = x;
         return square(std::move(x)) + held;
       },
       {2, 6, 12, 20}},
      {"a view",
       [](Tensor x) {
         const Tensor half = x.narrow(0, 0, 2);
         const Tensor y = square(std::move(x));
         return y.narrow(0, 0, 2) + half;
       },
       {2, 6}},
      {"a view, moved",
       [](const Tensor& x) {
         Tensor half = x.narrow(0, 1, 2);
         return square(std::move(half)) + x.narrow(0, 1, 2);
       },
       {6, 12}},
      {"another shape",
       [](const Tensor& x) {
         const Tensor table = square(x.reshape({2, 2}));
         return table.reshape({4}) + x;
       },
       {2, 6, 12, 20}},
      {"turned around",
       [](Tensor x) {
         x = x.flip(0);
         return square(std::move(x));
       },
       {16, 9, 4, 1}},
      {"transposed",
       [](Tensor x) {
         x = x.reshape({2, 2}).t();
         return square(std::move(x)).reshape({4});
       },
       {1, 9, 4, 16}},
      {"a row for all",
       [](Tensor x) {
         Tensor row = x.narrow(0, 0, 1).clone();
         return std::move(row) + x;
       },
       {2, 3, 4, 5}},
      {"repeated",
       [](const Tensor& x) {
         Tensor row = x.narrow(0, 1, 1).clone().broadcast_to({3});
         return square(std::move(row));
       },
       {4, 4, 4}},
  };
  for (const auto& c : cases) BOOST_TEST(values(c.f(vector({1, 2, 3, 4}))) == c.result, c.name);
}

BOOST_AUTO_TEST_CASE(a_part_of_something_larger_does_not_keep_it) {
  const std::size_t before = cpu_backend().bytes_in_use();
  Tensor part = Tensor::ones({1000, 1000}).narrow(0, 0, 1);
  const Tensor y = square(std::move(part));
  part = {};
  BOOST_TEST(cpu_backend().bytes_in_use() <= before + 8192);
}

// Each function gets x = (1, 2), which is a leaf; backward begins with (10, 100).
BOOST_AUTO_TEST_CASE(gradients_are_right_whatever_is_moved_and_held) {
  const struct {
    const char* name;
    std::function<Var(const Var& x)> f;
    Doubles result, dx;
  } cases[] = {
      {"a leaf, moved",
       [](const Var& x) {
         Var copy = x;
         return neg(std::move(copy));
       },
       {-1, -2},
       {-10, -100}},
      {"a kept input, moved",
       [](const Var& x) {
         Var y = x * 3.0;
         const Var z = square(y);
         return neg(std::move(y)) + z;
       },
       {6, 30},
       {10 * (18 - 3), 100 * (36 - 3)}},
      {"a kept output, moved",
       [](const Var& x) {
         Var y = relu(x * 2.0);
         return std::move(y) * -1.0;
       },
       {-2, -4},
       {-20, -200}},
      {"its own input, moved",
       [](const Var& x) {
         Var y = x + 1.0;
         return square(std::move(y));
       },
       {4, 9},
       {40, 600}},
      {"both of a product, moved",
       [](const Var& x) {
         Var y = x + 1.0, z = x * 2.0;
         return std::move(y) * std::move(z);
       },
       {4, 12},
       {60, 1000}},
      {"one gradient for both of a sum",
       [](const Var& x) {
         const Var y = x * 2.0, z = x * -3.0;
         return neg(y) + relu(neg(z));
       },
       {1, 2},
       {10, 100}},
      {"one gradient, four times",
       [](const Var& x) {
         const Var y = x * 1.0;
         return (y + relu(y)) + (neg(y) + relu(y * 2.0));
       },
       {3, 6},
       {30, 300}},
      {"a gradient that is a view",
       [](const Var& x) {
         return concat({neg(narrow(x, 0, 1, 1)), relu(narrow(x, 0, 0, 1))}, 0);
       },
       {-2, 1},
       {100, -10}},
      {"a gradient that is repeated",
       [](const Var& x) {
         return sum(broadcast_to(neg(reshape(x, {1, 2})), {3, 2}), {0});
       },
       {-3, -6},
       {-30, -300}},
      {"an output seen by two, its activation fused",
       [](const Var& x) {
         const UnaryOp act = UnaryOp::Relu;
         const Tensor eye = Tensor::eye(2, DType::F64);
         const Var y = linear(reshape(x, {1, 2}), eye, {}, &act);
         return reshape(y + y * 2.0, {2});
       },
       {3, 6},
       {30, 300}},
  };
  for (const auto& c : cases) {
    BOOST_TEST_CONTEXT(c.name) {
      const Var x = Var::leaf(vector({1, 2}));
      const Tensor dout = vector({10, 100});
      Tape tape;
      const Var out[] = {c.f(x)};
      const Tensor result = out[0].value();
      tape.backward(out, {&dout, 1});
      BOOST_TEST(values(result) == c.result);
      BOOST_TEST(values(x.grad()) == c.dx);
      BOOST_TEST(values(x.value()) == Doubles({1, 2}));
      BOOST_TEST(values(dout) == Doubles({10, 100}));
    }
  }
}

// A gradient that a caller keeps stays as it is, also where it is that of an inner node.
BOOST_AUTO_TEST_CASE(a_gradient_that_is_held_stays) {
  const Var x = Var::leaf(vector({1, 2}));
  Tensor held;
  Tape tape;
  const Var y = tape.record("look", x.value() * 1.0, [&, slot = x.slot()](Tensor dout) {
    held = dout;
    slot->accumulate(neg(std::move(dout)));
  });
  tape.backward(sum(relu(y) * 3.0));
  BOOST_TEST(values(held) == Doubles({3, 3}));
  BOOST_TEST(values(x.grad()) == Doubles({-3, -3}));
}

BOOST_AUTO_TEST_SUITE_END()
