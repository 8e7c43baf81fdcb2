#include "tensor/cpu/gemm/tile.h"

#include <algorithm>
#include <array>
#include <utility>

#include "tensor/cpu/gemm/bf16.h"

namespace nf::cpu {
namespace {

/// Lines [begin, end) of what is ahead.
template <class T>
inline void fetch(const Ahead<T>& ahead, Index begin, Index end) {
  for (Index i = begin; i < std::min(end, ahead.lines); ++i) {
    __builtin_prefetch(ahead.data + i / ahead.run * ahead.stride + i % ahead.run * kLine<T>, 0, 2);
  }
}

/// sum += x * y, lane by lane.
template <class T, class Sum>
inline void multiply_add(Sum& sum, T x, const VectorOf<T, kLanes<T>>& y) {
  if constexpr (kIsPair<T>) {
    multiply_add_pairs(sum, VectorOf<T, kLanes<T>>{} + x, y);
  } else {
    sum += x * y;
  }
}

template <class T, int R, int V, Rows kWay>
void tile_of(const TileArgs<T>& args) {
  constexpr int N = kLanes<T>;
  using Number = NumberOf<T>;
  const Index row = kWay == Rows::Across ? 1 : args.row;
  const Index step = kWay == Rows::Along ? 1 : args.step;
  VectorOf<Number, N> acc[R][V] = {};
  const Index parts = std::max<Index>(1, args.segments);
  const Index rows = ceil_div(R, parts), lines = ceil_div(args.ahead.lines, parts);
  for (Index s = 0; s < args.segments; ++s) {
    const T *a = args.a + s * args.segment, *b = args.b + s * args.segment_b;
    // A few lines at a time of what is written at the end, and of what comes after.
    for (Index r = s * rows; r < std::min<Index>(R, (s + 1) * rows); ++r) {
      for (int v = 0; v < V; ++v) __builtin_prefetch(args.c + r * args.ldc + v * N, 1);
    }
    if (lines > 0) fetch(args.ahead, s * lines, (s + 1) * lines);
    const Index k = s + 1 == args.segments ? args.last : args.k;
    for (Index i = 0; i < k; ++i) {
      VectorOf<T, N> y[V];
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) y[v] = load_vector<T, N>(b + v * N);
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) {
        const T x = a[r * row];
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) multiply_add<T>(acc[r][v], x, y[v]);
      }
      a += step;
      b += V * N;
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      Number* const c = args.c + r * args.ldc + v * N;
      store_vector(c, args.add ? load_vector<Number, N>(c) + acc[r][v] : acc[r][v]);
    }
  }
}

/// The tiles of one way for 1 to kTileVectors vectors and 1 to kTileRows rows.
template <class T, Rows kWay, int V, int... R>
constexpr std::array<TileFunction<T>, kTileRows> row_of(std::integer_sequence<int, R...>) {
  return {&tile_of<T, R + 1, V, kWay>...};
}
template <class T, Rows kWay, int... V>
constexpr std::array<std::array<TileFunction<T>, kTileRows>, kTileVectors> all_of(
    std::integer_sequence<int, V...>) {
  return {row_of<T, kWay, V + 1>(std::make_integer_sequence<int, kTileRows>{})...};
}
template <class T, Rows kWay>
constexpr auto kTiles = all_of<T, kWay>(std::make_integer_sequence<int, kTileVectors>{});

}  // namespace

template <class T>
TileFunction<T> tile(Rows way, int rows, int vectors) {
  const auto v = static_cast<std::size_t>(vectors - 1), r = static_cast<std::size_t>(rows - 1);
  return way == Rows::Along ? kTiles<T, Rows::Along>[v][r] : kTiles<T, Rows::Across>[v][r];
}

template <class T>
void tile_to(Rows way, Index rows, Index cols, const TileArgs<T>& args) {
  const Index pitch = whole_vectors<T>(cols), vectors = pitch / kLanes<T>;
  const auto function = tile<T>(way, static_cast<int>(rows), static_cast<int>(vectors));
  if (pitch == cols) return function(args);
  alignas(64) NumberOf<T> block[kTileRows * kPanel<T>];
  TileArgs<T> to_block = args;
  to_block.c = block;
  to_block.ldc = pitch;
  to_block.add = false;
  function(to_block);
  for (Index r = 0; r < rows; ++r) {
    const NumberOf<T>* const from = block + r * pitch;
    NumberOf<T>* const to = args.c + r * args.ldc;
    for (Index j = 0; j < cols; ++j) to[j] = args.add ? to[j] + from[j] : from[j];
  }
}

template void tile_to(Rows, Index, Index, const TileArgs<float>&);
template void tile_to(Rows, Index, Index, const TileArgs<double>&);
template void tile_to(Rows, Index, Index, const TileArgs<Bf16Pair>&);
template TileFunction<float> tile<float>(Rows, int, int);
template TileFunction<double> tile<double>(Rows, int, int);
template TileFunction<Bf16Pair> tile<Bf16Pair>(Rows, int, int);

}  // namespace nf::cpu
