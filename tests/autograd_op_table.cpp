// Walks the op table: what every differentiable function must do, on every device.
#include <boost/test/unit_test.hpp>
#include <limits>
#include <optional>
#include <set>

#include "tests/devices.h"
#include "tests/op_table.h"

#include "autograd/record.h"
#include "tensor/random.h"
#include "tensor/threads.h"

using namespace nf;
using namespace nf::test;

namespace {

const std::vector<OpRow>& table() {
  static const std::vector<OpRow> rows = op_table();
  return rows;
}

std::vector<Tensor> draw(const OpRow& row, const std::vector<Shape>& shapes) {
  Generator gen(3);
  std::vector<Tensor> inputs;
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    const auto [low, high] = row.domain[i];
    inputs.push_back(uniform(gen, shapes[i], DType::F64) * (high - low) + low);
  }
  return inputs;
}

struct Result {
  Tensor value;
  std::vector<Tensor> grads;  // undefined where none arrived
};

/// The value, and the gradients for random gradients of the value.
Result run(const OpRow& row, const std::vector<Tensor>& inputs) {
  std::vector<Var> leaves;
  for (const Tensor& input : inputs) leaves.push_back(Var::leaf(input));
  Tape tape;
  const Var out = row.call(leaves);
  Generator gen(4);
  const Tensor weights = normal(gen, out.shape(), DType::F64).to(out.dtype()).to(out.device());
  tape.backward({&out, 1}, {&weights, 1});
  Result result{out.value(), {}};
  for (const Var& leaf : leaves) result.grads.push_back(leaf.grad());
  return result;
}

std::string difference(const Result& a, const Result& b, double tolerance) {
  if (auto what = test::difference(a.value, b.value, tolerance); !what.empty())
    return "value: " + what;
  for (std::size_t i = 0; i < a.grads.size(); ++i) {
    const auto what = test::difference(a.grads[i], b.grads[i], tolerance);
    if (!what.empty()) return str("gradient of input ", i, ": ", what);
  }
  return "";
}

template <class Body>
void for_each_case(const Body& body) {
  for (const OpRow& row : table()) {
    for (const auto& shapes : row.shapes) {
      std::string where = row.name + " " + row.what + " of";
      for (const Shape& shape : shapes) where += str(" ", shape);
      BOOST_TEST_CONTEXT(where) {
        try {
          body(row, draw(row, shapes));
        } catch (const std::exception& error) {
          BOOST_ERROR("threw " << error.what());
        }
      }
    }
  }
}

