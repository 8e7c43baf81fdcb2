// Numbers with many parameters each, side by side: each loop over a block of them has a fixed
// length, vectorises, and gives a number the same bits at any place.
#pragma once

#include <algorithm>
#include <cstdint>

#include "tensor/cpu/loops.h"
#include "tensor/host_device.h"

namespace nf::cpu {

inline constexpr int kSlots = 64;  ///< numbers of a block

/// One of something for each number of a block.
template <class T>
struct alignas(64) Slots {
  T at[kSlots];

  T& operator[](std::int64_t l) { return at[l]; }
  const T& operator[](std::int64_t l) const { return at[l]; }
};

/// Where the elements [begin, begin + n) of a layout are; the slots behind repeat the last one.
inline Slots<std::int64_t> places_of(const Collapsed<1>& layout, std::int64_t begin,
                                     std::int64_t n) {
  Slots<std::int64_t> places;
  for_parts(layout, begin, n, [&](auto offset, auto stride, auto done, auto count) {
    for (std::int64_t i = 0; i < count; ++i) places[done + i] = offset + i * stride;
  });
  std::fill(places.at + n, places.at + kSlots, places[n - 1]);
  return places;
}

template <class T>
void load(const T* from, const Slots<std::int64_t>& places, Slots<T>& to) {
  for (std::int64_t l = 0; l < kSlots; ++l) to[l] = from[places[l]];
}

template <class T>
void store(const Slots<T>& from, T* to, const Slots<std::int64_t>& places, std::int64_t n) {
  for (std::int64_t l = 0; l < n; ++l) to[places[l]] = from[l];
}

inline Collapsed<1> layout_of(const Tensor& t) { return collapse_dims(t.layout(), 0, t.rank()); }

/// How the parameters of each number lie: the first ones, and the way from one to the next.
struct Table {
  Collapsed<1> first;
  std::int64_t step;

  Table(const Tensor& parameters, std::int64_t dims)
      : first(layout_of(parameters.narrow(-1, 0, dims))),
        step(dims * parameters.strides()[parameters.rank() - 1]) {}
};

/// body(state, begin, n) for blocks of all numbers, by several threads, each of which makes a state
/// of its own. `work` is that of a number, in elements of a plain loop.
template <class Make, class Body>
void for_lanes(std::int64_t numbers, std::int64_t work, const Make& make, const Body& body) {
  const std::int64_t grain = std::max<std::int64_t>(1, kSerial / (work * kSlots)) * kSlots;
  parallel_for(numbers, grain, [&](std::int64_t begin, std::int64_t end) {
    auto state = make();
    for (std::int64_t i = begin; i < end; i += kSlots) {
      body(state, i, std::min<std::int64_t>(kSlots, end - i));
    }
  });
}

}  // namespace nf::cpu
