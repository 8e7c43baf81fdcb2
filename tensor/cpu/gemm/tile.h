// The micro-kernel: a tile of R rows x V vectors of a product, summed in registers.
//
//   c[r][j] (+)= sum_k a[r * row + k * step] * b[k * (V * N) + j],   0 <= r < R, 0 <= j < V * N
//
// N is the number of lanes of a vector. Each k costs R broadcasts and V loads for R * V fused
// multiply-adds, so that the multipliers are the limit, not the loads. Every product of the
// project, of matrices and of convolutions, ends here.
//
// The sums go through k in order, whatever R and V are. So no element depends on how a product is
// cut into tiles.
#pragma once

#include <cstdint>
#include <type_traits>

namespace nf::cpu {

using Index = std::int64_t;

constexpr Index ceil_div(Index a, Index b) { return (a + b - 1) / b; }

// Of each set of instructions (scripts/cmake/CpuKernels.cmake): the bytes of a register, and the
// most rows of a tile.
inline constexpr int kVectorBytes = NF_VECTOR_BYTES, kTileRows = NF_TILE_ROWS, kTileVectors = 2;

/// What operands are packed as: float, double, or two bf16 that follow each other along K.
using Bf16Pair = std::uint32_t;

template <class P>
inline constexpr bool kIsPair = std::is_same_v<P, Bf16Pair>;

/// The numbers that P is made of, and the sums of their products.
template <class P>
using NumberOf = std::conditional_t<kIsPair<P>, float, P>;

/// K's in one P.
template <class P>
inline constexpr Index kNumbers = kIsPair<P> ? 2 : 1;

/// P's that hold `count` K's.
template <class P>
constexpr Index steps_of(Index count) {
  return ceil_div(count, kNumbers<P>);
}

template <class T>
inline constexpr Index kLanes = kVectorBytes / sizeof(T);
template <class T>
inline constexpr Index kPanel = kTileVectors* kLanes<T>;  ///< columns of a whole panel

template <class T>
inline constexpr Index kLine = 64 / sizeof(T);  ///< numbers of a cache line

/// `count` numbers, filled up to whole vectors.
template <class T>
constexpr Index whole_vectors(Index count) {
  return ceil_div(count, kLanes<T>) * kLanes<T>;
}

/// How a tile reads its rows: along k (step 1, rows anywhere), or across (row 1, steps anywhere).
enum class Rows : std::uint8_t { Along, Across };

/// Memory that is needed after this tile: `lines` cache lines, in runs of `run` lines that begin
/// `stride` numbers apart. They are fetched into the second cache a few at a time between the runs
/// of K: of many fetches at once a processor drops most.
template <class T>
struct Ahead {
  const NumberOf<T>* data = nullptr;
  Index lines = 0, run = 1, stride = 0;
};

template <class T>
struct TileArgs {
  const T* a;
  Index row, step;
  /// K is `segments` runs of `k`, the last one of `last`; a and b jump by so much from the start of
  /// one to the next.
  Index k = 0, last = 0, segments = 1, segment = 0, segment_b = 0;
  const T* b = nullptr;  ///< packed, V * N numbers for each k
  NumberOf<T>* c = nullptr;
  Index ldc = 0;
  bool add = false;  ///< += instead of =
  Ahead<T> ahead = {};
};

template <class T>
using TileFunction = void (*)(const TileArgs<T>&);

/// Rows in tiles of nearly the same height: no multiplier idles at the last one.
struct TileRows {
  Index first, rows, count;
  TileRows(Index begin, Index end)
      : first(begin), rows(end - begin), count(ceil_div(rows, kTileRows)) {}
  Index begin(Index t) const { return first + rows * t / count; }
};

/// The tile of `rows` (1 to kTileRows) rows x `vectors` (1 or 2) vectors.
template <class T>
TileFunction<T> tile(Rows way, int rows, int vectors);

/// The tile of `rows` rows and `cols` columns, 1 to kPanel: b has whole vectors, c has not.
template <class T>
void tile_to(Rows way, Index rows, Index cols, const TileArgs<T>& args);

}  // namespace nf::cpu
