#!/usr/bin/env python3
"""How fast a spline flow of a table is: `nsf` beside zuko's NSF of the same sizes, in one run.

    bench/table_speed.py [--columns 8,21] [--threads 1,2] [--seconds 1]

Both are zuko's defaults: 3 autoregressive layers, 8 bins, two hidden layers of 64 units, f32; trained by Adam in batches of 256.
Rows a second of density and of sampling are for batches of 1, 100 and 10000 rows, flowcli's by its Python module. Each figure is the
best of at least three tries. FLOWCLI names the program, NF_LIBRARY the library; run it on a quiet machine.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "python"))

import numpy as np

from made_tables import copula, write_csv
from table_models import FLOWCLI

BATCHES = (1, 100, 10000)
SIZES = ["--layers", "3", "--hidden-units", "64", "--hidden-layers", "2", "--net", "plain", "--components", "8", "--mixing", "reverse",
         "--activation", "relu"]


def rate(work, seconds):
    """Calls of `work` a second, the best of at least three, within the seconds."""
    work()
    best, end, tries = float("inf"), time.perf_counter() + seconds, 0
    while tries < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        work()
        best, tries = min(best, time.perf_counter() - start), tries + 1
    return 1 / best


def of_flowcli(csv, rows, threads, seconds):
    import nf

    words = ["--data", csv, *SIZES, "--batch-size", "256", "--threads", str(threads)]
    step = json.loads(subprocess.run([FLOWCLI, "bench", "nsf", *words, "--bench-steps", "100", "--json"], check=True,
                                     capture_output=True, text=True).stdout)["step_ms"]
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([FLOWCLI, "train", "nsf", *words, "--steps", "50", "--out", folder + "/run", "--quiet"], check=True)
        nf.threads(threads)
        with nf.open(folder + "/run") as model:
            density = [n * rate(lambda: model.log_prob(rows[:n]), seconds) for n in BATCHES]
            sampling = [n * rate(lambda: model.sample(n), seconds) for n in BATCHES]
    return 1000 / step, density, sampling


def of_zuko(rows, threads, seconds):
    import torch
    import zuko

    torch.set_num_threads(threads)
    flow = zuko.flows.NSF(rows.shape[1])
    optimizer = torch.optim.Adam(flow.parameters(), lr=1e-3)
    x = torch.tensor((rows - rows.mean(0)) / rows.std(0), dtype=torch.float32)

    def step():
        loss = -flow().log_prob(x[:256]).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    steps = rate(step, seconds)
    with torch.no_grad():
        density = [n * rate(lambda: flow().log_prob(x[:n]), seconds) for n in BATCHES]
        sampling = [n * rate(lambda: flow().sample((n,)), seconds) for n in BATCHES]
    return steps, density, sampling


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--columns", default="8,21")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--seconds", type=float, default=1, help="for each figure")
    args = parser.parse_args()
    print("| columns | threads | | steps/s | " + " | ".join(f"{what}, {n}" for what in ("density", "sampling") for n in BATCHES) + " |")
    for columns in map(int, args.columns.split(",")):
        table = copula(columns)
        rows, _ = table.draw(np.random.default_rng(1), 20000)
        rows = np.asarray(rows, dtype=np.float64)
        with tempfile.TemporaryDirectory() as folder:
            csv = folder + "/table.csv"
            write_csv(csv, table.columns, rows)
            for threads in map(int, args.threads.split(",")):
                ours = of_flowcli(csv, rows, threads, args.seconds)
                theirs = of_zuko(rows, threads, args.seconds)
                for who, (steps, density, sampling) in (("nsf", ours), ("zuko", theirs)):
                    print(f"| {columns} | {threads} | {who} | {steps:.0f} | " + " | ".join(f"{n:.0f}" for n in density + sampling) + " |")
                print(f"| | | times | {ours[0] / theirs[0]:.1f} | "
                      + " | ".join(f"{a / b:.1f}" for a, b in zip(ours[1] + ours[2], theirs[1] + theirs[2])) + " |", flush=True)


if __name__ == "__main__":
    main()
