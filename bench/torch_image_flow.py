"""glow, image-plus and realnvp in PyTorch, from a file of weights alone. Written from docs/weights.md; images are
channels last here, as there."""
import math

import torch
from torch.nn import functional as F

from torch_flow import ACTIVATIONS, Flow


class ImageFlow(Flow):
    """ln p of rows that are images."""

    def draw(self, x, noise):
        if self.s.get("dequantize") != "variational":
            return noise, 0
        n, (h, w, c) = len(x), self.s["image"]
        seen = (2 * x / (self.s["levels"] - 1) - 1).reshape(n, h, w, c)
        start, log_det = noise.double(), 0
        z = start.reshape(n, h, w, c)
        parity = (torch.arange(h)[:, None] + torch.arange(w)) % 2
        changes = (self.s["dequantize_steps"] + 1) // 2
        limit = 1 / changes
        furthest = 5 / sum(math.exp(j * limit) for j in range(changes))
        for i in range(self.s["dequantize_steps"]):
            change = parity != i % 2  # the others are the condition
            half = lambda image, where: image[:, where].reshape(n, h, w // 2, c)
            beside = torch.cat([half(z, ~change), half(seen, ~change), half(seen, change)], 3)
            raw, shift = self.residual(f"dequantize.flow.couplings.{i}.net.", beside, 2, "gated", F.elu).chunk(2, 3)
            scale, shift = limit * torch.tanh(raw / limit), furthest * torch.tanh(shift / furthest)
            z = z.masked_scatter(change[..., None].expand(z.shape), half(z, change) * scale.exp() + shift)
            log_det = log_det + scale.flatten(1).sum(1)
        z = z.reshape(n, -1)
        logistic = lambda v: (v - 2 * F.softplus(v)).sum(1)
        return z.sigmoid(), log_det + logistic(z) - logistic(start)

    def steps(self):
        """One step: all scales, from images to a row."""
        yield lambda z: self.scale_of("scales.", z.reshape(len(z), *self.s["image"]), 0)

    def scale_of(self, name, x, number):
        n, h, w, c = x.shape
        log_det = torch.zeros(n, dtype=torch.float64)
        for i in range(self.s.get("boards", 0)):
            x, more = self.step(f"{name}boards.{i}.", x, board=i % 2)
            log_det = log_det + more
        x = x.reshape(n, h // 2, 2, w // 2, 2, c).permute(0, 1, 3, 5, 2, 4).reshape(n, h // 2, w // 2, 4 * c)
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

    def step(self, name, x, board=None):
        """With `board`, the pixels with (row + column) % 2 == board are the condition, the others change."""
        n, h, w, c = x.shape
        scale = self.t[name + "actnorm.log_scale"]
        x = (x + self.t[name + "actnorm.shift"]) * scale.exp()
        log_det = h * w * scale.sum()
        if c > 1:
            matrix = self.t[name + "mixing.matrix"]
            x = x @ matrix.T
            log_det = log_det + h * w * torch.linalg.slogdet(matrix)[1]
        if board is None:
            passive, active = x.chunk(2, 3)
            active, more = self.map(active, self.net(name + "coupling.net.", passive))
            return torch.cat([passive, active], 3), log_det + more
        change = (torch.arange(h)[:, None] + torch.arange(w)) % 2 != board
        half = lambda where: x[:, where].reshape(n, h, w // 2, c)
        active, more = self.map(half(change), self.net(name + "coupling.net.", half(~change)))
        return x.masked_scatter(change[..., None].expand(x.shape), active), log_det + more

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
        if self.s["net"] != "dense":
            return self.residual(name, x, self.s["blocks"], self.s["net"], act)
        h = act(self.conv(name + "first", x, edge=True))
        for i in range(self.s["blocks"]):
            more = act(self.conv(f"{name}layers.{i}.inner", h))
            h = torch.cat([h, act(self.conv(f"{name}layers.{i}.outer", more))], 3)
        return self.conv(name + "last", h)

    def residual(self, name, x, blocks, kind, act):
        h = self.conv(name + "first", x, edge=True)
        for i in range(blocks):
            more = self.conv(f"{name}blocks.{i}.outer", act(self.conv(f"{name}blocks.{i}.inner", act(h))))
            if kind != "residual":
                a, b = more.chunk(2, 3)
                more = a * b.sigmoid()
            h = h + more
            if kind == "normalised":
                norm = f"{name}blocks.{i}.norm."
                h = F.layer_norm(h, h.shape[-1:], self.t[norm + "scale"], self.t[norm + "bias"])
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

    def mixture(self, x, h, limit, fixed=1 / 128):
        """K learned logistics with places from -1 to 1, and one of mean 0 and log scale 0 with the weight
        `fixed` of all."""
        k, dims = self.s["components"], x.shape[3]
        h = h.reshape(*x.shape[:3], 2 + 3 * k, dims)
        a, b = limit * torch.tanh(h[..., 0, :] / limit), h[..., 1, :]
        weights = F.log_softmax(h[..., 2:2 + k, :], 3) + math.log1p(-fixed)
        means, scales = h[..., 2 + k:2 + 2 * k, :], 7 * torch.tanh(h[..., 2 + 2 * k:, :] / 7)
        if k > 1:
            means = means + torch.linspace(-1, 1, k, dtype=x.dtype)[:, None]
        u = (x.unsqueeze(3) - means) * (-scales).exp()
        below, above = F.logsigmoid(u), F.logsigmoid(-u)
        below_0, above_0 = F.logsigmoid(x), F.logsigmoid(-x)
        both = lambda logs, of_fixed: torch.logaddexp(torch.logsumexp(logs, 3), of_fixed + math.log(fixed))
        log_f = both(weights + below, below_0)
        log_rest = both(weights + above, above_0)
        log_pdf = both(weights + below + above - scales, below_0 + above_0)
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


class RealNvp(ImageFlow):
    """realnvp: batch norm with the statistics of the batch where `training` says so, else with those saved.

    With `lag`, training takes running averages, which go to `moved`."""
    training, lag = False, 0
    EPS = 1e-4

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.moved = {}

    def scale_of(self, name, x, number):
        last = number + 1 == self.s["scales"]
        n, h, w, c = x.shape
        log_det = torch.zeros(n, dtype=torch.float64)
        for i in range(4 if last else 3):
            x, more = self.board(f"{name}boards.{i}.", x, i % 2)
            log_det = log_det + more
        if last:
            return x.reshape(n, -1), log_det
        x = x.reshape(n, h // 2, 2, w // 2, 2, c).permute(0, 1, 3, 5, 2, 4).reshape(n, h // 2, w // 2, 4 * c)
        for i in range(3):
            x, more = self.halves(f"{name}channels.{i}.", x, i % 2)
            log_det = log_det + more
        x = x.reshape(n, h // 2, w // 2, c, 2, 2)
        x = torch.cat([x[..., a, b] for a, b in ((0, 0), (1, 1), (0, 1), (1, 0))], 3)
        row, more = self.scale_of(f"{name}factor_out.rest.", x[..., :2 * c], number + 1)
        return torch.cat([row, x[..., 2 * c:].reshape(n, -1)], 1), log_det + more

    def board(self, name, x, swap):
        """Pixels with (row + column) % 2 == swap are the condition, the others change."""
        n, h, w, c = x.shape
        parity = (torch.arange(h)[:, None] + torch.arange(w)) % 2
        seen, change = (parity == swap), (parity != swap)
        if self.s["masked"]:
            mask = seen.double()[..., None]
            shift, log_scale = self.parameters(name, self.net(name + "coupling.net.", x * mask, mask))
            shift, log_scale = shift[:, change], log_scale[:, change]
        else:  # of each row every second pixel
            passive = x[:, seen].reshape(n, h, w // 2, c)
            answer = self.parameters(name, self.net(name + "coupling.net.", passive, None))
            shift, log_scale = (part.reshape(n, -1, c) for part in answer)
        active, log_det = (x[:, change] + shift) * log_scale.exp(), log_scale.flatten(1).sum(1)
        if self.s["norm"] == "batch":
            among = torch.cat([active, torch.zeros_like(active)]) if self.s["masked"] else active
            active, more = self.batch_norm(name, active, among)
            log_det = log_det + more * active.shape[1]
        x = x.masked_scatter(change[..., None].expand(x.shape), active)
        return self.act_norm(name, x, log_det)

    def halves(self, name, x, swap):
        parts = list(x.chunk(2, 3))
        shift, log_scale = self.parameters(name, self.net(name + "coupling.net.", parts[swap], None))
        active, log_det = (parts[1 - swap] + shift) * log_scale.exp(), log_scale.flatten(1).sum(1)
        if self.s["norm"] == "batch":
            active, more = self.batch_norm(name, active, active)
            log_det = log_det + more * x.shape[1] * x.shape[2]
        parts[1 - swap] = active
        return self.act_norm(name, torch.cat(parts, 3), log_det)

    def parameters(self, name, h):
        shift, raw = h.chunk(2, 3)
        return shift, self.t[name + "coupling.map.scale"] * raw.tanh()

    def batch_norm(self, name, x, among):
        """x by the statistics of `among`; log_det of a pixel."""
        mean, var = self.moments(name + "norm.", among)
        return (x - mean) / (var + self.EPS).sqrt(), -0.5 * (var + self.EPS).log().sum()

    def act_norm(self, name, x, log_det):
        if self.s["norm"] == "batch":
            return x, log_det
        scale = self.t[name + "norm.log_scale"]
        return (x + self.t[name + "norm.shift"]) * scale.exp(), log_det + x.shape[1] * x.shape[2] * scale.sum()

    def moments(self, name, x):
        if not self.training:
            return self.t[name + "running_mean"], self.t[name + "running_var"]
        x = x.flatten(0, -2)
        mean, var = x.mean(0), x.var(0, unbiased=False)
        if not self.lag:
            return mean, var
        mean = self.lag * self.t[name + "lagged_mean"] + (1 - self.lag) * mean
        var = self.lag * self.t[name + "lagged_var"] + (1 - self.lag) * var
        self.moved[name + "lagged_mean"], self.moved[name + "lagged_var"] = mean.detach(), var.detach()
        return mean, var

    def norm(self, name, x):
        mean, var = self.moments(name, x)
        return (x - mean) / (var + self.EPS).sqrt() + self.t[name + "bias"]

    def weight_norm(self, name, x):
        w = self.t[name + ".weight"]
        w = w / w.flatten(1).norm(dim=1)[:, None, None, None]
        if name + ".magnitude" in self.t:
            w = w * self.t[name + ".magnitude"][:, None, None, None]
        bias = self.t.get(name + ".bias")
        return F.conv2d(x.permute(0, 3, 1, 2), w, bias, padding=w.shape[2] // 2).permute(0, 2, 3, 1)

    def net(self, name, x, board):
        batch = self.s["norm"] == "batch"
        norm = (lambda part, h: self.norm(name + part + ".", h)) if batch else (lambda part, h: h)
        conv = (lambda part, h: (self.weight_norm if batch else self.conv)(name + part, h))
        x = norm("norm", x)
        if batch and board is not None:
            x = 2 * x
        parts = [x, -x] + ([] if board is None else [board.expand(len(x), *board.shape)])
        h = conv("first", F.relu(torch.cat(parts, 3)))
        out = conv("skip", h)
        for i in range(self.s["blocks"]):
            block = f"blocks.{i}."
            inner = conv(block + "first", F.relu(norm(block + "first_norm", h)))
            h = h + conv(block + "second", F.relu(norm(block + "second_norm", inner)))
            out = out + conv(block + "skip", h)
        return conv("last", F.relu(norm("last_norm", out)))