/// The same numbers in storage that lies otherwise.
std::vector<std::pair<std::string, Tensor>> rearrangements(const Tensor& x) {
  std::vector<std::pair<std::string, Tensor>> views;
  if (x.rank() == 0) return views;
  if (x.rank() > 1) views.emplace_back("transposed", x.t().clone().t());
  views.emplace_back("flipped", x.flip(0).clone().flip(0));
  Shape twice = x.shape();
  twice[x.rank() - 1] = 2 * twice[x.rank() - 1] + 1;
  Tensor wide = Tensor::full(twice, std::nan(""), x.dtype());
  Tensor every_second = wide.slice(-1, 1, x.dim(-1), 2);
  every_second.copy_(x);
  views.emplace_back("every second column", every_second);
  return views;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(autograd_op_table)

BOOST_AUTO_TEST_CASE(every_differentiable_function_has_a_row) {
#define NF_NAME(Struct, function, ...) #function,
  std::set<std::string> names{NF_UNARY_OPS(NF_NAME) NF_BINARY_OPS(NF_NAME)
                                  NF_SMOOTH_REDUCTIONS(NF_NAME)};
#undef NF_NAME
#define NF_NAME(function) names.insert(#function);
  NF_FUNCTIONS(NF_NAME)
#undef NF_NAME
  std::set<std::string> rows;
  for (const OpRow& row : table()) rows.insert(row.name);
  for (const std::string& name : names) {
    BOOST_CHECK_MESSAGE(rows.count(name), name << " has no row in tests/op_table.h");
  }
  for (const std::string& name : rows) {
    BOOST_CHECK_MESSAGE(names.count(name), "the row " << name << " is of no listed function");
  }
}

BOOST_AUTO_TEST_CASE(values_are_the_references) {
  for_each_case([](const OpRow& row, const std::vector<Tensor>& inputs) {
    std::vector<Var> constants(inputs.begin(), inputs.end());
    std::vector<Array> arrays;
    for (const Tensor& input : inputs) {
      arrays.emplace_back(input.shape());
      arrays.back().values = input.to_vector<double>();
    }
    const Array expected = row.reference(arrays);
    const Tensor value = row.call(constants).value();
    BOOST_CHECK_EQUAL(difference(value, Tensor::from(expected.values, expected.shape), 1e-12), "");
  });
}

BOOST_AUTO_TEST_CASE(gradients_are_the_difference_quotients) {
  for_each_case([](const OpRow& row, const std::vector<Tensor>& inputs) {
    const auto call = [&](const std::vector<Var>& in) { return std::vector<Var>{row.call(in)}; };
    const GradCheck result = gradcheck(call, inputs, row.check);
    BOOST_CHECK_MESSAGE(result.ok, result.message);
    const Result once = run(row, inputs);
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      if (inputs[i].numel() == 0 || once.value.numel() == 0) continue;
      BOOST_CHECK_EQUAL(once.grads[i].shape(), inputs[i].shape());
      BOOST_CHECK(once.grads[i].is_contiguous());
    }
  });
}

BOOST_AUTO_TEST_CASE(f32_gives_what_f64_gives) {
  for_each_case([](const OpRow& row, const std::vector<Tensor>& inputs) {
    std::vector<Tensor> narrow, wide;  // the same numbers, exactly
    for (const Tensor& input : inputs) {
      narrow.push_back(input.to(DType::F32));
      wide.push_back(narrow.back().to(DType::F64));
    }
    const Result result = run(row, narrow);
    BOOST_CHECK(result.value.dtype() == DType::F32);
    BOOST_CHECK_EQUAL(difference(result, run(row, wide), row.f32_tolerance), "");
  });
}

BOOST_AUTO_TEST_CASE(strides_change_nothing) {
  for_each_case([](const OpRow& row, std::vector<Tensor> inputs) {
    const Result expected = run(row, inputs);
    for (Tensor& input : inputs) {
      const Tensor kept = input;
      for (const auto& [how, view] : rearrangements(kept)) {
        input = view;
        BOOST_CHECK_MESSAGE(difference(run(row, inputs), expected, 1e-12).empty(),
                            how << ": " << difference(run(row, inputs), expected, 1e-12));
      }
      input = kept;
    }
  });
}

BOOST_AUTO_TEST_CASE(the_number_of_threads_changes_no_bit) {
  const int before = num_threads();
  std::set<std::string> without, with = {"broadcast_to"};  // whose row gives no choice of shape
  for (const OpRow& row : table()) {
    (row.large.empty() ? without : with).insert(row.name);
    if (row.large.empty()) continue;
    std::vector<Tensor> inputs;
    for (const Tensor& input : draw(row, row.large)) inputs.push_back(input.to(DType::F32));
    set_num_threads(1);
    const Result one = run(row, inputs);
    for (const int threads : {2, 3, 8}) {
      set_num_threads(threads);
      const std::string what = difference(run(row, inputs), one, 0);
      BOOST_CHECK_MESSAGE(what.empty(),
                          row.name << " " << row.what << " on " << threads << " threads: " << what);
    }
    set_num_threads(before);
  }
  for (const std::string& name : without) {
    BOOST_CHECK_MESSAGE(with.count(name), name << " has no row with large inputs");
  }
}

