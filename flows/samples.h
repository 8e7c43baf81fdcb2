// Samples: what a layer begins from, a part at a time.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <utility>

#include "tensor/ops.h"

namespace nf::flows {

/// Some rows of what may be given, (N, G): so many from `first` on, or those of the i32 numbers
/// `rows`. Undefined stays undefined.
inline Tensor given_rows(const Tensor& given, std::int64_t first, std::int64_t count) {
  return given.defined() ? given.narrow(0, first, count) : Tensor();
}
inline Tensor given_rows(const Tensor& given, const Tensor& rows) {
  return given.defined() ? index_select(given, 0, rows) : Tensor();
}

/// Rows (N, D) that may be more than memory holds: they are made when they are asked for, in parts,
/// and anew each time.
class Samples {
 public:
  /// (count, D), the rows from `first` on.
  using Part = std::function<Tensor(std::int64_t first, std::int64_t count)>;
  /// Places the generators of a density for these rows (Generator::place).
  using Place = std::function<void(std::int64_t first, std::int64_t count)>;

  Samples(std::int64_t size, Part part, Place place = {}, Part context = {})
      : size_(size),
        part_(std::move(part)),
        place_(std::move(place)),
        context_(std::move(context)) {}
  Samples(const Tensor& x)  // NOLINT: a tensor is a sample
      : size_(x.dim(0)),
        part_([x](std::int64_t first, std::int64_t count) { return x.narrow(0, first, count); }) {}

  std::int64_t size() const { return size_; }  ///< N
  Tensor part(std::int64_t first, std::int64_t count) const {
    place(first, count);
    return part_(first, count);
  }
  Tensor all() const { return part(0, size_); }
  /// What a layer conditions on beside these rows, (count, C); undefined where nothing is given.
  Tensor context(std::int64_t first, std::int64_t count) const {
    return context_ ? context_(first, count) : Tensor();
  }
  bool has_context() const { return static_cast<bool>(context_); }
  /// What draws from now on draws for these rows: part() says so, and whoever goes on with rows
  /// that he kept has to say it again.
  void place(std::int64_t first, std::int64_t count) const {
    if (place_) place_(first, count);
  }
  /// visit() for all rows, kPart at a time. What is added up over them is added in f64.
  void for_each_part(const std::function<void(const Tensor&)>& visit) const {
    for (std::int64_t at = 0; at < size_; at += kPart) {
      visit(part(at, std::min(kPart, size_ - at)));
    }
  }

 private:
  static constexpr std::int64_t kPart = 4096;  ///< rows; of 3072 numbers 50 MB

  std::int64_t size_;
  Part part_;
  Place place_;
  Part context_;
};

}  // namespace nf::flows
