"""nade, pixelcnn, pixelrnn and wavenet in PyTorch, from a file of weights: docs/weights.md, "Levels, place after place"."""
import torch
from torch.nn import functional as F


def gate(x):
    """Of the halves of axis 1."""
    a, b = x.chunk(2, 1)
    return torch.tanh(a) * torch.sigmoid(b)


class Levels:
    """ln p of rows of levels, nothing given."""

    def __init__(self, settings, tensors):
        self.s = settings
        self.t = {name.removeprefix("net."): t for name, t in tensors.items()}

    @staticmethod
    def of(settings, tensors):
        """The model of these settings, or None."""
        kinds = {"order": Nade, "kernel": PixelRnn, "head": PixelCnn, "skip": WaveNet}
        for key, kind in kinds.items():
            if key in settings and "levels" in settings and "embedding" not in settings:
                return kind(settings, tensors)
        return None

    def nats_offset(self):
        return 0

    def draws(self):
        return False

    def log_prob(self, x, noise=None):
        """(N), of levels x (N, D)."""
        x = x.double()
        channels = self.s.get("image", [0, 0, 1])[2]
        levels = x.reshape(len(x), -1, channels)
        h = self.outputs(levels / (self.s["levels"] - 1))
        kind = self.s.get("likelihood", "bernoulli")
        return {"bernoulli": self.bernoulli, "softmax": self.softmax, "logistic": self.logistics}[kind](levels, h)

    def bernoulli(self, x, h):
        return (x * h - F.softplus(h)).sum((1, 2))

    def softmax(self, x, h):
        return h.log_softmax(2).gather(2, x.long()).sum((1, 2))

    def logistics(self, x, h):
        parts, channels, last = self.s["components"], x.shape[2], self.s["levels"] - 1
        part = h.split(parts, 2)
        place = torch.linspace(-1, 1, parts, dtype=torch.float64) if parts > 1 else 0
        y, half = 2 * x / last - 1, 1 / last
        log_p = part[0].log_softmax(2)
        factors = iter(part[1 + 2 * channels:])
        for c in range(channels):
            mean = part[1 + c] + place
            for b in range(c):
                mean = mean + torch.tanh(next(factors)) * y[:, :, b:b + 1]
            scale = (part[1 + channels + c] - 2).clamp(-7, 7).exp()
            away = y[:, :, c:c + 1] - mean
            above, below = F.logsigmoid((away + half) / scale), F.logsigmoid((half - away) / scale)
            inner = above + below + torch.log(-torch.expm1(-2 * half / scale))
            level = x[:, :, c:c + 1]
            log_p = log_p + torch.where(level == 0, above, torch.where(level == last, below, inner))
        return log_p.logsumexp(2).sum(1)


class Nade(Levels):
    def outputs(self, x):
        x, w = x[:, :, 0], self.t["in_weight"]
        before = torch.cumsum(x[:, :, None] * w, 1) - x[:, :, None] * w
        h = torch.sigmoid(self.t["in_bias"] + before)
        return ((h * self.t["out_weight"]).sum(2) + self.t["out_bias"])[:, :, None]


class PixelCnn(Levels):
    def conv(self, x, name):
        return F.conv2d(x, self.t[name + ".weight"], self.t.get(name + ".bias"))

    def outputs(self, x):
        height, width, channels = self.s["image"]
        image = x.reshape(len(x), height, width, channels).permute(0, 3, 1, 2) - 0.5
        v = h = image
        for i in range(self.s["layers"] + 1):
            name = f"blocks.{i}."
            rows, side, columns, own = (3, 3, 3, 0) if i == 0 else (2, 1, 2, 1)
            above = F.pad(v, (side, side, rows - own, 0))[:, :, :height + rows - 1]
            raw = self.conv(above, name + "vertical")
            left = F.pad(h, (columns - own, 0))[:, :, :, :width + columns - 1]
            both = self.conv(left, name + "horizontal") + self.conv(raw, name + "link")
            new = self.conv(gate(both), name + "out")
            v, h = gate(raw), new + h if i > 0 else new
        out = self.conv(self.conv(h.relu(), "head.0").relu(), "head.1")
        return out.permute(0, 2, 3, 1).reshape(len(x), height * width, -1)


class PixelRnn(PixelCnn):
    def outputs(self, x):
        height, width, channels = self.s["image"]
        image = x.reshape(len(x), height, width, channels).permute(0, 3, 1, 2) - 0.5
        r = self.conv(F.pad(image, (3, 3, 3, 0))[:, :, :height + 2], "above") \
            + self.conv(F.pad(image, (3, 0))[:, :, :, :width + 2], "left")
        aside = self.s["kernel"] // 2
        for i in range(self.s["layers"]):
            name, told = f"layers.{i}.", []
            sums = self.conv(F.pad(r, (aside, 0)), name + "lstm.input")
            h = c = torch.zeros(len(x), self.s["maps"], 1, width, dtype=x.dtype)
            for row in sums.split(1, 2):
                o, f, i_, g = (row + self.conv(F.pad(h, (aside, aside)), name + "lstm.state")).chunk(4, 1)
                c = torch.sigmoid(f) * c + torch.sigmoid(i_) * torch.tanh(g)
                h = torch.sigmoid(o) * torch.tanh(c)
                told.append(h)
            r = r + self.conv(torch.cat(told, 2), name + "out")
        out = self.conv(self.conv(r.relu(), "head.0").relu(), "head.1")
        return out.permute(0, 2, 3, 1).reshape(len(x), height * width, -1)


class WaveNet(Levels):
    def linear(self, x, name):
        """Of axis 1."""
        return F.conv1d(x, self.t[name + ".weight"][:, :, None], self.t[name + ".bias"])

    def outputs(self, x):
        length = x.shape[1]
        h = self.linear(F.pad(x.transpose(1, 2) - 0.5, (1, 0))[:, :, :length], "first")
        total = 0
        for i in range(self.s["layers"] * self.s["blocks"]):
            name, dilation = f"layers.{i}.", 2 ** (i % self.s["layers"])
            past, own = self.t[name + "conv.weight"].chunk(2, 1)
            both = F.conv1d(F.pad(h, (dilation, 0)), torch.stack([past, own], 2),
                            self.t[name + "conv.bias"], dilation=dilation)
            g = gate(both)
            total = total + self.linear(g, name + "skip")
            if name + "out.weight" in self.t:
                h = h + self.linear(g, name + "out")
        return self.linear(self.linear(total.relu(), "inner").relu(), "last").transpose(1, 2)
