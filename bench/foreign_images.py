#!/usr/bin/env python3
"""Images that are foreign to a model, made of its own test images, as .npy for score --against:

    python3 bench/foreign_images.py inverse path/to/mnist out.npy    255 - x
    python3 bench/foreign_images.py smooth path/to/cifar-10 out.npy  means of 5x5 pixels

MNIST is read from its t10k-images-idx3-ubyte(.gz), CIFAR-10 from its test_batch.bin.
"""
import gzip
import pathlib
import sys

try:
    import numpy as np
except ImportError as error:
    sys.exit(f"foreign_images.py: {error}; install NumPy")


def mnist(folder):
    """(N, 28, 28)"""
    for name in ("t10k-images-idx3-ubyte", "t10k-images.idx3-ubyte"):
        for path in (folder / name, folder / (name + ".gz")):
            if path.exists():
                raw = path.read_bytes()
                raw = gzip.decompress(raw) if path.suffix == ".gz" else raw
                return np.frombuffer(raw, np.uint8, offset=16).reshape(-1, 28, 28)
    sys.exit(f"foreign_images.py: no t10k-images-idx3-ubyte in {folder}")


def cifar(folder):
    """(N, 32, 32, 3)"""
    path = folder / "test_batch.bin"
    if not path.exists():
        sys.exit(f"foreign_images.py: no test_batch.bin in {folder}")
    rows = np.frombuffer(path.read_bytes(), np.uint8).reshape(-1, 3073)[:, 1:]
    return rows.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)


def smooth(images, size=5):
    """Each pixel the mean of size x size, with the edge repeated outside."""
    border = size // 2
    wide = np.pad(images.astype(np.float32), ((0, 0), (border, border), (border, border), (0, 0)), "edge")
    height, width = images.shape[1:3]
    total = sum(wide[:, i:i + height, j:j + width] for i in range(size) for j in range(size))
    return np.rint(total / size**2).astype(np.uint8)


def main():
    if len(sys.argv) != 4 or sys.argv[1] not in ("inverse", "smooth"):
        sys.exit(__doc__)
    kind, folder, out = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3]
    images = 255 - mnist(folder) if kind == "inverse" else smooth(cifar(folder))
    np.save(out, np.ascontiguousarray(images))
    print(f"wrote {len(images)} images of {images.shape[1:]} to {out}")


if __name__ == "__main__":
    main()
