#include "flows/compose.h"

#include <algorithm>

#include "flows/bijection.h"

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

void Compose::recompute(bool on) {
  NF_CHECK(!on || exact(), "[Compose] values can be computed anew only by parts that are exact");
  recomputes_ = on;
}

Mapped Compose::forward(const Var& x, const Var& context) {
  // invertible() calls this again, with nothing recorded.
  if (recomputes_ && Tape::current()) return invertible(*this, x, context);
  return forward_from(0, {x, {}}, context);
}

Mapped Compose::forward_rows(const Tensor& data, const Tensor& rows, const Var& context) {
  if (parts_.empty()) return forward(index_select(data, 0, rows), context);
  return forward_from(1, parts_[0].second->call_rows(data, rows, context), context);
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

Walked Compose::walk_back(const Walked& at, const Tensor& dlog_det, const Var& context) {
  Walked here = at;
  for (auto part = parts_.rbegin(); part != parts_.rend(); ++part) {
    here = part->second->walk_back(here, dlog_det, context);
  }
  return here;
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

bool Compose::lossless() const {
  return std::all_of(parts_.begin(), parts_.end(),
                     [](const Named& part) { return part.second->lossless(); });
}

Var Compose::draw(const Var& z, Generator& gen, const Var& context) {
  Var value = z;
  for (auto part = parts_.rbegin(); part != parts_.rend(); ++part) {
    value = part->second->draw(value, gen, context);
  }
  return value;
}

std::vector<Compose::Named> Compose::layers() const {
  std::vector<Named> all;
  for (const auto& [name, part] : parts_) {
    const auto* inner = dynamic_cast<const Compose*>(part.get());
    if (!inner) {
      all.emplace_back(name, part);
      continue;
    }
    for (const auto& [inner_name, layer] : inner->layers()) {
      all.emplace_back(nn::join_names(name, inner_name), layer);
    }
  }
  return all;
}

std::int64_t Compose::initial_rows() const {
  std::int64_t rows = 0;
  for (const auto& [name, part] : parts_) rows = std::max(rows, part->initial_rows());
  return rows;
}

namespace {

// What `part` makes of x's rows that are kept, some at a time: a wide layer needs room for all.
Tensor forward_in_parts(Transform& part, const Tensor& kept, const Samples& x) {
  constexpr std::int64_t kPart = 500;
  std::vector<Tensor> parts;
  for (std::int64_t at = 0; at < kept.dim(0); at += kPart) {
    const std::int64_t count = std::min(kPart, kept.dim(0) - at);
    x.place(at, count);
    parts.push_back(part.forward(kept.narrow(0, at, count), x.context(at, count)).value.value());
  }
  return concat(parts, 0);
}

}  // namespace

// Each part that asks for samples sees what the initialised parts before it make of as many as it
// wants. Those that are fitted to all of them get them in parts, which come through the layers
// before anew each time. For the others a few rows are kept as they come out of each layer: one
// pass, however many layers.
void Compose::initialize(const Samples& x) {
  std::int64_t few = 0;
  std::size_t end = 0;  // behind the last part that asks
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    const std::int64_t asked = parts_[i].second->initial_rows();
    if (asked < kAllRows) few = std::max(few, asked);
    if (asked > 0) end = i + 1;
  }
  few = std::min(few, x.size());
  Tensor kept = few > 0 ? x.part(0, few) : Tensor();
  const auto place = [&](std::int64_t first, std::int64_t count) { x.place(first, count); };
  const Samples::Part context =
      x.has_context()
          ? [&](std::int64_t first, std::int64_t count) { return x.context(first, count); }
          : Samples::Part();
  for (std::size_t i = 0; i < end; ++i) {
    Transform& part = *parts_[i].second;
    const std::int64_t rows = std::min(part.initial_rows(), x.size());
    const auto through_all_before = [&](std::int64_t first, std::int64_t count) {
      Tensor value = x.part(first, count);
      const Var given = x.context(first, count);
      for (std::size_t j = 0; j < i; ++j) {
        value = parts_[j].second->forward(value, given).value.value();
      }
      return value;
    };
    const auto of_kept = [&](std::int64_t first, std::int64_t count) {
      return kept.narrow(0, first, count);
    };
    if (rows > 0) {
      const Samples::Part seen = rows > few ? Samples::Part(through_all_before) : of_kept;
      part.initialize({rows, seen, place, context});
    }
    if (few > 0 && i + 1 < end) kept = forward_in_parts(part, kept, x);
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
    const std::size_t first = rows.size();
    shape = part->inspect(shape, nn::join_names(name, part_name), rows);
    for (std::size_t i = first; i < rows.size(); ++i) {
      if (rows[i].part == 0) rows[i].part = rows.size();
      rows[i].recovered = rows[i].recovered || recomputes_;
    }
  }
  return shape;
}

}  // namespace nf::flows
