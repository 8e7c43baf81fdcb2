#!/usr/bin/env python3
"""A training step of RealNVP and of Glow at their papers' sizes for CIFAR-10, in flowcli and in
PyTorch, in one run: the same model, batch and optimizer.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install torch
    /tmp/venv/bin/python bench/compare_torch_images.py [--models realnvp glow] [--json]

The PyTorch models are written as one would for speed: channels last, nothing in f64, no edge
channel; Glow's top is not learned, and each convolution of RealNVP has a magnitude, which is next
to no work. So losses are not compared here; bench/golden.py checks flowcli's, by other models.
Eager and under torch.compile, on CUDA also the whole step in one graph, and products in tf32 on
both sides. Rounds of all alternate, the median of all steps is told; on the CPU flowcli's is timed without
Winograd's way, too. Wanted: build/flowcli (or --flowcli PATH).
"""
import argparse
import json
import math
import os
import pathlib
import statistics
import subprocess
import sys

try:
    import torch
    from torch import nn
    from torch.nn import functional as F
    from torch.nn.utils.parametrizations import weight_norm
except ImportError as error:
    sys.exit(f"compare_torch_images.py: {error}; install PyTorch: python3 -m venv /tmp/venv && "
             "/tmp/venv/bin/pip install torch, and run it by /tmp/venv/bin/python")

from compare_torch import recorded, time_torch

SIDE, CHANNELS = 32, 3


def squeeze(x):
    return F.pixel_unshuffle(x, 2)


def gaussian(z):
    """ln N(z; 0, 1) of each image."""
    return -0.5 * (z * z + math.log(2 * math.pi)).flatten(1).sum(1)


# --- Glow ----------------------------------------------------------------------------------------


class ActNorm(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.log_scale = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, x):
        return (x + self.shift) * self.log_scale.exp()


class GlowStep(nn.Module):
    """ActNorm, a 1x1 convolution, an affine coupling by 3x3, 1x1 and 3x3."""

    def __init__(self, channels, width):
        super().__init__()
        half = channels // 2
        self.norm = ActNorm(channels)
        self.mixing = nn.Parameter(torch.linalg.qr(torch.randn(channels, channels))[0])
        self.one = nn.Conv2d(half, width, 3, padding=1, bias=False)
        self.two = nn.Conv2d(width, width, 1, bias=False)
        self.norms = nn.ModuleList([ActNorm(width), ActNorm(width)])
        self.three = nn.Conv2d(width, 2 * half, 3, padding=1)
        self.log_scale = nn.Parameter(torch.zeros(1, 2 * half, 1, 1))

    def forward(self, x):
        pixels = x.shape[2] * x.shape[3]
        x = F.conv2d(self.norm(x), self.mixing[:, :, None, None])
        log_det = pixels * (self.norm.log_scale.sum() + torch.linalg.slogdet(self.mixing)[1])
        passive, active = x.chunk(2, 1)
        h = F.relu(self.norms[0](self.one(passive)))
        h = F.relu(self.norms[1](self.two(h)))
        shift, raw = (self.three(h) * self.log_scale.exp()).chunk(2, 1)
        log_scale = F.logsigmoid(raw + 2)
        active = (active + shift) * log_scale.exp()
        return torch.cat([passive, active], 1), log_det + log_scale.flatten(1).sum(1)


class Glow(nn.Module):
    """3 levels of 32 steps, width 512: 44 million parameters."""

    def __init__(self, levels=3, steps=32, width=512):
        super().__init__()
        self.levels, self.priors = nn.ModuleList(), nn.ModuleList()
        channels = CHANNELS
        for level in range(levels):
            channels *= 4
            self.levels.append(nn.ModuleList(GlowStep(channels, width) for _ in range(steps)))
            if level + 1 < levels:
                channels //= 2
                self.priors.append(nn.Conv2d(channels, 2 * channels, 3, padding=1))

    def forward(self, levels):
        x = (levels.float() + torch.rand(levels.shape, device=levels.device)) / 256 - 0.5
        x = x.contiguous(memory_format=torch.channels_last)
        log_prob = torch.zeros(len(x), device=x.device)
        for i, steps in enumerate(self.levels):
            x = squeeze(x)
            for step in steps:
                x, more = step(x)
                log_prob = log_prob + more
            if i < len(self.priors):
                x, leaves = x.chunk(2, 1)
                mean, log_std = self.priors[i](x).chunk(2, 1)
                log_prob = log_prob + gaussian((leaves - mean) * (-log_std).exp())
                log_prob = log_prob - log_std.flatten(1).sum(1)
        return log_prob + gaussian(x)


