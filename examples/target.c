/* A target of one's own for flowcli fit-target: a log density and its gradient, in C.
 *
 *   cc -shared -fPIC target.c -o libmine.so
 *   flowcli fit-target ./libmine.so --dims 3
 *
 * A chain: x[0] is normal, and each further number is normal around half of the one before, with
 * deviation 1/2. What is left out is a constant: the integral of exp(log_density) is
 * sqrt(2 pi)^n / 2^(n - 1). */

double log_density(const double* x, int n, double* grad) {
  double sum = -x[0] * x[0] / 2;
  int i;
  grad[0] = -x[0];
  for (i = 1; i < n; ++i) {
    const double off = x[i] - x[i - 1] / 2;
    sum -= 2 * off * off;
    grad[i] = -4 * off;
    grad[i - 1] += 2 * off;
  }
  return sum;
}
