#include "tensor/cpu/gemm/product.h"

#include <algorithm>

#include "tensor/cpu/gemm/scratch.h"
#include "tensor/cpu/host/openblas_product.h"
#include "tensor/threads.h"

namespace nf::cpu {
namespace {

/// K is cut into blocks of at most so many steps (a step of pairs is two k's): a panel of B (64 or
/// 128 KiB) and a tile of A then stay in the first two caches, and the error of a sum grows with
/// this length, not with K.
constexpr Index kDepth = 1024;
/// Steps between which a few cache lines are fetched ahead.
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
template <class P>
struct NextPanel {
  View<NumberOf<P>> b{};
  Index depth = 0, cols = 0;

  Ahead<P> share(Index part, Index parts) const {
    if (cols == 0) return {};
    const View<NumberOf<P>> v = b.row == 1 ? b.t() : b;  // `count` runs of `length` numbers
    const Index count = b.row == 1 ? cols : depth, length = b.row == 1 ? depth : cols;
    const Index begin = count * part / parts, run = length / kLine<NumberOf<P>> + 1;
    return {v.data + begin * v.row, (count * (part + 1) / parts - begin) * run, run, v.row};
  }
};

/// Some of K: k's [first, first + count), or as steps of P.
template <class P>
struct Depth {
  Index first, count;
  Index steps() const { return steps_of<P>(count); }
};

/// Rows [r0, r1) of C beside one panel: columns [c0, c0 + cols), some of K.
template <class P>
class PanelProduct {
 public:
  using T = NumberOf<P>;
  PanelProduct(const Product<T>& p, const Depth<P>& depth, const P* packed_a)
      : p_(p), depth_(depth), packed_a_(packed_a) {}

  void operator()(const TileRows& tiles, Index c0, Index cols, const P* b,
                  const NextPanel<P>& next) const {
    const bool last = depth_.first + depth_.count == p_.k, add = p_.add || depth_.first > 0;
    const Index steps = depth_.steps();
    const P* packed = packed_a_;
    for (Index t = 0; t < tiles.count; ++t) {
      const Index r0 = tiles.begin(t), rows = tiles.begin(t + 1) - r0;
      T* const c = p_.c + r0 * p_.ldc + c0;
      TileArgs<P> args = rows_at(r0, rows, packed);
      args.k = std::min(steps, kRun);
      args.segments = ceil_div(steps, kRun);
      args.last = steps - (args.segments - 1) * kRun;
      args.segment = kRun * args.step;
      args.segment_b = kRun * whole_vectors<P>(cols);
      args.ahead = next.share(t, tiles.count);
      args.b = b;
      args.c = c;
      args.ldc = p_.ldc;
      args.add = add;
      tile_to<P>(packed || p_.a.col != 1 ? Rows::Across : Rows::Along, rows, cols, args);
      if (last && p_.finish.block) p_.finish.block(c, p_.ldc, rows, c0, cols, p_.finish.with);
      if (packed) packed += rows * steps;
    }
  }

 private:
  TileArgs<P> rows_at(Index r0, Index rows, const P* packed) const {
    if constexpr (!kIsPair<P>) {
      if (!packed) {
        return {.a = p_.a.at(r0, depth_.first).data, .row = p_.a.row, .step = p_.a.col};
      }
    }
    return {.a = packed, .row = 1, .step = rows};
  }

  const Product<T>& p_;
  Depth<P> depth_;
  const P* packed_a_;
};

/// How one part is gone through: columns in blocks of nc, K in blocks of at most `depth` steps,
/// rows in blocks of mc.
template <class P>
struct Plan {
  Index steps, blocks, depth, mc, nc;
  bool pack_a,
      keep_b;  ///< is A packed; are all panels of a block of columns kept for the next rows

  Plan(const Product<NumberOf<P>>& p, const Part& part) {
    constexpr Index W = kPanel<P>, size = Index{sizeof(P)};
    const Index rows = part.r1 - part.r0, cols = ceil_div(part.c1 - part.c0, W) * W;
    steps = steps_of<P>(p.k);
    blocks = ceil_div(steps, kDepth);
    depth = ceil_div(steps, blocks);
    nc = cols;
    // B fits a near cache: each tile of A meets all of it.
    const bool small = cols * depth * size <= kNearB;
    const Index fit = kPackedA / (depth * size) / kTileRows * kTileRows;
    const Index most = small ? kTileRows : std::max<Index>(kTileRows, fit);
    mc = ceil_div(rows, ceil_div(rows, most));
    keep_b = mc < rows;
    if (keep_b) nc = std::min(cols, std::max(W, kPackedB / (depth * size) / W * W));
    pack_a = kIsPair<P> || nc / W >= kPanelsWorthPacking || (p.a.col != 1 && p.a.row != 1);
  }