BOOST_AUTO_TEST_CASE(nan_goes_through_every_elementwise_function) {
  const double nan = std::nan("");
  for (const OpRow& row : table()) {
    if (!row.elementwise) continue;
    for (const DType dtype : {DType::F32, DType::F64}) {
      for (std::size_t k = 0; k < row.domain.size(); ++k) {
        // 37 elements: vectors and a remainder.
        std::vector<Var> inputs(row.domain.size(), Tensor::full({37}, 0.5, dtype));
        inputs[k] = Tensor::full({37}, nan, dtype);
        for (double v : values(row.call(inputs).value())) {
          BOOST_REQUIRE_MESSAGE(std::isnan(v), row.name << " of NaN as input " << k << " is " << v);
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(wrong_calls_are_refused_by_name) {
  for (const OpRow& row : table()) {
    if (!row.wrong) continue;
    try {
      row.wrong();
      BOOST_ERROR(row.name << " accepts its wrong call");
    } catch (const Error& error) {
      const std::string what = error.what();
      BOOST_CHECK_MESSAGE(what.find(row.message) != std::string::npos,
                          row.name << " says: " << what);
    }
  }
}

// NF_RULE of an operation with constants: what they must be.
BOOST_AUTO_TEST_CASE(constants_follow_their_rules) {
  const Tensor x = Tensor::from(std::vector<float>{-1, 2}, {2});
  const std::pair<std::function<Tensor()>, const char*> cases[] = {
      {[&] { return leaky_relu(x, -0.1); }, "[leaky_relu] slope must be at least 0"},
      {[&] { return elu(x, -1); }, "[elu] alpha must be at least 0"},
      {[&] { return clamp(x, 2, 1); }, "[clamp] low 2 is above high 1"},
  };
  for (const auto& [call, says] : cases) {
    BOOST_CHECK_EXCEPTION(call(), Error, [text = says](const Error& error) {
      return std::string(error.what()).find(text) != std::string::npos;
    });
  }
  BOOST_CHECK_NO_THROW(clamp(x, 1, 1));
}

BOOST_AUTO_TEST_CASE(other_devices_give_what_the_cpu_gives) {
  for (const Device device : other_devices()) {
    for_each_case([&](const OpRow& row, const std::vector<Tensor>& inputs) {
      for (const DType dtype : {DType::F32, DType::F64}) {
        std::vector<Tensor> here, there;
        for (const Tensor& input : inputs) {
          here.push_back(input.to(dtype));
          there.push_back(here.back().to(device));
        }
        const double tolerance = dtype == DType::F32 ? row.f32_tolerance : 1e-11;
        BOOST_CHECK_EQUAL(difference(run(row, there), run(row, here), tolerance), "");
      }
    });
  }
}

BOOST_AUTO_TEST_CASE(comparisons) {
  const double nan = std::nan("");
  const std::vector<double> a = {1, 2, 3, nan, 1, nan, -0.0}, b = {2, 2, 1, 1, nan, nan, 0.0};
  for (const DType dtype : {DType::F32, DType::F64}) {
    const Tensor x = Tensor::from(a, {7}).to(dtype), y = Tensor::from(b, {7}).to(dtype);
#define NF_TEST(Struct, function, expression)                                    \
  for (std::size_t i = 0; i < a.size(); ++i) {                                   \
    const bool expected = a[i] expression b[i];                                  \
    BOOST_CHECK_MESSAGE(function(x, y).to_vector<std::uint8_t>()[i] == expected, \
                        #function "(" << a[i] << ", " << b[i] << ")");           \
  }
    NF_TEST(Equal, equal, ==)
    NF_TEST(NotEqual, not_equal, !=)
    NF_TEST(Less, less, <)
    NF_TEST(LessEqual, less_equal, <=)
    NF_TEST(Greater, greater, >)
    NF_TEST(GreaterEqual, greater_equal, >=)
#undef NF_TEST
  }
  const Tensor row = Tensor::arange(3, DType::I32);
  const Tensor lower = greater_equal(row.unsqueeze(1), row.unsqueeze(0));
  BOOST_CHECK(lower.to_vector<std::uint8_t>() ==
              std::vector<std::uint8_t>({1, 0, 0, 1, 1, 0, 1, 1, 1}));
}

// --- points where a formula needs care ----------------------------------------------------------

BOOST_AUTO_TEST_CASE(gradients_at_special_points) {
  const double inf = std::numeric_limits<double>::infinity(), nan = std::nan("");
  struct Case {
    const char* what;
    Var (*call)(const Var&);
    std::vector<double> x, grad;
  };
  const Case cases[] = {
      {"prod with one zero", [](const Var& x) { return prod(x); }, {2, 0, 3}, {0, 6, 0}},
      {"prod with two zeros", [](const Var& x) { return prod(x); }, {0, 0, 3}, {0, 0, 0}},
      {"max with a tie", [](const Var& x) { return max(x); }, {3, 1, 3}, {0.5, 0, 0.5}},
      {"min with a tie", [](const Var& x) { return min(x); }, {1, 1, 3}, {0.5, 0.5, 0}},
      {"logsumexp of -inf", [](const Var& x) { return logsumexp(x); }, {-inf, -inf}, {0, 0}},
      {"logsumexp beside -inf", [](const Var& x) { return logsumexp(x); }, {-inf, 5}, {0, 1}},
      {"logsumexp of large", [](const Var& x) { return logsumexp(x); }, {800, 800}, {0.5, 0.5}},
      {"variance of one", [](const Var& x) { return variance(x); }, {3}, {0}},
      {"abs at 0", [](const Var& x) { return sum(abs(x)); }, {0, -1}, {0, -1}},
      {"relu at 0", [](const Var& x) { return sum(relu(x)); }, {0, 1}, {0, 1}},
      {"clamp on its bounds",
       [](const Var& x) { return sum(clamp(x, 0, 1)); },
       {0, 1, 2},
       {1, 1, 0}},
      {"maximum of equals", [](const Var& x) { return sum(maximum(x, x)); }, {2}, {1}},
      {"pow(0, 1)",
       [](const Var& x) { return sum(pow(x, Tensor::ones({}, DType::F64))); },
       {0},
       {1}},
      {"pow(x, 0)",
       [](const Var& x) { return sum(pow(x, Tensor::zeros({}, DType::F64))); },
       {0, -0.0, 3, inf},
       {0, 0, 0, 0}},
      {"asinh at 0", [](const Var& x) { return sum(asinh(x)); }, {0, -0.0}, {1, 1}},
      {"asinh far out",
       [](const Var& x) { return sum(asinh(x) * 1e200); },
       {1e200, -1e200},
       {1, 1}},
      {"atan", [](const Var& x) { return sum(atan(x)); }, {0, inf, 1e200}, {1, 0, 0}},
      {"softsign", [](const Var& x) { return sum(softsign(x)); }, {0, inf, -1}, {1, 0, 0.25}},
      {"softplus far out", [](const Var& x) { return sum(softplus(x)); }, {-900, 900}, {0, 1}},
      {"x * x", [](const Var& x) { return sum(x * x); }, {3}, {6}},
      {"sum of nothing", [](const Var& x) { return sum(x); }, {}, {}},
  };
  for (const Case& c : cases) {
    const Var x = Var::leaf(Tensor::from(c.x, {static_cast<std::int64_t>(c.x.size())}));
    Tape tape;
    tape.backward(c.call(x));
    const std::string what = difference(x.grad(), Tensor::from(c.grad, x.shape()), 1e-12);
    BOOST_CHECK_MESSAGE(what.empty(), c.what << ": " << what);
  }
  // The branch that where() does not take has gradient 0, not 0 * inf = NaN.
  const Var a = Var::leaf(Tensor::from<double>({0, 4}, {2}));
  Tape tape;
  const Tensor positive = greater(a.value(), Tensor::zeros({}, DType::F64));
  const Var safe = where(positive, a, Var(Tensor::ones({}, DType::F64)));
  tape.backward(sum(where(positive, sqrt(safe), Var(Tensor::full({}, nan, DType::F64)))));
  BOOST_CHECK(a.grad().to_vector<double>() == std::vector<double>({0, 0.25}));
}

BOOST_AUTO_TEST_CASE(a_constant_factor_keeps_the_sign_of_zero) {
  for (const DType dtype : {DType::F32, DType::F64}) {
    const Tensor zeros = Tensor::from<double>({-0.0, 0.0}, {2}).to(dtype);
    const auto signs = [](const Tensor& t) {
      const auto values = t.to(DType::F64).to_vector<double>();
      return std::vector<bool>{std::signbit(values[0]), std::signbit(values[1])};
    };
    const std::vector<bool> kept = {true, false}, turned = {false, true};
    for (const Tensor& t :
         {zeros * 2, 2 * zeros, zeros / 2, zeros.clone().mul_(2), (Var(zeros) * 2.0).value(),
          (2.0 * Var(zeros)).value(), (Var(zeros) / 2.0).value()}) {
      BOOST_CHECK(signs(t) == kept);
    }
    BOOST_CHECK(signs(zeros * -2) == turned);
    BOOST_CHECK(signs((Var(zeros) * -2.0).value()) == turned);
  }
}

BOOST_AUTO_TEST_CASE(slopes_far_out_in_f32) {
  const std::vector<float> at = {1e30F, -1e30F, 3e38F, 1e-30F, -1e-42F, 0, 1e10F, 2e10F};
  const auto check = [&](const char* what, Var (*f)(Var), double (*slope)(double)) {
    const Var x = Var::leaf(Tensor::from(at, {static_cast<std::int64_t>(at.size())}));
    Tape tape;
    tape.backward(sum(f(x)));
    const auto got = x.grad().to_vector<float>();
    for (std::size_t i = 0; i < at.size(); ++i) {
      const double expected = slope(at[i]);
      BOOST_CHECK_MESSAGE(std::abs(got[i] - expected) <= 1e-6 * expected + 1e-45,
                          what << "'(" << at[i] << ") is " << got[i] << ", not " << expected);
    }
  };
  check("asinh", asinh, [](double x) { return 1 / std::sqrt(1 + x * x); });
  check("atan", atan, [](double x) { return 1 / (1 + x * x); });
  check("softsign", softsign, [](double x) { return std::pow(1 + std::abs(x), -2); });
}

// --- the checker itself -------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(gradcheck_catches_wrong_gradients) {
  const auto cube_with = [](std::function<Tensor(const Tensor& dout, const Tensor& x)> backward) {
    return [=](const std::vector<Var>& in) -> std::vector<Var> {
      const Tensor x = in[0].value();
      Tensor value = x * x * x;
      if (!needs_record({&in[0]})) return {value};
      return {Tape::current()->record("cube", value, [=, slot = in[0].slot()](const Tensor& dout) {
        const Tensor g = backward(dout, x);
        if (g.defined()) slot->accumulate(g);
      })};
    };
  };
  const std::vector<Tensor> at = {Tensor::from<double>({0.5, -1, 2}, {3})};
  const auto right = gradcheck(
      cube_with([](const Tensor& dout, const Tensor& x) { return dout * x * x * 3.0; }), at);
  BOOST_CHECK_MESSAGE(right.ok, right.message);
  const auto wrong = gradcheck(
      cube_with([](const Tensor& dout, const Tensor& x) { return dout * x * x * 3.0001; }), at);
  BOOST_CHECK(!wrong.ok && wrong.max_error > 1e-5);
  BOOST_CHECK(wrong.message.find("input 0, element ") != std::string::npos);
  const auto none = gradcheck(cube_with([](const Tensor&, const Tensor&) { return Tensor(); }), at);
  BOOST_CHECK(!none.ok && none.message == "input 0 received no gradient");
  const auto nan = gradcheck(
      cube_with([](const Tensor& dout, const Tensor&) { return dout * std::nan(""); }), at);
  BOOST_CHECK(!nan.ok);
  BOOST_CHECK_THROW(gradcheck(cube_with({}), {Tensor::zeros({1})}), Error);
}

BOOST_AUTO_TEST_SUITE_END()
