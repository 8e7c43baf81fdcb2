#!/usr/bin/env python3
"""Makes the golden run folders: tiny runs of the present format, which later versions must open.

    python3 tests/golden_runs/make.py build/flowcli

To be run again only when the format gets another version. Where other noise is drawn for pixels, the runs
stay, and only the numbers of "pixels" in expected.json are others: the mean over many draws must be as before,
and bench/torch_flow.py with the noise of tensor/philox.h must give the new ones. Writes, beside itself, the data
(table.csv, pixels.npy), a run of each, and expected.json with what eval says of them.
"""

import json
import math
import pathlib
import random
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent


def write_table(path):
    rng = random.Random(1)
    with open(path, "w") as out:
        out.write("height,weight,age\n")
        for _ in range(120):
            u, v = rng.random(), rng.random()
            out.write(f"{u:.3f},{u + 0.3 * v:.3f},{v * v - u:.3f}\n")


def write_pixels(path):
    """48 pictures of 5 x 5 pixels: a bright spot somewhere, u8 (N, 5, 5)."""
    rng = random.Random(2)
    n, side = 48, 5
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({n}, {side}, {side}), }}"
    data = bytearray(b"\x93NUMPY\x01\x00\x76\x00" + header.ljust(117).encode() + b"\n")
    for _ in range(n):
        a, b = rng.uniform(0, side), rng.uniform(0, side)
        for i in range(side):
            for j in range(side):
                light = math.exp(-((i - a) ** 2 + (j - b) ** 2) / 2)
                data.append(min(255, int(200 * light + rng.uniform(0, 40))))
    path.write_bytes(bytes(data))


def flowcli(program, *words):
    done = subprocess.run([program, *words], cwd=HERE, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def make(program, name, model, data, *more):
    run = HERE / name
    shutil.rmtree(run, ignore_errors=True)
    flowcli(program, "train", model, "--data", data, "--out", name, "--couplings", "2",
            "--hidden-units", "4", "--epochs", "20", "--batch-size", "24", "--threads", "1", "--device", "cpu", "--json", "--quiet", *more)
    (run / ".lock").unlink()
    # The data have moved since: only the path that was given leads to them.
    config = json.loads((run / "config.json").read_text())
    config["data"]["path"] = "/nowhere/" + data
    (run / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    result = flowcli(program, "eval", name, "--data", data, "--device", "cpu", "--json", "--quiet")
    return {key: result[key] for key in ("nats", "bits_per_dim", "count", "dims", "status")}


def main():
    program = str(pathlib.Path(sys.argv[1]).resolve())
    write_table(HERE / "table.csv")
    write_pixels(HERE / "pixels.npy")
    expected = {
        "table": make(program, "table", "realnvp-2d", "table.csv"),
        "pixels": make(program, "pixels", "nice", "pixels.npy", "--hidden-layers", "1",
                       "--sample-every", "0", "--samples", "4"),
    }
    (HERE / "expected.json").write_text(json.dumps(expected, indent=2) + "\n")


if __name__ == "__main__":
    main()
