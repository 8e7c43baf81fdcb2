// index_select, gather and their adjoints. A tensor is seen as lines along the indexed axis, one
// for each position in the other dimensions. The adding functions share out these positions among
// the threads and go along the index in order, so that repeated indices add up in the same order on
// any number of threads.
#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>

#include "tensor/cpu/cpu_backend.h"
#include "tensor/cpu/loops.h"
#include "tensor/threads.h"

namespace nf {
namespace {

using Index = std::int64_t;

constexpr Index kGrain = 16384;  // elements that are worth a thread

Index tasks_of(Index elements_each) { return std::max<Index>(1, kGrain / elements_each); }

/// N tensors that walk together over their dimensions other than `axis`.
template <int N>
struct Lines {
  Collapsed<N> walk;
  std::array<Index, N> along;  ///< strides of `axis`

  Lines(const Shape& shape, int axis, const std::array<const Strides*, N>& strides) {
    std::array<Strides, N> rest{};
    std::array<const Strides*, N> pointers;
    for (int t = 0; t < N; ++t) {
      along[t] = (*strides[t])[axis];
      std::copy_n(strides[t]->begin(), axis, rest[t].begin());
      std::copy(strides[t]->begin() + axis + 1, strides[t]->end(), rest[t].begin() + axis);
      pointers[t] = &rest[t];
    }
    walk = collapse<N>(shape.without(axis), pointers);
  }

