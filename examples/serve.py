#!/usr/bin/env python3
"""A trained run in a program of one's own, in Python: scores rows, draws new ones, maps them and back.

    PYTHONPATH=python python3 examples/serve.py runs/realnvp-2d-table

It takes samples for rows, so any unconditional run will do, and fails when its claim does not hold.
"""
import sys

try:
    import numpy as np
except ImportError:
    print("skipped: no NumPy")
    sys.exit(0)

import nf


def main(run):
    with nf.open(run) as model:
        print(model, "by nf", nf.version)
        if model.given:
            sys.exit("serve.py: the run is conditional; this example gives nothing")
        rows = model.sample(5, seed=1)
        nats = model.log_prob(rows)

        # To latents and back: nearly the same rows, so nearly the same densities.
        again = model.log_prob(model.decode(model.encode(rows)))
        for before, after in zip(nats, again):
            print(f"{before:8.3f} nats, and {after:8.3f} decoded")
        assert np.abs(nats - again).max() < 0.05

        # The most likely of many draws, which no other tool has to find.
        many = model.sample(1000, seed=2)
        print("the likeliest of 1000 draws:", many[model.log_prob(many).argmax()].round(2).tolist())


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: serve.py RUN")
    try:
        main(sys.argv[1])
    except nf.Error as error:
        sys.exit(f"serve.py: {error}")
