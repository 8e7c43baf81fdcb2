#include "flows/ensemble.h"

#include <algorithm>
#include <cmath>

#include "autograd/functions.h"
#include "tensor/ops.h"
#include "tensor/text.h"

namespace nf::flows {

namespace {

const Density& first_of(const std::vector<std::shared_ptr<Density>>& members) {
  NF_CHECK(!members.empty(), "[Ensemble] needs at least one member");
  return *members.front();
}

std::int64_t given_dims_of(const Density& density) {
  return density.condition() ? density.condition()->given_dims() : 0;
}

}  // namespace

// What is given is handed to the members, each of which has a condition of its own; that of the
// first says of all what it is.
Ensemble::Ensemble(std::vector<std::shared_ptr<Density>> members)
    : Density(first_of(members).dims(), first_of(members).convention(),
              first_of(members).condition()),
      members_(std::move(members)) {
  for (std::size_t k = 0; k < members_.size(); ++k) {
    const Density& member = *members_[k];
    NF_CHECK(member.dims() == dims() && member.levels() == levels() &&
                 member.convention().nats_offset == convention().nats_offset &&
                 given_dims_of(member) == given_dims_of(*this),
             "[Ensemble] member ", k + 1, ", ", member.kind(),
             ", is of other data than the first, ", members_.front()->kind());
    add_module(str("members.", k), members_[k]);
  }
}

Var Ensemble::log_prob(const Var& x, const Var& given) {
  std::vector<Var> each;
  for (const auto& member : members_) {
    each.push_back(reshape(member->log_prob(x, given), {x.dim(0), 1}));
  }
  return logsumexp(concat(each, 1), {1}) - std::log(static_cast<double>(each.size()));
}

Tensor Ensemble::sample(Generator& gen, std::int64_t n, double temperature, const Var& given) {
  const auto count = static_cast<double>(members_.size());
  const auto whose = (uniform(gen, {n}) * count).to(DType::I32).to_vector<std::int32_t>();
  std::vector<Tensor> parts;
  std::vector<std::int32_t> place(static_cast<std::size_t>(n));
  std::int32_t done = 0;
  for (std::size_t k = 0; k < members_.size(); ++k) {
    std::vector<std::int32_t> rows;
    for (std::size_t i = 0; i < whose.size(); ++i) {
      if (whose[i] != static_cast<std::int32_t>(k)) continue;
      rows.push_back(static_cast<std::int32_t>(i));
      place[i] = done++;
    }
    if (rows.empty()) continue;
    const Tensor index = Tensor::from(rows, {std::ssize(rows)}).to(device());
    const Var beside = given.defined() ? Var(index_select(given.value(), 0, index)) : Var();
    parts.push_back(members_[k]->sample(gen, std::ssize(rows), temperature, beside));
  }
  return index_select(concat(parts, 0), 0, Tensor::from(place, {n}).to(device()));
}

bool Ensemble::bound() const {
  return std::any_of(members_.begin(), members_.end(),
                     [](const auto& member) { return member->bound(); });
}

std::optional<std::string> Ensemble::find_nonfinite(const Tensor& x, const Tensor& given) {
  for (std::size_t k = 0; k < members_.size(); ++k) {
    if (const auto where = members_[k]->find_nonfinite(x, given)) {
      return str("member ", k + 1, ": ", *where);
    }
  }
  return std::nullopt;
}

std::string Ensemble::kind() const {
  return str("Ensemble(", members_.size(), " of ", members_.front()->kind(), ")");
}

Shape Ensemble::inspect(const Shape& in, const std::string& name,
                        std::vector<nn::LayerInfo>& rows) const {
  for (std::size_t k = 0; k < members_.size(); ++k) {
    members_[k]->inspect(in, nn::join_names(name, str("members.", k)), rows);
  }
  return in;
}

}  // namespace nf::flows
