// Reductions. A row of elements is taken block by block into a state; long rows are cut into chunks
// of a fixed size whose states are merged in order, so that the result does not depend on the
// number of threads.
#include <cmath>
#include <memory>
#include <vector>

#include "tensor/cpu/cpu_backend.h"
#include "tensor/cpu/loops.h"
#include "tensor/reductions.h"

namespace nf {
namespace {

using namespace nf::cpu;
using namespace nf::reductions;

constexpr std::int64_t kChunk = 32 * kBlock;  ///< elements that one state takes in
/// Bytes between what is read and what is prefetched: the hardware prefetches within one page only,
/// and a single stream of reads then reaches two thirds of the memory's bandwidth.
constexpr std::size_t kAhead = 8192;
constexpr std::int64_t kPiece =
    4 * kBlock;                          ///< elements taken in at a time where they need no buffer
constexpr std::int64_t kColumns = 1024;  ///< columns that are summed side by side

/// Joins value(x[i]) for i < n. Several accumulators side by side: the loop vectorises, and the
/// order of the operations is the same on every machine.
/// `ahead`: bytes from what is read to what is prefetched.
template <class Fold, class T, class Value>
typename Fold::Acc fold(const T* x, std::int64_t n, const Value& value,
                        std::size_t ahead = kAhead) {
  using Acc = typename Fold::Acc;
  constexpr int kLanes = 32;
  Acc lanes[kLanes];
  std::fill_n(lanes, kLanes, Fold::start);
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (std::size_t byte = 0; byte < kLanes * sizeof(T); byte += 64) {
      __builtin_prefetch(reinterpret_cast<const char*>(x + i) + ahead + byte);
    }
    for (int l = 0; l < kLanes; ++l) lanes[l] = Fold::join(lanes[l], value(x[i + l]));
  }
  if (i > 0) {
    for (int width = kLanes / 2; width > 0; width /= 2) {
      for (int l = 0; l < width; ++l) lanes[l] = Fold::join(lanes[l], lanes[l + width]);
    }
  }
  for (; i < n; ++i) lanes[0] = Fold::join(lanes[0], value(x[i]));
  return lanes[0];
}

template <class Fold, class T>
typename Fold::Acc fold(const T* x, std::int64_t n) {
  return fold<Fold>(x, n, [](T v) { return Fold::of(v); });
}

// --- rows: the states of reductions.h with add(x, n, first), a loop over the elements first,
// first + 1, ... of a row. A state whose loop over take() is too slow has one of its own below. ---

template <class State, class T>
struct Row : State {
  void add(const T* x, std::int64_t n, std::int64_t first) {
    for (std::int64_t i = 0; i < n; ++i) this->take(x[i], first + i);
  }
};

template <class Fold, class T>
struct Row<FoldState<Fold, T>, T> : FoldState<Fold, T> {
  void add(const T* x, std::int64_t n, std::int64_t) {
    this->acc = Fold::join(this->acc, fold<Fold>(x, n));
  }
};

/// For the second pass over a piece, which is in the cache: prefetches the next piece meanwhile.
template <class T>
constexpr std::size_t kNextPiece = kPiece * sizeof(T) + kAhead;

template <class T>
struct Row<LogSumExp::State<T>, T> : LogSumExp::State<T> {
  void add(const T* x, std::int64_t n, std::int64_t) {
    this->update_max(fold<Max::Fold<T>>(x, n));
    if (!std::isfinite(this->max)) return;
    this->sum += fold<Sum::Fold<T>>(
        x, n, [m = this->max](T v) { return static_cast<double>(math::exp_nonpositive(v - m)); },
        kNextPiece<T>);
  }
};

/// In one pass over distances from the mean of the first few elements. That is a mean of k of the n
/// elements themselves, so it is at most sqrt(n/k) deviations from the mean of all, and taking out
/// what it is off by loses no digits.
template <class T>
struct Row<Variance::State<T>, T> : Variance::State<T> {
  void add(const T* x, std::int64_t n, std::int64_t) {
    constexpr std::int64_t kLanes = 32;
    const std::int64_t first = std::min(n, kLanes), whole = n / kLanes * kLanes;
    const double near = fold<Sum::Fold<T>>(x, first) / static_cast<double>(first);
    double sums[kLanes] = {}, squares[kLanes] = {};
    for (std::int64_t i = 0; i < whole; i += kLanes) {
      for (std::size_t byte = 0; byte < kLanes * sizeof(T); byte += 64) {
        __builtin_prefetch(reinterpret_cast<const char*>(x + i) + kAhead + byte);
      }
      for (std::int64_t l = 0; l < kLanes; ++l) {
        const double d = x[i + l] - near;
        sums[l] += d;
        squares[l] += d * d;
      }
    }
    for (std::int64_t i = whole; i < n; ++i) {
      const double d = x[i] - near;
      sums[0] += d;
      squares[0] += d * d;
    }
    Variance::State<T> block;
    block.count = static_cast<double>(n);
    const double sum = fold<Sum::Fold<double>>(sums, kLanes), off = sum / block.count;
    block.mean = near + off;
    const double around = fold<Sum::Fold<double>>(squares, kLanes) - sum * off;
    block.squares = around < 0 ? 0 : around;  // by rounding
    this->merge(block);
  }
};

/// A sum of squares that stays a double: 1e20 squared is beyond the range of f32.
template <class T>
struct WideSquaresRow : Row<FoldState<SumSquares::Fold<T>, T>, T> {
  using Out = double;
  double finish(std::int64_t) const { return this->acc; }
};

template <class T>
struct Row<ArgMax::State<T>, T> : ArgMax::State<T> {
  void add(const T* x, std::int64_t n, std::int64_t first) {
    const T largest = fold<Max::Fold<T>>(x, n);
    if (!this->above(largest)) return;
    std::int64_t i = 0;
    while (x[i] != largest && !std::isnan(x[i])) ++i;
    this->take(largest, first + i);
  }
};

// --- walking over the tensor --------------------------------------------------------------------

/// Each output from its own row of elements, whatever their strides.
template <class State, class T>
void reduce_rows(const Tensor& in, int kept_dims, Tensor& out) {
  using Out = typename State::Out;
  const Collapsed<1> kept = collapse_dims(in.layout(), 0, kept_dims);
  const Reader<T> row(in.data<T>(), collapse_dims(in.layout(), kept_dims, in.rank()));
  const std::int64_t outputs = out.numel(), n = in.numel() / outputs;
  Out* const to = out.mutable_data<Out>();

  // What needs no buffer comes in longer pieces, which still stay in the first-level cache: joining
  // the accumulators at the end of a piece costs as much as 500 elements.
  const std::int64_t step = row.contiguous() ? kPiece : kBlock;
  const auto reduce_range = [&](std::int64_t base, std::int64_t begin, std::int64_t end) {
    T buffer[kBlock];
    State state;
    for (std::int64_t i = begin; i < end; i += step) {
      const std::int64_t count = std::min(step, end - i);
      state.add(row.at(i, count, buffer, base), count, i);
    }
    return state;
  };

  const std::int64_t chunks = (n + kChunk - 1) / kChunk;
  if (chunks == 1) {
    parallel_for(outputs, std::max<std::int64_t>(1, kSerial / n), [&](auto begin, auto end) {
      for_parts(kept, begin, end - begin, [&](auto offset, auto stride, auto done, auto count) {
        for (std::int64_t i = 0; i < count; ++i) {
          to[begin + done + i] = reduce_range(offset + i * stride, 0, n).finish(n);
        }
      });
    });
    return;
  }
  std::vector<State> states(outputs * chunks);
  parallel_for(outputs * chunks, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t task = begin; task < end; ++task) {
      const std::int64_t first = task % chunks * kChunk;
      for_parts(kept, task / chunks, 1, [&](auto offset, auto, auto, auto) {
        states[task] = reduce_range(offset, first, std::min(first + kChunk, n));
      });
    }
  });
  for (std::int64_t o = 0; o < outputs; ++o) {
    State state = states[o * chunks];
    for (std::int64_t c = 1; c < chunks; ++c) state.merge(states[o * chunks + c]);
    to[o] = state.finish(n);
  }
}

