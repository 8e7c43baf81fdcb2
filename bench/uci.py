#!/usr/bin/env python3
"""The five tables of the density-estimation literature, prepared as published, from their files to .npy.

    bench/uci.py NAME FILE OUT [--trust-pickle]       writes OUT/train.npy, OUT/valid.npy, OUT/test.npy (f32)

NAME       FILE
power      household_power_consumption.txt of UCI, or the MAF authors' data.npy (N, 8)
gas        ethylene_CO.txt of UCI, a CSV of it, or the authors' ethylene_CO.pickle (needs pandas)
hepmass    folder with 1000_train.csv and 1000_test.csv
miniboone  MiniBooNE_PID.txt of UCI, or the authors' data.npy (N, 43)
bsds300    BSDS300.hdf5 (needs h5py), or an .npz with the same three arrays

Source: Papamakarios, Pavlakou, Murray, "Masked autoregressive flow" (2017), appendix D, and github.com/gpapamak/maf,
datasets/. Where paper and program differ it is the program: published figures are of its rows. A pickle can run any
code when it is opened: --trust-pickle says that you know where it is from.
"""

import argparse
import pathlib
import pickle
import sys

try:
    import numpy as np
except ImportError as error:
    sys.exit(f"uci.py: {error}; install NumPy")

# Rows of train, valid, test, and columns.
PUBLISHED = {
    "power": (1_659_917, 184_435, 204_928, 6),
    "gas": (852_174, 94_685, 105_206, 8),
    "hepmass": (315_123, 35_013, 174_987, 21),
    "miniboone": (29_556, 3_284, 3_648, 43),
    "bsds300": (1_000_000, 50_000, 250_000, 63),
}


class Unfit(Exception):
    """In one line."""


def array(data, path, columns=None):
    """f64 (N, D) of finite numbers."""
    data = np.asarray(data, np.float64)
    if data.ndim != 2 or (columns and data.shape[1] != columns):
        raise Unfit(f"{path}: an array (N, {columns or 'D'}) is wanted, this is {data.shape}")
    if not np.isfinite(data).all():
        raise Unfit(f"{path}: row {np.argwhere(~np.isfinite(data))[0][0]} has a number that is not finite")
    return data


def numbers(path, skip=0, delimiter=None, rows=None):
    return np.loadtxt(path, delimiter=delimiter, skiprows=skip, max_rows=rows, ndmin=2)


def held_out(data):
    """The last tenth is the test, and the last tenth of what is left is validation."""
    test = int(0.1 * len(data))
    valid = int(0.1 * (len(data) - test))
    return data[: len(data) - test - valid], data[len(data) - test - valid : len(data) - test], data[len(data) - test :]


def standardised(parts):
    """By mean and deviation of train and valid."""
    learn = np.concatenate(parts[:2])
    mean, deviation = learn.mean(0), learn.std(0)
    return [(p - mean) / deviation for p in parts]


def of_few_repetitions(data):
    """Columns whose least value occurs at most five times. The program's comment says "too many re-occurring values", and it means
    the most frequent one, but takes the first of the sorted values. The published columns are these."""
    return [d for d, column in enumerate(data.T) if (column == column.min()).sum() <= 5]


# --- the five: each gives [train, valid, test] ---------------------------------------------------


def power_rows(path):
    """(N, 8): active and reactive power, voltage, current, three meters, minute of the day; without the lines that lack a number."""
    rows = []
    with open(path) as file:
        next(file, None)
        for line in file:
            _, clock, *cells = line.strip().split(";")
            if "?" in cells or "" in cells:
                continue
            hour, minute, _ = clock.split(":")
            rows.append([float(c) for c in cells] + [60 * int(hour) + int(minute)])
    return rows


def power(path):
    data = array(np.load(path) if path.suffix == ".npy" else power_rows(path), path, 8)
    rng = np.random.RandomState(42)
    rng.shuffle(data)
    data = data[:, [0, 2, 4, 5, 6, 7]]
    # In the program's order of draws; the time has no noise there.
    n = len(data)
    voltage, power, meters = 0.01 * rng.rand(n, 1), 0.001 * rng.rand(n, 1), rng.rand(n, 3)
    return standardised(held_out(data + np.hstack([power, voltage, meters, np.zeros((n, 1))])))


