#!/usr/bin/env python3
"""What serving a trained run costs: from the shell, from C and from Python.

    build/flowcli train realnvp-2d --data moons --out runs/serve
    python3 bench/serve.py runs/serve [--build build] [--rows 10000] [--repeat 20]

Prints the least time of each of --repeat tries: a whole process that opens the run and scores --rows rows
(the program of C, nf_bench_serve, and `flowcli score` on a file), and a call for one row in C and in
Python. The aims: the process of C below 0.15 s, one row in Python at most 50 microseconds above C's. Run
it on a quiet machine.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "python"))


def least(repeat, work):
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run")
    parser.add_argument("--build", default=str(ROOT / "build"))
    parser.add_argument("--rows", type=int, default=10000)
    parser.add_argument("--repeat", type=int, default=20)
    options = parser.parse_args()
    try:
        import numpy as np

        import nf
    except ImportError as error:
        sys.exit(f"serve.py: {error}")
    build = pathlib.Path(options.build)
    program = [str(build / "bench/nf_bench_serve"), options.run, str(options.rows)]
    of_c = json.loads(subprocess.run(program, check=True, capture_output=True, text=True).stdout)

    with nf.open(options.run) as model, tempfile.TemporaryDirectory() as folder:
        rows = model.sample(options.rows, seed=1).astype(np.float64)
        data = folder + "/rows.npy"
        np.save(data, rows)
        flowcli = [str(build / "flowcli"), "score", options.run, "--data", data, "--out", folder + "/s.csv",
                   "--quiet"]

        def run(words):
            subprocess.run(words, check=True, stdout=subprocess.DEVNULL)

        one = rows[:1]
        model.log_prob(one)
        row_us = 1e6 * least(100 * options.repeat, lambda: model.log_prob(one))
        print(json.dumps({
            "rows": options.rows,
            "c_process_s": round(least(options.repeat, lambda: run(program)), 4),
            "flowcli_score_s": round(least(options.repeat, lambda: run(flowcli)), 4),
            "open_ms": of_c["open_ms"],
            "rows_ms": of_c["rows_ms"],
            "row_us_c": of_c["row_us"],
            "row_us_python": round(row_us, 3),
            "row_us_above": round(row_us - of_c["row_us"], 3)}))


if __name__ == "__main__":
    main()
