"""Writes a made regression set as CSV (y1, y2, x): p(y | x) has two peaks and a spread that depends on x.

    python3 bench/regression_data.py regression.csv [ROWS]

Prints the exact conditional entropy, E[-ln p(y | x)], in nats: of the distribution, by four million draws
(to 0.0005), and of the rows of the file. A model's -nats cannot be below it, but by chance.
"""

import sys

import numpy as np


def spreads(x):
    return 0.1 + 0.1 * (x + 2) / 2, 0.2 + 0.1 * np.cos(x)


def means(x):
    """Of the peak s = 1; those of s = -1 are at the other side of 0."""
    return 1.5 + 0.5 * np.sin(2 * x), 0.8 * x


def draw(rng, n):
    x = rng.uniform(-2, 2, n)
    s = np.where(rng.uniform(size=n) < 0.5, 1, -1)
    y = [s * m + d * rng.normal(size=n) for m, d in zip(means(x), spreads(x))]
    return y[0], y[1], x


def log_prob(y1, y2, x):
    (m1, m2), (d1, d2) = means(x), spreads(x)
    peaks = [
        -0.5 * ((y1 - s * m1) / d1) ** 2 - 0.5 * ((y2 - s * m2) / d2) ** 2 for s in (1, -1)
    ]
    return np.logaddexp(*peaks) + np.log(0.5) - np.log(2 * np.pi * d1 * d2)


def main():
    path, rows = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 20000
    data = draw(np.random.default_rng(1), rows)
    np.savetxt(path, np.c_[data], delimiter=",", header="y1,y2,x", comments="", fmt="%.8g")
    exact = -log_prob(*draw(np.random.default_rng(7), 4_000_000)).mean()
    print(f"entropy {exact:.4f} nats; of the rows of {path} {-log_prob(*data).mean():.4f}")


if __name__ == "__main__":
    main()
