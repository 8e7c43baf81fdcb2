#include "flows/check.h"

#include <cmath>
#include <map>

#include "autograd/gradcheck.h"
#include "tensor/linalg.h"

namespace nf::flows {

namespace {

class Checker {
 public:
  explicit Checker(const BijectionCase& test) : test_(test), gen_(7) {
    flow_ = make(/*seed=*/11);
    x_ = test.input(gen_);
  }

  std::vector<std::string> run() {
    check(&Checker::shapes);
    check(&Checker::round_trip);
    if (test_.deterministic) {
      check(&Checker::jacobian);
      check(&Checker::gradients);
      check(&Checker::rows);
      check(&Checker::save_and_load);
      check(&Checker::single_precision);
    }
    check(&Checker::extremes);
    return failures_;
  }

 private:
  std::shared_ptr<Bijection> make(std::uint64_t seed) const {
    Generator gen(seed);
    auto flow = test_.make(gen);
    flow->to(DType::F64);
    flow->eval();
    // Initial values hide mistakes: zero weights make a coupling the identity.
    flow->for_each_parameter([&](const std::string&, Var& p) {
      p.set_value(p.value() + 0.3 * normal(gen, p.shape(), DType::F64));
    });
    return flow;
  }

  // One kind of promise; when it throws, the others are checked all the same.
  void check(void (Checker::*promise)()) {
    try {
      (this->*promise)();
    } catch (const std::exception& error) {
      fail(str("threw ", error.what()));
    }
  }

  void fail(const std::string& what) { failures_.push_back(test_.name + ": " + what); }

  static double distance(const Tensor& a, const Tensor& b) {
    if (!(a.shape() == b.shape())) return INFINITY;
    if (a.numel() == 0) return 0;
    const double d = max(abs(a - b)).item();
    return std::isnan(d) ? INFINITY : d;
  }
  void expect_near(const Tensor& a, const Tensor& b, double tolerance, const std::string& what) {
    const double d = distance(a, b);
    if (!(d <= tolerance)) fail(str(what, ": off by ", d, ", allowed ", tolerance));
  }

  void shapes() {
    const Tensor before = x_.clone();
    const auto [z, log_det] = flow_->forward(x_);
    if (!(z.shape() == flow_->out_shape(x_.shape()))) {
      fail(str("forward gives ", z.shape(), ", out_shape says ", flow_->out_shape(x_.shape())));
    }
    if (!(log_det.shape() == Shape({x_.dim(0)}))) {
      fail(str("log_det has shape ", log_det.shape(), ", must be (N,) = (", x_.dim(0), ",)"));
    }
    flow_->inverse(z);
    expect_near(x_, before, 0, "forward or inverse changed the caller's x");
  }

  void round_trip() {
    const auto [z, log_det] = flow_->forward(x_);
    const auto [x, back] = flow_->inverse(z);
    expect_near(x.value(), x_, test_.tolerance, "inverse(forward(x)) = x");
    expect_near(back.value(), -log_det.value(), test_.tolerance, "log-dets of x -> z -> x cancel");
    if (!test_.deterministic) return;
    const auto again = flow_->forward(x);
    expect_near(again.value.value(), z.value(), test_.tolerance, "forward(inverse(z)) = z");
    expect_near(again.log_det.value(), -back.value(), test_.tolerance,
                "log-dets of z -> x -> z cancel");
  }

  // log|det dz/dx| of every sample by central differences, column by column.
  void jacobian() {
    const Tensor log_det = flow_->forward(x_).log_det.value();
    const std::int64_t dims = x_.dim(1);
    constexpr double step = 1e-5;
    for (std::int64_t i = 0; i < x_.dim(0); ++i) {
      std::vector<Tensor> columns;
      for (std::int64_t j = 0; j < dims; ++j) {
        Tensor above = x_.narrow(0, i, 1).clone(), below = above.clone();
        above.mutable_data<double>()[j] += step;
        below.mutable_data<double>()[j] -= step;
        const Tensor difference =
            flow_->forward(above).value.value() - flow_->forward(below).value.value();
        columns.push_back(difference / (2 * step));
      }
      const double numeric = slogdet(concat(columns, 0)).logdet.item();
      const double claimed = log_det.narrow(0, i, 1).item();
      if (!(std::abs(numeric - claimed) <= 1e-6 * (1 + std::abs(numeric)))) {
        fail(str("log_det of sample ", i, " is ", claimed, ", the Jacobian's is ", numeric));
        return;
      }
    }
  }