/// acc[j] joins column j of `count` rows at x, x + stride, ... Four rows at once: four streams from
/// memory, and a quarter of the traffic to acc.
template <class Fold, class T>
void fold_rows(const T* x, std::int64_t stride, std::int64_t count, std::int64_t width,
               typename Fold::Acc* __restrict acc) {
  for (; count >= 4; count -= 4, x += 4 * stride) {
    const T *const x1 = x + stride, *const x2 = x1 + stride, *const x3 = x2 + stride;
    for (std::int64_t j = 0; j < width; ++j) {
      const auto two = Fold::join(Fold::join(acc[j], Fold::of(x[j])), Fold::of(x1[j]));
      acc[j] = Fold::join(Fold::join(two, Fold::of(x2[j])), Fold::of(x3[j]));
    }
  }
  for (; count > 0; --count, x += stride) {
    for (std::int64_t j = 0; j < width; ++j) acc[j] = Fold::join(acc[j], Fold::of(x[j]));
  }
}

/// Folds where neighbouring outputs lie side by side in memory (sums of columns): many outputs at
/// once, row by row of the input. Tasks are (chunk of rows) x (up to kColumns outputs in a row).
template <class Fold, class T>
void fold_columns(const Tensor& in, int kept_dims, Tensor& out) {
  using Acc = typename Fold::Acc;
  const Collapsed<1> kept = collapse_dims(in.layout(), 0, kept_dims);
  const Collapsed<1> rows = collapse_dims(in.layout(), kept_dims, in.rank());
  const std::int64_t outputs = out.numel(), n = in.numel() / outputs;
  const std::int64_t inner = kept.inner(), blocks = (inner + kColumns - 1) / kColumns;
  const std::int64_t height = std::max<std::int64_t>(16, 2 * kChunk / std::min(inner, kColumns));
  const std::int64_t chunks = (n + height - 1) / height, tasks = kept.outer() * blocks;
  const T* const from = in.data<T>();
  T* const to = out.mutable_data<T>();
  const auto partial = std::make_unique_for_overwrite<Acc[]>(chunks * outputs);

  const auto run_task = [&](std::int64_t task) {
    const std::int64_t chunk = task / tasks, row = task % tasks / blocks;
    const std::int64_t column = task % blocks * kColumns, first = chunk * height;
    const std::int64_t width = std::min(kColumns, inner - column);
    Acc* const acc = &partial[chunk * outputs + row * inner + column];
    std::fill_n(acc, width, Fold::start);
    const T* const base = from + kept.row_offsets(row)[0] + column;
    for_parts(rows, first, std::min(height, n - first),
              [&](auto offset, auto stride, auto, auto count) {
                fold_rows<Fold>(base + offset, stride, count, width, acc);
              });
  };
  const std::int64_t elements = std::min(n, height) * std::min(inner, kColumns);  // of a task
  parallel_for(chunks * tasks, std::max<std::int64_t>(1, kSerial / elements),
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t task = begin; task < end; ++task) run_task(task);
               });
  for_elements(outputs, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t c = 1; c < chunks; ++c) {
      for (std::int64_t o = begin; o < end; ++o) {
        partial[o] = Fold::join(partial[o], partial[c * outputs + o]);
      }
    }
    for (std::int64_t o = begin; o < end; ++o) to[o] = Fold::finish(partial[o], n);
  });
}