  /// Of block i; of pairs only the last one may lack a number.
  Depth<P> k_of(Index i, Index k) const {
    const Index first = steps * i / blocks * kNumbers<P>;
    return {first, std::min(k, steps * (i + 1) / blocks * kNumbers<P>) - first};
  }
};

/// One part, by the calling thread. Each panel of B is packed when the first rows need it, and is
/// then still in a near cache.
template <class P>
class PartProduct {
 public:
  PartProduct(const Product<NumberOf<P>>& p, const Part& part)
      : p_(p), part_(part), plan_(p, part) {
    b_ = scratch_b.get<P>(plan_.depth * (plan_.keep_b ? plan_.nc : kPanel<P>));
    if (plan_.pack_a) a_ = scratch_a.get<P>(plan_.mc * plan_.depth);
  }

  void run() {
    for (Index j = part_.c0; j < part_.c1; j += plan_.nc) {
      for (Index block = 0; block < plan_.blocks; ++block) {
        columns(j, std::min(j + plan_.nc, part_.c1), plan_.k_of(block, p_.k));
      }
    }
  }

 private:
  /// Columns [j0, j1), some of K, all rows.
  void columns(Index j0, Index j1, const Depth<P>& k) {
    constexpr Index W = kPanel<P>;
    const PanelProduct<P> panel_product(p_, k, a_);
    for (Index r0 = part_.r0; r0 < part_.r1; r0 += plan_.mc) {
      const TileRows tiles(r0, std::min(r0 + plan_.mc, part_.r1));
      if (a_) pack_rows_of_a(tiles, k);
      for (Index c0 = j0; c0 < j1; c0 += W) {
        const Index cols = std::min(W, j1 - c0);
        P* const panel = plan_.keep_b ? b_ + (c0 - j0) * k.steps() : b_;
        NextPanel<P> next;
        if (r0 == part_.r0) {
          pack(p_.b.at(k.first, c0).t(), cols, k.count, whole_vectors<P>(cols), panel);
          if (c0 + W < j1) next = {p_.b.at(k.first, c0 + W), k.count, std::min(W, j1 - c0 - W)};
        }
        panel_product(tiles, c0, cols, panel, next);
      }
    }
  }

  void pack_rows_of_a(const TileRows& tiles, const Depth<P>& k) {
    P* to = a_;
    for (Index t = 0; t < tiles.count; ++t) {
      const Index first = tiles.begin(t), rows = tiles.begin(t + 1) - first;
      pack(p_.a.at(first, k.first), rows, k.count, rows, to);
      to += rows * k.steps();
    }
  }

  const Product<NumberOf<P>>& p_;
  Part part_;
  Plan<P> plan_;
  P *a_ = nullptr, *b_;
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

template <class P>
void by_threads(const Product<NumberOf<P>>& p) {
  const double work = double(p.m) * double(p.n) * double(p.k);
  const Index worth = std::max<Index>(1, static_cast<Index>(work / double{kWorthWaking}));
  const Index threads = std::min<Index>(num_threads(), worth);
  const Cut cut = threads == 1 ? Cut{1, 1} : choose_cut<P>(p.m, p.n, threads);
  const Index columns = ceil_div(p.n, kLanes<P>);
  parallel_for(cut.down * cut.across, 1, [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i) {
      const Index y = i / cut.across, x = i % cut.across;
      const Part part{p.m * y / cut.down, p.m * (y + 1) / cut.down,
                      columns * x / cut.across * kLanes<P>,
                      std::min(p.n, columns * (x + 1) / cut.across * kLanes<P>)};
      if (part.r0 < part.r1 && part.c0 < part.c1) PartProduct<P>(p, part).run();
    }
  });
}

/// By OpenBLAS, if it is asked for. It has no products of pairs.
template <class P>
bool by_peer(const Product<NumberOf<P>>& p) {
  if constexpr (!kIsPair<P>) {
    if (!product_by_openblas<P>({p.a.data, p.a.row, p.a.col}, {p.b.data, p.b.row, p.b.col}, p.c,
                                p.ldc, p.m, p.n, p.k, p.add)) {
      return false;
    }
    if (p.finish.block) p.finish.block(p.c, p.ldc, p.m, 0, p.n, p.finish.with);
    return true;
  }
  return false;
}

}  // namespace

template <class P>
void product_alone(const Product<NumberOf<P>>& p) {
  if (p.k == 0) return zeros(p);
  if (by_peer<P>(p)) return;
  PartProduct<P>(p, {0, p.m, 0, p.n}).run();
}

template <class P>
void product(const Product<NumberOf<P>>& p) {
  if (p.k == 0) return zeros(p);
  if (!by_peer<P>(p)) by_threads<P>(p);
}

template void product<float>(const Product<float>&);
template void product<double>(const Product<double>&);
template void product<Bf16Pair>(const Product<float>&);
template void product_alone<float>(const Product<float>&);
template void product_alone<double>(const Product<double>&);
template void product_alone<Bf16Pair>(const Product<float>&);

}  // namespace nf::cpu
