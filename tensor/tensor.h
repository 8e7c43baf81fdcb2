// Tensor: storage + layout + dtype. Copying a Tensor copies the handle, never the elements.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include "tensor/dtype.h"
#include "tensor/layout.h"
#include "tensor/shape.h"
#include "tensor/storage.h"

namespace nf {

class Tensor {
 public:
  Tensor() = default;  ///< undefined: no storage, defined() is false

  // --- creation ---------------------------------------------------------------------------------
  static Tensor empty(const Shape& shape, DType dtype = DType::F32, Device device = Device::CPU);
  static Tensor full(const Shape& shape, double value, DType dtype = DType::F32,
                     Device device = Device::CPU);
  static Tensor zeros(const Shape& shape, DType dtype = DType::F32, Device device = Device::CPU) {
    return full(shape, 0, dtype, device);
  }
  static Tensor ones(const Shape& shape, DType dtype = DType::F32, Device device = Device::CPU) {
    return full(shape, 1, dtype, device);
  }
  static Tensor scalar(double value, DType dtype = DType::F32) { return full({}, value, dtype); }
  /// 0, 1, ..., n-1
  static Tensor arange(std::int64_t n, DType dtype = DType::F32);
  static Tensor eye(std::int64_t n, DType dtype = DType::F32);
  /// Copies `values` (row-major) to the CPU; their number must be shape.numel().
  template <class T>
  static Tensor from(const std::vector<T>& values, const Shape& shape) {
    return from_bytes(values.data(), static_cast<std::int64_t>(values.size()), shape,
                      dtype_of<T>());
  }
  /// An uninitialised contiguous tensor of the same shape, dtype and device.
  Tensor empty_like() const { return empty(shape(), dtype_, device()); }
  Tensor zeros_like() const { return zeros(shape(), dtype_, device()); }

  // --- what it is -------------------------------------------------------------------------------
  bool defined() const { return storage_ != nullptr; }
  const Shape& shape() const { return layout_.shape; }
  const Layout& layout() const { return layout_; }
  const Strides& strides() const { return layout_.strides; }
  int rank() const { return layout_.shape.rank(); }
  std::int64_t dim(int i) const { return layout_.shape.dim(i); }
  std::int64_t numel() const { return layout_.shape.numel(); }
  DType dtype() const { return dtype_; }
  Device device() const { return storage_ ? storage_->device() : Device::CPU; }
  bool is_contiguous() const { return layout_.is_contiguous(); }
  const std::shared_ptr<Storage>& storage() const { return storage_; }
  std::uint64_t version() const { return storage_ ? storage_->version() : 0; }
  /// True when no other tensor looks at this storage: an op may then write into it.
  bool unique() const { return storage_.use_count() == 1; }

  // --- elements ---------------------------------------------------------------------------------
  /// First element of this view. T must be the C++ type of dtype(), the device the CPU for host
  /// use.
  template <class T>
  const T* data() const {
    return static_cast<const T*>(raw(dtype_of<T>()));
  }
  /// The same for writing; raises the storage's version.
  template <class T>
  T* mutable_data() {
    if (storage_) storage_->bump_version();
    return static_cast<T*>(raw(dtype_of<T>()));
  }
  double item() const;  ///< the only element, whatever the dtype and device
  template <class T>
  std::vector<T> to_vector() const {  ///< all elements in row-major order
    const Tensor host = to(Device::CPU).contiguous();
    const T* first = host.data<T>();
    return std::vector<T>(first, first + host.numel());
  }

  // --- views: no element moves; writing to one writes to all ------------------------------------
  /// Same elements, other shape; one size may be -1. Copies only when the strides leave no view.
  Tensor reshape(const Shape& shape) const;
  Tensor permute(std::initializer_list<int> order) const;
  Tensor permute(const std::vector<int>& order) const;
  Tensor transpose(int a, int b) const;
  Tensor t() const { return transpose(-2, -1); }
  /// count elements of `axis`: start, start+step, ...
  Tensor slice(int axis, std::int64_t start, std::int64_t count, std::int64_t step = 1) const;
  Tensor narrow(int axis, std::int64_t start, std::int64_t count) const {
    return slice(axis, start, count, 1);
  }
  Tensor flip(int axis) const;
  Tensor broadcast_to(const Shape& shape) const;
  Tensor unsqueeze(int axis) const;  ///< inserts a dimension of size 1 before `axis`
  Tensor squeeze(int axis) const;    ///< removes a dimension of size 1
  Tensor with_layout(const Layout& layout) const;

  // --- copies -----------------------------------------------------------------------------------
  Tensor clone() const;       ///< a contiguous copy
  Tensor contiguous() const;  ///< itself when contiguous, otherwise a copy
  Tensor to(DType dtype) const;
  Tensor to(Device device) const;

  // --- writing in place -------------------------------------------------------------------------
  Tensor& fill_(double value);
  Tensor& copy_(const Tensor& from);  ///< broadcasts and converts; on the same or another device
  /// copy_ to where nobody has read since the memory was allocated: what a tape saved of other
  /// parts of the storage stays valid.
  Tensor& write_unread_(const Tensor& from);
  Tensor& add_(const Tensor& other);
  Tensor& mul_(double factor);

 private:
  static Tensor from_bytes(const void* data, std::int64_t count, const Shape& shape, DType dtype);
  void* raw(DType dtype) const;

  std::shared_ptr<Storage> storage_;
  Layout layout_;
  DType dtype_ = DType::F32;
};

/// "f32 (200, 784) cpu": how error messages name a tensor.
std::string describe(const Tensor& t);

}  // namespace nf
