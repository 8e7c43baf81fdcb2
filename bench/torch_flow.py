"""The models of flowcli in PyTorch, from a file of weights alone: tensors by name and the settings in
the file's metadata. Written from docs/weights.md, for bench/golden.py and bench/rebuild_torch.py."""
import json
import math

import torch
from safetensors import safe_open
from torch import nn
from torch.nn import functional as F

ACTIVATIONS = {
    "relu": F.relu, "leaky_relu": F.leaky_relu, "elu": F.elu, "gelu": F.gelu, "silu": F.silu,
    "tanh": torch.tanh, "sigmoid": torch.sigmoid, "softplus": F.softplus,
}


def read(path):
    """Tensors by name, floats as f64; metadata."""
    with safe_open(path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}
        metadata = file.metadata() or {}
    for name, tensor in tensors.items():
        if tensor.is_floating_point():
            tensors[name] = tensor.double()
    return tensors, metadata


class Flow:
    """ln p of rows; `tensors` may be leaves that want gradients."""

    def __init__(self, settings, tensors):
        self.s, self.t = settings, tensors

    @staticmethod
    def of(settings, tensors):
        """The flow of these settings: of rows, autoregressive, or of images."""
        from torch_levels import Levels
        levels = Levels.of(settings, tensors)
        if levels is not None:
            return levels
        if "latents" in settings:
            from torch_vae import Vae
            return Vae(settings, tensors)
        if "layers" in settings:
            from torch_autoregressive import RowFlow
            return RowFlow(settings, tensors)
        if "coefficient" in settings:
            from torch_residual import ResidualRows
            return ResidualRows(settings, tensors)
        if "scales" not in settings:
            return Flow(settings, tensors)
        from torch_image_flow import ImageFlow, RealNvp
        return (RealNvp if "norm" in settings else ImageFlow)(settings, tensors)

    @staticmethod
    def of_file(path):
        tensors, metadata = read(path)
        return Flow.of(json.loads(metadata["settings"]), tensors)

    def log_prob(self, x, noise=None):
        """x (N, D), levels or reals; noise of levels, in [0, 1), or logistic where a flow makes noise of
        it. Gives (N), in nats."""
        z, log_det = self.preprocess(x.double(), noise)
        for step in self.steps():
            z, more = step(z)
            log_det = log_det + more
        return self.base(z) + log_det

    def nats_offset(self):
        """What flowcli adds to ln p of levels: it tells the density of x in [0, 1] or [-1, 1]."""
        if self.s["levels"] == 0:
            return 0
        unit = self.s["levels"] / (2 if self.s["preprocess"] == "symmetric" else 1)
        return self.s["dims"] * math.log(unit)

    def draws(self):
        """Does ln p depend on noise?"""
        return self.s["levels"] > 0 or "dequantize.integer" in self.t

    def steps(self):
        whitening = {"none": [], "zca": [self.zca], "triangular": [self.triangular]}
        whiten = whitening[self.s["whitening"]]
        if "planes.order" in self.t:  # colour images, one channel after the other
            yield lambda z: (z[:, self.t["planes.order"].long()], 0)
        if not self.s["whitening_last"]:
            yield from whiten
        for i in range(self.s["couplings"]):
            if self.s["mixing"] == "linear" and i > 0:
                yield lambda z, i=i: self.mix(z, f"mixings.{i}.matrix")
            yield lambda z, i=i: self.couple(z, i)
        if self.s["whitening_last"]:
            yield from whiten
        if self.s["scaling"]:
            yield self.scale
        if "pixels.order" in self.t:
            yield lambda z: (z[:, self.t["pixels.order"].long()], 0)

    def preprocess(self, x, noise):
        kind, log_det = self.s["preprocess"], torch.zeros(len(x), dtype=torch.float64)
        if self.draws() and self.s["levels"] == 0:  # columns of whole numbers
            x = x + noise * self.t["dequantize.integer"]
        if "bounds.ends" in self.t:
            x, more = self.unbound(x)
            log_det = log_det + more
        if kind == "standard":
            x = x - self.t["standardize.mean"] - self.t.get("standardize.mean_rest", 0)
            x = x / self.t["standardize.std"]
            log_det = log_det - self.t["standardize.std"].log().sum()
        if self.s["levels"] > 0:
            noise, more = self.draw(x, noise)
            log_det = log_det + more
            x, more = self.from_levels(x, noise)
            log_det = log_det + more
        if kind in ("logit", "cdf"):
            alpha = self.s["alpha"]
            s = alpha + (1 - 2 * alpha) * x
            x = s.log() - (1 - s).log()
            log_det = log_det + ((1 - 2 * alpha) / (s * (1 - s))).log().sum(1)
        return x, log_det

    def unbound(self, x):
        """Columns between bounds to the whole line; -infinity for rows that are not within."""
        low, high = (self.t[f"bounds.{end}"].sum(0) for end in ("low", "high"))
        has_low, has_high = self.t["bounds.ends"] > 0
        above = torch.where(has_low, x - low, 1.0)
        below = torch.where(has_high, high - x, 1.0)
        width = torch.where(has_low & has_high, high - low, 1.0)
        slope = width.log() - above.log() - below.log()
        within = (above > 0) & (below > 0)
        z = torch.where(has_low | has_high, above.log() - below.log(), x)
        return z, torch.where(within, slope, -torch.inf).sum(1)

    def draw(self, x, noise):
        """Noise in [0, 1) of levels, and -ln of its density: uniform."""
        return noise, 0

    def from_levels(self, x, noise):
        kind, level = self.s["preprocess"], x.long()
        dims, levels = x.shape[1], self.s["levels"]
        value = x.float() + noise.float()  # as f32 holds it, but never the next level's number
        noise = torch.minimum(value, (x.float() + 1) * (1 - 2.0**-24)).double() - x
        if kind == "cdf":
            below = self.t["cdf.below"]
            start = below.gather(0, level)
            mass = below.gather(0, level + 1) - start
            return start + noise * mass, mass.log().sum(1)
        if kind == "symmetric":
            return (x + noise) / (levels / 2) - 1, -dims * math.log(levels / 2)
        return (x + noise) / levels, -dims * math.log(levels)

    def zca(self, x):
        return (x - self.t["whitening.mean"]) @ self.t["whitening.whiten"].T, self.t["whitening.log_det"]

    def triangular(self, x):
        d, below = self.t["whitening.log_diagonal"], self.t["whitening.below"].tril(-1)
        centred = x - self.t["whitening.shift"]
        return (centred + centred @ below.T) * d.exp(), d.sum()

    def mix(self, z, name):
        return z @ self.t[name].T, torch.linalg.slogdet(self.t[name])[1]

    def scale(self, z):
        s = self.t["scaling.log_scale"]
        return z * s.exp(), s.sum()

    def couple(self, z, i):
        """Even couplings change the odd dimensions (the second half), odd ones the others."""
        dims = torch.arange(z.shape[1])
        first = dims % 2 == 0 if self.s["partition"] == "odd-even" else dims < (len(dims) + 1) // 2
        passive = first if i % 2 == 0 else ~first
        h, a = z[:, passive], z[:, ~passive]
        depth = self.s["depths"][i]
        for j in range(depth + 1):
            name = f"couplings.{i}.net.{j}"
            h = h @ self.t[name + ".weight"].T + self.t[name + ".bias"]
            if j < depth:
                h = ACTIVATIONS[self.s["activation"]](h)
        kind, n, limit = self.s["coupling"], a.shape[1], self.s["scale_limit"]
        s = torch.zeros_like(a) if kind == "additive" else limit * torch.tanh(h[:, :n] / limit)
        t = {"additive": h, "multiplicative": 0, "affine": h[:, n:]}[kind]
        out = z.clone()
        out[:, ~passive] = a * s.exp() + t
        return out, s.sum(1)

    def base(self, z):
        if self.s.get("prior", "gaussian") == "gaussian":
            return -0.5 * (z * z + math.log(2 * math.pi)).sum(1)
        return (-F.softplus(z) - F.softplus(-z)).sum(1)
