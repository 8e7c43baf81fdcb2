#include "nn/nets/nade.h"

#include "nn/nets/nade_kernel.h"

namespace nf::nn {

namespace {

/// w and v: each column's weights are for H units.
Tensor drawn_rows(const NadeOptions& o, Generator& gen) {
  NF_CHECK(o.hidden_units > 0, "[Nade] hidden units must be positive, got ", o.hidden_units);
  return initial_weight({Init::Kind::Xavier, 1}, gen, o.dims, o.hidden_units);
}

template <class T>
detail::NadeInputs<T> inputs_of(const Tensor& bits, const Tensor& w, const Tensor& v,
                                const Tensor& start) {
  return {bits.dim(0), bits.dim(1), w.dim(1),       bits.data<std::uint8_t>(),
          w.data<T>(), v.data<T>(), start.data<T>()};
}

}  // namespace

Nade::Nade(const NadeOptions& options, Generator& gen)
    : CausalNet({.places = options.dims, .context = options.context}),
      options_(options),
      w_(add_parameter("in_weight", drawn_rows(options, gen))),
      c_(add_parameter("in_bias", Tensor::zeros({options.hidden_units}))),
      v_(add_parameter("out_weight", drawn_rows(options, gen))),
      b_(add_parameter("out_bias", Tensor::zeros({options.dims}))) {
  if (options.context == 0) return;
  u_ = &add_parameter("context_weight", initial_weight({Init::Kind::Xavier, 1}, gen,
                                                       options.hidden_units, options.context));
}

Var Nade::start(const Var& context, std::int64_t rows) const {
  if (u_) return linear(context, *u_, c_);
  return broadcast_to(c_, {rows, options_.hidden_units});
}

Var Nade::forward(const Var& x, const Var& context) {
  const std::int64_t n = x.dim(0), dims = options_.dims;
  const Tensor bits = x.value().reshape({n, dims});
  return reshape(nade_sums(bits, w_, v_, start(context, n)) + b_, {n, dims, 1});
}

std::string Nade::kind() const {
  return str("Nade(", options_.dims, " bits, ", options_.hidden_units, " units)");
}

// For each bit and unit a sigmoid, a product for v, one for w, and their sums.
double Nade::flops(const Shape& in) const {
  const auto rows = static_cast<double>(in.dim(0)), dims = static_cast<double>(options_.dims);
  const auto units = static_cast<double>(options_.hidden_units);
  return rows * dims * units * 5 + rows * units * 2 * static_cast<double>(options_.context);
}

Shape Nade::inspect(const Shape& in, const std::string& name, std::vector<LayerInfo>& rows) const {
  const Shape out = Module::inspect(in, name, rows);
  rows.back().beside = static_cast<double>(in.dim(0) * options_.hidden_units);
  return out;
}

double Nade::parameters_of(const NadeOptions& o) {
  const auto dims = static_cast<double>(o.dims), units = static_cast<double>(o.hidden_units);
  return 2 * dims * units + units + dims + units * static_cast<double>(o.context);
}

// --- the sweep ----------------------------------------------------------------------------------

class Nade::Sweep : public CausalSweep {
 public:
  Sweep(const Nade& net, const Var& context, std::int64_t rows)
      : net_(net), a_(net.start(context, rows).value()), h_(sigmoid(a_)) {}
  Tensor next() override {
    const Tensor v = net_.v_.value().narrow(0, place_, 1);
    return linear(h_, v, net_.b_.value().narrow(0, place_, 1));
  }
  void put(const Tensor& x) override {
    a_ = a_ + x * net_.w_.value().narrow(0, place_, 1);
    h_ = sigmoid(a_);
    ++place_;
  }

