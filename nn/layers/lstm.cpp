#include "nn/layers/lstm.h"

namespace nf::nn {

LstmState lstm_step(const Var& a, const Var& c) {
  NF_CHECK(a.dim(-1) % 4 == 0, "[lstm_step] the last axis has o, f, i and g, got ", a.shape());
  const std::int64_t maps = a.dim(-1) / 4;
  const Var gates = sigmoid(narrow(a, -1, 0, 3 * maps));
  const auto gate = [&](std::int64_t which) { return narrow(gates, -1, which * maps, maps); };
  Var kept = gate(2) * tanh(narrow(a, -1, 3 * maps, maps));
  if (c.defined()) kept = gate(1) * c + kept;
  return {gate(0) * tanh(kept), kept};
}

// Sigmoids 3, tanh 2, products 3 and a sum.
double lstm_flops(double numbers) { return 9 * numbers; }

namespace {

Conv2dOptions along_rows(const RowLstmOptions& o, std::int64_t in, std::int64_t columns) {
  return {.in = in,
          .out = 4 * o.maps,
          .kernel = {1, columns},
          .bias = false,
          .init = {Init::Kind::Xavier, 1}};
}

}  // namespace

RowLstm::RowLstm(const RowLstmOptions& o, Generator& gen)
    : options_(o),
      input_([&]() -> Conv2d& {
        NF_CHECK(o.in > 0 && o.maps > 0 && o.kernel > 0 && o.kernel % 2 == 1,
                 "[RowLstm] sizes must be positive and the kernel odd, got ", o.in, " -> ", o.maps,
                 ", kernel ", o.kernel);
        Conv2dOptions options = along_rows(o, o.in, columns());
        options.bias = true;
        return add_module("input", std::make_shared<Conv2d>(options, gen));
      }()),
      state_([&]() -> Conv2d& {
        Conv2dOptions options = along_rows(o, o.maps, o.kernel);
        options.padding = {0, o.kernel / 2};
        return add_module("state", std::make_shared<Conv2d>(options, gen));
      }()) {
  for (const auto& [name, p] : input_.parameters()) {
    if (name == "bias") p->mutable_value().narrow(0, o.maps, o.maps).fill_(1);
  }
}

Var RowLstm::run(const Var& x, const Var& more) {
  const Call call(*this);
  Var sums = from_left(pad(x, 2, columns() - 1, 0));
  if (more.defined()) sums = sums + more;
  std::vector<Var> rows;
  LstmState at;
  for (std::int64_t i = 0; i < sums.dim(1); ++i) {
    const Var row = narrow(sums, 1, i, 1);
    at = lstm_step(i == 0 ? row : row + from_above(at.h), at.c);
    rows.push_back(at.h);
  }
  return rows.size() == 1 ? rows[0] : concat(rows, 1);
}

std::string RowLstm::kind() const {
  return str("RowLstm(", options_.in, " -> ", options_.maps, ", kernel ", options_.kernel, ")");
}

Shape RowLstm::out_shape(const Shape& in) const {
  return {in.dim(0), in.dim(1), in.dim(2), options_.maps};
}

Shape RowLstm::inspect(const Shape& in, const std::string& name,
                       std::vector<LayerInfo>& rows) const {
  const Shape out = out_shape(in);
  const Shape wide = {in.dim(0), in.dim(1), columns() - 1 + in.dim(2), options_.in};
  const auto numbers = static_cast<double>(out.numel());
  input_.inspect(wide, join_names(name, "input"), rows);
  state_.inspect(out, join_names(name, "state"), rows);
  rows.push_back({.name = join_names(name, "gates"),
                  .kind = "gates",
                  .out_shape = out,
                  .flops = lstm_flops(numbers) + 4 * numbers,  // and the sums of both convolutions
                  .beside = 6 * numbers});
  return out;
}

}  // namespace nf::nn
