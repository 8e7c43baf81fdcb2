/* What libnf_mpi.so offers: the few functions of MPI that a group needs, behind a table that is the
 * same whichever MPI it was compiled against. flowcli itself is linked to none. */
#pragma once

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { NF_MPI_VERSION = 1 };

struct nf_mpi {
  int version; /* NF_MPI_VERSION */
  int rank, size;
  const char* library; /* what MPI says it is */
  /* Sends and receives at the same time; a rank below 0: nobody. 0, or MPI's error. */
  int (*exchange)(int to, const void* out, size_t out_size, int from, void* in, size_t in_size);
  /* A sign of life to the next rank; how many came from the one before. By any thread. */
  void (*give_sign)(void);
  long long (*signs)(void);
  void (*abort)(int status);
  void (*finish)(void);
};

/* Starts MPI. Null where it does not start; it then has said why. */
const struct nf_mpi* nf_mpi_start(void);

#ifdef __cplusplus
}
#endif