 private:
  const Nade& net_;
  std::int64_t place_ = 0;
  Tensor a_, h_;  // (N, H)
};

std::unique_ptr<CausalSweep> Nade::sweep(const Var& context, std::int64_t rows) {
  const NoGrad no_grad;
  return std::make_unique<Sweep>(*this, context, rows);
}

// --- the sums -----------------------------------------------------------------------------------

Var nade_sums(const Tensor& x, const Var& w, const Var& v, const Var& start) {
  if (x.device() != Device::CPU) return nade_sums_in_blocks(x, w, v, start);
  const Tensor bits = x.to(DType::U8).contiguous(), w_in = w.value().contiguous(),
               v_in = v.value().contiguous(), start_in = start.value().contiguous();
  Tensor out = Tensor::empty(bits.shape(), w.dtype());
  visit_float(w.dtype(), [&]<class T>() {
    detail::nade_forward(inputs_of<T>(bits, w_in, v_in, start_in), out.mutable_data<T>());
  });
  if (!needs_record({&w, &v, &start})) return out;
  const auto add = [](const std::shared_ptr<Slot>& slot, Tensor g) {
    if (slot) slot->accumulate(std::move(g));
  };
  return Tape::current()->record(
      "nade_sums", out,
      [add, bits, w_saved = Saved("nade_sums", w_in), v_saved = Saved("nade_sums", v_in),
       start_saved = Saved("nade_sums", start_in), w_slot = w.slot(), v_slot = v.slot(),
       start_slot = start.slot()](Tensor dout) {
        const Tensor& at = start_saved.get();
        const Tensor dlogits = dout.contiguous();
        Tensor dw = Tensor::empty(w_saved.get().shape(), at.dtype()),
               dv = Tensor::empty(dw.shape(), at.dtype()),
               dstart = Tensor::empty(at.shape(), at.dtype());
        visit_float(at.dtype(), [&]<class T>() {
          detail::nade_backward(inputs_of<T>(bits, w_saved.get(), v_saved.get(), at),
                                dlogits.data<T>(), dw.mutable_data<T>(), dv.mutable_data<T>(),
                                dstart.mutable_data<T>());
        });
        add(w_slot, std::move(dw));
        add(v_slot, std::move(dv));
        add(start_slot, std::move(dstart));
      });
}

namespace {

/// Of B columns with bits x (N, B): their sums (N, B), and a (N, H) behind them. `before` (B, B) is
/// 1 where the second column comes before the first.
std::vector<Var> block_sums(const Tensor& x, const Tensor& before, const Var& a, const Var& w,
                            const Var& v) {
  const std::int64_t n = x.dim(0), columns = x.dim(1), units = w.dim(1);
  const Tensor seen = x.reshape({n, 1, columns}) * before;
  const Var moved = matmul(Var(seen.reshape({n * columns, columns})), w);
  const Var h = sigmoid(reshape(a, {n, 1, units}) + reshape(moved, {n, columns, units}));
  return {sum(h * v, {2}), a + matmul(Var(x), w)};
}

}  // namespace

Var nade_sums_in_blocks(const Tensor& x, const Var& w, const Var& v, const Var& start) {
  constexpr std::int64_t kColumns = 16;
  std::vector<Var> parts;
  Var a = start;
  Tensor triangle = Tensor::zeros({kColumns, kColumns}, x.dtype(), x.device());
  for (std::int64_t d = 1; d < kColumns; ++d) {
    triangle.narrow(0, d, 1).narrow(1, 0, d).fill_(1);
  }
  for (std::int64_t d = 0; d < x.dim(1); d += kColumns) {
    const std::int64_t columns = std::min(kColumns, x.dim(1) - d);
    const Tensor bits = x.narrow(1, d, columns).contiguous();
    const Tensor before = triangle.narrow(0, 0, columns).narrow(1, 0, columns).contiguous();
    const auto work = [bits, before](const std::vector<Var>& in) {
      return block_sums(bits, before, in[0], in[1], in[2]);
    };
    const std::vector<Var> out =
        checkpoint(work, {a, narrow(w, 0, d, columns), narrow(v, 0, d, columns)});
    parts.push_back(out[0]);
    a = out[1];
  }
  return concat(parts, 1);
}

}  // namespace nf::nn
