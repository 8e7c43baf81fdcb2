/* Prints the log density of the likeliest of a hundred samples of a run. */
#include <nf.h>
#include <stdio.h>

int main(int words, char** word) {
  static double x[100 * 16], nats[100];
  nf_model* model = NULL;
  nf_array rows = {.data = x, .rows = 100, .type = NF_F64};
  double most = -1e300;
  int i;
  if (words != 2 || nf_open(word[1], NULL, &model) || nf_number(model, NF_DIMS, &rows.columns) ||
      rows.columns > 16 || nf_sample(model, 1, 1.0, NULL, &rows) ||
      nf_log_prob(model, &rows, NULL, nats)) {
    fprintf(stderr, "scores: %s\n", nf_last_error());
    return 1;
  }
  for (i = 0; i < 100; ++i) most = nats[i] > most ? nats[i] : most;
  printf("%.3f nats, by nf %s\n", most, nf_version());
  return nf_close(model);
}
