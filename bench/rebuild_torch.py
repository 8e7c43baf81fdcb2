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

EVALUATION = 0x65766131  # stream of the noise with which densities are evaluated
DEQUANTIZE = 2  # stream of the layer's own generator


def philox(counter, sample, stream, seed):
    """(rows, blocks, 4) words of Philox 4x32-10 for each counter and sample, one row for each sample."""
    mask = np.uint64(0xFFFFFFFF)
    c = [counter[None, :], sample[:, None], np.uint64(stream & 0xFFFFFFFF), np.uint64(stream >> 32)]
    k0, k1 = seed & 0xFFFFFFFF, seed >> 32
    for _ in range(10):
        p0, p1 = np.uint64(0xD2511F53) * c[0], np.uint64(0xCD9E8D57) * c[2]
        c = [(p1 >> np.uint64(32)) ^ c[1] ^ np.uint64(k0), p1 & mask,
             (p0 >> np.uint64(32)) ^ c[3] ^ np.uint64(k1), p0 & mask]
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return np.stack(np.broadcast_arrays(*c), 2)


def mix_bits(x):
    """SplitMix64's function of a word."""
    word = 2**64 - 1
    x = (x + 0x9E3779B97F4A7C15) & word
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & word
    x = (x ^ x >> 27) * 0x94D049BB133111EB & word
    return x ^ x >> 31


def round_stream(stream, number):
    return mix_bits((mix_bits(stream) + number) & (2**64 - 1))


def noise_of(shape, double, logistic=False):
    """The noise of `flowcli score --seed 0`: of row i, a function of i (tensor/philox.h). A word makes an
    f32 number, two an f64. `logistic`: what a flow makes noise of, in f32."""
    stream = round_stream(round_stream(EVALUATION, DEQUANTIZE), 0)
    per_block = 2 if double else 4
    blocks = np.arange((shape[1] + per_block - 1) // per_block, dtype=np.uint64)
    words = philox(blocks, np.arange(shape[0], dtype=np.uint64), stream, 0).reshape(shape[0], -1)
    if double:
        bits = (words[:, 0::2] << np.uint64(32) | words[:, 1::2]) >> np.uint64(11)
        return torch.from_numpy(bits[:, :shape[1]].astype(np.float64) * 2.0**-53)
    if logistic:
        u = ((words[:, :shape[1]] >> np.uint64(9)).astype(np.float32) + np.float32(0.5)) * np.float32(2**-23)
        return torch.from_numpy(np.log(u) - np.log(1 - u))
    return torch.from_numpy((words[:, :shape[1]] >> np.uint64(8)).astype(np.float32) * np.float32(2**-24))


def compare(run, args, folder):
    """Differences of all rows and the largest |ln p|, in nats."""
    rows, scores = f"{folder}/rows.npy", f"{folder}/scores.npy"

    def flowcli(*words):
        subprocess.run([args.flowcli, *words, "--quiet"], check=True, stdout=subprocess.DEVNULL)

    flowcli("sample", run, "-n", str(args.count), "--out", rows)
    flowcli("score", run, "--data", rows, "--split", "all", "--out", scores)
    flow = Flow.of_file(f"{run}/best.safetensors")
    x = torch.from_numpy(np.load(rows)).reshape(args.count, -1)
    if flow.s["levels"] > 0:  # the file has grey of 8 bits
        x = x.long() * flow.s["levels"] // 256
    with torch.no_grad():
        by_flow = flow.s.get("dequantize") == "variational"
        log_prob = flow.log_prob(x, noise_of(x.shape, flow.s["levels"] == 0, by_flow))
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
