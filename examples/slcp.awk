# A simulator for `flowcli infer`: "simple likelihood, complex posterior" (Papamakarios, Sterratt,
# Murray 2019, appendix A.1): four points of a Gaussian in the plane.
#   awk 'BEGIN { print "a,b,c,d,e"; for (; n < 10000; ++n) { for (i = 0; i < 5; ++i) \
#     printf "%s%.9g", i ? "," : "", 6 * rand() - 3; print "" } }' > prior.csv
# Parameters a to e in [-3, 3]: means a and b, deviations c^2 and d^2, correlation tanh(e).
BEGIN { FS = ","; srand(ENVIRON["FLOWCLI_SEED"] + 0); pi = atan2(0, -1) }
{
  correlation = 1 - 2 / (exp(2 * $5) + 1)
  for (i = 0; i < 4; ++i) {
    size = sqrt(-2 * log(1 - rand())); angle = 2 * pi * rand()
    u = size * cos(angle); v = size * sin(angle)
    printf "%s%.9g,%.9g", i ? "," : "", $1 + $3 * $3 * u, \
           $2 + $4 * $4 * (correlation * u + sqrt(1 - correlation * correlation) * v)
  }
  print ""
}
