#!/usr/bin/env python3
"""Gaps to the exact density on made tables (made_tables.py): flowcli's models beside zuko's and nflows' splines.

    bench/tables.py [--tables copula8,mixture8] [--models tabular,nsf,maf,zuko,nflows] [--seconds 40]
                    [--rows 20000] [--seed 1] [--work FOLDER]

Every model has the same rows for training, validation and test, one thread, and the same seconds of the processor for training. The
gap is the mean over the test rows of the exact ln p less the model's, with its standard error. FLOWCLI names the program.
"""

import argparse
import pathlib
import sys
import tempfile

try:
    import numpy as np
except ImportError as error:
    sys.exit(f"tables.py: {error}; install NumPy")

from made_tables import TABLES, write_csv
from table_models import Failed, PEERS, missing_of, of_flowcli, of_peer

PARTS = {"train": 1, "valid": 0.1, "test": 0.25}  # rows for each row of training


def parts_of(table, rows, seed):
    """{name: (rows, exact ln p)}"""
    counts = {name: max(1, round(share * rows)) for name, share in PARTS.items()}
    return {name: table.draw(np.random.default_rng([seed, i]), n) for i, (name, n) in enumerate(counts.items())}


def scores(model, table, parts, files, options, work):
    """(nats of the test rows, seconds of the training)"""
    if model not in ("zuko", "nflows"):
        words = ["--budget", f"{options.seconds / 60:.4f}", "--valid-data", files["valid"], "--seed", options.seed]
        words += ["--given", table.given] if table.given else []
        words += ["--types", table.types] if table.types else []
        words += ["--test-data", files["test"]]
        return of_flowcli(model, files["train"], files["test"], work / f"run-{model}", *words)
    if parts["train"][0].dtype == object:
        raise Failed("no categories, no missing cells")
    data = [rows for rows, _ in parts.values()]
    given = len(table.given.split(",")) if table.given else 0
    return of_peer(f"{model} NSF", data, options.seconds, given, options.seed)[:2]


def measure(name, options, work):
    table = TABLES[name]()
    entropy, error = table.exact()
    parts = parts_of(table, options.rows, options.seed)
    files = {part: str(work / f"{name}-{part}.csv") for part in parts}
    for part, (rows, _) in parts.items():
        write_csv(files[part], table.columns, rows)
    exact = parts["test"][1]
    how = f"+- {error:.4f} by draws" if error else "by its formula"
    print(f"{name}: entropy {entropy:.4f} nats {how}, of {exact.size} test rows {-exact.mean():.4f}", flush=True)
    for model in options.models.split(","):
        try:
            nats, seconds = scores(model, table, parts, files, options, work)
        except Failed as failure:
            print(f"  {model:8} -: {failure}", flush=True)
            continue
        gaps = exact - nats
        rest = np.sort(gaps)[: -max(1, gaps.size // 1000)]
        print(f"  {model:8} gap {gaps.mean():8.4f} +- {gaps.std() / gaps.size**0.5:.4f} nats, "
              f"without the worst of 1000 rows {rest.mean():8.4f}; {seconds:.1f} s", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", default=",".join(TABLES))
    parser.add_argument("--models", default="tabular,nsf,maf,zuko,nflows")
    parser.add_argument("--seconds", type=float, default=40)
    parser.add_argument("--rows", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--work", help="folder for tables and runs (else a temporary one)")
    options = parser.parse_args()
    for name in options.tables.split(","):
        if name not in TABLES:
            sys.exit(f"tables.py: there is no table '{name}'; there are {', '.join(TABLES)}")
    models = options.models.split(",")
    for peer in PEERS:
        if peer.split()[0] in models and missing_of(peer):
            print(f"without {peer}: {missing_of(peer)}")
            models.remove(peer.split()[0])
    options.models = ",".join(models)
    with tempfile.TemporaryDirectory() as scratch:
        work = pathlib.Path(options.work or scratch)
        work.mkdir(parents=True, exist_ok=True)
        for name in options.tables.split(","):
            measure(name, options, work)


if __name__ == "__main__":
    main()
