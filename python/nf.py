"""A trained run of flowcli in Python: its densities, samples and latents, as NumPy arrays.

    import nf
    model = nf.open("runs/realnvp-2d-table")
    nats = model.log_prob(rows)             # (N, D) -> (N,)
    new = model.sample(100, seed=1)         # (100, D)
    z = model.encode(rows)                  # and model.decode(z)

One file on top of libnf_c (c/nf.h has every detail). The library is looked for where NF_LIBRARY says,
beside this file, in the folder build/ of the tree or lib/ of the package that this file is in, and where
the system looks.
Python 3.9 or newer, NumPy.
"""

import ctypes
import os
import pathlib

import numpy as np

__all__ = ["open", "Model", "Error", "UsageError", "DivergedError", "threads", "version", "library"]


class Error(RuntimeError):
    """What failed because of a file, the machine or memory; the text is one line, with the way out."""


class UsageError(Error, ValueError):
    """Arguments that the model does not take."""


class DivergedError(Error, ArithmeticError):
    """Numbers that are not finite, in weights or in a result."""


# --- the library --------------------------------------------------------------------------------------


class _Array(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("rows", ctypes.c_int64), ("columns", ctypes.c_int64),
                ("row_stride", ctypes.c_int64), ("column_stride", ctypes.c_int64), ("type", ctypes.c_int32)]


class _Options(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("weights", ctypes.c_char_p), ("noise_draws", ctypes.c_int32),
                ("importance", ctypes.c_int32)]


_TYPES = {np.dtype(np.float64): 0, np.dtype(np.float32): 1, np.dtype(np.uint8): 2}
(_DIMS, _HEIGHT, _WIDTH, _CHANNELS, _LEVELS, _GIVEN, _CLASSES, _PARAMETERS, _NOISE, _LATENTS,
 _NOTES, _LATENT_DIMS) = range(12)
_MODEL, _PATH, _CONVENTION, _COLUMN, _GIVEN_NAME, _NOTE, _CLASS = range(7)


def _places():
    """Where the library may be, the likeliest first; the last is a name, for the system to find."""
    names = ["libnf_c.so", "libnf_c.so.0"]
    here = pathlib.Path(__file__).resolve().parent
    told = os.environ.get("NF_LIBRARY")
    if told:  # nothing else then: a wrong word is no reason to take another library
        return [told]
    folders = [here, here.parent / "build", here.parent / "lib"]
    return [str(folder / name) for folder in folders for name in names if (folder / name).exists()] + names[1:]


def _load():
    places, failures = _places(), []
    for place in places:
        try:
            lib = ctypes.CDLL(place)
            break
        except OSError as error:
            failures.append(str(error))
    else:
        raise ImportError("[nf] libnf_c.so was not found; build it (ninja -C build nf_c), or let NF_LIBRARY "
                          "say where it is: " + "; ".join(failures))
    pointer, array, status = ctypes.c_void_p, ctypes.POINTER(_Array), ctypes.c_int
    lib.nf_version.restype = lib.nf_last_error.restype = ctypes.c_char_p
    for name, arguments in {
            "nf_open": [ctypes.c_char_p, ctypes.POINTER(_Options), ctypes.POINTER(pointer)],
            "nf_close": [pointer],
            "nf_threads": [ctypes.c_int32],
            "nf_number": [pointer, ctypes.c_int, ctypes.POINTER(ctypes.c_int64)],
            "nf_text": [pointer, ctypes.c_int, ctypes.c_int64, ctypes.POINTER(ctypes.c_char_p)],
            "nf_log_prob": [pointer, array, array, pointer],
            "nf_sample": [pointer, ctypes.c_uint64, ctypes.c_double, array, array],
            "nf_encode": [pointer, array, array, array],
            "nf_decode": [pointer, array, array, array]}.items():
        function = getattr(lib, name)
        function.argtypes, function.restype = arguments, status
    return place, lib


library, _lib = _load()  # the path that was taken
version = _lib.nf_version().decode()


def _check(status):
    if status:
        kinds = {2: UsageError, 3: DivergedError}
        raise kinds.get(status, Error)(_lib.nf_last_error().decode("utf-8", "replace"))


def _whole(name, value, lowest, highest):
    """ctypes would take the lower bits of a number that is too large."""
    if not lowest <= value <= highest:
        raise UsageError(f"[nf] {name} is {value}; give {lowest} to {highest}")
    return value


def threads(count=0):
    """How many threads one call may use; 0: NF_NUM_THREADS, else all processors."""
    _check(_lib.nf_threads(_whole("threads", count, 0, 1024)))


