#include "autograd/record.h"

namespace nf {

using detail::Function;

Var reshape(const Var& x, const Shape& shape) {
  Tensor value = x.value().reshape(shape);
  if (!needs_record({&x})) return value;
  return detail::record(Function::reshape, std::move(value),
                        [slot = x.slot(), from = x.shape()](const Tensor& dout) {
                          slot->accumulate(dout.reshape(from));
                        });
}

Var permute(const Var& x, const std::vector<int>& order) {
  Tensor value = x.value().permute(order);
  if (!needs_record({&x})) return value;
  std::vector<int> back(order.size());
  for (std::size_t i = 0; i < order.size(); ++i)
    back[x.shape().axis(order[i])] = static_cast<int>(i);
  return detail::record(
      Function::permute, std::move(value),
      [slot = x.slot(), back](const Tensor& dout) { slot->accumulate(dout.permute(back)); });
}

Var transpose(const Var& x, int a, int b) {
  std::vector<int> order;
  for (int d = 0; d < x.rank(); ++d) order.push_back(d);
  std::swap(order[x.shape().axis(a, "transpose")], order[x.shape().axis(b, "transpose")]);
  return permute(x, order);
}

Var broadcast_to(const Var& x, const Shape& shape) {
  Tensor value = x.value().broadcast_to(shape);
  if (!needs_record({&x})) return value;
  return detail::record(Function::broadcast_to, std::move(value),
                        [slot = x.slot(), from = x.shape()](const Tensor& dout) {
                          slot->accumulate(sum_to(dout, from));
                        });
}

// The gradient goes straight into its place in x's gradient: the parts of a split share one buffer.
Var slice(const Var& x, int axis, std::int64_t start, std::int64_t count, std::int64_t step) {
  Tensor value = x.value().slice(axis, start, count, step);
  if (!needs_record({&x})) return value;
  return detail::record(Function::slice, std::move(value),
                        [slot = x.slot(), shape = x.shape(),
                         view = Layout::row_major(x.shape()).slice(axis, start, count, step)](
                            const Tensor& dout) { slot->accumulate_view(shape, view, dout); });
}

Var flip(const Var& x, int axis) {
  Tensor value = x.value().flip(axis);
  if (!needs_record({&x})) return value;
  return detail::record(
      Function::flip, std::move(value),
      [slot = x.slot(), axis](const Tensor& dout) { slot->accumulate(dout.flip(axis)); });
}

Var concat(std::span<const Var> parts, int axis) {
  std::vector<Tensor> values;
  bool wanted = false;
  for (const Var& part : parts) {
    values.push_back(part.value());
    wanted = wanted || part.requires_grad();
  }
  Tensor value = concat(values, axis);
  if (!wanted || !Tape::recording()) return value;
  std::vector<std::shared_ptr<Slot>> slots;
  std::vector<std::int64_t> sizes;
  for (const Var& part : parts) {
    slots.push_back(part.slot());
    sizes.push_back(part.dim(axis));
  }
  return detail::record(Function::concat, std::move(value), [=](const Tensor& dout) {
    const std::vector<Tensor> grads = split(dout, sizes, axis);
    for (std::size_t i = 0; i < slots.size(); ++i) detail::add_grad(slots[i], grads[i]);
  });
}

Var append(Var whole, int axis, std::int64_t start, const Var& part) {
  const std::int64_t size = part.dim(axis);
  Tensor value = whole.value();
  value.narrow(axis, start, size).write_unread_(part.value());
  if (!needs_record({&whole, &part})) return value;
  return detail::record(Function::append, std::move(value),
                        [=, slot = whole.slot(), slot_part = part.slot()](Tensor dout) {
                          detail::add_grad(slot_part, dout.narrow(axis, start, size).clone());
                          detail::add_grad(slot, std::move(dout));
                        });
}

std::vector<Var> split(const Var& x, const std::vector<std::int64_t>& sizes, int axis) {
  std::vector<Var> parts;
  std::int64_t at = 0;
  for (std::int64_t size : sizes) {
    parts.push_back(narrow(x, axis, at, size));
    at += size;
  }
  NF_CHECK(at == x.dim(axis), "[split] sizes add up to ", at, ", axis ", axis, " of shape ",
           x.shape(), " has ", x.dim(axis));
  return parts;
}

Var pad(const Var& x, int axis, std::int64_t before, std::int64_t after, double value) {
  Tensor out = pad(x.value(), axis, before, after, value);
  if (!needs_record({&x})) return out;
  return detail::record(Function::pad, std::move(out),
                        [slot = x.slot(), axis, before, size = x.dim(axis)](const Tensor& dout) {
                          slot->accumulate(dout.narrow(axis, before, size));
                        });
}

Var cast(const Var& x, DType dtype) {
  NF_CHECK(is_float(dtype), "[cast] to ", name(dtype), " has no gradient; use Tensor::to");
  if (x.dtype() == dtype) return x;
  Tensor value = x.value().to(dtype);
  if (!needs_record({&x})) return value;
  return detail::record(
      Function::cast, std::move(value),
      [slot = x.slot(), from = x.dtype()](const Tensor& dout) { slot->accumulate(dout.to(from)); });
}

// --- indexing: select and add are each other's adjoints, so are gather and scatter --------------

namespace {

Tensor zeros_of(const Shape& shape, const Tensor& like) {
  return Tensor::zeros(shape, like.dtype(), like.device());
}

}  // namespace

Var index_select(const Var& x, int axis, const Tensor& index) {
  Tensor value = index_select(x.value(), axis, index);
  if (!needs_record({&x})) return value;
  return detail::record(Function::index_select, std::move(value),
                        [slot = x.slot(), shape = x.shape(), axis,
                         at = Saved("index_select", index)](const Tensor& dout) {
                          slot->accumulate(index_add(zeros_of(shape, dout), axis, at.get(), dout));
                        });
}

Var index_add(const Var& x, int axis, const Tensor& index, const Var& src) {
  Tensor value = index_add(x.value(), axis, index, src.value());
  if (!needs_record({&x, &src})) return value;
  return detail::record(Function::index_add, std::move(value),
                        [slot = x.slot(), slot_src = src.slot(), axis,
                         at = Saved("index_add", index)](const Tensor& dout) {
                          detail::add_grad(slot, dout);
                          if (slot_src) slot_src->accumulate(index_select(dout, axis, at.get()));
                        });
}

Var gather(const Var& x, int axis, const Tensor& index) {
  Tensor value = gather(x.value(), axis, index);
  if (!needs_record({&x})) return value;
  return detail::record(
      Function::gather, std::move(value),
      [slot = x.slot(), shape = x.shape(), axis, at = Saved("gather", index)](const Tensor& dout) {
        slot->accumulate(scatter_add(zeros_of(shape, dout), axis, at.get(), dout));
      });
}

Var scatter_add(const Var& x, int axis, const Tensor& index, const Var& src) {
  Tensor value = scatter_add(x.value(), axis, index, src.value());
  if (!needs_record({&x, &src})) return value;
  return detail::record(Function::scatter_add, std::move(value),
                        [slot = x.slot(), slot_src = src.slot(), axis,
                         at = Saved("scatter_add", index)](const Tensor& dout) {
                          detail::add_grad(slot, dout);
                          if (slot_src) slot_src->accumulate(gather(dout, axis, at.get()));
                        });
}

}  // namespace nf
