#include "flows/examine/check.h"

#include <cmath>
#include <map>

#include "autograd/gradcheck.h"
#include "flows/examine/diagnose.h"
#include "nn/layers/norm.h"
#include "nn/layers/spectral.h"
#include "tensor/linalg.h"

namespace nf::flows {

namespace {

class Checker {
 public:
  explicit Checker(const BijectionCase& test) : test_(test), gen_(7) {
    flow_ = moved(/*seed=*/11);
    x_ = test.input(gen_);
    if (test.context > 0) context_ = normal(gen_, {x_.dim(0), test.context}, DType::F64);
  }

  std::vector<std::string> run() {
    check(&Checker::shapes);
    check(&Checker::round_trip);
    if (flow_->exact()) {
      check(&Checker::train_mode);
      check(&Checker::conditioning);
      check(&Checker::jacobian);
      check(&Checker::gradients);
      check(&Checker::gradients_at_kinks);
      check(&Checker::recomputed);
      check(&Checker::rows);
      check(&Checker::save_and_load);
      check(&Checker::initialisation);
      check(&Checker::single_precision);
    } else {
      check(&Checker::draws_by_sample);
    }
    check(&Checker::extremes);
    return failures_;
  }

 private:
  std::shared_ptr<Transform> make(Generator& gen) const {
    auto flow = test_.make(gen);
    flow->to(DType::F64);
    flow->eval();
    return flow;
  }

  // Initial values hide mistakes: zero weights make a coupling the identity.
  std::shared_ptr<Transform> moved(std::uint64_t seed) const {
    Generator gen(seed);
    auto flow = make(gen);
    flow->for_each_parameter([&](const std::string&, Var& p) {
      p.set_value(p.value() + 0.3 * normal(gen, p.shape(), DType::F64));
    });
    nn::converge_spectral_norms(*flow);
    return flow;
  }

  // The context of rows `first` to first + n - 1 of x_; of other points, that of the first row.
  Var context(std::int64_t n, DType dtype = DType::F64, std::int64_t first = 0) const {
    if (!context_.defined()) return {};
    if (first + n <= context_.dim(0)) return context_.narrow(0, first, n).to(dtype);
    return context_.narrow(0, 0, 1).broadcast_to({n, context_.dim(1)}).contiguous().to(dtype);
  }
  Mapped forward(const Tensor& x, std::int64_t first = 0) {
    return flow_->forward(x, context(x.dim(0), x.dtype(), first));
  }
  Mapped inverse(const Tensor& z) { return flow_->inverse(z, context(z.dim(0), z.dtype())); }

  // x_ and its context, as a training hands them to initialize().
  Samples samples() const {
    const auto part = [this](std::int64_t first, std::int64_t count) {
      return x_.narrow(0, first, count);
    };
    const auto beside = [this](std::int64_t first, std::int64_t count) {
      return context_.narrow(0, first, count);
    };
    return {x_.dim(0), part, {}, context_.defined() ? Samples::Part(beside) : Samples::Part()};
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
    const auto [z, log_det] = forward(x_);
    if (!(z.shape() == flow_->out_shape(x_.shape()))) {
      fail(str("forward gives ", z.shape(), ", out_shape says ", flow_->out_shape(x_.shape())));
    }
    if (!(log_det.shape() == Shape({x_.dim(0)}))) {
      fail(str("log_det has shape ", log_det.shape(), ", must be (N,) = (", x_.dim(0), ",)"));
    }
    inverse(z.value());
    expect_near(x_, before, 0, "forward or inverse changed the caller's x");
  }