# --- RealNVP -------------------------------------------------------------------------------------


def conv(inputs, outputs, kernel, bias=True):
    return weight_norm(nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=bias))


def batch_norm(channels):
    return nn.BatchNorm2d(channels, eps=1e-4)


class ResidualNet(nn.Module):
    def __init__(self, inputs, board, outputs, width, blocks):
        super().__init__()
        self.norm = batch_norm(inputs)
        self.first = conv(2 * inputs + board, width, 3)
        self.skip = conv(width, width, 1)
        self.blocks = nn.ModuleList(
            nn.ModuleList([batch_norm(width), conv(width, width, 3, bias=False), batch_norm(width),
                           conv(width, width, 3), conv(width, width, 1)]) for _ in range(blocks))
        self.last_norm = batch_norm(width)
        self.last = conv(width, outputs, 1)

    def forward(self, x, board=None):
        x = self.norm(x)
        parts = [x, -x] if board is None else [2 * x, -2 * x, board.expand(len(x), -1, -1, -1)]
        h = self.first(F.relu(torch.cat(parts, 1)))
        out = self.skip(h)
        for norm_one, one, norm_two, two, skip in self.blocks:
            h = h + two(F.relu(norm_two(one(F.relu(norm_one(h))))))
            out = out + skip(h)
        return self.last(F.relu(self.last_norm(out)))


class Coupling(nn.Module):
    """On a checkerboard, masked, or on half of the channels; with the output's batch norm."""

    def __init__(self, channels, side, width, blocks, swap, board):
        super().__init__()
        self.swap, self.board = swap, board
        inputs = channels if board else channels // 2
        self.net = ResidualNet(inputs, 1 if board else 0, 2 * inputs, width, blocks)
        self.scale = nn.Parameter(torch.zeros(1) if board else torch.ones(1))
        self.out_norm = nn.BatchNorm2d(inputs, eps=1e-4, affine=False)
        if board:
            parity = (torch.arange(side)[:, None] + torch.arange(side)) % 2
            self.register_buffer("mask", (parity == swap).float()[None, None])

    def normalised(self, x):
        mean, var = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), correction=0, keepdim=True)
        return (x - mean) * torch.rsqrt(var + 1e-4), -0.5 * (var + 1e-4).log().sum()

    def forward(self, x):
        if self.board:
            shift, raw = self.net(x * self.mask, self.mask).chunk(2, 1)
            free = 1 - self.mask
            log_scale = self.scale * raw.tanh() * free
            active, more = self.normalised((x + shift) * log_scale.exp() * free)
            return x * self.mask + active * free, log_scale.flatten(1).sum(1) + more * free.sum()
        parts = list(x.chunk(2, 1))
        shift, raw = self.net(parts[self.swap]).chunk(2, 1)
        log_scale = self.scale * raw.tanh()
        parts[1 - self.swap], more = self.normalised((parts[1 - self.swap] + shift) * log_scale.exp())
        more = more * x.shape[2] * x.shape[3]
        return torch.cat(parts, 1), log_scale.flatten(1).sum(1) + more