  // Both directions, with respect to x and every parameter.
  void gradients() {
    std::vector<Tensor> inputs;
    if (test_.differentiable) inputs.push_back(x_);
    std::vector<Var*> parameters;
    flow_->for_each_parameter([&](const std::string&, Var& p) {
      parameters.push_back(&p);
      inputs.push_back(p.value().clone());
    });
    const Tensor z = flow_->forward(x_).value.value();
    for (const bool forward : {true, false}) {
      if (test_.differentiable) inputs[0] = forward ? x_ : z;
      const Tensor at = forward ? x_ : z;
      const auto fn = [&](const std::vector<Var>& in) -> std::vector<Var> {
        std::size_t k = test_.differentiable ? 1 : 0;
        std::vector<Var> kept;
        for (Var* p : parameters) kept.push_back(std::exchange(*p, in[k++]));
        const Var from = test_.differentiable ? in[0] : Var(at);
        const Mapped out = forward ? flow_->forward(from) : flow_->inverse(from);
        for (std::size_t i = 0; i < parameters.size(); ++i) *parameters[i] = kept[i];
        return {out.value, out.log_det};
      };
      const GradCheck result = gradcheck(fn, inputs, {.tolerance = 1e-6});
      if (!result.ok) {
        fail(str("gradient of ", forward ? "forward" : "inverse", ": ", result.message));
      }
    }
  }

  // Samples do not influence each other, and a batch may be of size 1 or 0.
  void rows() {
    const auto whole = flow_->forward(x_);
    const auto one = flow_->forward(x_.narrow(0, 1, 1));
    expect_near(one.value.value(), whole.value.value().narrow(0, 1, 1), test_.tolerance,
                "a row alone maps as in its batch");
    expect_near(one.log_det.value(), whole.log_det.value().narrow(0, 1, 1), test_.tolerance,
                "a row's log_det alone is as in its batch");
    const auto none = flow_->forward(x_.narrow(0, 0, 0));
    if (none.value.dim(0) != 0 || none.log_det.numel() != 0) fail("an empty batch gives rows");
  }

  void save_and_load() {
    const auto other = make(/*seed=*/12);
    std::map<std::string, Tensor> state;
    for (const auto& [name, tensor] : flow_->state()) state.emplace(name, tensor);
    other->load_state(state);
    const auto a = flow_->forward(x_), b = other->forward(x_);
    expect_near(a.value.value(), b.value.value(), 0, "a loaded copy maps alike");
    expect_near(a.log_det.value(), b.log_det.value(), 0, "a loaded copy's log_det is alike");
    expect_near(flow_->inverse(a.value).value.value(), other->inverse(a.value).value.value(), 0,
                "a loaded copy inverts alike");
  }

  void single_precision() {
    const auto wide = flow_->forward(x_);
    flow_->to(DType::F32);
    const auto narrow = flow_->forward(x_.to(DType::F32));
    const double scale = 1 + max(abs(wide.value.value())).item();
    expect_near(narrow.value.value().to(DType::F64), wide.value.value(), 1e-4 * scale,
                "f32 gives what f64 gives");
    expect_near(narrow.log_det.value().to(DType::F64), wide.log_det.value(),
                1e-4 * (1 + max(abs(wide.log_det.value())).item()), "f32's log_det is f64's");
    flow_->to(DType::F64);
  }

  void extremes() {
    if (!test_.extremes.defined()) return;
    const auto z = flow_->forward(test_.extremes);
    if (!all_finite(z.value.value()) || !all_finite(z.log_det.value())) {
      fail("forward is not finite at the extremes");
      return;
    }
    const auto x = flow_->inverse(z.value);
    if (!all_finite(x.value.value()) || !all_finite(x.log_det.value())) {
      fail("inverse is not finite at the extremes");
    }
  }

  const BijectionCase& test_;
  Generator gen_;
  std::shared_ptr<Bijection> flow_;
  Tensor x_;
  std::vector<std::string> failures_;
};

}  // namespace

std::vector<std::string> check_bijection(const BijectionCase& test) {
  try {
    return Checker(test).run();
  } catch (const std::exception& error) {
    return {test.name + ": threw " + error.what()};
  }
}

}  // namespace nf::flows
