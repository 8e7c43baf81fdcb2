/* Libraries that flowcli fit-target must refuse: one for each KIND (missing.c: one without it). */
#include <math.h>
#include <stdlib.h>

#define NOT_FINITE 2
#define WRONG 3
#define SILENT 4
#define BEYOND 5
#define LATER 6
#define FAULT 7
#define EXITS 8
#define FAULT_LATER 9
#define DEEP 10

static double deeper(const double* x, int n) { return n < 0 ? *x : deeper(x, n + 1) + x[0] * n; }

double log_density(const double* x, int n, double* grad) {
  static long calls = 0;
  double sum = 0;
  int i;
  for (i = 0; i < n; ++i) {
    sum -= x[i] * x[i] / 2;
    if (KIND != SILENT) grad[i] = -x[i];
  }
  if (KIND == WRONG) grad[n - 1] = x[n - 1];
  if (KIND == BEYOND) grad[n] = 0;
  if (KIND == FAULT || (KIND == FAULT_LATER && ++calls > 2000)) *(volatile int*)0 = 1;
  if (KIND == EXITS) exit(0);
  if (KIND == DEEP) sum += deeper(x, n);
  if (KIND == NOT_FINITE || (KIND == LATER && ++calls > 2000)) return NAN;
  return sum;
}
