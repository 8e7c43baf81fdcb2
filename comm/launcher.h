// What a launcher (mpirun, srun) says in the environment of the processes that it starts.
#pragma once

#include <memory>
#include <string>

#include "comm/group.h"

namespace nf::comm {

struct Launch {
  std::string by;  ///< the variable that says so: "OMPI_COMM_WORLD_SIZE"
  int size = 1;    ///< 1: no launcher, or one process
  int rank = 0;
};
/// Of Open MPI, MPICH and others with PMI, srun and torchrun. A shell within a SLURM allocation is
/// no step of several tasks.
Launch launched();

/// The group of all processes that a launcher started, by MPI (libnf_mpi.so, which is opened then);
/// `alone()` where there is no launcher. Throws Error where this build has no MPI, or MPI sees
/// fewer processes than the launcher says: each would take itself for the first.
std::unique_ptr<Group> join_launched();

/// Processors that this process may run on, shared with those of the group that are bound to the
/// same ones. Collective.
int fair_threads(Group& group);
/// How many processes of lower rank are on this machine: which of its GPUs is this process's.
/// Collective.
int rank_on_machine(Group& group);

}  // namespace nf::comm
