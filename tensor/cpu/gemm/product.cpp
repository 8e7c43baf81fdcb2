#include "tensor/cpu/gemm/product.h"

#include <algorithm>

#include "tensor/cpu/gemm/scratch.h"
#include "tensor/cpu/host/openblas_product.h"
#include "tensor/threads.h"

namespace nf::cpu {
namespace {

/// K is cut into blocks of at most so many: a panel of B (64 or 128 KiB) and a tile of A then stay
/// in the first two caches, and the error of a sum grows with this length, not with K.
constexpr Index kDepth = 1024;
/// K's between which a few cache lines are fetched ahead.
constexpr Index kRun = 32;
/// Bytes of A that are packed at once: half of a second-level cache.
constexpr Index kPackedA = 400 << 10;
/// Bytes of B that are packed at once where the rows of A are more than that: of a third-level
/// cache.
constexpr Index kPackedB = 2 << 20;
/// Bytes of B that a tile of A meets one panel after the other without leaving a near cache.
constexpr Index kNearB = 96 << 10;
/// With fewer panels to use them for, the rows of A are read where they are.
constexpr Index kPanelsWorthPacking = 3;

thread_local Scratch scratch_a, scratch_b;

/// Rows [r0, r1) x columns [c0, c1) of a product; c0 at a panel's start.
struct Part {
  Index r0, r1, c0, c1;
};

/// A part of B, and the shares of it that tiles fetch while they keep the multipliers busy.
template <class T>
struct NextPanel {
  View<T> b{};
  Index depth = 0, cols = 0;

  Ahead<T> share(Index part, Index parts) const {
    if (cols == 0) return {};
    const View<T> v = b.row == 1 ? b.t() : b;  // `count` runs of `length` numbers
    const Index count = b.row == 1 ? cols : depth, length = b.row == 1 ? depth : cols;
    const Index begin = count * part / parts, run = length / kLine<T> + 1;
    return {v.data + begin * v.row, (count * (part + 1) / parts - begin) * run, run, v.row};
  }
};

/// Rows [r0, r1) of C beside one panel: columns [c0, c0 + cols), k's [k0, k0 + depth).
template <class T>
class PanelProduct {
 public:
  PanelProduct(const Product<T>& p, Index k0, Index depth, const T* packed_a)
      : p_(p), k0_(k0), depth_(depth), packed_a_(packed_a) {}

  void operator()(const TileRows& tiles, Index c0, Index cols, const T* b,
                  const NextPanel<T>& next) const {
    const bool last = k0_ + depth_ == p_.k, add = p_.add || k0_ > 0;
    const T* packed = packed_a_;
    for (Index t = 0; t < tiles.count; ++t) {
      const Index r0 = tiles.begin(t), rows = tiles.begin(t + 1) - r0;
      T* const c = p_.c + r0 * p_.ldc + c0;
      TileArgs<T> args = rows_at(r0, rows, packed);
      args.k = std::min(depth_, kRun);
      args.segments = ceil_div(depth_, kRun);
      args.last = depth_ - (args.segments - 1) * kRun;
      args.segment = kRun * args.step;
      args.segment_b = kRun * whole_vectors<T>(cols);
      args.ahead = next.share(t, tiles.count);
      args.b = b;
      args.c = c;
      args.ldc = p_.ldc;
      args.add = add;
      tile_to<T>(packed || p_.a.col != 1 ? Rows::Across : Rows::Along, rows, cols, args);
      if (last && p_.finish.block) p_.finish.block(c, p_.ldc, rows, c0, cols, p_.finish.with);
      if (packed) packed += rows * depth_;
    }
  }

 private:
  TileArgs<T> rows_at(Index r0, Index rows, const T* packed) const {
    if (packed) return {.a = packed, .row = 1, .step = rows};
    return {.a = p_.a.at(r0, k0_).data, .row = p_.a.row, .step = p_.a.col};
  }

  const Product<T>& p_;
  Index k0_, depth_;
  const T* packed_a_;
};

/// How one part is gone through: columns in blocks of nc, K in blocks of at most `depth`, rows in
/// blocks of mc.
template <class T>
struct Plan {
  Index blocks, depth, mc, nc;
  bool pack_a,
      keep_b;  ///< is A packed; are all panels of a block of columns kept for the next rows

  Plan(const Product<T>& p, const Part& part) {
    constexpr Index W = kPanel<T>, size = Index{sizeof(T)};
    const Index rows = part.r1 - part.r0, cols = ceil_div(part.c1 - part.c0, W) * W;
    blocks = ceil_div(p.k, kDepth);
    depth = ceil_div(p.k, blocks);
    nc = cols;
    // B fits a near cache: each tile of A meets all of it.
    const bool small = cols * depth * size <= kNearB;
    const Index fit = kPackedA / (depth * size) / kTileRows * kTileRows;
    const Index most = small ? kTileRows : std::max<Index>(kTileRows, fit);
    mc = ceil_div(rows, ceil_div(rows, most));
    keep_b = mc < rows;
    if (keep_b) nc = std::min(cols, std::max(W, kPackedB / (depth * size) / W * W));
    pack_a = nc / W >= kPanelsWorthPacking || (p.a.col != 1 && p.a.row != 1);
  }
};

/// One part, by the calling thread. Each panel of B is packed when the first rows need it, and is
/// then still in a near cache.
template <class T>
class PartProduct {
 public:
  PartProduct(const Product<T>& p, const Part& part) : p_(p), part_(part), plan_(p, part) {
    b_ = scratch_b.get<T>(plan_.depth * (plan_.keep_b ? plan_.nc : kPanel<T>));
    if (plan_.pack_a) a_ = scratch_a.get<T>(plan_.mc * plan_.depth);
  }

