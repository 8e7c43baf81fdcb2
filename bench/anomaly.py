#!/usr/bin/env python3
"""Anomaly detection on tables of scikit-learn: AUROC of tabular beside isolation forest, local outlier factor and a Gaussian; and
how many held-out rows of the ordinary kind `score --flag` flags.

    bench/anomaly.py [--tables breast-cancer,digits] [--models ...] [--flag 0.05] [--seed 1] [--set KEY=VALUE ...]

One class is ordinary: two thirds of its rows are trained on, the others and all rows of the other classes are told apart. Of digits each
class is the ordinary one in turn, and the mean is told; of breast-cancer it is the benign. FLOWCLI names the program.
"""

import argparse
import csv
import math
import pathlib
import sys
import tempfile

try:
    import numpy as np
    import sklearn.datasets
    from sklearn.ensemble import IsolationForest
    from sklearn.metrics import roc_auc_score
    from sklearn.neighbors import LocalOutlierFactor
except ImportError as error:
    sys.exit(f"anomaly.py: {error}; install NumPy and scikit-learn")

from made_tables import write_csv
from table_models import Failed, flowcli

TABLES = {
    "breast-cancer": (sklearn.datasets.load_breast_cancer, [1]),
    "digits": (sklearn.datasets.load_digits, range(10)),
}


def gaussian(train, test):
    """Mahalanobis distance, with a little of the variance on the diagonal: some pixels are always 0."""
    covariance = np.cov(train.T) + 1e-2 * np.eye(train.shape[1])
    e = test - train.mean(0)
    return (e * np.linalg.solve(covariance, e.T).T).sum(1)


PEERS = {
    "forest": lambda train, test: -IsolationForest(random_state=1).fit(train).score_samples(test),
    "neighbours": lambda train, test: -LocalOutlierFactor(novelty=True).fit(train).score_samples(test),
    "gaussian": gaussian,
}


def of_flowcli(model, train, test, level, settings, work):
    """(how unusual each row is, -nats, whether it is flagged)"""
    columns = [f"c{d + 1}" for d in range(train.shape[1])]
    write_csv(work / "train.csv", columns, train)
    write_csv(work / "test.csv", columns, test)
    # A third is validation: the p-values of --flag are ranks among these rows.
    words = ["--valid", len(train) // 3, "--test", 0] + [w for s in settings for w in ("--set", s)]
    flowcli("train", model, "--data", work / "train.csv", "--out", work / "run", "--overwrite", "--quiet", *words)
    flowcli("score", work / "run", "--data", work / "test.csv", "--flag", level, "--out", work / "scores.csv", "--quiet")
    with open(work / "scores.csv") as file:
        rows = list(csv.DictReader(file))
    return -np.array([float(r["nats"]) for r in rows]), np.array([r["flag"] == "1" for r in rows])


def band(n, share):
    """Least and most of n, between which a binomial number is with at least 95 %."""
    log_p = [math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) + k * math.log(share)
             + (n - k) * math.log1p(-share) for k in range(n + 1)]
    cumulative = np.cumsum(np.exp(log_p))
    return int(np.argmax(cumulative > 0.025)), int(np.argmax(cumulative >= 0.975))


def measure(name, options, work):
    load, classes = TABLES[name]
    data, labels = load(return_X_y=True)
    areas, flags, ordinary = {m: [] for m in options.models}, 0, 0
    for label in classes:
        rows = np.random.default_rng(options.seed).permutation(np.flatnonzero(labels == label))
        count = 2 * len(rows) // 3
        train = data[rows[:count]]
        keep = train.min(0) < train.max(0)
        test = np.concatenate([data[rows[count:]], data[labels != label]])[:, keep]
        train = train[:, keep]
        foreign = np.arange(len(test)) >= len(rows) - count
        mean, deviation = train.mean(0), train.std(0)
        for model in options.models:
            if model in PEERS:
                unusual = PEERS[model]((train - mean) / deviation, (test - mean) / deviation)
            else:
                unusual, flagged = of_flowcli(model, train, test, options.flag, options.set, work)
                flags += flagged[~foreign].sum()
                ordinary += (~foreign).sum()
            areas[model].append(roc_auc_score(foreign, np.nan_to_num(unusual, posinf=1e30)))
    for model, each in areas.items():
        print(f"{name}: {model:10} AUROC {np.mean(each):.4f}, least {np.min(each):.4f}", flush=True)
    if ordinary:
        low, high = band(ordinary, options.flag)
        print(f"{name}: flagged {flags} of {ordinary} ordinary rows at level {options.flag}; 95 % of binomial numbers are in {low}..{high}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", default=",".join(TABLES))
    parser.add_argument("--models", default="forest,neighbours,gaussian,tabular")
    parser.add_argument("--flag", type=float, default=0.05)
    parser.add_argument("--set", action="append", default=[], help="of flowcli")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    options.models = options.models.split(",")
    with tempfile.TemporaryDirectory() as scratch:
        for name in options.tables.split(","):
            if name not in TABLES:
                sys.exit(f"anomaly.py: there is no table '{name}'; there are {', '.join(TABLES)}")
            try:
                measure(name, options, pathlib.Path(scratch))
            except Failed as failure:
                sys.exit(f"anomaly.py: {failure}")


if __name__ == "__main__":
    main()
