#include "comm/mpi_plugin.h"

#include <mpi.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>

/* MPI is called by one thread at a time: the one that trains, or exchanges beside it, and the one
 * that gives signs. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct nf_mpi table;
static long long signs_seen = 0;
static char sign_out = 1;
static MPI_Request sign_sent = MPI_REQUEST_NULL;

enum { DATA = 1, SIGN = 2 };
static const size_t most = (size_t)1 << 30; /* of one message: counts are int */

/* Messages of several parts: the parts in their order. */
static int exchange_part(int to, const void* out, size_t out_size, int from, void* in,
                         size_t in_size) {
  MPI_Request requests[2] = {MPI_REQUEST_NULL, MPI_REQUEST_NULL};
  MPI_Status statuses[2]; /* not looked at: MPICH's way to want none makes gcc warn */
  pthread_mutex_lock(&lock);
  int error = MPI_SUCCESS;
  if (in_size > 0)
    error = MPI_Irecv(in, (int)in_size, MPI_BYTE, from, DATA, MPI_COMM_WORLD, &requests[0]);
  if (error == MPI_SUCCESS && out_size > 0)
    error = MPI_Isend(out, (int)out_size, MPI_BYTE, to, DATA, MPI_COMM_WORLD, &requests[1]);
  pthread_mutex_unlock(&lock);
  /* First awake, then with pauses: whoever waits leaves the processor to those that compute. */
  for (long looks = 0; error == MPI_SUCCESS; ++looks) {
    int done = 0;
    pthread_mutex_lock(&lock);
    error = MPI_Testall(2, requests, &done, statuses);
    pthread_mutex_unlock(&lock);
    if (done) break;
    if (looks > 2000) {
      const struct timespec pause = {0, 20000};
      nanosleep(&pause, NULL);
    }
  }
  return error == MPI_SUCCESS ? 0 : error;
}

static int exchange(int to, const void* out, size_t out_size, int from, void* in, size_t in_size) {
  if (to < 0) out_size = 0;
  if (from < 0) in_size = 0;
  while (out_size > 0 || in_size > 0) {
    const size_t o = out_size < most ? out_size : most, i = in_size < most ? in_size : most;
    const int error = exchange_part(to, out, o, from, in, i);
    if (error != 0) return error;
    out = (const char*)out + o;
    in = (char*)in + i;
    out_size -= o;
    in_size -= i;
  }
  return 0;
}

static void give_sign(void) {
  int done = 1;
  pthread_mutex_lock(&lock);
  MPI_Test(&sign_sent, &done, MPI_STATUS_IGNORE);
  if (done) {
    const int next = (table.rank + 1) % table.size;
    MPI_Isend(&sign_out, 1, MPI_BYTE, next, SIGN, MPI_COMM_WORLD, &sign_sent);
  }
  pthread_mutex_unlock(&lock);
}

static long long signs(void) {
  const int before = (table.rank + table.size - 1) % table.size;
  pthread_mutex_lock(&lock);
  for (int there = 1; there;) {
    char sign;
    MPI_Iprobe(before, SIGN, MPI_COMM_WORLD, &there, MPI_STATUS_IGNORE);
    if (!there) break;
    MPI_Recv(&sign, 1, MPI_BYTE, before, SIGN, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    ++signs_seen;
  }
  const long long seen = signs_seen;
  pthread_mutex_unlock(&lock);
  return seen;
}

static void abort_all(int status) { MPI_Abort(MPI_COMM_WORLD, status); }

/* All have come here, and give no signs any more. */
static void finish(void) {
  MPI_Barrier(MPI_COMM_WORLD);
  signs();
  if (sign_sent != MPI_REQUEST_NULL) MPI_Wait(&sign_sent, MPI_STATUS_IGNORE);
  MPI_Finalize();
}

const struct nf_mpi* nf_mpi_start(void) {
  static char library[MPI_MAX_LIBRARY_VERSION_STRING];
  int provided = 0, length = 0;
  if (MPI_Init_thread(NULL, NULL, MPI_THREAD_SERIALIZED, &provided) != MPI_SUCCESS) return NULL;
  if (provided < MPI_THREAD_SERIALIZED) {
    fprintf(stderr, "flowcli: this MPI was built without threads (MPI_THREAD_SERIALIZED)\n");
    MPI_Abort(MPI_COMM_WORLD, 2);
  }
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  MPI_Comm_rank(MPI_COMM_WORLD, &table.rank);
  MPI_Comm_size(MPI_COMM_WORLD, &table.size);
  MPI_Get_library_version(library, &length);
  table.version = NF_MPI_VERSION;
  table.library = library;
  table.exchange = exchange;
  table.give_sign = give_sign;
  table.signs = signs;
  table.abort = abort_all;
  table.finish = finish;
  return &table;
}
