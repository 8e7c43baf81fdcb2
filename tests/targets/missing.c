/* A library without log_density. */
double density(const double* x) { return x[0]; }
