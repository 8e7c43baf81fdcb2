"""iresnet and residual-flow of rows in PyTorch, from a file of weights: docs/weights.md, "Residual blocks"."""
import torch
from torch.nn import functional as F

from torch_flow import Flow


class ResidualRows(Flow):
    """Blocks on rows; log-determinants are exact, from the Jacobian by autograd."""

    def steps(self):
        yield lambda z: self.norm(z, "norm.")
        for i in range(self.s["blocks"]):
            yield lambda z, i=i: self.block(z, f"rows.{i}.block.net.")
            yield lambda z, i=i: self.norm(z, f"rows.{i}.norm.")

    def norm(self, z, name):
        scale = self.t[name + "log_scale"]
        return (z + self.t[name + "shift"]) * scale.exp(), scale.sum()

    def block(self, z, name):
        with torch.enable_grad():
            x = z if z.requires_grad else z.detach().requires_grad_()
            g = self.network(x, name)
            rows = [torch.autograd.grad(g[:, j].sum(), x, create_graph=True)[0] for j in range(z.shape[1])]
        jacobian = torch.stack(rows, 1)
        one = torch.eye(z.shape[1], dtype=torch.float64)
        return z + g, torch.linalg.slogdet(one + jacobian)[1]

    def network(self, h, name):
        for j in range(self.s["hidden_layers"] + 1):
            if j > 0 and self.s["activation"] == "elu":
                h = F.elu(h)
            elif j > 0:
                h = h * (F.softplus(self.t[f"{name}{j}.act.beta"]) * h).sigmoid() / 1.1
            part, c = f"{name}{j}.map.", self.s["coefficient"]
            weight = self.t[part + "weight"]
            sigma = (self.t[part + "u"] * F.linear(self.t[part + "v"], weight)).sum()
            h = F.linear(h, weight * (c / sigma.clamp(min=c)), self.t[part + "bias"])
        return h


def follow_norms(tensors, tolerance, most):
    """Power iterations of all maps of `tensors`, whose u and v change, until sigma hardly does."""
    for part in [name[:-1] for name in tensors if name.endswith("map.u")]:
        weight, before = tensors[part + "weight"].detach(), 0
        for _ in range(most):
            u = F.normalize(F.linear(tensors[part + "v"], weight))
            back = u @ weight
            tensors[part + "u"], tensors[part + "v"] = u, F.normalize(back)
            now = back.norm().item()
            if abs(now - before) <= tolerance * now:
                break
            before = now
