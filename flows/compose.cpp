#include "flows/compose.h"

#include <algorithm>

namespace nf::flows {

namespace {

// One number per sample: any other shape would broadcast to a wrong sum.
void check_log_det(const Compose::Named& part, const Var& log_det, const Var& x) {
  NF_CHECK(log_det.shape() == Shape({x.dim(0)}), "[", part.first, "] ", part.second->kind(),
           " gives a log_det of shape ", log_det.shape(), " for samples ", x.shape(),
           "; it must be (N): sum over the dimensions of each sample, as sum_event does");
}

}  // namespace

void Compose::add(const std::string& name, std::shared_ptr<Transform> part) {
  for (const auto& [other, _] : parts_) {
    NF_CHECK(other != name, "[Compose] two parts are named '", name, "'");
  }
  add_module(name, part);
  parts_.emplace_back(name, std::move(part));
}

Mapped Compose::forward(const Var& x, const Var& context) {
  return forward_from(0, {x, {}}, context);
}

Mapped Compose::forward_rows(const Tensor& data, const Tensor& rows) {
  if (parts_.empty()) return forward(index_select(data, 0, rows));
  return forward_from(1, parts_[0].second->call_rows(data, rows), {});
}

// What the parts from `first` on make of `at`.
Mapped Compose::forward_from(std::size_t first, Mapped at, const Var& context) const {
  for (std::size_t i = first; i < parts_.size(); ++i) {
    auto [value, log_det] = (*parts_[i].second)(at.value, context);
    check_log_det(parts_[i], log_det, at.value);
    at = {value, at.log_det.defined() ? at.log_det + log_det : log_det};
  }
  if (!at.log_det.defined()) at.log_det = zero_log_det(at.value);
  return at;
}

Mapped Compose::inverse(const Var& z, const Var& context) {
  Mapped out{z, {}};
  for (auto part = parts_.rbegin(); part != parts_.rend(); ++part) {
    auto [value, log_det] = part->second->inverse(out.value, context);
    check_log_det(*part, log_det, out.value);
    out = {value, out.log_det.defined() ? out.log_det + log_det : log_det};
  }
  if (!out.log_det.defined()) out.log_det = zero_log_det(z);
  return out;
}

Var Compose::encode(const Var& x, const Var& context) {
  Var value = x;
  for (const auto& [name, part] : parts_) value = part->encode(value, context);
  return value;
}

bool Compose::exact() const {
  return std::all_of(parts_.begin(), parts_.end(),
                     [](const Named& part) { return part.second->exact(); });
}

std::int64_t Compose::initial_rows() const {
  std::int64_t rows = 0;
  for (const auto& [name, part] : parts_) rows = std::max(rows, part->initial_rows());
  return rows;
}

// Each part sees what the initialised parts before it make of as many samples as it wants. Those
// that are fitted to all of them get them in parts, which come through the layers before anew each
// time. For the others a few rows are kept as they come out of each layer: one pass, however many
// layers.
void Compose::initialize(const Samples& x) {
  std::int64_t few = 0;
  for (const auto& [name, part] : parts_) {
    if (part->initial_rows() < kAllRows) few = std::max(few, part->initial_rows());
  }
  few = std::min(few, x.size());
  Tensor kept = x.part(0, few);
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    Transform& part = *parts_[i].second;
    const std::int64_t rows = std::min(part.initial_rows(), x.size());
    const auto place = [&](std::int64_t first, std::int64_t count) { x.place(first, count); };
    if (rows > few) {
      part.initialize({rows,
                       [&](std::int64_t first, std::int64_t count) {
                         Tensor value = x.part(first, count);
                         for (std::size_t j = 0; j < i; ++j) {
                           value = parts_[j].second->forward(value).value.value();
                         }
                         return value;
                       },
                       place});
    } else if (rows > 0) {
      part.initialize(
          {rows,
           [&](std::int64_t first, std::int64_t count) { return kept.narrow(0, first, count); },
           place});
    }
    const bool last =
        std::none_of(parts_.begin() + static_cast<std::ptrdiff_t>(i) + 1, parts_.end(),
                     [](const Named& p) { return p.second->initial_rows() > 0; });
    if (last) return;
    if (few == 0) continue;
    x.place(0, few);
    kept = part.forward(kept).value.value();
  }
}

Shape Compose::out_shape(const Shape& in) const {
  Shape shape = in;
  for (const auto& [name, part] : parts_) shape = part->out_shape(shape);
  return shape;
}

Shape Compose::inspect(const Shape& in, const std::string& name,
                       std::vector<nn::LayerInfo>& rows) const {
  Shape shape = in;
  for (const auto& [part_name, part] : parts_) {
    shape = part->inspect(shape, nn::join_names(name, part_name), rows);
  }
  return shape;
}

}  // namespace nf::flows
