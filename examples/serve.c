/* A trained run in a program of one's own, in C99: scores rows, draws new ones, maps them to
 * latents and back.
 *
 *   cc -std=c99 serve.c $(pkg-config --cflags --libs nf) -lm -o serve
 *   ./serve runs/realnvp-2d-table
 *
 * It takes samples for rows, so any unconditional run will do, and returns 1 when its claim does
 * not hold. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "nf.h"

/* Ends the program where a call failed: one line says what, where and what to do. */
static void must(int status) {
  if (status == NF_OK) return;
  fprintf(stderr, "serve: %s\n", nf_last_error());
  exit(status);
}

int main(int words, char** word) {
  enum { kRows = 5 };
  nf_model* model = NULL;
  int64_t dims = 0, given = 0, i;
  const char* name = NULL;
  double nats[kRows], again[kRows], *x, *z;

  if (words != 2) {
    fprintf(stderr, "usage: serve RUN\n");
    return 2;
  }
  must(nf_open(word[1], NULL, &model));
  must(nf_number(model, NF_DIMS, &dims));
  must(nf_number(model, NF_GIVEN, &given));
  must(nf_text(model, NF_MODEL, 0, &name));
  printf("%s: %s of %lld dimensions, by nf %s\n", word[1], name, (long long)dims, nf_version());
  if (given > 0) {
    fprintf(stderr, "serve: the run is conditional; this example gives nothing\n");
    return 2;
  }

  /* Five draws, as rows of f64 one behind the other. */
  x = malloc((size_t)(kRows * dims) * sizeof *x);
  z = malloc((size_t)(kRows * dims) * sizeof *z);
  if (!x || !z) return 1;
  nf_array rows = {.data = x, .rows = kRows, .columns = dims, .type = NF_F64};
  nf_array latents = {.data = z, .rows = kRows, .columns = dims, .type = NF_F64};
  must(nf_sample(model, /*seed=*/1, /*temperature=*/1.0, NULL, &rows));
  must(nf_log_prob(model, &rows, NULL, nats));

  /* To latents and back: nearly the same rows, so nearly the same densities. */
  must(nf_encode(model, &rows, NULL, &latents));
  must(nf_decode(model, &latents, NULL, &rows));
  must(nf_log_prob(model, &rows, NULL, again));
  for (i = 0; i < kRows; ++i) {
    printf("%8.3f nats, and %8.3f decoded\n", nats[i], again[i]);
    if (!(fabs(nats[i] - again[i]) < 0.05)) return 1;
  }
  free(x);
  free(z);
  must(nf_close(model));
  return 0;
}