# --- arrays -------------------------------------------------------------------------------------------


def _numbers(values):
    """An array of a type that the library reads, without a copy where it is one."""
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        raise UsageError("[nf] masked cells have no value; fill them, or leave these rows out")
    array = np.asarray(values)
    if np.iscomplexobj(array):
        raise UsageError("[nf] complex numbers have no density here; give real ones")
    return array if array.dtype in _TYPES else array.astype(np.float64)


def _as_array(rows):
    """The rows (N, C) as C sees them, where they lie. Strides that are both 0 would mean something else."""
    if rows.strides == (0, 0):
        rows = rows.copy()
    described = _Array(rows.__array_interface__["data"][0], rows.shape[0], rows.shape[1], rows.strides[0],
                       rows.strides[1], _TYPES[rows.dtype])
    described.rows_ = rows  # lives as long
    return described


def _text(name, value):
    """Bytes for C, which ends a text at its first NUL."""
    text = os.fsencode(value)
    if b"\0" in text:
        raise UsageError(f"[nf] {name} has a NUL character")
    return text


class _Handle:
    """An open model, closed when nobody holds it any more: not while a thread still computes."""

    pointer = None

    def __init__(self, path, weights, noise_draws, importance):
        self.pointer = ctypes.c_void_p()
        draws = _whole("noise_draws", noise_draws, 1, 1_000_000)
        options = _Options(ctypes.sizeof(_Options), _text("weights", weights), draws, bool(importance))
        _check(_lib.nf_open(_text("path", path), ctypes.byref(options), ctypes.byref(self.pointer)))

    def __reduce__(self):
        raise UsageError("[nf] a model cannot be copied; open it again")

    def __del__(self, close=_lib.nf_close):  # at the end of a program the name _lib may be gone
        if self.pointer:
            close(self.pointer)

    def number(self, what):
        value = ctypes.c_int64()
        _check(_lib.nf_number(self.pointer, what, ctypes.byref(value)))
        return value.value

    def text(self, what, index=0):
        text = ctypes.c_char_p()
        _check(_lib.nf_text(self.pointer, what, index, ctypes.byref(text)))
        return text.value.decode("utf-8", "replace")


# --- models -------------------------------------------------------------------------------------------


def open(path, weights="best", noise_draws=1, importance=False):
    """Opens a run folder; see Model. weights: "best" or "last". Of scores that draw noise: how many draws for
    each row, and whether they are averaged as importance weights."""
    return Model(path, weights, noise_draws, importance)


