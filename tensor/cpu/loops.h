// How the CPU kernels walk over tensors.
//
// A kernel cuts the elements, in row-major order, into blocks, and each loop over a block sees only
// contiguous memory: a strided operand is copied block by block into a small buffer that stays in
// the first-level cache (Reader, Writer). So each operation has one loop, which vectorises, for
// every layout, and the broadcast bias of a layer costs a copy within the cache.
#pragma once

#include <algorithm>
#include <cstdint>

#include "tensor/layout.h"
#include "tensor/tensor.h"
#include "tensor/threads.h"

namespace nf::cpu {

inline constexpr std::int64_t kBlock = 1024;  ///< elements of a buffer
/// Below so many elements a second thread costs more than it saves.
inline constexpr std::int64_t kSerial = 32768;

/// parallel_for over n elements, on the caller alone when they are few.
template <class Body>
void for_elements(std::int64_t n, const Body& body) {
  parallel_for(n, n <= kSerial ? kSerial : kSerial / 4, body);
}

/// body(offset, stride, done, count) for the parts, each within one innermost row, of elements
/// [begin, begin + n) of a layout: `done` elements of the n come before this part.
template <class Body>
void for_parts(const Collapsed<1>& layout, std::int64_t begin, std::int64_t n, const Body& body) {
  const std::int64_t inner = layout.inner(), stride = layout.strides[0][layout.rank - 1];
  std::int64_t row = begin / inner, column = begin % inner;
  std::int64_t offset = layout.row_offsets(row)[0];
  const bool one_level = layout.rank == 2;  // the common case needs no division for each row
  for (std::int64_t done = 0; done < n;) {
    const std::int64_t count = std::min(inner - column, n - done);
    body(offset + column * stride, stride, done, count);
    done += count;
    column = 0;
    ++row;
    offset = one_level ? offset + layout.strides[0][0] : layout.row_offsets(row)[0];
  }
}

template <class T>
void load(const T* from, std::int64_t stride, T* to, std::int64_t n) {
  if (stride == 1) {
    for (std::int64_t i = 0; i < n; ++i) to[i] = from[i];
  } else if (stride == 0) {
    std::fill_n(to, n, *from);
  } else if (stride == 2) {  // every second column: a shuffle of vectors
    for (std::int64_t i = 0; i < n; ++i) to[i] = from[2 * i];
  } else {
    for (std::int64_t i = 0; i < n; ++i) to[i] = from[i * stride];
  }
}

/// Gives the elements of a layout, by their row-major index, as contiguous blocks.
template <class T>
class Reader {
 public:
  explicit Reader(const Tensor& t) : Reader(t.data<T>(), collapse_dims(t.layout(), 0, t.rank())) {}
  Reader(const T* data, const Collapsed<1>& layout) : data_(data), layout_(layout) {}

  bool contiguous() const { return layout_.rank == 1 && layout_.strides[0][0] == 1; }

  /// Elements [begin, begin + n), n <= kBlock unless contiguous(): in place, or copied to `buffer`.
  /// `base` is added to all offsets.
  const T* at(std::int64_t begin, std::int64_t n, T* buffer, std::int64_t base = 0) const {
    const T* const data = data_ + base;
    if (contiguous()) return data + begin;
    for_parts(layout_, begin, n, [&](auto offset, auto stride, auto done, auto count) {
      load(data + offset, stride, buffer + done, count);
    });
    return buffer;
  }

 private:
  const T* data_;
  Collapsed<1> layout_;
};

/// The same for writing: fill the block that at() gives, then store() it.
template <class T>
class Writer {
 public:
  explicit Writer(Tensor& t)
      : data_(t.mutable_data<T>()), layout_(collapse_dims(t.layout(), 0, t.rank())) {}

  bool contiguous() const { return layout_.rank == 1 && layout_.strides[0][0] == 1; }
  T* at(std::int64_t begin, T* buffer) const { return contiguous() ? data_ + begin : buffer; }
  void store(std::int64_t begin, std::int64_t n, const T* buffer) const {
    if (contiguous()) return;
    for_parts(layout_, begin, n, [&](auto offset, auto stride, auto done, auto count) {
      T* to = data_ + offset;
      const T* from = buffer + done;
      for (std::int64_t i = 0; i < count; ++i) to[i * stride] = from[i];
    });
  }

 private:
  T* data_;
  Collapsed<1> layout_;
};

/// body(begin, n) for the blocks of all n elements, by several threads; one block for each thread
/// where `whole` says that no operand needs a buffer.
template <class Body>
void for_blocks(std::int64_t n, bool whole, const Body& body) {
  for_elements(n, [&](std::int64_t begin, std::int64_t end) {
    const std::int64_t step = whole ? end - begin : kBlock;
    for (std::int64_t i = begin; i < end; i += step) body(i, std::min(step, end - i));
  });
}

}  // namespace nf::cpu
