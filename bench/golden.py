#!/usr/bin/env python3
"""The numbers of tests/flows_golden.cpp: losses of ten steps, by PyTorch in f64.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install torch safetensors numpy
    NF_GOLDEN=/tmp/golden build/tests/nf_tests --run_test=flows_golden
    /tmp/venv/bin/python bench/golden.py /tmp/golden

The folder holds what flows_golden.cpp drew: for each run the weights, batches, noise and settings.
The models are those of torch_flow.py and its neighbours, gradients are PyTorch's, and so are the update rules (of NICE's
own there is none). What learns at a rate of its own is a tensor p whose rate * p is the weight: that
is what a rate means.
"""
import json
import math
import pathlib
import sys

import torch

from torch_flow import Flow, read
from torch_residual import follow_norms

WHITENING_RATE = 0.1


class RmsPropFloor(torch.optim.Optimizer):
    """RMSProp with g / max(sqrt(v), eps), as NICE's authors have it."""

    def __init__(self, params, lr, alpha, eps, momentum):
        super().__init__(params, {"lr": lr, "alpha": alpha, "eps": eps, "momentum": momentum,
                                  "weight_decay": 0})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                state = self.state[p]
                if not state:
                    state["square"], state["velocity"] = torch.zeros_like(p), torch.zeros_like(p)
                g = p.grad + group["weight_decay"] * p
                state["square"].lerp_(g * g, 1 - group["alpha"])
                root = state["square"].sqrt().clamp(min=group["eps"])
                state["velocity"].mul_(group["momentum"]).add_(g / root)
                p.sub_(group["lr"] * state["velocity"])


def make_optimizer(s, groups):
    lr, b1, b2, eps = s["lr"], s["beta1"], s["beta2"], s["eps"]
    kinds = {
        "sgd": lambda: torch.optim.SGD(groups, lr, momentum=b1),
        "rmsprop": lambda: torch.optim.RMSprop(groups, lr, alpha=b2, eps=eps, momentum=b1),
        "rmsprop-floor": lambda: RmsPropFloor(groups, lr, alpha=b2, eps=eps, momentum=b1),
        "adam": lambda: torch.optim.Adam(groups, lr, betas=(b1, b2), eps=eps),
        "adamw": lambda: torch.optim.AdamW(groups, lr, betas=(b1, b2), eps=eps),
        "adamax": lambda: torch.optim.Adamax(groups, lr, betas=(b1, b2), eps=eps),
    }
    return kinds[s["optimizer"]]()


def schedule(s, step, total):
    """The factor of the learning rate at a step, counted from 0."""
    if step < s["warmup"]:
        return (step + 1) / s["warmup"]
    if s["schedule"] == "cosine":
        done = min(1, (step - s["warmup"]) / (total - s["warmup"]))
        return s["lr_lowest"] + (1 - s["lr_lowest"]) * (1 + math.cos(math.pi * done)) / 2
    if s["schedule"] == "constant":
        return 1
    drops = step if s["schedule"] == "exponential" else step // s["lr_every"]
    return max(s["lr_lowest"], s["lr_decay"] ** drops)


def rate_of(name, s):
    """How many times faster than the others a parameter learns."""
    if name == "whitening.below":
        return WHITENING_RATE
    if name == "scaling.log_scale":
        return s["scale_rate"]
    plain = "first.", "blocks.", "layers.", "skip.", "mixing."  # scales that learn as all others do
    act_norm = name.startswith(("scales.", "dequantize.flow.", "norms.", "norm.", "rows."))
    faster = act_norm and name.endswith("log_scale")
    return 3 if faster and not any(part in name for part in plain) else 1


def decays(name, settings):
    """Is weight decay for this parameter?"""
    if settings.get("norm") != "batch" or "layers" in settings:
        return name.endswith("weight")
    return name.endswith("magnitude") or ("boards" in name and name.endswith("map.scale"))


def losses(path):
    """-mean ln p at each step, then of all rows with the weights that are evaluated."""
    tensors, metadata = read(path)
    s = json.loads(metadata["training"])
    weights = {name[6:]: t for name, t in tensors.items() if name.startswith("model.")}
    rates = {name: rate_of(name, s) for name in weights}
    fixed = ("mask", "mean", "mean_rest", "std", "whiten", "colour", "log_det", "cdf.below", "_var", "order",
             "permutation", "sign", "offset", ".u", ".v")
    # All others are learned, but for the mask of LU factors.
    learned = {name: (t / rates[name]).requires_grad_() for name, t in weights.items()
               if not name.endswith(fixed) and not (name.startswith("mixings.") and name.endswith("below"))}
    settings = json.loads(metadata["settings"])
    decayed = [p for name, p in learned.items() if decays(name, settings)]
    others = [p for name, p in learned.items() if not decays(name, settings)]
    optimizer = make_optimizer(s, [{"params": decayed, "weight_decay": s["weight_decay"]},
                                   {"params": others, "weight_decay": 0}])
    average = {name: p.detach().clone() for name, p in learned.items()}

    def loss_of(values, i):
        true = {name: p * rates[name] for name, p in values.items()}
        flow = Flow.of(settings, {**weights, **true})
        flow.training, flow.lag = True, s.get("norm_lag", 0)  # batch norm by the statistics of the batch
        flow.step, flow.trained = i if i < s["steps"] else None, s  # of vae; the last is its bound
        loss = -flow.log_prob(tensors[f"x.{i}"], tensors.get(f"noise.{i}")).mean()
        weights.update(getattr(flow, "moved", {}))
        return loss

    def follow(values, tolerance, most):
        true = {**weights, **{name: p.detach() * rates[name] for name, p in values.items()}}
        follow_norms(true, tolerance, most)
        weights.update({name: t for name, t in true.items() if name.endswith(("map.u", "map.v"))})

    out, steps = [], s["steps"]
    for i in range(steps):
        loss = loss_of(learned, i)
        out.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        norm = torch.sqrt(sum((p.grad ** 2).sum() for p in learned.values()))
        if s["clip"] > 0:
            for p in learned.values():
                p.grad *= min(1, s["clip"] / norm.item())
        for group in optimizer.param_groups:
            group["lr"] = s["lr"] * schedule(s, i, steps)
        optimizer.step()
        follow(learned, 1e-4, 200)
        if i + 1 == steps:
            follow(learned, 1e-6, 1000)
        for name, p in learned.items():
            decay = min(s["ema"], (1 + i) / (10 + i))
            average[name] = decay * average[name] + (1 - decay) * p.detach()
    evaluated = average if s["ema"] > 0 else learned
    with torch.no_grad():
        out.append(loss_of(evaluated, steps).item())
    return out


def main():
    print(f"// PyTorch {torch.__version__}")
    for path in sorted(pathlib.Path(sys.argv[1]).glob("*.safetensors")):
        print(f"{path.stem}: {{{', '.join(f'{loss:.9g}' for loss in losses(path))}}}")


if __name__ == "__main__":
    main()