class RealNvp(nn.Module):
    """2 scales, 8 blocks, width 64: 19.6 million parameters."""

    def __init__(self, width=64, blocks=8):
        super().__init__()
        coupling = lambda *args: Coupling(*args[:3], blocks, *args[3:])
        self.first = nn.ModuleList(coupling(CHANNELS, SIDE, width, s, True) for s in (1, 0, 1))
        self.middle = nn.ModuleList(
            coupling(4 * CHANNELS, SIDE // 2, 2 * width, s, False) for s in (0, 1, 0))
        self.last = nn.ModuleList(
            coupling(2 * CHANNELS, SIDE // 2, 2 * width, s, True) for s in (1, 0, 1, 0))

    def forward(self, levels):
        x = 0.05 + 0.9 * (levels.float() + torch.rand(levels.shape, device=levels.device)) / 256
        x = x.contiguous(memory_format=torch.channels_last)
        log_prob = -(x.log() + (1 - x).log()).flatten(1).sum(1)
        x = x.logit()
        for steps, shape in ((self.first, squeeze), (self.middle, None), (self.last, None)):
            for step in steps:
                x, more = step(x)
                log_prob = log_prob + more
            if shape:
                x = shape(x)
            elif steps is self.middle:
                x, leaves = x.chunk(2, 1)
                log_prob = log_prob + gaussian(leaves)
        return log_prob + gaussian(x)


# --- timing --------------------------------------------------------------------------------------

MODELS = {"realnvp": (RealNvp, ["--recipe", "code"]), "glow": (Glow, ["--recipe", "code"])}


def make_step(name, device, compiled):
    """A function that trains on one batch of levels."""
    model = MODELS[name][0]().to(device, memory_format=torch.channels_last)
    graph = {"capturable": True} if device == "cuda" else {}
    if name == "glow":
        optimizer = torch.optim.Adamax(model.parameters(), 1e-3, foreach=True, **graph)
    else:
        optimizer = torch.optim.Adam(model.parameters(), 1e-3, fused=True, **graph)

    def loss_of(levels):
        return -model(levels).mean()

    if compiled:
        loss_of = torch.compile(loss_of)

    def step(levels):
        loss = loss_of(levels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 100)
        optimizer.step()

    return step


OURS = {"flowcli": "auto", "flowcli, no Winograd": "off"}


def time_flowcli(args, name, winograd):
    """The median milliseconds of a step."""
    command = [args.flowcli, "bench", name, *MODELS[name][1], "--data", args.data, "--json",
               "--bench-steps", str(args.steps), "--batch-size", str(args.batch_size),
               "--device", args.device]
    if args.device == "cuda":
        command += ["--set", "precision=tf32"]
    out = subprocess.run(command, check=True, capture_output=True, text=True,
                         env={**os.environ, "NF_WINOGRAD": winograd}).stdout
    return json.loads(out)["step_ms"]


def compare(args, name):
    levels = torch.randint(0, 256, (args.batch_size, CHANNELS, SIDE, SIDE), dtype=torch.uint8,
                           device=args.device)
    ways = ["eager"] if args.eager else ["eager", "compile"]
    steps = {way: make_step(name, args.device, way == "compile") for way in ways}
    if args.device == "cuda":
        try:
            steps["graph"] = recorded(make_step(name, args.device, False), levels)
        except RuntimeError as error:  # an operation that has to wait
            print(f"compare_torch_images.py: {name} has no graph in PyTorch: {error}", file=sys.stderr)
    ours = list(OURS) if args.device == "cpu" else ["flowcli"]
    times = {way: [] for way in (*ours, *steps)}
    for step in steps.values():
        time_torch(step, [levels], 2, args.device)  # compiles, allocates
    for _ in range(args.rounds):
        for way in ours:
            times[way].append(time_flowcli(args, name, OURS[way]))
        for way, step in steps.items():
            times[way] += time_torch(step, [levels], args.steps, args.device)
    result = {way: statistics.median(t) for way, t in times.items()}
    fastest = min(result[way] for way in steps)
    return {"model": name, "step_ms": result, "ratio": {way: result[way] / fastest for way in ours},
            "images_per_s": {way: 1000 * args.batch_size / ms for way, ms in result.items()}}


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    default = pathlib.Path(__file__).resolve().parent.parent / "build" / "flowcli"
    parser.add_argument("--flowcli", default=str(default))
    parser.add_argument("--data", required=True, help="a folder of CIFAR-10's binaries")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=3, help="of each in one round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--eager", action="store_true", help="without torch.compile")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    results = [compare(args, name) for name in args.models]
    if args.json:
        print(json.dumps({"models": results, "torch": torch.__version__,
                          "threads": torch.get_num_threads()}))
        return
    print(f"batch {args.batch_size}; PyTorch {torch.__version__}, {torch.get_num_threads()} threads")
    for result in results:
        for way, ms in result["step_ms"].items():
            ours = way in result["ratio"]
            who, ratio = (way, f", {result['ratio'][way]:.3f} of the faster PyTorch") if ours else (
                "PyTorch " + way, "")
            print(f"  {result['model']:8} {who:20} {ms:9.1f} ms a step, "
                  f"{result['images_per_s'][way]:6.1f} images/s{ratio}")


if __name__ == "__main__":
    main()
