#!/usr/bin/env python3
"""bench/uci.py on small files in the form of the published ones. CTest runs it as bench_uci."""
import pathlib
import pickle
import subprocess
import sys
import tempfile
import unittest

BENCH = pathlib.Path(__file__).resolve().parent.parent / "bench"
sys.path.insert(0, str(BENCH))
try:
    import numpy as np
except ImportError:
    print("skipped: no NumPy")
    sys.exit(0)

import uci


def sensors(n=200):
    """(N, 4): the third is nearly the first, the others are independent."""
    x = np.random.default_rng(1).normal(5, 2, (n, 4))
    x[:, 2] = x[:, 0] + 1e-3 * x[:, 2]
    return x


class Uci(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)

    def write(self, name, text):
        (self.folder / name).write_text(text)
        return self.folder / name

    def save(self, name, data):
        np.save(self.folder / name, data)
        return self.folder / name

    def refuses(self, words, *arguments):
        with self.assertRaises(uci.Unfit) as caught:
            uci.prepared(*arguments)
        self.assertIn(words, str(caught.exception))
        self.assertNotIn("\n", str(caught.exception))

    def assert_standard(self, rows, ddof=0):
        np.testing.assert_allclose(rows.mean(0), 0, atol=1e-9)
        np.testing.assert_allclose(rows.std(0, ddof=ddof), 1, atol=1e-9)

    def test_power(self):
        rng = np.random.default_rng(2)
        lines, rows = ["Date;Time;Global_active_power;Global_reactive_power;Voltage;Global_intensity;Sub_1;Sub_2;Sub_3"], []
        for i in range(150):
            cells = [*np.round(rng.uniform(0, 9, 2), 3), *np.round(rng.uniform(220, 250, 2), 2), *rng.integers(0, 40, 3)]
            lines.append(f"16/12/2006;{i // 60:02}:{i % 60:02}:00;" + ";".join(str(c) for c in cells))
            rows.append([*cells, i])
        lines.insert(9, "16/12/2006;17:31:00;?;?;?;?;?;?;")
        parts = uci.prepared("power", self.write("power.txt", "\n".join(lines) + "\n"))
        self.assertEqual([p.shape for p in parts], [(122, 6), (13, 6), (15, 6)])
        self.assert_standard(np.concatenate(parts[:2]))
        same = uci.prepared("power", self.save("data.npy", np.array(rows)))
        for a, b in zip(parts, same):
            np.testing.assert_array_equal(a, b)
        # The published order: rows shuffled by RandomState(42), then noise for voltage, power and meters.
        order = np.array(rows)
        reference = np.random.RandomState(42)
        reference.shuffle(order)
        voltage = order[:, 2] + 0.01 * reference.rand(150, 1)[:, 0]
        learn = voltage[:135]
        np.testing.assert_allclose(parts[2][:, 1], (voltage[135:] - learn.mean()) / learn.std(), rtol=1e-9)

    def test_gas(self):
        x = sensors()
        names = ["Time", "Meth", "Eth", "R1", "R2", "R3", "R4"]
        whole = np.concatenate([np.zeros((len(x), 3)), x], 1)
        text = self.folder / "ethylene_CO.txt"
        np.savetxt(text, whole, header="Time (seconds), CO conc (ppm), Ethylene conc (ppm), sensors", comments="")
        parts = uci.prepared("gas", text)
        # The first of two that are alike goes.
        self.assertEqual([p.shape for p in parts], [(162, 3), (18, 3), (20, 3)])
        self.assert_standard(np.concatenate(parts), ddof=1)
        pickled = self.folder / "ethylene_CO.pickle"
        pickled.write_bytes(pickle.dumps(dict(zip(names, whole.T))))
        self.refuses("--trust-pickle", "gas", pickled)
        for a, b in zip(parts, uci.prepared("gas", pickled, True)):
            np.testing.assert_allclose(a, b)
        try:
            import pandas
        except ImportError:
            return
        pandas.DataFrame(whole, columns=names).to_pickle(pickled)
        for a, b in zip(parts, uci.prepared("gas", pickled, True)):
            np.testing.assert_allclose(a, b)

    def test_hepmass(self):
        rng = np.random.default_rng(3)
        for part, n, extra in (("train", 200, 0), ("test", 50, 1)):
            x = rng.normal(size=(n, 4 + extra))
            x[:, 2] = np.maximum(x[:, 2], 0)  # its least value is that of half the rows
            rows = np.concatenate([np.arange(n)[:, None] % 2, x], 1)
            np.savetxt(self.folder / f"1000_{part}.csv", rows, "%.8e", ",", header="# label,f0,f1,f2,f3", comments="")
        parts = uci.prepared("hepmass", self.folder)
        self.assertEqual([p.shape for p in parts], [(90, 3), (10, 3), (25, 3)])
        self.assert_standard(np.concatenate(parts[:2]), ddof=1)

    def test_miniboone(self):
        x = np.random.default_rng(4).normal(size=(140, 5))
        x[3, 0] = -999
        x[:, 1] = np.maximum(x[:, 1], 0)
        text = self.folder / "MiniBooNE_PID.txt"
        np.savetxt(text, x, header="  101 39", comments="")
        parts = uci.prepared("miniboone", text)
        self.assertEqual([p.shape for p in parts], [(81, 4), (9, 4), (10, 4)])
        self.assert_standard(np.concatenate(parts[:2]))
        signal = np.delete(x[:101], 3, 0)[:, [0, 2, 3, 4]]
        for a, b in zip(parts, uci.prepared("miniboone", self.save("data.npy", signal))):
            np.testing.assert_allclose(a, b)

    def test_bsds300(self):
        arrays = {p: np.random.default_rng(5).normal(size=(n, 63)).astype("f4") for p, n in
                  (("train", 20), ("validation", 5), ("test", 8))}
        np.savez(self.folder / "b.npz", **arrays)
        for a, b in zip(arrays.values(), uci.prepared("bsds300", self.folder / "b.npz")):
            np.testing.assert_array_equal(a, b)
        try:
            import h5py
        except ImportError:
            self.refuses("install h5py", "bsds300", self.folder / "b.hdf5")
            return
        with h5py.File(self.folder / "b.hdf5", "w") as file:
            for name, rows in arrays.items():
                file[name] = rows
        for a, b in zip(arrays.values(), uci.prepared("bsds300", self.folder / "b.hdf5")):
            np.testing.assert_array_equal(a, b)

    def test_damaged(self):
        self.refuses("is wanted", "power", self.save("narrow.npy", np.zeros((9, 7))))
        self.refuses("row 2 has a number that is not finite", "miniboone",
                     self.save("nan.npy", np.where(np.eye(4)[2][:, None] > 0, np.nan, np.ones((4, 3)))))
        self.refuses("1000_train.csv", "hepmass", self.folder)
        self.refuses("", "miniboone", self.write("words.txt", "not a number\n"))
        self.refuses("there is no column Eth", "gas", self.pickled({"Time": [1.0], "Meth": [1.0]}), True)

    def pickled(self, table):
        path = self.folder / "table.pickle"
        path.write_bytes(pickle.dumps(table))
        return path

    def test_the_program(self):
        path = self.save("data.npy", np.random.default_rng(6).normal(size=(100, 3)))
        done = subprocess.run([sys.executable, BENCH / "uci.py", "miniboone", path, self.folder / "out"],
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("train 81, valid 9, test 10 rows of 3 columns", done.stdout)
        self.assertIn("note: published figures are of train 29556", done.stdout)
        self.assertEqual(np.load(self.folder / "out/train.npy").dtype, np.float32)
        lost = subprocess.run([sys.executable, BENCH / "uci.py", "power", self.folder / "none.npy", self.folder],
                              capture_output=True, text=True)
        self.assertEqual((lost.returncode, lost.stderr.count("\n")), (1, 1), lost.stderr)


if __name__ == "__main__":
    unittest.main()