  void round_trip() {
    const auto [z, log_det] = forward(x_);
    const auto [x, back] = inverse(z.value());
    if (flow_->lossless()) {
      expect_near(x.value(), x_, test_.tolerance, "inverse(forward(x)) = x");
    }
    if (flow_->exact()) {
      expect_near(back.value(), -log_det.value(), test_.tolerance,
                  "log-dets of x -> z -> x cancel");
    } else {
      const Tensor middle = flow_->encode(x_).value();
      expect_near(flow_->encode(x_).value(), middle, 0, "encode(x) is the same at every call");
      if (flow_->lossless()) {
        expect_near(inverse(middle).value.value(), x_, test_.tolerance, "inverse(encode(x)) = x");
      }
      return;
    }
    const auto again = forward(x.value());
    expect_near(again.value.value(), z.value(), test_.tolerance, "forward(inverse(z)) = z");
    expect_near(again.log_det.value(), -back.value(), test_.tolerance,
                "log-dets of z -> x -> z cancel");
  }

  // What is drawn for a row does not depend on the rows beside it, and is another in every round.
  void draws_by_sample() {
    const std::vector<Generator*> own = flow_->generators();
    const std::int64_t n = x_.dim(0);
    const auto placed = [&](std::int64_t first, std::int64_t count, std::uint64_t round) {
      std::vector<std::int32_t> samples;
      for (std::int64_t i = 0; i < count; ++i) {
        samples.push_back(static_cast<std::int32_t>(first + i));
      }
      const Placed keep(own, Tensor::from(samples, {count}), round);
      return forward(x_.narrow(0, first, count), first);
    };
    const Mapped all = placed(0, n, 3);
    for (std::int64_t i = n - 1; i >= 0; --i) {
      const Mapped alone = placed(i, 1, 3);
      const auto at = [&](const Var& of) { return of.value().narrow(0, i, 1); };
      expect_near(alone.value.value(), at(all.value), test_.tolerance, "a row alone draws alike");
      expect_near(alone.log_det.value(), at(all.log_det), test_.tolerance,
                  "a row alone has the same log_det");
    }
    if (distance(placed(0, n, 4).value.value(), all.value.value()) == 0) {
      fail("another round draws the same numbers; forward draws from generators of add_generator");
    }
  }

  void train_mode() {
    if (test_.of_batch) take_statistics();
    const double tolerance = test_.of_batch ? test_.tolerance : 0;
    const auto z = forward(x_), x = inverse(z.value.value());
    flow_->train();
    const auto trained = forward(x_), back = inverse(z.value.value());
    flow_->eval();
    expect_near(trained.value.value(), z.value.value(), tolerance, "train mode maps alike");
    expect_near(trained.log_det.value(), z.log_det.value(), tolerance,
                "train mode's log_det is alike");
    expect_near(back.value.value(), x.value.value(), tolerance, "train mode inverts alike");
  }

  // Those of evaluation mode become the batch's.
  void take_statistics() {
    const auto before = forward(x_);
    {
      const NoGrad no_grad;
      nn::StatisticsPass pass;
      pass.next_batch();
      flow_->train();
      forward(x_);
      flow_->eval();
    }
    if (distance(forward(x_).value.value(), before.value.value()) == 0) {
      fail("the statistics of a batch change nothing, but .of_batch says that they do");
    }
  }

  // A layer that is not conditional has no use for a context: it may take one or refuse it.
  void conditioning() {
    const auto plain = forward(x_);
    const Tensor other =
        context_.defined() ? context_ + 1.0 : Tensor::ones({x_.dim(0), 2}, DType::F64);
    Mapped given;
    try {
      given = flow_->forward(x_, other);
    } catch (const Error&) {
      if (context_.defined()) throw;
      return;
    }
    const double change = distance(given.value.value(), plain.value.value()) +
                          distance(given.log_det.value(), plain.log_det.value());
    if (context_.defined() && change == 0) fail("another context changes nothing");
    if (!context_.defined() && change != 0) {
      fail("a context changes the map, but .context says that the layer is not conditional");
    }
  }

