"""maf, nsf and made in PyTorch, from a file of weights: docs/weights.md, "Autoregressive flows"."""
import torch

from torch_flow import ACTIVATIONS
from torch_image_flow import ImageFlow


class RowFlow(ImageFlow):
    """Layers on rows; maps by mixtures and splines are those of images of one pixel."""
    training = False
    EPS = 1e-4

    def steps(self):
        for i in range(self.s["layers"]):
            if i > 0 and self.s["dims"] > 1:
                yield lambda z, i=i: self.mixing(z, f"mixings.{i}.")
            yield lambda z, i=i: self.layer(z, i)
            if self.s["norm"] != "none":
                yield lambda z, i=i: self.norm(z, f"norms.{i}.")

    def mixing(self, z, name):
        kind = self.s["mixing"]
        if kind in ("permute", "reverse"):
            return z[:, self.t[name + "order"].long()], 0
        if kind == "linear":
            return self.mix(z, name + "matrix")
        one = torch.eye(z.shape[1], dtype=torch.float64)
        scale = self.t[name + "log_scale"]
        upper = self.t[name + "upper"].triu(1) + torch.diag(self.t[name + "sign"] * scale.exp())
        w = self.t[name + "permutation"] @ (self.t[name + "lower"].tril(-1) + one) @ upper
        return z @ w.T, scale.sum()

    def norm(self, z, name):
        if self.s["norm"] == "act":
            scale = self.t[name + "log_scale"]
            return (z + self.t[name + "shift"]) * scale.exp(), scale.sum()
        mean, var = self.t[name + "running_mean"], self.t[name + "running_var"]
        if self.training:
            mean, var = z.mean(0), z.var(0, unbiased=False)
        return (z - mean) / (var + self.EPS).sqrt(), -0.5 * (var + self.EPS).log().sum()

    def layer(self, z, i):
        name, dims = f"layers.{i}.net.", z.shape[1]
        if self.s["kind"] == "autoregressive":
            return self.number(z, self.made(name, z))
        half = (dims + 1) // 2
        first = torch.arange(dims) < half
        passive = first if i % 2 == 0 else ~first
        out = z.clone()
        out[:, ~passive], log_det = self.number(z[:, ~passive], self.row_net(name, z[:, passive]))
        return out, log_det

    def number(self, x, h):
        """The map of each number of rows x by h."""
        kind, limit = self.s["map"], self.s["scale_limit"]
        if kind == "additive":
            return x + h, 0
        if kind == "gaussian":
            mean, s = h.chunk(2, 1)
            s = limit * torch.tanh(s / limit)
            return (x - mean) * (-s).exp(), -s.sum(1)
        pixel, h = x[:, None, None, :], h[:, None, None, :]
        z, log_det = self.mixture(pixel, h, limit) if kind == "mixture" else self.spline(pixel, h, self.s["bound"])
        return z[:, 0, 0, :], log_det

    def made(self, name, x, context=None):
        """Inputs have degrees 1..D, hidden units 1..D-1, outputs those of their dimension; a context has 0,
        and so has the first hidden unit beside it."""
        dims, width = x.shape[1], self.s["hidden_units"]
        lowest = 1 if dims > 1 and context is None else 0
        place, seen = torch.arange(1, dims + 1), torch.arange(1, dims + 1)
        if context is not None:
            x, seen = torch.cat([x, context], 1), torch.cat([place, torch.zeros(context.shape[1])])
        hidden = lowest + torch.arange(width) * (dims - lowest) // width
        residual = self.s["net"] == "residual"
        first = name + ("first.weight" if residual else "0.weight")
        last = name + ("last.weight" if residual else f"{self.s['hidden_layers']}.weight")

        def mask(w):
            known = seen if w is self.t[first] else hidden
            if w is self.t[last]:
                return known < place.repeat(len(w) // dims)[:, None]
            return known <= hidden[:, None]

        return self.row_net(name, x, mask)

    def row_net(self, name, h, mask=None):
        act, depth = ACTIVATIONS[self.s["activation"]], self.s["hidden_layers"]

        def linear(layer, x):
            w = self.t[layer + "weight"]
            return x @ (w if mask is None else w * mask(w)).T + self.t[layer + "bias"]

        if self.s["net"] == "plain":
            for j in range(depth):
                h = act(linear(f"{name}{j}.", h))
            return linear(f"{name}{depth}.", h)
        h = linear(name + "first.", h)
        for j in range(depth):
            block = f"{name}blocks.{j}."
            h = h + linear(block + "outer.", act(linear(block + "inner.", act(h))))
        return linear(name + "last.", h)