def gas_columns(path, trust_pickle):
    """(N, 16), of the sensors."""
    if path.suffix not in (".pickle", ".pkl"):
        with open(path) as file:
            comma = "," in file.readlines(1000)[-1]
        return array(numbers(path, skip=1, delimiter="," if comma else None), path)[:, 3:]
    if not trust_pickle:
        raise Unfit(f"{path}: a pickle can run any code when it is opened; give --trust-pickle if you know where it is from")
    try:
        import pandas

        table = pandas.read_pickle(path)
    except ImportError:
        with open(path, "rb") as file:
            table = pickle.load(file)
    lost = {"Meth", "Eth", "Time"} - set(table)
    if lost:
        raise Unfit(f"{path}: there is no column {sorted(lost)[0]}")
    return array(np.stack([table[c] for c in table if c not in ("Meth", "Eth", "Time")], 1), path)


def gas(path, trust_pickle=False):
    data = gas_columns(path, trust_pickle)
    while True:  # the first column that is correlated with another goes, until there is none
        twins = (np.corrcoef(data.T) > 0.98).sum(1) > 1
        if not twins.any():
            break
        data = np.delete(data, np.argmax(twins), axis=1)
    return held_out((data - data.mean(0)) / data.std(0, ddof=1))


def hepmass(path):
    train, test = (array(numbers(path / f"1000_{p}.csv", 1, ","), path / f"1000_{p}.csv") for p in ("train", "test"))
    train, test = (rows[rows[:, 0] == 1, 1:] for rows in (train, test))  # signal only, without the class
    test = test[:, : train.shape[1]]  # it has one column more, behind the others
    mean, deviation = train.mean(0), train.std(0, ddof=1)
    train, test = (train - mean) / deviation, (test - mean) / deviation
    columns = of_few_repetitions(train)
    valid = int(0.1 * len(train))
    return train[: len(train) - valid, columns], train[len(train) - valid :, columns], test[:, columns]


def miniboone(path):
    if path.suffix == ".npy":
        return standardised(held_out(array(np.load(path), path)))
    with open(path) as file:
        signal = int(file.readline().split()[0])  # the first line says how many rows of each class follow
    data = array(numbers(path, skip=1, rows=signal), path)
    data = data[data[:, 0] >= -100]
    return standardised(held_out(data[:, of_few_repetitions(data)]))


def bsds300(path):
    if path.suffix == ".npz":
        file = np.load(path)
    else:
        try:
            import h5py
        except ImportError as error:
            raise Unfit(f"{error}; install h5py, which reads HDF5")
        file = h5py.File(path, "r")
    with file:
        return [array(file[part][:], path) for part in ("train", "validation", "test")]


READERS = {"power": power, "gas": gas, "hepmass": hepmass, "miniboone": miniboone, "bsds300": bsds300}


def prepared(name, path, trust_pickle=False):
    try:
        return READERS[name](path, trust_pickle) if name == "gas" else READERS[name](path)
    except (OSError, ValueError, KeyError, IndexError, pickle.UnpicklingError) as error:
        raise Unfit(f"{path}: {error}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=READERS)
    parser.add_argument("file", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--trust-pickle", action="store_true")
    options = parser.parse_args()
    try:
        parts = prepared(options.name, options.file, options.trust_pickle)
    except Unfit as error:
        sys.exit(f"uci.py: {error}")
    options.out.mkdir(parents=True, exist_ok=True)
    for part, rows in zip(("train", "valid", "test"), parts):
        np.save(options.out / f"{part}.npy", rows.astype(np.float32))
    shape = (*(len(rows) for rows in parts), parts[0].shape[1])
    words = "train %d, valid %d, test %d rows of %d columns"
    print(f"wrote {options.out}: {words % shape}")
    if shape != PUBLISHED[options.name]:
        print(f"note: published figures are of {words % PUBLISHED[options.name]}")


if __name__ == "__main__":
    main()
