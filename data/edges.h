// Where the density of a number ends, told by its draws.
#pragma once

#include <limits>
#include <vector>

namespace nf::data {

/// Bounds of a density that does not fade towards them; infinite where there is none.
struct Edges {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
};

/// Of draws, finite and in any order. At an edge of a density that is not 0 there, the 2k draws
/// next to it reach twice as far as the k next to it; in tails that fade they reach less: 1.2 times
/// for a normal density. From 1.7 times on (k = 100, or a tenth of the draws) there is an edge: the
/// roundest number that lies beyond the last draw by at most 10 spacings of its neighbours, since a
/// true edge is farther with probability exp(-10). None for fewer than 200 draws, and for whole
/// numbers, which have no density.
Edges edges_of(std::vector<double> draws);

}  // namespace nf::data
