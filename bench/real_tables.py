#!/usr/bin/env python3
"""Cross-validated nats of tables that scikit-learn ships: flowcli's models beside a Gaussian, kernels, mixtures and zuko.

    bench/real_tables.py [--tables wine,iris] [--models tabular,nsf,gaussian,kernels,mixture,zuko] [--folds 5]
                         [--set KEY=VALUE ...] [--seed 1] [--work FOLDER]

To each number noise is added, uniform over one step of its column's rounding, from one seed; columns that are constant are dropped. Nats are those
of the columns in units of these steps, so they bound the log probability of the rounded rows. Of each fold's training rows a ninth is validation for
those who stop early; the others choose bandwidth and number of components by cross-validation among all of them. FLOWCLI names the program.
"""

import argparse
import pathlib
import sys
import tempfile
import time

try:
    import numpy as np
    import sklearn.datasets
    from sklearn.mixture import GaussianMixture
    from sklearn.model_selection import GridSearchCV, KFold
    from sklearn.neighbors import KernelDensity
except ImportError as error:
    sys.exit(f"real_tables.py: {error}; install NumPy and scikit-learn")

from made_tables import write_csv
from table_models import Failed, missing_of, of_flowcli, of_peer

TABLES = {
    "iris": sklearn.datasets.load_iris,
    "wine": sklearn.datasets.load_wine,
    "diabetes": lambda: sklearn.datasets.load_diabetes(scaled=False),
    "breast-cancer": sklearn.datasets.load_breast_cancer,
    "digits": sklearn.datasets.load_digits,
}


def step_of(column):
    """10^-d, with d decimals in use."""
    for decimals in range(10):
        scaled = column * 10.0**decimals
        if np.allclose(scaled, np.round(scaled), rtol=0, atol=1e-4):
            return 10.0**-decimals
    raise ValueError("no rounding step")


def rows_of(name, seed):
    data = np.asarray(TABLES[name]().data, np.float64)
    data = data[:, data.min(0) < data.max(0)]
    steps = np.array([step_of(c) for c in data.T])
    return data / steps + np.random.default_rng(seed).uniform(-0.5, 0.5, data.shape)


# --- baselines: (train, test) of standardised rows -> nats of each test row ------------------------


def gaussian(train, test):
    root = np.linalg.cholesky(np.cov(train.T, bias=True))
    e = np.linalg.solve(root, (test - train.mean(0)).T)
    return -0.5 * (e**2).sum(0) - np.log(np.diag(root)).sum() - 0.5 * len(root) * np.log(2 * np.pi)


def chosen(model, choices, train, test):
    search = GridSearchCV(model, choices, cv=KFold(5, shuffle=True, random_state=1)).fit(train)
    return search.best_estimator_.score_samples(test)


def kernels(train, test):
    return chosen(KernelDensity(), {"bandwidth": np.geomspace(0.05, 2, 20)}, train, test)


def mixture(train, test):
    choices = {"n_components": [1, 2, 3, 4, 6, 8, 12, 16], "covariance_type": ["full", "diag"]}
    return chosen(GaussianMixture(random_state=1, n_init=2), choices, train, test)


BASELINES = {"gaussian": gaussian, "kernels": kernels, "mixture": mixture}


def scores(model, learn, valid, test, options, work):
    """(nats of each test row, seconds)"""
    if model in BASELINES:
        train = np.concatenate([learn, valid])
        mean, deviation = train.mean(0), train.std(0)
        begin = time.process_time()
        nats = BASELINES[model]((train - mean) / deviation, (test - mean) / deviation)
        return nats - np.log(deviation).sum(), time.process_time() - begin
    if model == "zuko":
        return of_peer("zuko NSF", (learn, valid, test), options.seconds, seed=options.seed, patience=50, batch=64)[:2]
    files = {name: work / f"{name}.csv" for name in ("learn", "valid", "test")}
    for name, rows in zip(files, (learn, valid, test)):
        write_csv(files[name], [f"c{d + 1}" for d in range(rows.shape[1])], rows)
    words = [word for setting in options.set for word in ("--set", setting)]
    return of_flowcli(model, files["learn"], files["test"], work / "run", "--valid-data", files["valid"],
                      "--test-data", files["test"], "--seed", options.seed, *words)


def measure(name, options, work):
    data = rows_of(name, options.seed)
    print(f"{name}: {data.shape[0]} rows, {data.shape[1]} columns, {options.folds} folds", flush=True)
    nats = {}
    for model in options.models:
        each, seconds = np.empty(len(data)), 0
        try:
            for train, test in KFold(options.folds, shuffle=True, random_state=options.seed).split(data):
                valid, learn = np.split(train, [len(train) // 9])  # KFold keeps the order of rows
                each[test], took = scores(model, data[learn], data[valid], data[test], options, work)
                seconds += took
        except Failed as failure:
            print(f"  {model:9} -: {failure}", flush=True)
            continue
        nats[model] = each
        print(f"  {model:9} {each.mean():10.3f} +- {each.std() / len(each) ** 0.5:.3f} nats, median "
              f"{np.median(each):.3f}; {seconds / options.folds:.1f} s a fold", flush=True)
    best = max(nats, key=lambda m: nats[m].mean())
    for model in nats:
        lead = nats[best] - nats[model]
        if model != best:
            print(f"  {best} is {lead.mean():.3f} +- {lead.std() / len(lead) ** 0.5:.3f} better than {model}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", default=",".join(TABLES))
    parser.add_argument("--models", default="gaussian,kernels,mixture,zuko,tabular,nsf")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=60, help="at most, of zuko's training in a fold")
    parser.add_argument("--set", action="append", default=[], help="of flowcli")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--work", help="folder for tables and runs (else a temporary one)")
    options = parser.parse_args()
    options.models = options.models.split(",")
    if "zuko" in options.models and missing_of("zuko NSF"):
        print(f"without zuko: {missing_of('zuko NSF')}")
        options.models.remove("zuko")
    with tempfile.TemporaryDirectory() as scratch:
        work = pathlib.Path(options.work or scratch)
        work.mkdir(parents=True, exist_ok=True)
        for name in options.tables.split(","):
            if name not in TABLES:
                sys.exit(f"real_tables.py: there is no table '{name}'; there are {', '.join(TABLES)}")
            measure(name, options, work)


if __name__ == "__main__":
    main()