  /// Steps from one position to the next within the innermost dimension.
  Index step(int t) const { return walk.strides[t][walk.rank - 1]; }
  Index positions() const { return walk.outer() * walk.inner(); }
  std::array<Index, N> at(Index position) const {
    auto offsets = walk.row_offsets(position / walk.inner());
    for (int t = 0; t < N; ++t) offsets[t] += position % walk.inner() * step(t);
    return offsets;
  }
};

template <class T>
void copy_line(T* to, Index to_step, const T* from, Index from_step, Index count) {
  if (to_step == 1 && from_step == 1) {
    std::memcpy(to, from, static_cast<std::size_t>(count) * sizeof(T));
  } else {
    for (Index i = 0; i < count; ++i) to[i * to_step] = from[i * from_step];
  }
}

/// Four at a time: a vector gather and a plain loop both take twice as long.
template <class T>
void select_line(T* to, Index to_step, const T* from, Index from_step, const std::int32_t* at,
                 Index count) {
  Index i = 0;
  for (; i + 4 <= count; i += 4) {
    const T a = from[at[i] * from_step], b = from[at[i + 1] * from_step];
    const T c = from[at[i + 2] * from_step], d = from[at[i + 3] * from_step];
    to[i * to_step] = a;
    to[(i + 1) * to_step] = b;
    to[(i + 2) * to_step] = c;
    to[(i + 3) * to_step] = d;
  }
  for (; i < count; ++i) to[i * to_step] = from[at[i] * from_step];
}

}  // namespace

void CpuBackend::index_select(const Tensor& in, int axis, const Tensor& index, Tensor& out) {
  const Lines<2> lines(out.shape(), axis, {&out.strides(), &in.strides()});
  const Index count = index.numel(), inner = lines.walk.inner();
  const std::int32_t* const at = index.data<std::int32_t>();
  visit_dtype(in.dtype(), [&]<class T>() {
    T* const to = out.mutable_data<T>();
    const T* const from = in.data<T>();
    if (std::abs(lines.along[1]) <= std::abs(lines.step(1))) {  // the axis is the innermost one
      parallel_for(lines.positions(), tasks_of(count), [&](Index begin, Index end) {
        for (Index p = begin; p < end; ++p) {
          const auto [o, f] = lines.at(p);
          select_line(to + o, lines.along[0], from + f, lines.along[1], at, count);
        }
      });
      return;
    }
    parallel_for(lines.walk.outer() * count, tasks_of(inner), [&](Index begin, Index end) {
      for (Index task = begin; task < end; ++task) {
        const auto [o, f] = lines.walk.row_offsets(task / count);
        const Index i = task % count;
        copy_line(to + o + i * lines.along[0], lines.step(0), from + f + at[i] * lines.along[1],
                  lines.step(1), inner);
      }
    });
  });
}

void CpuBackend::index_add(Tensor& out, int axis, const Tensor& index, const Tensor& in) {
  const Lines<2> lines(in.shape(), axis, {&out.strides(), &in.strides()});
  const Index count = index.numel(), inner = lines.walk.inner();
  const std::int32_t* const at = index.data<std::int32_t>();
  visit_float(in.dtype(), [&]<class T>() {
    T* const to = out.mutable_data<T>();
    const T* const from = in.data<T>();
    if (lines.along[0] <= lines.step(0)) {  // the axis is the innermost one
      parallel_for(lines.positions(), tasks_of(count), [&](Index begin, Index end) {
        for (Index p = begin; p < end; ++p) {
          const auto [o, f] = lines.at(p);
          for (Index i = 0; i < count; ++i) {
            to[o + at[i] * lines.along[0]] += from[f + i * lines.along[1]];
          }
        }
      });
      return;
    }
    // Each thread adds its part of every line.
    parallel_for(lines.positions(), std::max<Index>(16, tasks_of(count)),
                 [&](Index begin, Index end) {
                   for (Index p = begin; p < end;) {
                     const auto [o, f] = lines.at(p);
                     const Index width = std::min(inner - p % inner, end - p);
                     for (Index i = 0; i < count; ++i) {
                       T* const t = to + o + at[i] * lines.along[0];
                       const T* const s = from + f + i * lines.along[1];
                       for (Index j = 0; j < width; ++j)
                         t[j * lines.step(0)] += s[j * lines.step(1)];
                     }
                     p += width;
                   }
                 });
  });
}

void CpuBackend::gather(const Tensor& in, int axis, const Tensor& index, Tensor& out) {
  const Lines<3> lines(out.shape(), axis, {&out.strides(), &index.strides(), &in.strides()});
  const Index count = out.shape()[axis];
  const std::int32_t* const at = index.data<std::int32_t>();
  visit_dtype(in.dtype(), [&]<class T>() {
    T* const to = out.mutable_data<T>();
    const T* const from = in.data<T>();
    parallel_for(lines.positions(), tasks_of(count), [&](Index begin, Index end) {
      for (Index p = begin; p < end; ++p) {
        const auto [o, k, f] = lines.at(p);
        for (Index i = 0; i < count; ++i) {
          to[o + i * lines.along[0]] = from[f + at[k + i * lines.along[1]] * lines.along[2]];
        }
      }
    });
  });
}

void CpuBackend::scatter_add(Tensor& out, int axis, const Tensor& index, const Tensor& in) {
  const Lines<3> lines(in.shape(), axis, {&out.strides(), &index.strides(), &in.strides()});
  const Index count = in.shape()[axis];
  const std::int32_t* const at = index.data<std::int32_t>();
  visit_float(in.dtype(), [&]<class T>() {
    T* const to = out.mutable_data<T>();
    const T* const from = in.data<T>();
    parallel_for(lines.positions(), tasks_of(count), [&](Index begin, Index end) {
      for (Index p = begin; p < end; ++p) {
        const auto [o, k, f] = lines.at(p);
        for (Index i = 0; i < count; ++i) {
          to[o + at[k + i * lines.along[1]] * lines.along[0]] += from[f + i * lines.along[2]];
        }
      }
    });
  });
}

void CpuBackend::clamped_indices(const Tensor& in, std::int32_t highest, Tensor& out) {
  visit_float(in.dtype(), [&]<class T>() {
    const cpu::Reader<T> reader(in);
    std::int32_t* const to = out.mutable_data<std::int32_t>();
    cpu::for_blocks(out.numel(), reader.contiguous(), [&](Index begin, Index n) {
      T buffer[cpu::kBlock];
      const T* const from = reader.at(begin, n, buffer);
      for (Index i = 0; i < n; ++i) to[begin + i] = index_within(from[i], highest);
    });
  });
}

void CpuBackend::index_range(const Tensor& index, std::int32_t* lowest, std::int32_t* highest) {
  const std::int32_t* const at = index.data<std::int32_t>();
  std::int32_t low = at[0], high = at[0];
  for (Index i = 1; i < index.numel(); ++i) {
    low = std::min(low, at[i]);
    high = std::max(high, at[i]);
  }
  *lowest = low;
  *highest = high;
}

}  // namespace nf