  // log|det dz/dx| of every sample by central differences, column by column.
  void jacobian() {
    const Tensor log_det = forward(x_).log_det.value();
    const std::int64_t dims = x_.numel() / x_.dim(0);
    constexpr double step = 1e-5;
    for (std::int64_t i = 0; i < x_.dim(0); ++i) {
      std::vector<Tensor> columns;
      for (std::int64_t j = 0; j < dims; ++j) {
        const Tensor difference = forward(shifted(x_, i, j, step), i).value.value() -
                                  forward(shifted(x_, i, j, -step), i).value.value();
        columns.push_back((difference / (2 * step)).reshape({1, dims}));
      }
      const double numeric = slogdet(concat(columns, 0)).logdet.item();
      const double claimed = log_det.narrow(0, i, 1).item();
      if (!(std::abs(numeric - claimed) <= 1e-6 * (1 + std::abs(numeric)))) {
        fail(str("log_det of sample ", i, " is ", claimed, ", the Jacobian's is ", numeric));
        return;
      }
    }
  }

  // Row i of x, its number j moved by `step`.
  static Tensor shifted(const Tensor& x, std::int64_t i, std::int64_t j, double step) {
    Tensor row = x.narrow(0, i, 1).clone();
    row.mutable_data<double>()[j] += step;
    return row;
  }

  // Both directions, with respect to x, the context and every parameter.
  void gradients() {
    std::vector<Tensor> inputs;
    if (test_.differentiable) inputs.push_back(x_);
    if (context_.defined()) inputs.push_back(context_);
    std::vector<Var*> parameters;
    flow_->for_each_parameter([&](const std::string&, Var& p) {
      parameters.push_back(&p);
      inputs.push_back(p.value().clone());
    });
    const Tensor z = forward(x_).value.value();
    enum class Way { Ahead, Back, AheadInTraining };
    for (const Way way : {Way::Ahead, Way::Back, Way::AheadInTraining}) {
      if (way == Way::AheadInTraining && !test_.of_batch) continue;
      flow_->train(way == Way::AheadInTraining);
      const bool ahead = way != Way::Back;
      if (test_.differentiable) inputs[0] = ahead ? x_ : z;
      const Tensor at = ahead ? x_ : z;
      const auto fn = [&](const std::vector<Var>& in) -> std::vector<Var> {
        auto next = in.begin();
        const Var from = test_.differentiable ? *next++ : Var(at);
        const Var given = context_.defined() ? *next++ : Var();
        std::vector<Var> kept;
        for (Var* p : parameters) kept.push_back(std::exchange(*p, *next++));
        const Mapped out = ahead ? flow_->forward(from, given) : flow_->inverse(from, given);
        for (std::size_t i = 0; i < parameters.size(); ++i) *parameters[i] = kept[i];
        return {out.value, out.log_det};
      };
      const GradCheck result = gradcheck(fn, inputs, {.tolerance = 1e-6});
      if (!result.ok) {
        fail(str("gradient of ", ahead ? "forward" : "inverse",
                 flow_->training() ? " in training" : "", ": ", result.message));
      }
    }
    flow_->eval();
  }

  void gradients_at_kinks() {
    if (!test_.differentiable) return;
    std::vector<Tensor> points = {x_.narrow(0, 0, 1).zeros_like()};
    if (test_.kinks.defined()) points.push_back(test_.kinks);
    const Tensor at = concat(points, 0);
    for (std::int64_t i = 0; i < at.dim(0); ++i) {
      const Tensor x = at.narrow(0, i, 1), z = forward(x).value.value();
      if (!all_finite(z)) continue;  // outside of the domain
      for (const bool of_log_det : {false, true}) {
        if (!gradient_between_sides(x, true, of_log_det)) return;
        if (!gradient_between_sides(z, false, of_log_det)) return;
      }
    }
  }

