#include "tensor/tensor.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <numeric>

#include "tensor/backend.h"

namespace nf {

// --- storage ------------------------------------------------------------------------------------

Storage::Storage(std::size_t bytes, Device device)
    : data_(backend_for(device).allocate(bytes)), bytes_(bytes), device_(device) {}

Storage::~Storage() { backend_for(device_).release(data_, bytes_); }

// --- creation -----------------------------------------------------------------------------------

Tensor Tensor::empty(const Shape& shape, DType dtype, Device device) {
  auto bytes = static_cast<std::int64_t>(size_of(dtype));
  for (std::int64_t size : shape) {
    NF_CHECK(size >= 0, "[empty] negative size in shape ", shape);
    NF_CHECK(!__builtin_mul_overflow(bytes, std::max<std::int64_t>(size, 1), &bytes),
             "[empty] shape ", shape, " is too large for any memory");
  }
  Tensor out;
  out.layout_ = Layout::row_major(shape);
  out.dtype_ = dtype;
  if (shape.numel() == 0) bytes = 0;
  // More than there are addresses, of 32 bits, is the device's to refuse.
  constexpr auto kMost = static_cast<std::int64_t>(PTRDIFF_MAX);
  out.storage_ =
      std::make_shared<Storage>(static_cast<std::size_t>(std::min(bytes, kMost)), device);
  return out;
}

Tensor Tensor::full(const Shape& shape, double value, DType dtype, Device device) {
  Tensor out = empty(shape, dtype, device);
  out.fill_(value);
  return out;
}

Tensor Tensor::arange(std::int64_t n, DType dtype) {
  Tensor out = empty({n}, dtype);
  visit_dtype(dtype, [&]<class T>() {
    T* data = out.mutable_data<T>();
    std::iota(data, data + n, T(0));
  });
  return out;
}

Tensor Tensor::eye(std::int64_t n, DType dtype) {
  Tensor out = zeros({n, n}, dtype);
  out.reshape({-1}).slice(0, 0, n, n + 1).fill_(1);
  return out;
}

Tensor Tensor::from_bytes(const void* data, std::int64_t count, const Shape& shape, DType dtype) {
  NF_CHECK(count == shape.numel(), "[from] ", count, " values do not fill shape ", shape);
  Tensor out = empty(shape, dtype);
  if (count > 0) {
    backend_for(Device::CPU)
        .from_host(out.storage_->data(), data, static_cast<std::size_t>(count) * size_of(dtype));
  }
  return out;
}

// --- elements -----------------------------------------------------------------------------------

void* Tensor::raw(DType dtype) const {
  NF_CHECK(defined(), "[data] the tensor is undefined");
  NF_CHECK(dtype == dtype_, "[data] a ", name(dtype_), " tensor read as ", name(dtype),
           "; convert it with .to(DType)");
  return static_cast<char*>(storage_->data()) +
         layout_.offset * static_cast<std::int64_t>(size_of(dtype_));
}

double Tensor::item() const {
  NF_CHECK(defined() && numel() == 1, "[item] needs exactly one element, got ", describe(*this));
  const Tensor host = to(Device::CPU);
  return visit_dtype(dtype_, [&]<class T>() { return static_cast<double>(*host.data<T>()); });
}

// --- views --------------------------------------------------------------------------------------

Tensor Tensor::with_layout(const Layout& layout) const {
  Tensor out = *this;
  out.layout_ = layout;
  return out;
}

namespace {

// Fills in the one size that was given as -1.
Shape resolve(const Shape& from, Shape to) {
  std::int64_t known = 1;
  int open = -1;
  for (int d = 0; d < to.rank(); ++d) {
    if (to[d] >= 0) {
      known *= to[d];
      continue;
    }
    NF_CHECK(open < 0, "[reshape] more than one -1 in ", to);
    open = d;
  }
  if (open >= 0) {
    NF_CHECK(known > 0 && from.numel() % known == 0, "[reshape] ", from, " does not divide into ",
             to);
    to[open] = from.numel() / known;
  }
  NF_CHECK(to.numel() == from.numel(), "[reshape] ", from, " has ", from.numel(), " elements, ", to,
           " has ", to.numel());
  return to;
}

}  // namespace

Tensor Tensor::reshape(const Shape& shape) const {
  const Shape to = resolve(this->shape(), shape);
  if (const auto view = layout_.reshape(to)) return with_layout(*view);
  const Tensor copy = clone();
  return copy.with_layout(Layout::row_major(to));
}

Tensor Tensor::permute(std::initializer_list<int> order) const {
  return with_layout(layout_.permute({order.begin(), order.size()}));
}

Tensor Tensor::permute(const std::vector<int>& order) const {
  return with_layout(layout_.permute(order));
}

Tensor Tensor::transpose(int a, int b) const {
  std::vector<int> order(static_cast<std::size_t>(rank()));
  std::iota(order.begin(), order.end(), 0);
  std::swap(order[shape().axis(a, "transpose")], order[shape().axis(b, "transpose")]);
  return permute(order);
}

Tensor Tensor::slice(int axis, std::int64_t start, std::int64_t count, std::int64_t step) const {
  return with_layout(layout_.slice(axis, start, count, step));
}

Tensor Tensor::flip(int axis) const { return with_layout(layout_.flip(axis)); }

Tensor Tensor::broadcast_to(const Shape& shape) const {
  return with_layout(layout_.broadcast_to(shape));
}

Tensor Tensor::unsqueeze(int axis) const {
  const int d = axis < 0 ? axis + rank() + 1 : axis;
  NF_CHECK(d >= 0 && d <= rank(), "[unsqueeze] axis ", axis, " is not in shape ", shape());
  Layout out{shape().with_inserted(d, 1), {}, layout_.offset};
  for (int i = 0; i < out.shape.rank(); ++i) {
    out.strides[i] = i == d ? 1 : layout_.strides[i < d ? i : i - 1];
  }
  return with_layout(out);
}

Tensor Tensor::squeeze(int axis) const {
  const int d = shape().axis(axis, "squeeze");
  NF_CHECK(shape()[d] == 1, "[squeeze] axis ", axis, " of shape ", shape(), " is not of size 1");
  Layout out{shape().without(d), {}, layout_.offset};
  for (int i = 0; i < out.shape.rank(); ++i) out.strides[i] = layout_.strides[i < d ? i : i + 1];
  return with_layout(out);
}

// --- copies -------------------------------------------------------------------------------------

Tensor Tensor::clone() const {
  NF_CHECK(defined(), "[clone] the tensor is undefined");
  Tensor out = empty_like();
  out.copy_(*this);
  return out;
}

Tensor Tensor::contiguous() const { return is_contiguous() ? *this : clone(); }

Tensor Tensor::to(DType dtype) const {
  if (dtype == dtype_) return *this;
  Tensor out = empty(shape(), dtype, device());
  out.copy_(*this);
  return out;
}

Tensor Tensor::to(Device device) const {
  if (device == this->device()) return *this;
  Tensor out = empty(shape(), dtype_, device);
  out.copy_(*this);
  return out;
}

// --- writing in place ---------------------------------------------------------------------------

Tensor& Tensor::fill_(double value) {
  NF_CHECK(defined(), "[fill_] the tensor is undefined");
  storage_->bump_version();
  if (numel() > 0) backend_of(*this).fill(*this, value);
  return *this;
}

namespace {

// `from`, or a copy of it when it looks at the memory of `to` in another way.
Tensor copy_if_overlapping(const Tensor& from, const Tensor& to) {
  const bool alike = from.shape() == to.shape() && from.strides() == to.strides() &&
                     from.layout().offset == to.layout().offset;
  return from.storage() == to.storage() && !alike ? from.clone() : from;
}

}  // namespace

Tensor& Tensor::copy_(const Tensor& from) {
  NF_CHECK(defined() && from.defined(), "[copy_] from ", describe(from), " to ", describe(*this));
  storage_->bump_version();
  if (numel() == 0) return *this;
  const Tensor source = copy_if_overlapping(from, *this).broadcast_to(shape());
  if (source.device() == device()) {
    backend_of(*this).copy(*this, source);
    return *this;
  }
  // Between devices whole contiguous blocks travel; converting and striding happen on either side.
  const Tensor block = source.contiguous().to(dtype_);
  Tensor landed = is_contiguous() ? *this : empty(shape(), dtype_, device());
  const std::size_t bytes = static_cast<std::size_t>(numel()) * size_of(dtype_);
  if (device() == Device::CPU) {
    backend_of(block).to_host(landed.raw(dtype_), block.raw(dtype_), bytes);
  } else {
    backend_of(*this).from_host(landed.raw(dtype_), block.raw(dtype_), bytes);
  }
  if (!is_contiguous()) backend_of(*this).copy(*this, landed);
  return *this;
}

Tensor& Tensor::write_unread_(const Tensor& from) {
  const std::uint64_t version = this->version();
  copy_(from);
  storage_->restore_version(version);
  return *this;
}

Tensor& Tensor::add_(const Tensor& other) {
  NF_CHECK(is_float(dtype_) && dtype_ == other.dtype() && device() == other.device(), "[add_] ",
           describe(other), " cannot be added to ", describe(*this));
  storage_->bump_version();
  if (numel() > 0)
    backend_of(*this).accumulate(*this, copy_if_overlapping(other, *this).broadcast_to(shape()));
  return *this;
}

Tensor& Tensor::mul_(double factor) {
  NF_CHECK(is_float(dtype_) && is_contiguous(), "[mul_] needs a contiguous float tensor, got ",
           describe(*this));
  storage_->bump_version();
  if (numel() > 0) backend_of(*this).unary(UnaryOp::Affine, {factor, -0.0}, *this, *this);
  return *this;
}

std::string describe(const Tensor& t) {
  if (!t.defined()) return "an undefined tensor";
  return str(name(t.dtype()), " ", t.shape(), " ", t.device());
}

}  // namespace nf
