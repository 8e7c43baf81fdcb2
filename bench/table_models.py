"""Densities of tables behind one function each, for the comparisons of tables.py and real_tables.py: flowcli, zuko and
nflows. Seconds are those of the processor, of one thread."""

import copy
import csv
import os
import pathlib
import resource
import subprocess
import time

import numpy as np

FLOWCLI = pathlib.Path(os.environ.get("FLOWCLI", pathlib.Path(__file__).resolve().parent.parent / "build/flowcli"))


class Failed(Exception):
    """In one line."""


def flowcli(*words):
    """Runs it with one thread; the seconds that it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    try:
        done = subprocess.run([FLOWCLI, *map(str, words)], capture_output=True, text=True,
                              env={**os.environ, "NF_NUM_THREADS": "1"})
    except OSError as error:
        raise Failed(f"{FLOWCLI}: {error.strerror}; build it, or name another in FLOWCLI")
    if done.returncode != 0:
        raise Failed(done.stderr.strip().splitlines()[-1].split(";")[0])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def scores_of(run, path):
    """Nats of each row of a CSV, in its order."""
    out = str(run) + ".scores.csv"
    flowcli("score", run, "--data", path, "--out", out, "--quiet")
    with open(out) as file:
        return np.array([float(row["nats"]) for row in csv.DictReader(file)])


def of_flowcli(model, train, test, out, *options):
    """Trains on a CSV and scores another: (nats of each test row, seconds of the training)."""
    seconds = flowcli("train", model, "--data", train, "--out", out, "--overwrite", "--quiet", *options)
    return scores_of(out, test), seconds


# --- peers ---------------------------------------------------------------------------------------


def zuko_nsf(dims, given):
    """Its defaults: 3 autoregressive transforms, 8 bins, networks of (64, 64)."""
    import zuko

    flow = zuko.flows.NSF(dims, given)
    return flow, lambda x, c: flow(c).log_prob(x)


def nflows_nsf(dims, given):
    """It has no whole model of splines. Five layers, each in the order opposite to the one before, as in its README;
    what is left are the defaults (2 residual blocks, 10 bins) but for tails, so that there is a density everywhere."""
    from nflows import distributions, flows, transforms

    layers = []
    for _ in range(5):
        layers += [
            transforms.ReversePermutation(dims),
            transforms.MaskedPiecewiseRationalQuadraticAutoregressiveTransform(
                dims, hidden_features=64, context_features=given or None, tails="linear", tail_bound=5.0),
        ]
    flow = flows.Flow(transforms.CompositeTransform(layers), distributions.StandardNormal([dims]))
    return flow, lambda x, c: flow.log_prob(x, context=c)


PEERS = {"zuko NSF": zuko_nsf, "nflows NSF": nflows_nsf}


def missing_of(peer):
    """Why it cannot run here, or nothing."""
    try:
        import torch  # noqa: F401
        __import__(peer.split()[0])
    except ImportError as error:
        return f"{error}; pip install {peer.split()[0]}"
    return ""


def of_peer(peer, parts, seconds, given=0, seed=1, patience=0, batch=256):
    """parts: train, valid, test (N, D + given), what is given last. Standardised, Adam at 1e-3 in batches of 256, the weights
    that were best on validation, looked at after each epoch; until `seconds` of the processor are spent, or validation is no better for
    `patience` epochs. (nats of each test row, seconds, steps)"""
    import torch

    begin = time.process_time()
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    mean, deviation = parts[0].mean(0), parts[0].std(0)
    train, valid, test = (torch.tensor((p - mean) / deviation, dtype=torch.float32) for p in parts)
    dims = train.shape[1] - given
    flow, log_prob = PEERS[peer](dims, given)

    def nats(rows):
        return log_prob(rows[:, :dims], rows[:, dims:] if given else None)

    optimizer = torch.optim.Adam(flow.parameters(), lr=1e-3)
    best, best_weights, since, steps = -np.inf, None, 0, 0
    spent = lambda: time.process_time() - begin >= seconds
    while not spent() and not (patience and since >= patience):
        for rows in train[torch.randperm(len(train))].split(batch):
            loss = -nats(rows).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            steps += 1
            if spent():
                break
        with torch.no_grad():
            now = nats(valid).mean().item()
        since += 1
        if now > best:
            best, best_weights, since = now, copy.deepcopy(flow.state_dict()), 0
    took = time.process_time() - begin
    if best_weights is None:
        return np.full(len(test), -np.inf), took, steps
    flow.load_state_dict(best_weights)
    with torch.no_grad():
        scores = np.concatenate([nats(rows).numpy() for rows in test.split(1000)])
    return scores.astype(np.float64) - np.log(deviation[:dims]).sum(), took, steps