  // At one point (1, ...), the gradient of log_det, or of a weighted sum of the value: it must be
  // between the differences to both sides. Where the map is smooth, all three are the same.
  bool gradient_between_sides(const Tensor& at, bool ahead, bool of_log_det) {
    Generator gen(5);
    const Mapped there = ahead ? forward(at) : inverse(at);
    const Tensor weights = normal(gen, there.value.shape(), DType::F64);
    const auto total = [&](const Var& x) {
      const Mapped out = ahead ? flow_->forward(x, context(1)) : flow_->inverse(x, context(1));
      return of_log_det ? sum(out.log_det) : sum(out.value * weights);
    };
    const Var leaf = Var::leaf(at.contiguous());
    {
      Tape tape;
      const Var out = total(leaf);
      if (out.requires_grad()) tape.backward(out);
    }
    const Tensor slope = leaf.grad().defined() ? leaf.grad() : at.zeros_like();
    const Tensor gradient = slope.reshape({at.numel()}), point = at.reshape({at.numel()});
    flow_->clear_grads();
    const double middle = total(at).value().item();
    constexpr double step = 1e-6;
    for (std::int64_t j = 0; j < at.numel(); ++j) {
      const double right = (total(shifted(at, 0, j, step)).value().item() - middle) / step;
      const double left = (middle - total(shifted(at, 0, j, -step)).value().item()) / step;
      const double low = std::fmin(left, right), high = std::fmax(left, right);  // NaN is left out
      const double allowed = 1e-4 * (1 + std::fmin(std::abs(low), std::abs(high)));
      const double found = gradient.narrow(0, j, 1).item();
      if (std::isnan(low) || (found >= low - allowed && found <= high + allowed)) continue;
      fail(str("gradient of ", of_log_det ? "log_det of " : "", ahead ? "forward" : "inverse",
               " at ", point.narrow(0, j, 1).item(), " in dimension ", j, " is ", found,
               ", by differences ", left, " on the left and ", right, " on the right"));
      return false;
    }
    return true;
  }

  // Through invertible(), which runs the layer backwards, gradients are those of forward().
  void recomputed() {
    if (!test_.differentiable) return;
    Generator gen(6);
    const Tensor weights = normal(gen, forward(x_).value.shape(), DType::F64);
    const auto gradients = [&](bool recompute) {
      const Var x = Var::leaf(x_);
      const Var given = context_.defined() ? Var::leaf(context_) : Var();
      Tape tape;
      const Mapped out = recompute ? invertible(*flow_, x, given) : flow_->forward(x, given);
      tape.backward(sum(out.value * weights) + 0.7 * sum(out.log_det));
      std::vector<std::pair<std::string, Tensor>> all = {{"x", x.grad()}};
      if (given.defined()) all.emplace_back("the context", given.grad());
      flow_->for_each_parameter(
          [&](const std::string& name, Var& p) { all.emplace_back(name, p.grad()); });
      flow_->clear_grads();
      return all;
    };
    flow_->train();
    const auto plain = gradients(false), again = gradients(true);
    flow_->eval();
    for (std::size_t i = 0; i < plain.size(); ++i) {
      const auto& [name, gradient] = plain[i];
      if (!gradient.defined()) continue;  // gradients() tells
      if (!again[i].second.defined()) {
        fail("invertible() leaves no gradient of " + name);
        continue;
      }
      expect_near(again[i].second, gradient, 10 * test_.tolerance * (1 + max(abs(gradient)).item()),
                  "invertible()'s gradient of " + name);
    }
  }

  // Samples do not influence each other, and a batch may be of size 1 or 0.
  void rows() {
    const auto whole = forward(x_);
    const auto one = forward(x_.narrow(0, 1, 1), 1);
    expect_near(one.value.value(), whole.value.value().narrow(0, 1, 1), test_.tolerance,
                "a row alone maps as in its batch");
    expect_near(one.log_det.value(), whole.log_det.value().narrow(0, 1, 1), test_.tolerance,
                "a row's log_det alone is as in its batch");
    const auto none = forward(x_.narrow(0, 0, 0));
    if (none.value.dim(0) != 0 || none.log_det.numel() != 0) fail("an empty batch gives rows");
  }

