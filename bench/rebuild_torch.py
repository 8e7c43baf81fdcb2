#!/usr/bin/env python3
"""Rebuilds trained models in PyTorch from their files of weights alone, and compares ln p with flowcli.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install torch safetensors numpy
    /tmp/venv/bin/python bench/rebuild_torch.py RUN... [--flowcli build/flowcli] [-n 1000]

Of each run it reads best.safetensors and nothing else: tensors, and the settings in its metadata, by
the formulas of docs/weights.md (torch_flow.py), in f64. The rows are samples of the model, scored by
`flowcli score`, whose dequantisation noise is drawn here once more. It prints the median and the largest
difference in nats, and fails when the median is more than --limit of the size of ln p. The largest is
larger where a row's noise comes near 1 behind a distribution function and a logit: flowcli stores F in
f32, where few digits of 1 - F are left.
"""
import argparse
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import torch

from torch_flow import Flow

NOISE_STREAM = 0x65766131  # of the noise with which densities are evaluated


def philox_uniform(seed, stream, count, double):
    """`count` numbers in [0, 1): Philox 4x32-10, four words for each counter 0, 1, 2, ... A word makes
    an f32 number, two an f64."""
    mask = np.uint64(0xFFFFFFFF)
    per_block = 2 if double else 4
    c = [np.arange((count + per_block - 1) // per_block, dtype=np.uint64), np.uint64(0), np.uint64(stream & 0xFFFFFFFF),
         np.uint64(stream >> 32)]
    k0, k1 = seed & 0xFFFFFFFF, seed >> 32
    for _ in range(10):
        p0, p1 = np.uint64(0xD2511F53) * c[0], np.uint64(0xCD9E8D57) * c[2]
        c = [(p1 >> np.uint64(32)) ^ c[1] ^ np.uint64(k0), p1 & mask,
             (p0 >> np.uint64(32)) ^ c[3] ^ np.uint64(k1), p0 & mask]
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    words = np.stack(np.broadcast_arrays(*c), 1).reshape(-1)
    if double:
        bits = (words[0::2] << np.uint64(32) | words[1::2]) >> np.uint64(11)
        return bits[:count].astype(np.float64) * 2.0**-53
    return (words[:count] >> np.uint64(8)).astype(np.float32) * np.float32(2**-24)


def noise_of(shape, batch, double):
    """The noise of `flowcli score --seed 0 --batch-size batch`, whose parts follow one another."""
    draws, first, per_block = [], 0, 2 if double else 4
    for at in range(0, shape[0], batch):
        count = min(batch, shape[0] - at) * shape[1]
        part = philox_uniform(0, NOISE_STREAM, per_block * first + count, double)[per_block * first:]
        draws.append(part.reshape(-1, shape[1]))
        first += (count + per_block - 1) // per_block
    return torch.from_numpy(np.concatenate(draws))


def compare(run, args, folder):
    """Differences of all rows and the largest |ln p|, in nats."""
    rows, scores = f"{folder}/rows.npy", f"{folder}/scores.npy"

    def flowcli(*words):
        subprocess.run([args.flowcli, *words, "--quiet"], check=True, stdout=subprocess.DEVNULL)

    flowcli("sample", run, "-n", str(args.count), "--out", rows)
    flowcli("score", run, "--data", rows, "--split", "all", "--out", scores, "--batch-size", "500")
    flow = Flow.of_file(f"{run}/best.safetensors")
    x = torch.from_numpy(np.load(rows)).reshape(args.count, -1)
    with torch.no_grad():
        log_prob = flow.log_prob(x, noise_of(x.shape, 500, flow.s["levels"] == 0))
    nats = torch.from_numpy(np.load(scores)[:, 1]) - flow.nats_offset()
    return (log_prob - nats).abs(), nats.abs().max().item()


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    default = pathlib.Path(__file__).resolve().parent.parent / "build" / "flowcli"
    parser.add_argument("runs", nargs="+", metavar="RUN")
    parser.add_argument("--flowcli", default=str(default))
    parser.add_argument("-n", "--count", type=int, default=1000)
    parser.add_argument("--limit", type=float, default=1e-6, help="of the size of ln p")
    args = parser.parse_args()
    wrong = False
    for run in args.runs:
        with tempfile.TemporaryDirectory() as folder:
            difference, size = compare(run, args, folder)
        median, largest = difference.median().item(), difference.max().item()
        wrong = wrong or not median <= args.limit * size
        print(f"{run}: {args.count} rows, ln p up to {size:.1f} nats, difference {median:.2g} in the "
              f"median, {largest:.2g} at most")
    print(f"PyTorch {torch.__version__}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