class Model:
    """A trained run. Several threads may use one; a call does not hold Python's lock.

    Rows are arrays (N, D), of images also (N, H, W, C), (N, H, W) with one channel; (D,) or (H, W, C) is one
    row, for which the result is one, too. Any array-like is taken; f32, f64 and u8 are read where they lie,
    whatever their strides. `given`, of a conditional model: (N, G), or for all rows (G,), a number, or
    {name: number or (N,)}; of labels that have names these, too.

    dims        D
    shape       (D,) or (H, W, C)
    columns     names of the D columns, or []
    given       names of what is given: ["label"], columns, or []
    classes     labels that may be given, 0 to classes - 1; 0: none
    class_names their names, which `given` takes in place of numbers, or []
    levels      of pixels 256 or fewer (2 with --binarize: 0 and 255), 0 of real numbers
    latent_dims numbers of a row's latents: D, fewer of a vae, 0 where there are none
    bound       log_prob draws noise: it is a lower bound on average, or an estimate
    parameters  how many numbers were trained
    model       "realnvp-2d", ...
    path        the run folder
    convention  in which units log densities are
    notes       what should be known of the run
    """

    def __init__(self, path, weights="best", noise_draws=1, importance=False):
        handle = self._handle = _Handle(path, weights, noise_draws, importance)
        number, text = handle.number, handle.text
        self.dims = number(_DIMS)
        height = number(_HEIGHT)
        self.shape = (height, number(_WIDTH), number(_CHANNELS)) if height else (self.dims,)
        names = [text(_COLUMN, j) for j in range(self.dims)] if not height else []
        self.columns = names if any(names) else []
        self.given = [text(_GIVEN_NAME, j) for j in range(number(_GIVEN))]
        self.classes, self.levels = number(_CLASSES), number(_LEVELS)
        names = [text(_CLASS, k) for k in range(self.classes)]
        self.class_names = names if any(names) else []
        self.bound, self.latents = bool(number(_NOISE)), bool(number(_LATENTS))
        self.latent_dims, self.parameters = number(_LATENT_DIMS), number(_PARAMETERS)
        self.model, self.path, self.convention = text(_MODEL), text(_PATH), text(_CONVENTION)
        self.notes = [text(_NOTE, i) for i in range(number(_NOTES))]

    def close(self):
        """Gives its memory back, when calls of other threads are done."""
        self._handle = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __repr__(self):
        shape = " x ".join(map(str, self.shape))
        return f"<nf.Model {self.model} of {shape}, {self.parameters} parameters, {self.path}>"

    def _open(self):
        handle = self._handle
        if handle is None:
            raise UsageError(f"[nf] {self.path} is closed")
        return handle

    def _rows(self, values, what, latents=False):
        """(N, D), and whether it was one row without N."""
        x = _numbers(values)
        shape, dims = x.shape, self.latent_dims if latents and self.latents else self.dims
        if len(shape) == 2 and shape[1] == dims:
            return x, False
        if shape == (dims,):
            return x[np.newaxis], True
        inner = [self.shape] + ([self.shape[:2]] if self.shape[2:] == (1,) else []) if dims == self.dims else []
        for event in inner:
            if shape == event:
                return x.reshape(1, dims), True
            if shape[1:] == event:
                return x.reshape(-1, dims), False
        raise UsageError(f"[nf] {what} of shape {shape}; {self.path} is for (N, {dims})" +
                         (f" or (N, {', '.join(map(str, self.shape))})" if len(self.shape) > 1 and inner else ""))

    def _labels(self, values):
        """Numbers of labels that are given by their names; what is no text stays."""
        array = np.asarray(values)
        if array.dtype.kind not in "UO" or not all(isinstance(value, str) for value in array.flat):
            return values
        numbers = {name: k for k, name in enumerate(self.class_names)}
        unknown = sorted(set(array.flat) - set(numbers))
        if unknown:
            raise UsageError(f"[nf] given '{unknown[0]}': the labels are {', '.join(numbers) or 'numbers'}")
        return np.array([numbers[value] for value in array.flat], np.float64).reshape(array.shape)

    def _given(self, given):
        """What is given as C takes it, or None."""
        if given is None:
            return None
        names = self.given
        if isinstance(given, dict):
            if set(given) != set(names):
                raise UsageError(f"[nf] given has {sorted(given)}, the model is given {names}")
            columns = np.broadcast_arrays(*(_numbers(self._labels(given[name])) for name in names))
            values = np.stack([column.astype(np.float64) for column in columns], -1)
        else:
            values = _numbers(self._labels(given))
        if values.ndim < 2:  # one row for all; of one name also a value for each row
            values = values.reshape(-1, 1) if len(names) == 1 else values.reshape(1, -1)
        if values.ndim != 2:
            raise UsageError(f"[nf] given of shape {values.shape}; give (N, {len(names)})")
        return _as_array(values)

    def log_prob(self, x, given=None):
        """Nats (N,) f64 of rows, as `flowcli score` tells them; NaN for a row with numbers that are not finite."""
        handle = self._open()
        rows, one = self._rows(x, "x")
        nats = np.empty(len(rows))
        _check(_lib.nf_log_prob(handle.pointer, _as_array(rows), self._given(given),
                                nats.__array_interface__["data"][0]))
        return nats[0] if one else nats

    def sample(self, n=None, given=None, seed=0, temperature=1.0):
        """n draws (n, *shape), f64 or of pixels u8; one, (*shape), without n."""
        handle = self._open()
        rows = 1 if n is None else _whole("n", n, 0, (1 << 31) - 1)
        out = np.empty((rows, self.dims), np.uint8 if self.levels else np.float64)
        _check(_lib.nf_sample(handle.pointer, _whole("seed", seed, 0, (1 << 64) - 1), temperature, self._given(given), _as_array(out)))
        return out.reshape(self.shape if n is None else (n, *self.shape))

    def encode(self, x, given=None):
        """Latents (N, latent_dims) f32 of rows."""
        handle = self._open()
        rows, one = self._rows(x, "x")
        z = np.empty((len(rows), self.latent_dims), np.float32)
        _check(_lib.nf_encode(handle.pointer, _as_array(rows), self._given(given), _as_array(z)))
        return z[0] if one else z

    def decode(self, z, given=None):
        """The data (N, *shape) of latents, f64 or of pixels u8."""
        handle = self._open()
        rows, one = self._rows(z, "z", latents=True)
        x = np.empty((len(rows), self.dims), np.uint8 if self.levels else np.float64)
        _check(_lib.nf_decode(handle.pointer, _as_array(rows), self._given(given), _as_array(x)))
        return x.reshape(self.shape if one else (-1, *self.shape))
