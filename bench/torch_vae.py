"""vae in PyTorch, from a file of weights: docs/weights.md, "Variational autoencoders"."""
import math

import torch
from torch.nn import functional as F

from torch_autoregressive import RowFlow
from torch_flow import ACTIVATIONS, Flow

MAPS = {"iaf": "gated", "maf": "gaussian", "nice": "additive", "nsf": "spline"}


class LatentFlow(RowFlow):
    """Steps of one hidden layer, the order of latents reversed between them."""

    def __init__(self, settings, which, name, tensors):
        kind = settings[which[0]]
        super().__init__({"dims": settings["latents"], "kind": "coupling" if kind == "nice" else "autoregressive",
                          "hidden_units": settings.get(which[1] + "_width"), "hidden_layers": 1, "net": "plain",
                          "activation": "elu", "components": 8, "bound": 5, "scale_limit": 5,
                          "map": MAPS.get(kind)}, tensors)
        self.name, self.count = name, settings.get(which[1] + "_steps", 0)

    def run(self, z, context=None):
        log_det = torch.zeros(len(z), dtype=torch.float64)
        for i in range(self.count):
            if i > 0 and z.shape[1] > 1:
                z = z.flip(1)
            z, more = self.step(z, f"{self.name}steps.{i}.net.", context)
            log_det = log_det + more
        return z, log_det

    def step(self, z, name, context):
        if self.s["kind"] == "autoregressive":
            return self.number(z, self.made(name, z, context))
        half = (z.shape[1] + 1) // 2
        seen = z[:, :half] if context is None else torch.cat([z[:, :half], context], 1)
        moved, log_det = self.number(z[:, half:], self.row_net(name, seen))
        return torch.cat([z[:, :half], moved], 1), log_det

    def number(self, x, h):
        if self.s["map"] != "gated":
            return super().number(x, h)
        mean, gate = h.chunk(2, 1)
        s = F.logsigmoid(gate + 1)
        return mean + (x - mean) * s.exp(), s.sum(1)


class Vae(Flow):
    """The bound by the noise e (N, draws L); `step`: what is trained at that update, by `trained`'s settings."""
    step, trained = None, {}

    def log_prob(self, x, noise=None):
        x, log_det = self.preprocess(x.double(), None) if self.s["levels"] == 0 else (x.double(), 0)
        latents, rows = self.s["latents"], len(x)
        h = x / (self.s["levels"] - 1) if self.s["likelihood"] == "logistic" else x
        for i in range(self.s["hidden_layers"]):
            h = ACTIVATIONS[self.s["activation"]](self.linear(f"vae.encoder.{i}.", h))
        both = self.linear("vae.posterior.", h)
        draws = noise.shape[1] // latents
        h, both, x = (t.repeat_interleave(draws, 0) for t in (h, both, x))
        mean, s = both.chunk(2, 1)
        e = noise.double().reshape(-1, latents)
        z, more = LatentFlow(self.s, ("posterior", "posterior"), "vae.flow.", self.t).run(mean + s.exp() * e, h)
        log_q = self.base(e) - s.sum(1) - more
        u, more = LatentFlow(self.s, ("prior_flow", "prior"), "prior.", self.t).run(z)
        kl = log_q - self.base(u) - more
        if self.step is not None and self.trained["free_bits"] > 0:
            kl = torch.clamp(kl.mean(), min=latents * self.trained["free_bits"])
        if self.step is not None and self.trained["kl_warmup"] > 0:
            kl = min(1, 0.01 + self.step / self.trained["kl_warmup"]) * kl
        gained = (self.likelihood(x, self.decoder(z)) - kl).reshape(rows, draws)
        return gained.logsumexp(1) - math.log(draws) + log_det

    def linear(self, name, x):
        return x @ self.t[name + "weight"].T + self.t[name + "bias"]

    def decoder(self, h):
        for i in range(self.s["hidden_layers"]):
            h = ACTIVATIONS[self.s["activation"]](self.linear(f"vae.decoder.{i}.", h))
        return self.linear(f"vae.decoder.{self.s['hidden_layers']}.", h)

    def likelihood(self, x, h):
        kind = self.s["likelihood"]
        if kind == "bernoulli":
            return -F.binary_cross_entropy_with_logits(h + self.t["vae.likelihood.offset"], x, reduction="none").sum(1)
        scale = self.t["vae.likelihood.log_scale"].exp()
        if kind == "gaussian":
            return torch.distributions.Normal(h, scale).log_prob(x).sum(1)
        last = self.s["levels"] - 1
        mean = h * last / 2 + self.t["vae.likelihood.offset"]
        above = torch.where(x < last, torch.sigmoid((x + 0.5 - mean) / scale), 1.0)
        below = torch.where(x > 0, torch.sigmoid((x - 0.5 - mean) / scale), 0.0)
        return (above - below).log().sum(1)
