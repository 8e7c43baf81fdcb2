#!/usr/bin/env python3
"""python/nf.py on the golden runs and on a conditional one: flowcli's numbers, shapes, strides, errors.

    tests/python_nf.py FLOWCLI      NF_LIBRARY says which library; CTest runs it as python_nf
"""
import copy
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "tests/golden_runs"
sys.path.insert(0, str(ROOT / "python"))
try:
    import numpy as np
except ImportError:
    print("skipped: no NumPy")
    sys.exit(0)

import nf

FLOWCLI = os.path.abspath(sys.argv.pop(1)) if len(sys.argv) > 1 else str(ROOT / "build/flowcli")


class Folder(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = scratch.name

    def flowcli(self, *words):
        out = self.folder + "/out.npy"
        subprocess.run([FLOWCLI, *map(str, words), "--out", out, "--quiet"], check=True, capture_output=True)
        return np.load(out)

    def train(self):
        """A run of z, y given a, and its rows (N, 3): z, y, a, exact in decimals and in f32."""
        rng = np.random.default_rng(1)
        a, z = np.round(rng.normal(size=(2, 600)) * 8) / 8
        rows = np.stack([z, 3 * a + z / 8, a], 1)
        np.savetxt(self.folder + "/rows.csv", rows, "%.10g", ",", header="z,y,a", comments="")
        subprocess.run([FLOWCLI, "train", "realnvp-2d", "--data", self.folder + "/rows.csv", "--given", "a",
                        "--couplings", "2", "--hidden-units", "8", "--steps", "60", "--threads", "1", "--quiet",
                        "--out", self.folder + "/run"], check=True)
        return self.folder + "/run", rows


class Table(Folder):
    path, data = GOLDEN / "table", GOLDEN / "table.csv"

    def setUp(self):
        super().setUp()
        self.model = nf.open(self.path)
        self.rows = np.loadtxt(self.data, delimiter=",", skiprows=1)

    def test_what_has_no_meaning_is_refused(self):
        masked = np.ma.array(self.rows, mask=self.rows > 1e30)
        self.assertEqual(len(self.model.log_prob(masked)), len(self.rows))  # nothing is hidden
        masked[0, 0] = np.ma.masked
        for rows, says in [(masked, "masked cells"), (self.rows * 1j, "complex")]:
            with self.assertRaisesRegex(nf.UsageError, says):
                self.model.log_prob(rows)
        for arguments, says in [({"path": "a\0b"}, "path has a NUL"),
                                ({"path": self.path, "weights": "best\0x"}, "weights has a NUL")]:
            with self.assertRaisesRegex(nf.UsageError, says):
                nf.open(**arguments)
        with self.assertRaisesRegex(nf.UsageError, "cannot be copied"):
            copy.deepcopy(self.model)

    def test_attributes(self):
        model = self.model
        self.assertEqual((model.dims, model.shape), (3, (3,)))
        self.assertEqual(model.columns, ["height", "weight", "age"])
        self.assertEqual((model.given, model.classes, model.levels, model.bound), ([], 0, 0, False))
        self.assertEqual((model.model, model.path), ("realnvp-2d", str(self.path)))
        self.assertGreater(model.parameters, 100)
        self.assertIn("realnvp-2d of 3", repr(model))
        self.assertRegex(nf.version, r"^\d+\.\d+\.\d+$")

    def test_numbers_of_flowcli(self):
        model, rows = self.model, self.rows
        np.testing.assert_array_equal(model.log_prob(rows), self.flowcli("score", self.path, "--data", self.data)[:, 1])
        z = model.encode(rows)
        np.testing.assert_array_equal(z, self.flowcli("encode", self.path, "--data", self.data))
        np.testing.assert_allclose(model.decode(z), rows, atol=1e-4)
        np.testing.assert_array_equal(model.sample(9, seed=4, temperature=0.5),
                                      self.flowcli("sample", self.path, "-n", 9, "--seed", 4, "--temperature", 0.5))

    def test_any_array(self):
        model, rows = self.model, self.rows[:8].astype(np.float32).astype(np.float64)
        nats = model.log_prob(rows)
        wide = np.zeros((16, 7), np.float32)
        wide[::2, 1:7:2] = rows
        packed = np.zeros(8, [("skip", "u1"), ("row", "f8", 3)])
        packed["row"] = rows
        for same in (rows.tolist(), np.asfortranarray(rows), rows.astype(np.float32), wide[::2, 1:7:2],
                     rows[::-1][::-1], packed["row"], rows.astype(">f8"), rows.astype(np.float32).T.copy().T):
            np.testing.assert_array_equal(model.log_prob(same), nats)
        np.testing.assert_array_equal(model.log_prob(rows[::-1]), nats[::-1])
        self.assertEqual(model.log_prob(rows[3]), nats[3])
        self.assertEqual(np.ndim(model.log_prob(rows[3])), 0)
        np.testing.assert_array_equal(model.log_prob(np.broadcast_to(rows[3], (4, 3))), np.full(4, nats[3]))
        same = np.broadcast_to(np.float64(0.5), (4, 3))  # strides of 0 and 0
        np.testing.assert_array_equal(model.log_prob(same), model.log_prob(same.copy()))
        whole = np.array([[0, 1, 0], [1, 1, 0]])
        for kind in (np.int64, np.int8, np.uint8, np.float16, bool):
            np.testing.assert_array_equal(model.log_prob(whole.astype(kind)), model.log_prob(whole.astype(float)))
        self.assertEqual(model.log_prob(rows[:0]).shape, (0,))
        self.assertEqual(model.encode(rows[0]).shape, (3,))
        self.assertEqual(model.decode(rows[0]).shape, (3,))
        self.assertEqual(model.sample().shape, (3,))
        self.assertEqual(model.sample(0).shape, (0, 3))

    def test_not_finite(self):
        rows = self.rows[:3].copy()
        rows[1, 2] = np.inf
        self.assertEqual(np.isnan(self.model.log_prob(rows)).tolist(), [False, True, False])
        with self.assertRaisesRegex(nf.UsageError, "row 1 has a number that is not finite"):
            self.model.encode(rows)

    def test_errors(self):
        model = self.model
        for wrong in (np.zeros((2, 4)), np.zeros(2), np.zeros((2, 3, 1)), 1.0, np.zeros((3, 2))):
            with self.assertRaisesRegex(nf.UsageError, r"for \(N, 3\)"):
                model.log_prob(wrong)
        with self.assertRaisesRegex(nf.UsageError, "temperature is -1"):
            model.sample(2, temperature=-1)
        for n, seed in ((-1, 0), (2, -1), (2, 1 << 64)):
            with self.assertRaises(nf.UsageError):
                model.sample(n, seed=seed)
        with self.assertRaisesRegex(nf.UsageError, "given would change nothing"):
            model.log_prob(self.rows, given=1)
        with self.assertRaisesRegex(nf.Error, "is not a run folder"):
            nf.open(self.folder)
        with self.assertRaisesRegex(nf.UsageError, "best or last"):
            nf.open(self.path, weights="newest")
        for count in (-1, 5000, 1 << 32):
            with self.assertRaisesRegex(nf.UsageError, "threads"):
                nf.threads(count)
        self.assertTrue(issubclass(nf.UsageError, ValueError))
        with nf.open(self.path) as other:
            self.assertEqual(other.log_prob(self.rows).shape, (len(self.rows),))
        with self.assertRaisesRegex(nf.UsageError, "is closed"):
            other.log_prob(self.rows)
        other.close()

    def test_threads(self):
        expected, wrong = self.model.log_prob(self.rows), []

        def work():
            for _ in range(20):
                wrong.append(not np.array_equal(self.model.log_prob(self.rows), expected))

        workers = [threading.Thread(target=work) for _ in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        self.assertEqual((len(wrong), any(wrong)), (80, False))


class Pixels(Folder):
    def test_images(self):
        run, data = GOLDEN / "pixels", GOLDEN / "pixels.npy"
        model, images = nf.open(run), np.load(data)
        height, width, channels = model.shape
        self.assertEqual((height, width), images.shape[1:3])
        self.assertEqual((channels, model.levels, model.bound), (1, 256, True))
        nats = model.log_prob(images)
        np.testing.assert_array_equal(nats, self.flowcli("score", run, "--data", data)[:, 1])
        rows = images.reshape(len(images), -1)
        for same in (rows, images[..., np.newaxis], rows.astype(int), rows.astype(np.float32)):
            np.testing.assert_array_equal(model.log_prob(same), nats)
        self.assertEqual(model.log_prob(images[0]), nats[0])
        back = model.decode(model.encode(images))
        self.assertEqual((back.dtype, back.shape), (np.dtype("u1"), (len(images), *model.shape)))
        np.testing.assert_array_equal(back[..., 0], images)
        self.assertEqual(model.sample().shape, model.shape)
        drawn = model.sample(5, seed=2)
        np.testing.assert_array_equal(drawn, self.flowcli("sample", run, "-n", 5, "--seed", 2).reshape(drawn.shape))
        with self.assertRaisesRegex(nf.UsageError, "whole numbers from 0 to 255"):
            model.log_prob(images / 255)


class Given(Folder):
    def test_given(self):
        run, rows = self.train()
        model = nf.open(run)
        self.assertEqual((model.given, model.columns), (["a"], ["z", "y"]))
        x, a = rows[:, :2], rows[:, 2]
        nats = model.log_prob(x, given=a)
        np.testing.assert_array_equal(
            nats, self.flowcli("score", run, "--data", self.folder + "/rows.csv")[:, 1])
        for same in (rows[:, 2:], a.tolist(), {"a": a}, {"a": a.astype(np.float32)}):
            np.testing.assert_array_equal(model.log_prob(x, given=same), nats)
        for one in (0.5, [0.5], [[0.5]], {"a": 0.5}):
            np.testing.assert_array_equal(model.log_prob(x, given=one), model.log_prob(x, given=np.full(len(x), 0.5)))
        z = model.encode(x, given=a)
        np.testing.assert_allclose(model.decode(z, given=a), x, atol=1e-3)
        drawn = model.sample(7, given=0.5, seed=3)
        np.testing.assert_array_equal(drawn, self.flowcli("sample", run, "-n", 7, "--seed", 3, "--given", "a=0.5"))
        for wrong, says in ((None, "conditional: give a"), ({"b": 1}, "the model is given"),
                            (a[:5], "given has 5 rows"), (np.zeros((len(x), 2)), "2 columns")):
            with self.assertRaisesRegex(nf.UsageError, says):
                model.log_prob(x, given=wrong)

    def test_labels_by_their_names(self):
        rng = np.random.default_rng(2)
        towns = np.array(["Oslo", "Bergen", "Tromso"])[rng.integers(0, 3, 300)]
        csv, run = self.folder + "/towns.csv", self.folder + "/towns"
        with open(csv, "w") as file:
            file.write("x,y,town\n")
            file.writelines(f"{x:.3f},{y:.3f},{town}\n" for (x, y), town in zip(rng.normal(size=(300, 2)), towns))
        subprocess.run([FLOWCLI, "train", "realnvp-2d", "--data", csv, "--label", "town", "--given", "label",
                        "--couplings", "2", "--hidden-units", "8", "--steps", "60", "--quiet", "--out", run], check=True)
        model = nf.open(run)
        self.assertEqual((model.classes, model.class_names), (3, ["Bergen", "Oslo", "Tromso"]))
        x = rng.normal(size=(5, 2))
        for names, numbers in (("Oslo", 1), (list(towns[:5]), [model.class_names.index(t) for t in towns[:5]])):
            nats = model.log_prob(x, given=numbers)
            np.testing.assert_array_equal(model.log_prob(x, given=names), nats)
            np.testing.assert_array_equal(model.log_prob(x, given={"label": names}), nats)
        self.assertFalse(np.array_equal(model.log_prob(x, given="Oslo"), model.log_prob(x, given="Bergen")))
        with self.assertRaisesRegex(nf.UsageError, "'Paris': the labels are Bergen, Oslo, Tromso"):
            model.log_prob(x, given="Paris")


if __name__ == "__main__":
    unittest.main()
