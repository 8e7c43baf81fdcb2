"""glow and image-plus in PyTorch, from a file of weights alone. Written from docs/weights.md; images are
channels last here, as there."""
import math

import torch
from torch.nn import functional as F

from torch_flow import ACTIVATIONS, Flow


class ImageFlow(Flow):
    """ln p of rows that are images."""

    def steps(self):
        """One step: all scales, from images to a row."""
        yield lambda z: self.scale_of("scales.", z.reshape(len(z), *self.s["image"]), 0)

    def scale_of(self, name, x, number):
        n, h, w, c = x.shape
        x = x.reshape(n, h // 2, 2, w // 2, 2, c).permute(0, 1, 3, 5, 2, 4).reshape(n, h // 2, w // 2, 4 * c)
        log_det = torch.zeros(n, dtype=torch.float64)
        for i in range(self.s["steps_per_level"]):
            x, more = self.step(f"{name}steps.{i}.", x)
            log_det = log_det + more
        if number + 1 < self.s["scales"]:
            stay = x.shape[3] - x.shape[3] // 2
            stays, leaves = x[..., :stay], x[..., stay:]
            mean, log_std = self.two(self.conv(f"{name}factor_out.prior", stays, edge=True), self.code())
            log_std = self.bounded(log_std)
            left = ((leaves - mean) * (-log_std).exp()).reshape(n, -1)
            row, more = self.scale_of(f"{name}factor_out.rest.", stays, number + 1)
            return torch.cat([row, left], 1), log_det + more - log_std.flatten(1).sum(1)
        if f"{name}top.net.weight" in self.t:
            weight = self.t[f"{name}top.net.weight"]
            zeros = torch.zeros(1, *x.shape[1:3], weight.shape[1] - 1, dtype=torch.float64)
            mean, log_std = self.two(self.conv(f"{name}top.net", zeros, edge=True), False)
            log_std = self.bounded(log_std)
            x = (x - mean) * (-log_std).exp()
            log_det = log_det - log_std.sum()
        return x.reshape(n, -1), log_det

    def bounded(self, log_std):
        return 5 * torch.tanh(log_std / 5) if "blocks" in self.s else log_std

    def step(self, name, x):
        pixels = x.shape[1] * x.shape[2]
        scale, matrix = self.t[name + "actnorm.log_scale"], self.t[name + "mixing.matrix"]
        x = (x + self.t[name + "actnorm.shift"]) * scale.exp()
        x = x @ matrix.T
        log_det = pixels * (scale.sum() + torch.linalg.slogdet(matrix)[1])
        half = x.shape[3] // 2
        passive, active = x[..., :half], x[..., half:]
        active, more = self.map(active, self.net(name + "coupling.net.", passive))
        return torch.cat([passive, active], 3), log_det + more

    # --- networks ---

    def conv(self, name, x, edge=False):
        """(conv(x, w) + b) exp(s), padded to keep the size; `edge`: with a channel that is 1 outside."""
        w, border = self.t[name + ".weight"], self.t[name + ".weight"].shape[2] // 2
        x = x.permute(0, 3, 1, 2)
        around = (border,) * 4
        padded = F.pad(x, around)
        if edge and border:
            outside = F.pad(torch.zeros_like(x[:, :1]), around, value=1)
            padded = torch.cat([padded, outside], 1)
        out = F.conv2d(padded, w).permute(0, 2, 3, 1)
        return (out + self.t[name + ".bias"]) * self.t[name + ".log_scale"].exp()

    def net(self, name, x):
        if "blocks" not in self.s:  # glow
            h = F.relu(self.conv(name + "0", x, edge=True))
            h = F.relu(self.conv(name + "1", h))
            return self.conv(name + "2", h, edge=True)
        act = ACTIVATIONS[self.s["activation"]]
        h = self.conv(name + "first", x, edge=True)
        for i in range(self.s["blocks"]):
            more = self.conv(f"{name}blocks.{i}.outer", act(self.conv(f"{name}blocks.{i}.inner", act(h))))
            if self.s["gated"]:
                a, b = more.chunk(2, 3)
                more = a * b.sigmoid()
            h = h + more
        return self.conv(name + "last", act(h))

    # --- maps ---

    def code(self):
        return self.s.get("recipe") == "code"

    @staticmethod
    def two(h, interleaved):
        return (h[..., 0::2], h[..., 1::2]) if interleaved else h.chunk(2, 3)

    def map(self, x, h):
        kind = self.s["coupling"]
        if kind == "additive":
            return x + h, 0
        if kind == "affine" and "blocks" not in self.s:  # glow's
            shift, raw = self.two(h, self.code())
            scale = F.logsigmoid(raw + 2)
            return (x + shift) * scale.exp(), scale.flatten(1).sum(1)
        limit = self.s["scale_limit"]
        if kind == "affine":
            raw, shift = h.chunk(2, 3)
            scale = limit * torch.tanh(raw / limit)
            return x * scale.exp() + shift, scale.flatten(1).sum(1)
        if kind == "mixture":
            return self.mixture(x, h, limit)
        return self.spline(x, h)

    def mixture(self, x, h, limit):
        k, dims = self.s["components"], x.shape[3]
        h = h.reshape(*x.shape[:3], 2 + 3 * k, dims)
        a, b = limit * torch.tanh(h[..., 0, :] / limit), h[..., 1, :]
        weights = F.log_softmax(h[..., 2:2 + k, :], 3)
        means, scales = h[..., 2 + k:2 + 2 * k, :], 7 * torch.tanh(h[..., 2 + 2 * k:, :] / 7)
        u = (x.unsqueeze(3) - means) * (-scales).exp()
        below, above = F.logsigmoid(u), F.logsigmoid(-u)
        log_f = torch.logsumexp(weights + below, 3)
        log_rest = torch.logsumexp(weights + above, 3)
        log_pdf = torch.logsumexp(weights + below + above - scales, 3)
        slope = log_pdf - log_f - log_rest + a
        return (log_f - log_rest) * a.exp() + b, slope.flatten(1).sum(1)

    def spline(self, x, h, bound=3.0, least=1e-3):
        """Durkan et al. 2019, with K bins."""
        k, dims = self.s["components"], x.shape[3]
        h = h.reshape(*x.shape[:3], 3 * k - 1, dims)
        widths = (F.softmax(h[..., :k, :], 3) * (1 - least * k) + least) * 2 * bound
        heights = (F.softmax(h[..., k:2 * k, :], 3) * (1 - least * k) + least) * 2 * bound
        inner = F.softplus(h[..., 2 * k:, :] + math.log(math.expm1(1 - least))) + least
        ones = torch.ones_like(inner[..., :1, :])
        slopes = torch.cat([ones, inner, ones], 3)
        lefts, bottoms = widths.cumsum(3) - widths - bound, heights.cumsum(3) - heights - bound
        at = x.clamp(-bound, bound).unsqueeze(3)
        bin = (at >= lefts).sum(3, keepdim=True).clamp(1, k) - 1
        pick = lambda values: values.gather(3, bin).squeeze(3)
        width, height = pick(widths), pick(heights)
        left_slope, right_slope = pick(slopes[..., :-1, :]), pick(slopes[..., 1:, :])
        s = height / width
        t = (at.squeeze(3) - pick(lefts)) / width
        below = s + (left_slope + right_slope - 2 * s) * t * (1 - t)
        value = pick(bottoms) + height * (s * t * t + left_slope * t * (1 - t)) / below
        above = right_slope * t * t + 2 * s * t * (1 - t) + left_slope * (1 - t) ** 2
        slope = 2 * s.log() + above.log() - 2 * below.log()
        inside = x.abs() < bound
        return torch.where(inside, value, x), torch.where(inside, slope, 0).flatten(1).sum(1)
