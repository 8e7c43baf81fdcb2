"""Tables drawn from known densities. Each row comes with its exact ln p, so the gap of a model is told on the very
rows on which it is scored; the entropy is a formula, or the mean of a million draws.

    python3 bench/made_tables.py NAME out.csv [ROWS [SEED]]     writes one and prints its entropy; NAME - lists all
"""

import math
import sys
from dataclasses import dataclass

import numpy as np

import regression_data

DRAWS = 1_000_000  # of an entropy by Monte Carlo


@dataclass
class Table:
    columns: list
    draw: object  # (rng, n) -> rows (n, D), of objects where there are categories or gaps, ln p (n)
    entropy: float = math.nan  # nats, where a formula gives it
    given: str = ""
    types: str = ""  # for --types

    def exact(self):
        """(nats, standard error): of the formula, or of draws."""
        if not math.isnan(self.entropy):
            return self.entropy, 0.0
        parts = [self.draw(np.random.default_rng([99, i]), DRAWS // 20)[1] for i in range(20)]
        log_p = np.concatenate(parts)
        return -log_p.mean(), log_p.std() / math.sqrt(log_p.size)


# --- copulas: a Gaussian, each column of which goes through a rising function ---------------------

# g, ln g' of a standard Gaussian z. The uniform has edges, the lognormal a long tail, sinh two.
MARGINS = {
    "gaussian": (lambda z: z, lambda z: 0 * z),
    "lognormal": (lambda z: np.exp(0.7 * z), lambda z: 0.7 * z + math.log(0.7)),
    "sinh": (lambda z: np.sinh(1.3 * z), lambda z: math.log(1.3) + np.log(np.cosh(1.3 * z))),
    "cubic": (lambda z: z**3 + z / 4, lambda z: np.log(3 * z**2 + 0.25)),
    "uniform": (
        lambda z: np.vectorize(lambda t: 0.5 * math.erfc(-t / math.sqrt(2)))(z),
        lambda z: -0.5 * z**2 - 0.5 * math.log(2 * math.pi),
    ),
}


def mean_under_gaussian(f):
    """E f(z) by the trapezoidal rule, whose error is far below 1e-6 for these functions."""
    z = np.linspace(-10, 10, 200_001)
    return float(np.sum(f(z) * np.exp(-0.5 * z**2)) * (z[1] - z[0]) / math.sqrt(2 * math.pi))


def copula(dims):
    """Neighbours are correlated by 0.8, others less; every other sign is turned."""
    signs = np.where(np.arange(dims) % 3 == 2, -1, 1)
    apart = np.abs(np.subtract.outer(np.arange(dims), np.arange(dims)))
    correlation = 0.8**apart * np.outer(signs, signs)
    root = np.linalg.cholesky(correlation)
    half_log_det = np.log(np.diag(root)).sum()
    margins = [list(MARGINS.values())[d % len(MARGINS)] for d in range(dims)]

    def draw(rng, n):
        e = rng.normal(size=(n, dims))
        z = e @ root.T
        log_p = -0.5 * (e**2).sum(1) - 0.5 * dims * math.log(2 * math.pi) - half_log_det
        log_p -= sum(slope(z[:, d]) for d, (_, slope) in enumerate(margins))
        return np.stack([g(z[:, d]) for d, (g, _) in enumerate(margins)], 1), log_p

    entropy = 0.5 * dims * math.log(2 * math.pi * math.e) + half_log_det
    entropy += sum(mean_under_gaussian(slope) for _, slope in margins)
    return Table([f"c{d + 1}" for d in range(dims)], draw, entropy)


# --- mixtures ------------------------------------------------------------------------------------


def mixture(dims, parts):
    """Gaussians with means of their own and covariances a a^T + 0.1, a (D, 3)."""
    rng = np.random.default_rng(dims)
    weights = rng.dirichlet(np.full(parts, 5.0))
    means = rng.normal(0, 1.5, (parts, dims))
    factors = rng.normal(0, 0.7, (parts, dims, 3))
    roots = np.linalg.cholesky(factors @ factors.transpose(0, 2, 1) + 0.1 * np.eye(dims))

    def log_prob(x):
        each = []
        for w, m, root in zip(weights, means, roots):
            e = np.linalg.solve(root, (x - m).T)
            each.append(math.log(w) - 0.5 * (e**2).sum(0) - np.log(np.diag(root)).sum())
        return np.logaddexp.reduce(each, 0) - 0.5 * dims * math.log(2 * math.pi)

    def draw(rng, n):
        k = rng.choice(parts, n, p=weights)
        x = means[k] + np.einsum("nij,nj->ni", roots[k], rng.normal(size=(n, dims)))
        return x, log_prob(x)

    return Table([f"c{d + 1}" for d in range(dims)], draw)


# --- p(y | x) and a mixed table ------------------------------------------------------------------


def conditional():
    """Two numbers with two peaks, whose places and spreads depend on a third, which is given."""

    def draw(rng, n):
        rows = regression_data.draw(rng, n)
        return np.stack(rows, 1), regression_data.log_prob(*rows)

    return Table(["y1", "y2", "x"], draw, given="x")


def log_beta(a, b):
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


LOG_FACTORIALS = np.array([math.lgamma(k + 1) for k in range(200)])


def mixed(missing=0.1):
    """A hidden class of five; given it the columns are independent, so that ln p of any cells is a sum over five.
    Two categories, a count, a share between 0 and 1, three real numbers; each cell is missing by chance."""
    classes = 5
    setup = np.random.default_rng(5)
    prior = setup.dirichlet(np.full(classes, 5.0))
    towns, kinds = (setup.dirichlet(np.full(k, 0.5), classes) * 0.98 + 0.02 / k for k in (6, 3))
    rates = np.array([1.0, 3.0, 7.0, 15.0, 30.0])
    a, b = setup.uniform(1.5, 12, (2, classes))
    means, spreads = setup.normal(0, 2, (classes, 3)), setup.uniform(0.3, 0.8, (classes, 3))

    def log_ps(town, kind, count, share, x):
        """(7, n, classes), of each column given each class."""
        yield np.log(towns[:, town].T)
        yield np.log(kinds[:, kind].T)
        yield count[:, None] * np.log(rates) - rates - LOG_FACTORIALS[count][:, None]
        norm = np.array([log_beta(p, q) for p, q in zip(a, b)])
        yield (a - 1) * np.log(share)[:, None] + (b - 1) * np.log1p(-share)[:, None] - norm
        for d in range(3):
            e = (x[:, d, None] - means[:, d]) / spreads[:, d]
            yield -0.5 * e**2 - np.log(spreads[:, d]) - 0.5 * math.log(2 * math.pi)

    def draw(rng, n):
        k = rng.choice(classes, n, p=prior)
        town, kind = ((rng.uniform(size=(n, 1)) > p[k].cumsum(1)[:, :-1]).sum(1) for p in (towns, kinds))
        count, share = rng.poisson(rates[k]), rng.beta(a[k], b[k])
        x = means[k] + spreads[k] * rng.normal(size=(n, 3))
        there = rng.uniform(size=(n, 7)) >= missing
        log_p = np.log(prior) + sum(
            np.where(there[:, d, None], each, 0) for d, each in enumerate(log_ps(town, kind, count, share, x))
        )
        cells = [[f"T{t}" for t in town], [f"K{t}" for t in kind], count, share, *x.T]
        rows = np.stack([np.array(c, dtype=object) for c in cells], 1)
        rows[~there] = ""
        return rows, np.logaddexp.reduce(log_p, 1)

    columns = ["town", "kind", "count", "share", "x1", "x2", "x3"]
    return Table(columns, draw, types="share=bounded:0:1")


TABLES = {
    "copula8": lambda: copula(8),
    "mixture8": lambda: mixture(8, 5),
    "copula21": lambda: copula(21),
    "mixture21": lambda: mixture(21, 8),
    "copula63": lambda: copula(63),
    "mixture63": lambda: mixture(63, 8),
    "conditional": conditional,
    "mixed": mixed,
}


def write_csv(path, columns, rows):
    """Numbers with nine digits, as f32 needs them."""
    with open(path, "w") as file:
        file.write(",".join(columns) + "\n")
        for row in rows:
            file.write(",".join(c if isinstance(c, str) else f"{c:.9g}" for c in row) + "\n")


def main():
    if len(sys.argv) < 3 or sys.argv[1] not in TABLES:
        sys.exit(__doc__ + "\nNAME: " + ", ".join(TABLES))
    name, path = sys.argv[1:3]
    rows, seed = (int(v) for v in (sys.argv[3:] + ["20000", "1"][len(sys.argv) - 3 :]))
    table = TABLES[name]()
    data, log_p = table.draw(np.random.default_rng(seed), rows)
    write_csv(path, table.columns, data)
    nats, error = table.exact()
    how = f"+- {error:.4f}, {DRAWS} draws" if error else "by its formula"
    print(f"entropy {nats:.4f} nats ({how}); of the rows of {path} {-log_p.mean():.4f}")


if __name__ == "__main__":
    main()
