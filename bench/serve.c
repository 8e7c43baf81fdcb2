/* What a call of the C interface costs: a model opened, 10,000 rows scored, and one row many times.
 *
 *   nf_bench_serve RUN [ROWS]    one JSON object: open_ms, rows_ms, row_us (the least of its calls,
 * and the median) */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "nf.h"

static void must(int status) {
  if (status == NF_OK) return;
  fprintf(stderr, "nf_bench_serve: %s\n", nf_last_error());
  exit(status);
}

static double now_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

static int less(const void* a, const void* b) {
  const double x = *(const double*)a, y = *(const double*)b;
  return (x > y) - (x < y);
}

int main(int words, char** word) {
  enum { kCalls = 2000, kWarm = 200 };
  const int64_t n = words > 2 ? strtoll(word[2], NULL, 10) : 10000;
  static double times[kCalls];
  nf_model* model = NULL;
  int64_t dims = 0;
  double *x, *nats, start, opened, scored;
  int i;

  if (words < 2 || n < 1) {
    fprintf(stderr, "usage: nf_bench_serve RUN [ROWS]\n");
    return 2;
  }
  start = now_us();
  must(nf_open(word[1], NULL, &model));
  opened = now_us();
  must(nf_number(model, NF_DIMS, &dims));
  x = malloc((size_t)(n * dims) * sizeof *x);
  nats = malloc((size_t)n * sizeof *nats);
  if (!x || !nats) return 1;
  nf_array rows = {.data = x, .rows = n, .columns = dims, .type = NF_F64};
  must(nf_sample(model, 1, 1.0, NULL, &rows));
  scored = now_us();
  must(nf_log_prob(model, &rows, NULL, nats));
  scored = now_us() - scored;
  rows.rows = 1;
  for (i = -kWarm; i < kCalls; ++i) {
    const double at = now_us();
    must(nf_log_prob(model, &rows, NULL, nats));
    if (i >= 0) times[i] = now_us() - at;
  }
  qsort(times, kCalls, sizeof *times, less);
  printf(
      "{\"rows\": %lld, \"open_ms\": %.3f, \"rows_ms\": %.3f, \"row_us\": %.3f, \"row_median_us\": "
      "%.3f}\n",
      (long long)n, (opened - start) / 1e3, scored / 1e3, times[0], times[kCalls / 2]);
  free(x);
  free(nats);
  must(nf_close(model));
  return 0;
}
