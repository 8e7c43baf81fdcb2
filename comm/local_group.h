// A group on one machine, without MPI: sockets between each two processes, and a page of memory
// that all of them share.
#pragma once

#include <memory>
#include <vector>

#include "comm/group.h"

namespace nf::comm {

inline constexpr int kMostLocal = 16;  ///< each two of them have a pair of sockets

/// The groups of all ranks, joined with each other. Threads may have one each; or the process forks
/// and each child keeps its own and destroys the others: a socket that nobody else has open tells
/// that its process is gone. Throws Error for less than 1 or more than kMostLocal.
std::vector<std::unique_ptr<Group>> local_groups(int size);

/// Makes `size` processes of this one, which has one thread so far, and returns the group of each:
/// this one is rank 0. Throws Error where that cannot be.
std::unique_ptr<Group> fork_group(int size);

}  // namespace nf::comm
