#!/usr/bin/env python3
"""Draws of a posterior by sbi's NPE as it comes (a MAF), from the simulations of a run of `flowcli infer`.

    bench/sbi_npe.py RUN x.csv --parameters 2 --bound 1 --out draws.csv

The first columns of RUN/simulations.csv are the parameters. posterior_c2st.py then says how far the draws are
from exact ones. Needs sbi (PyPI).
"""

import argparse
import sys
import time

import numpy as np

try:
    import torch
    from sbi.inference import NPE
    from sbi.utils import BoxUniform
except ImportError as error:
    sys.exit(f"sbi_npe.py: {error}; install sbi: python3 -m venv /tmp/venv && /tmp/venv/bin/pip install sbi")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", help="folder of flowcli infer")
    parser.add_argument("observed", help="CSV: a line of names, the first row")
    parser.add_argument("--parameters", type=int, required=True, help="how many columns are parameters")
    parser.add_argument("--bound", type=float, required=True, help="the prior is uniform in [-BOUND, BOUND]")
    parser.add_argument("--out", required=True, help="CSV of the draws")
    parser.add_argument("-n", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    torch.set_num_threads(1)
    rows = np.loadtxt(f"{args.run}/simulations.csv", delimiter=",", skiprows=1, ndmin=2)
    rows = torch.tensor(rows, dtype=torch.float32)
    theta, x = rows[:, : args.parameters], rows[:, args.parameters :]
    edge = torch.full((args.parameters,), args.bound)
    start = time.process_time()
    inference = NPE(BoxUniform(-edge, edge))
    inference.append_simulations(theta, x).train()
    seconds = time.process_time() - start
    observed = np.loadtxt(args.observed, delimiter=",", skiprows=1, ndmin=2)[0]
    posterior = inference.build_posterior()
    draws = posterior.sample((args.n,), x=torch.tensor(observed, dtype=torch.float32), show_progress_bars=False)
    names = ",".join("abcdefgh"[: args.parameters])
    np.savetxt(args.out, draws.numpy(), delimiter=",", header=names, comments="", fmt="%.9g")
    print(f"{len(rows)} simulations, {seconds:.1f} core-seconds of training")


if __name__ == "__main__":
    main()
