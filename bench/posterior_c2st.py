#!/usr/bin/env python3
"""How far draws of a posterior are from exact ones: the accuracy of a classifier that tells them apart.

    flowcli infer --simulator 'awk -f examples/two_moons.awk' ... --out RUN
    bench/posterior_c2st.py two-moons x.csv RUN/posterior.csv [MORE.csv]
    bench/posterior_c2st.py slcp x.csv RUN/posterior.csv
    bench/posterior_c2st.py two-moons x.csv --write exact.csv

0.5 is as good as exact, 1 is told apart always. As in sbibm (Lueckmann et al. 2021): two hidden layers of
10 D units, five folds, columns standardised by the exact draws. Needs NumPy and scikit-learn. Two moons are
drawn exactly; SLCP by resampling draws of the prior, then by Metropolis steps from each.
"""

import argparse

import numpy as np


def two_moons(rng, x, n):
    """Draws (n, 2) given x (2): a point of the half circle leaves two signs of a + b."""
    out = np.empty((0, 2))
    while len(out) < n:
        angle = np.pi * (rng.random(n) - 0.5)
        radius = 0.1 + 0.01 * rng.standard_normal(n)
        total = np.sqrt(2) * (radius * np.cos(angle) + 0.25 - x[0])
        total = np.where(total >= 0, total, np.nan) * rng.choice([-1.0, 1.0], n)
        difference = np.sqrt(2) * (x[1] - radius * np.sin(angle))
        both = np.stack([(total - difference) / 2, (total + difference) / 2], axis=1)
        out = np.concatenate([out, both[(np.abs(both) < 1).all(axis=1)]])
    return out[:n]


def slcp_log_density(theta, x):
    """Of the posterior, but for a constant: theta (n, 5), x (8), four points."""
    s1, s2 = theta[:, 2:3] ** 2 + 1e-12, theta[:, 3:4] ** 2 + 1e-12
    rho = np.tanh(theta[:, 4:5])
    u, v = (x[0::2] - theta[:, 0:1]) / s1, (x[1::2] - theta[:, 1:2]) / s2
    rest = 1 - rho**2 + 1e-12
    terms = -np.log(s1 * s2) - 0.5 * np.log(rest) - (u**2 - 2 * rho * u * v + v**2) / (2 * rest)
    return np.where((np.abs(theta) < 3).all(axis=1), terms.sum(axis=1), -np.inf)


def slcp(rng, x, n, pool=2_000_000, steps=1000):
    theta = rng.uniform(-3, 3, (pool, 5))
    log_p = slcp_log_density(theta, x)
    weights = np.exp(log_p - log_p.max())
    theta = theta[rng.choice(pool, n, p=weights / weights.sum())]
    log_p = slcp_log_density(theta, x)
    for step in range(steps):
        width = (0.02, 0.1, 0.4, 1.5)[step % 4]
        moved = theta + width * rng.standard_normal(theta.shape) * (rng.random(theta.shape) < 0.5)
        moved[:, 2:4] *= rng.choice([-1.0, 1.0], (n, 2))  # the signs of c and d tell nothing
        new = slcp_log_density(moved, x)
        taken = np.log(rng.random(n)) < new - log_p
        theta[taken], log_p[taken] = moved[taken], new[taken]
    return theta


def c2st(rng, exact, drawn):
    from sklearn.model_selection import KFold, cross_val_score
    from sklearn.neural_network import MLPClassifier

    center, scale = exact.mean(axis=0), exact.std(axis=0)
    rows = np.concatenate([(exact - center) / scale, (drawn - center) / scale])
    labels = np.repeat([0, 1], [len(exact), len(drawn)])
    units = 10 * exact.shape[1]
    net = MLPClassifier((units, units), max_iter=1000, random_state=1)
    folds = KFold(5, shuffle=True, random_state=1)
    return cross_val_score(net, rows, labels, cv=folds, scoring="accuracy").mean()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("task", choices=["two-moons", "slcp"])
    parser.add_argument("observed", help="CSV: a line of names, the first row")
    parser.add_argument("draws", nargs="*", help="CSV: a line of names, draws of the posterior")
    parser.add_argument("-n", type=int, default=2000, help="draws of each side (default: 2000)")
    parser.add_argument("--write", help="the exact draws, as CSV")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    x = np.loadtxt(args.observed, delimiter=",", skiprows=1, ndmin=2)[0]
    exact = {"two-moons": two_moons, "slcp": slcp}[args.task](rng, x, args.n)
    if args.write:
        names = ",".join("abcde"[: exact.shape[1]])
        np.savetxt(args.write, exact, delimiter=",", header=names, comments="", fmt="%.9g")
    for path in args.draws:
        drawn = np.loadtxt(path, delimiter=",", skiprows=1, ndmin=2)[: args.n]
        print(f"{path}: C2ST {c2st(rng, exact, drawn):.3f}, {len(exact)} exact and {len(drawn)} draws")


if __name__ == "__main__":
    main()