template <class Fold, class T>
void reduce_fold(const Tensor& in, int kept_dims, Tensor& out) {
  const Collapsed<1> kept = collapse_dims(in.layout(), 0, kept_dims);
  const Collapsed<1> row = collapse_dims(in.layout(), kept_dims, in.rank());
  const auto inner_stride = [](const Collapsed<1>& c) { return c.strides[0][c.rank - 1]; };
  const bool columns = kept.inner() >= 16 && inner_stride(kept) == 1 &&
                       (inner_stride(row) != 1 || in.numel() == out.numel());
  if (columns) {
    fold_columns<Fold, T>(in, kept_dims, out);
  } else {
    reduce_rows<Row<FoldState<Fold, T>, T>, T>(in, kept_dims, out);
  }
}

}  // namespace

void CpuBackend::reduce(ReduceOp op, const Tensor& in, int axes, Tensor& out) {
  const int kept = in.rank() - axes;
  visit_float(in.dtype(), [&]<class T>() {
    visit(op, [&]<class Op>() {
      if constexpr (HasFold<Op, T>) {
        reduce_fold<typename Op::template Fold<T>, T>(in, kept, out);
      } else {
        reduce_rows<Row<State<Op, T>, T>, T>(in, kept, out);
      }
    });
  });
}

void CpuBackend::norm(std::span<const Tensor> tensors, Tensor& out) {
  double total = 0;
  Tensor squares = Tensor::empty({}, DType::F64);
  for (const Tensor& t : tensors) {
    visit_float(t.dtype(), [&]<class T>() { reduce_rows<WideSquaresRow<T>, T>(t, 0, squares); });
    total += squares.item();
  }
  out.fill_(std::sqrt(total));
}

}  // namespace nf