  // `other`, loaded with the state of `flow`, is the same map.
  void expect_copy(Transform& flow, Transform& other, const std::string& what) {
    std::map<std::string, Tensor> state;
    for (const auto& [name, tensor] : flow.state()) state.emplace(name, tensor);
    other.load_state(state);
    const Var given = context(x_.dim(0));
    const auto a = flow.forward(x_, given), b = other.forward(x_, given);
    expect_near(a.value.value(), b.value.value(), 0, what + " maps alike");
    expect_near(a.log_det.value(), b.log_det.value(), 0, what + "'s log_det is alike");
    expect_near(flow.inverse(a.value, given).value.value(),
                other.inverse(a.value, given).value.value(), 0, what + " inverts alike");
  }

  void save_and_load() { expect_copy(*flow_, *moved(/*seed=*/12), "a loaded copy"); }

  void initialisation() {
    Generator gen(13), other(14);
    const auto flow = make(gen);
    flow->initialize(samples());
    nn::StateDict once;
    for (const auto& [name, tensor] : flow->state()) once.emplace_back(name, tensor.clone());
    Generator same(13);
    const nn::StateDict fresh = make(same)->state();
    for (std::size_t i = 0; i < once.size() && flow->initial_rows() == 0; ++i) {
      if (distance(fresh[i].second.to(DType::F64), once[i].second.to(DType::F64)) == 0) continue;
      fail("initialize() sets " + once[i].first + ", but initial_rows() asks for no samples: a " +
           "training does not call it");
    }
    const auto before = flow->forward(x_, context(x_.dim(0)));
    flow->initialize(samples());
    for (std::size_t i = 0; i < once.size(); ++i) {
      const auto [name, now] = flow->state()[i];
      expect_near(now.to(DType::F64), once[i].second.to(DType::F64), 0,
                  "initialize() twice sets " + name + " as once");
    }
    const auto after = flow->forward(x_, context(x_.dim(0)));
    expect_near(after.value.value(), before.value.value(), 0, "initialize() twice maps as once");
    expect_copy(*flow, *make(other), "a copy loaded after initialize()");
  }

  void single_precision() {
    const auto wide = forward(x_), wide_back = inverse(wide.value.value());
    const InDtype single(*flow_, DType::F32);
    const auto narrow = forward(x_.to(DType::F32));
    const auto narrow_back = inverse(wide.value.value().to(DType::F32));
    const auto near = [&](const Var& a, const Var& b, const char* what) {
      const double scale = 1 + max(abs(b.value())).item();
      expect_near(a.value().to(DType::F64), b.value(), 1e-4 * scale, what);
    };
    near(narrow.value, wide.value, "f32 gives what f64 gives");
    near(narrow.log_det, wide.log_det, "f32's log_det is f64's");
    near(narrow_back.value, wide_back.value, "f32 inverts as f64 does");
    near(narrow_back.log_det, wide_back.log_det, "f32's log_det of inverse is f64's");
  }

  void extremes() {
    if (!test_.extremes.defined()) return;
    finite_at(test_.extremes, "");
    const InDtype single(*flow_, DType::F32);
    finite_at(test_.extremes.to(DType::F32), " in f32");
  }

  void finite_at(const Tensor& points, const std::string& precision) {
    const auto z = forward(points);
    if (!all_finite(z.value.value()) || !all_finite(z.log_det.value())) {
      fail("forward is not finite at the extremes" + precision);
      return;
    }
    const auto x = inverse(z.value.value());
    if (!all_finite(x.value.value()) || !all_finite(x.log_det.value())) {
      fail("inverse is not finite at the extremes" + precision);
    }
  }

  const BijectionCase& test_;
  Generator gen_;
  std::shared_ptr<Transform> flow_;
  Tensor x_, context_;  // (N, D); (N, C), or undefined
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
