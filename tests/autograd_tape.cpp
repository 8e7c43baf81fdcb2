// The tape: long chains, shared memory, misuse, nested tapes, and what is freed when.
#include "autograd/tape.h"

#include <boost/test/unit_test.hpp>
#include <thread>

#include "autograd/functions.h"
#include "autograd/watch.h"
#include "tests/data_util.h"

using namespace nf;
using test::check_error;

namespace {

Var leaf(const std::vector<double>& values) {
  return Var::leaf(Tensor::from(values, {static_cast<std::int64_t>(values.size())}));
}

std::vector<double> grad(const Var& x) { return x.grad().to_vector<double>(); }

std::size_t bytes_in_use() { return backend_for(Device::CPU).bytes_in_use(); }

}  // namespace

BOOST_AUTO_TEST_SUITE(autograd_tape)

BOOST_AUTO_TEST_CASE(a_chain_of_300000_nodes) {
  const Var x = leaf({1});
  Tape tape;
  Var y = x;
  for (int i = 0; i < 300'000; ++i) y = y + 1.0;
  BOOST_CHECK_EQUAL(tape.size(), 300'000U);
  tape.backward(sum(y * y));
  BOOST_CHECK_EQUAL(grad(x)[0], 2 * 300'001.0);
  BOOST_CHECK_EQUAL(tape.size(), 0U);
}

BOOST_AUTO_TEST_CASE(an_unused_chain_is_freed_without_backward) {
  const std::size_t before = bytes_in_use();
  {
    const Var x = leaf({1});
    Tape tape;
    Var y = x;
    for (int i = 0; i < 300'000; ++i) y = square(y);
  }
  BOOST_CHECK_EQUAL(bytes_in_use(), before);
}

// A gradient is complete when the last node that adds to it has passed, and not before.
BOOST_AUTO_TEST_CASE(backward_is_watched) {
  const Var a = leaf({2}), b = leaf({3}), c = leaf({5});
  const auto held = [](const Var& x) { return x.slot().use_count() > 1; };
  std::vector<std::string> seen;
  Tape tape;
  const Var nested =
      checkpoint([](const auto& in) { return std::vector<Var>{in[0] * in[1]}; }, {a, b})[0];
  const Var loss = sum(nested * a * c);  // nodes: checkpoint, * a, * c, sum
  const BackwardWatch watch([&] {
    seen.push_back(std::string(held(a) ? "a" : "") + (held(b) ? "b" : "") + (held(c) ? "c" : ""));
    if (!held(c)) BOOST_TEST(grad(c)[0] == 2 * 2 * 3);
  });
  tape.backward(loss);
  BOOST_TEST(seen == (std::vector<std::string>{"abc", "ab", "ab", ""}),
             boost::test_tools::per_element());
  BOOST_TEST(grad(a)[0] == 2 * 2 * 3 * 5);
  {
    Tape other;
    other.backward(sum(a * b));
  }
  BOOST_TEST(seen.size() == 6U);
}

BOOST_AUTO_TEST_CASE(many_paths) {
  struct Case {
    const char* what;
    std::function<Var(const Var&, const Var&)> f;
    std::vector<double> dx, dy;  // at x = (3, 4), y = (2, 8)
  };
  const Case cases[] = {
      {"x + x", [](const Var& x, const Var&) { return x + x; }, {2, 2}, {}},
      {"x * x", [](const Var& x, const Var&) { return x * x; }, {6, 8}, {}},
      {"x / x", [](const Var& x, const Var&) { return x / x; }, {0, 0}, {}},
      {"z = x + y; x / z",
       [](const Var& x, const Var& y) {
         const Var z = x + y;  // dx and dy of z are one tensor
         return x / z;
       },
       {2.0 / 25, 8.0 / 144},
       {-3.0 / 25, -4.0 / 144}},
      {"z = x + y; z * x + z",
       [](const Var& x, const Var& y) {
         const Var z = x + y;
         return z * x + z;
       },
       {9, 17},
       {4, 5}},
      {"z = x + y; (z + x) + (z + y)",
       [](const Var& x, const Var& y) {
         const Var z = x + y;
         return (z + x) + (z + y);
       },
       {3, 3},
       {3, 3}},
      {"32 doublings",
       [](Var x, const Var&) {
         for (int i = 0; i < 32; ++i) x = x + x;
         return x;
       },
       {0x1p32, 0x1p32},
       {}},
      {"concat of x and x",
       [](const Var& x, const Var&) {
         return concat({x, x}, 0);
       },
       {2, 2},
       {}},
      {"both halves, swapped, and the whole",
       [](const Var& x, const Var& y) {
         const auto parts = split(x, {1, 1}, 0);
         return concat({parts[1], parts[0]}, 0) * y + x;
       },
       {9, 3},
       {4, 3}},
      {"a slice, then the whole",
       [](const Var& x, const Var& y) { return narrow(x, 0, 0, 1) + x * y; },
       {4, 8},
       {3, 4}},
      {"the whole, then a slice",
       [](const Var& x, const Var& y) { return x * y + narrow(x, 0, 1, 1); },
       {2, 10},
       {3, 4}},
      {"a view of x beside x",
       [](const Var& x, const Var&) {
         return reshape(reshape(x, {2, 1}), {2}) + x;
       },
       {2, 2},
       {}},
      {"sum + broadcast",
       [](const Var& x, const Var& y) { return sum(x) + x * y; },
       {4, 10},
       {3, 4}},
  };
  for (const Case& c : cases) {
    BOOST_TEST_CONTEXT(c.what) {
      const Var x = leaf({3, 4}), y = leaf({2, 8});
      Tape tape;
      tape.backward(sum(c.f(x, y)));
      for (const auto& [var, expected] : {std::pair{x, c.dx}, std::pair{y, c.dy}}) {
        if (expected.empty()) {
          BOOST_CHECK(!var.grad().defined());
          continue;
        }
        const std::vector<double> got = grad(var);
        for (std::size_t i = 0; i < 2; ++i) BOOST_CHECK_CLOSE_FRACTION(got[i], expected[i], 1e-14);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(gradients_that_share_memory_do_not_overwrite_each_other) {
  // The gradient that a caller holds must not change in a later pass.
  const Var x = leaf({1, 2});
  Tensor first;
  for (int pass = 0; pass < 2; ++pass) {
    Tape tape;
    tape.backward(sum(x * 3.0));
    if (pass == 0) first = x.grad();
  }
  BOOST_CHECK(first.to_vector<double>() == std::vector<double>({3, 3}));
  BOOST_CHECK(grad(x) == std::vector<double>({6, 6}));
  // Nor may the gradients that the caller hands in.
  const Var y = leaf({1, 2});
  Tape tape;
  const Var out = y + 0.0;
  const std::vector<Var> outs = {out, out};
  const std::vector<Tensor> grads = {Tensor::from<double>({1, 2}, {2}),
                                     Tensor::from<double>({10, 20}, {2})};
  tape.backward(outs, grads);
  BOOST_CHECK(grad(y) == std::vector<double>({11, 22}));
  BOOST_CHECK(grads[0].to_vector<double>() == std::vector<double>({1, 2}));
}

BOOST_AUTO_TEST_CASE(gradients_add_up_over_tapes_until_cleared) {
  Var x = leaf({1, 2});
  for (int pass = 1; pass <= 3; ++pass) {
    Tape tape;
    tape.backward(sum(square(x)));
    BOOST_CHECK(grad(x) == std::vector<double>({2.0 * pass, 4.0 * pass}));
  }
  x.clear_grad();
  BOOST_CHECK(!x.grad().defined());
}

BOOST_AUTO_TEST_CASE(gradients_of_leaves_are_contiguous) {
  const Var x = Var::leaf(Tensor::zeros({3, 4}));
  const Var w = Var::leaf(Tensor::zeros({4}));
  Tape tape;
  tape.backward(sum(transpose(x, 0, 1)) + sum(flip(w, 0)) + sum(broadcast_to(w, {3, 4})));
  BOOST_CHECK(x.grad().is_contiguous() && w.grad().is_contiguous());
  BOOST_CHECK_EQUAL(x.grad().shape(), x.shape());
}

BOOST_AUTO_TEST_CASE(misuse_is_an_error_that_says_what_to_do) {
  const Var x = leaf({1, 2});
  check_error(
      [&] {
        Tape tape;
        const Var loss = sum(x * x);
        tape.backward(loss);
        tape.backward(loss);
      },
      {"[backward]", "walked already", "make a new Tape"});
  check_error(
      [&] {
        Tape tape;
        tape.backward(x * x);
      },
      {"[backward]", "one number", "(2,)", "sum() or mean()"});
  check_error([] { Tape().backward(Var()); }, {"[backward]", "undefined"});
  const Var untaped = sum(x * x);
  check_error([&] { Tape().backward(untaped); }, {"[backward]", "not computed on this tape"});
  check_error([&] { Tape().backward(sum(x.detach())); },
              {"[backward]", "not computed on this tape"});
  check_error(
      [&] {
        Tape other;
        const Var loss = sum(x * x);
        Tape().backward(loss);
      },
      {"[backward]", "not computed on this tape"});
  check_error([&] { Tape().backward(leaf({1})); }, {"[backward]", "not computed on this tape"});
  check_error([&] { Var(Tensor::zeros({1})).grad(); }, {"[grad]", "constant", "Var::leaf"});
  BOOST_CHECK(grad(x) == std::vector<double>({2, 4}));  // of the first backward alone
}

BOOST_AUTO_TEST_CASE(a_write_to_a_saved_tensor_is_noticed) {
  struct Case {
    const char* op;
    std::function<Var(const Var&, const Var&)> f;
    bool first;  // which input is written to
  };
  const Case cases[] = {
      {"mul", [](const Var& x, const Var& y) { return x * y; }, true},
      {"mul", [](const Var& x, const Var& y) { return x * y; }, false},
      {"log", [](const Var& x, const Var&) { return log(x); }, true},
      {"matmul", [](const Var& x, const Var& y) { return matmul(x, y); }, false},
      {"linear", [](const Var& x, const Var& y) { return linear(x, y, Var()); }, true},
      {"logsumexp", [](const Var& x, const Var&) { return logsumexp(x); }, true},
      {"slogdet", [](const Var& x, const Var&) { return slogdet(x); }, true},
      {"checkpoint",
       [](const Var& x, const Var& y) {
         return checkpoint([](const std::vector<Var>& v) { return std::vector<Var>{v[0] * v[1]}; },
                           {x, y})[0];
       },
       true},
  };
  for (const Case& c : cases) {
    Var x = Var::leaf(Tensor::eye(2, DType::F64) + 1.0), y = Var::leaf(Tensor::eye(2, DType::F64));
    Tape tape;
    const Var loss = sum(c.f(x, y));
    (c.first ? x : y).mutable_value().fill_(3);
    check_error([&] { tape.backward(loss); },
                {str("[", c.op, "]"), "written to in place", "clone()"});
  }
  // A view writes into the same memory; an op that keeps only its output watches that.
  Var x = leaf({1, 2});
  {
    Tape tape;
    const Var loss = sum(square(x));
    x.value().narrow(0, 0, 1).fill_(5);
    check_error([&] { tape.backward(loss); }, {"[square]", "written to in place"});
  }
  {
    Tape tape;
    Var y = exp(x);
    const Var loss = sum(y);
    x.mutable_value().fill_(0);  // exp keeps its output: this is allowed
    y.mutable_value().fill_(0);  // and this is not
    check_error([&] { tape.backward(loss); }, {"[exp]", "written to in place"});
  }
  BOOST_CHECK(!Tape::recording());
}

BOOST_AUTO_TEST_CASE(only_what_needs_a_gradient_is_recorded) {
  const Var x = leaf({1, 2}), constant = Tensor::ones({2}, DType::F64);
  BOOST_CHECK(!Tape::recording());
  BOOST_CHECK(!(x * x).requires_grad());
  Tape tape;
  BOOST_CHECK(Tape::recording());
  BOOST_CHECK(!(constant * constant).requires_grad());
  BOOST_CHECK_EQUAL(tape.size(), 0U);
  BOOST_CHECK((x * constant).requires_grad());
  BOOST_CHECK_EQUAL(tape.size(), 1U);
  {
    const NoGrad no_grad;
    BOOST_CHECK(!Tape::recording());
    BOOST_CHECK(!(x * x).requires_grad());
  }
  BOOST_CHECK(Tape::current() == &tape);
  BOOST_CHECK(!(x.detach() * constant).requires_grad());
  BOOST_CHECK_EQUAL(tape.size(), 1U);
  std::thread([&] { BOOST_CHECK(!Tape::recording()); }).join();  // a thread has its own tape
}

BOOST_AUTO_TEST_CASE(tapes_nest) {
  const Var x = leaf({3});
  Tape outer;
  const Var y = x * x;
  {
    Tape inner;
    BOOST_CHECK(Tape::current() == &inner);
    const Var w = leaf({2});
    inner.backward(sum(w * w * w));
    BOOST_CHECK_EQUAL(grad(w)[0], 12);
    BOOST_CHECK(Tape::current() == &outer);  // a spent tape records no more
  }
  BOOST_CHECK(Tape::current() == &outer);
  outer.backward(sum(y * x));
  BOOST_CHECK_EQUAL(grad(x)[0], 27);
  BOOST_CHECK(!Tape::recording());
}

BOOST_AUTO_TEST_CASE(saved_tensors_are_freed_as_backward_passes) {
  const Var x = Var::leaf(Tensor::ones({1000}));
  const std::size_t start = bytes_in_use();
  {
    Tape tape;
    Var y = x;
    for (int i = 0; i < 50; ++i) y = sin(y) * 1.0;
    const Var loss = sum(y);
    BOOST_CHECK_GT(bytes_in_use(), start + 49 * 4000);
    tape.backward(loss);
    // The leaf's gradient, y and the loss are left.
    BOOST_CHECK_LE(bytes_in_use(), start + 3 * 4096);
  }
  Var(x).clear_grad();
  BOOST_CHECK_EQUAL(bytes_in_use(), start);
}

BOOST_AUTO_TEST_CASE(several_outputs_of_one_node) {
  const Var x = leaf({2, 3});
  for (const bool use_second : {false, true}) {
    Var(x).clear_grad();
    Tape tape;
    const std::vector<Var> outs =
        tape.record("twice", {x.value() * 2.0, x.value() * 3.0},
                    [slot = x.slot(), use_second](std::span<const Tensor> douts) {
                      BOOST_CHECK(douts.size() == 2 && douts[0].defined());
                      BOOST_CHECK_EQUAL(douts[1].defined(), use_second);
                      slot->accumulate(douts[0] * 2.0);
                      if (use_second) slot->accumulate(douts[1] * 3.0);
                    });
    tape.backward(sum(use_second ? outs[0] + outs[1] : outs[0]));
    BOOST_CHECK_EQUAL(grad(x)[0], use_second ? 5 : 2);
  }
}

BOOST_AUTO_TEST_SUITE_END()
