# A simulator for `flowcli infer`: two moons (Greenberg et al. 2019, appendix A.5.2).
#   awk 'BEGIN { print "a,b"; for (; n < 10000; ++n) print 2 * rand() - 1 "," 2 * rand() - 1 }' > prior.csv
#   printf 'x,y\n0,0\n' > x.csv
#   flowcli infer --simulator 'awk -f examples/two_moons.awk' --prior prior.csv --observed x.csv --out runs/moons
# Parameters a, b in [-1, 1]; data: a point of a half circle of radius about 0.1, moved by |a + b| and
# b - a. So each x has two sets of parameters, both shaped like a moon.
BEGIN { FS = ","; srand(ENVIRON["FLOWCLI_SEED"] + 0); pi = atan2(0, -1) }
{
  angle = pi * (rand() - 0.5)
  radius = 0.1 + 0.01 * sqrt(-2 * log(1 - rand())) * cos(2 * pi * rand())
  sum = $1 + $2
  printf "%.9g,%.9g\n", radius * cos(angle) + 0.25 - (sum < 0 ? -sum : sum) / sqrt(2), \
         radius * sin(angle) + ($2 - $1) / sqrt(2)
}