  void run() {
    for (Index j = part_.c0; j < part_.c1; j += plan_.nc) {
      for (Index block = 0; block < plan_.blocks; ++block) {
        const Index k0 = p_.k * block / plan_.blocks;
        columns(j, std::min(j + plan_.nc, part_.c1), k0, p_.k * (block + 1) / plan_.blocks - k0);
      }
    }
  }

 private:
  /// Columns [j0, j1), k's [k0, k0 + depth), all rows.
  void columns(Index j0, Index j1, Index k0, Index depth) {
    constexpr Index W = kPanel<T>;
    const PanelProduct<T> panel_product(p_, k0, depth, a_);
    for (Index r0 = part_.r0; r0 < part_.r1; r0 += plan_.mc) {
      const TileRows tiles(r0, std::min(r0 + plan_.mc, part_.r1));
      if (a_) pack_rows_of_a(tiles, k0, depth);
      for (Index c0 = j0; c0 < j1; c0 += W) {
        const Index cols = std::min(W, j1 - c0);
        T* const panel = plan_.keep_b ? b_ + (c0 - j0) * depth : b_;
        NextPanel<T> next;
        if (r0 == part_.r0) {
          pack(p_.b.at(k0, c0).t(), cols, depth, whole_vectors<T>(cols), panel);
          if (c0 + W < j1) next = {p_.b.at(k0, c0 + W), depth, std::min(W, j1 - c0 - W)};
        }
        panel_product(tiles, c0, cols, panel, next);
      }
    }
  }

  void pack_rows_of_a(const TileRows& tiles, Index k0, Index depth) {
    T* to = a_;
    for (Index t = 0; t < tiles.count; ++t) {
      const Index first = tiles.begin(t), rows = tiles.begin(t + 1) - first;
      pack(p_.a.at(first, k0), rows, depth, rows, to);
      to += rows * depth;
    }
  }

  const Product<T>& p_;
  Part part_;
  Plan<T> plan_;
  T *a_ = nullptr, *b_;
};

/// How many parts C is cut into, down and across.
struct Cut {
  Index down, across;
};

/// The cut into at most `threads` parts whose largest takes least: a part of r x c costs r * c
/// multiplications for each k, and packing as much as `kPacking` of them for each row and column.
template <class T>
Cut choose_cut(Index m, Index n, Index threads) {
  constexpr Index kPacking = 12;
  Cut best{1, 1};
  Index least = -1;
  for (Index down = 1; down <= threads; ++down) {
    const Index across = threads / down;
    const Index r = ceil_div(m, down), c = ceil_div(ceil_div(n, kLanes<T>), across) * kLanes<T>;
    const Index cost = r * c + kPacking * (r + c);
    if (least < 0 || cost < least) {
      least = cost;
      best = {down, across};
    }
  }
  return best;
}

template <class T>
void zeros(const Product<T>& p) {
  for (Index i = 0; i < p.m; ++i) {
    if (!p.add) std::fill_n(p.c + i * p.ldc, p.n, T(0));
    if (p.finish.block) p.finish.block(p.c + i * p.ldc, p.ldc, 1, 0, p.n, p.finish.with);
  }
}

template <class T>
void by_threads(const Product<T>& p) {
  const double work = double(p.m) * double(p.n) * double(p.k);
  const Index worth = std::max<Index>(1, static_cast<Index>(work / double{kWorthWaking}));
  const Index threads = std::min<Index>(num_threads(), worth);
  const Cut cut = threads == 1 ? Cut{1, 1} : choose_cut<T>(p.m, p.n, threads);
  const Index columns = ceil_div(p.n, kLanes<T>);
  parallel_for(cut.down * cut.across, 1, [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i) {
      const Index y = i / cut.across, x = i % cut.across;
      const Part part{p.m * y / cut.down, p.m * (y + 1) / cut.down,
                      columns * x / cut.across * kLanes<T>,
                      std::min(p.n, columns * (x + 1) / cut.across * kLanes<T>)};
      if (part.r0 < part.r1 && part.c0 < part.c1) PartProduct<T>(p, part).run();
    }
  });
}

/// By OpenBLAS, if it is asked for.
template <class T>
bool by_peer(const Product<T>& p) {
  if (!product_by_openblas<T>({p.a.data, p.a.row, p.a.col}, {p.b.data, p.b.row, p.b.col}, p.c,
                              p.ldc, p.m, p.n, p.k, p.add)) {
    return false;
  }
  if (p.finish.block) p.finish.block(p.c, p.ldc, p.m, 0, p.n, p.finish.with);
  return true;
}

}  // namespace

template <class T>
void product_alone(const Product<T>& p) {
  if (p.k == 0) return zeros(p);
  if (by_peer(p)) return;
  PartProduct<T>(p, {0, p.m, 0, p.n}).run();
}

template <class T>
void product(const Product<T>& p) {
  if (p.k == 0) return zeros(p);
  if (!by_peer(p)) by_threads(p);
}

template void product(const Product<float>&);
template void product(const Product<double>&);
template void product_alone(const Product<float>&);
template void product_alone(const Product<double>&);

}  // namespace nf::cpu
