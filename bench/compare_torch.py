#!/usr/bin/env python3
"""A training step of NICE in flowcli and in PyTorch, in one run, same model, batch and optimizer.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install torch
    /tmp/venv/bin/python bench/compare_torch.py [--batch-size 200] [--device cpu] [--json]

Rounds of both alternate, so that a change in the machine's speed meets both alike; the median of
all steps is told. PyTorch runs eagerly and under torch.compile, each with its fused Adam; on CUDA
the compiled one is replayed as a CUDA graph. Wanted: build/flowcli (or --flowcli PATH).
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import time

import torch
from torch import nn

DIMS, HIDDEN, LAYERS, COUPLINGS = 784, 1000, 5, 4


class Nice(nn.Module):
    """4 additive couplings of 5 x 1000 ReLU on odd and even pixels, scaling, logistic base."""

    def __init__(self):
        super().__init__()
        half = DIMS // 2
        sizes = [half] + [HIDDEN] * LAYERS
        self.nets = nn.ModuleList()
        for _ in range(COUPLINGS):
            layers = []
            for before, after in zip(sizes, sizes[1:]):
                layers += [nn.Linear(before, after), nn.ReLU()]
            self.nets.append(nn.Sequential(*layers, nn.Linear(HIDDEN, half)))
        self.log_scale = nn.Parameter(torch.zeros(DIMS))

    def forward(self, levels):
        """u8 (N, 784) to nats (N)."""
        x = (levels.float() + torch.rand(levels.shape, device=levels.device)) / 256
        even, odd = x[:, 0::2], x[:, 1::2]
        for i, net in enumerate(self.nets):
            if i % 2 == 0:
                odd = odd + net(even)
            else:
                even = even + net(odd)
        z = torch.stack([even, odd], 2).flatten(1) * self.log_scale.exp()
        log_prob = -nn.functional.softplus(z) - nn.functional.softplus(-z)
        return log_prob.sum(1) + self.log_scale.sum()


def make_step(device, mode):
    """A function that trains on one batch of levels."""
    model = Nice().to(device)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3, (0.9, 0.99), 1e-4, fused=True)

    def loss_of(levels):
        return -model(levels).mean()

    if mode == "compile":
        loss_of = torch.compile(loss_of, mode="reduce-overhead" if device == "cuda" else None)

    def step(levels):
        loss = loss_of(levels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    return step


def time_torch(step, levels, steps, device):
    """Milliseconds of each step."""
    times = []
    for i in range(steps):
        start = time.perf_counter()
        step(levels[i % len(levels)])
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(1000 * (time.perf_counter() - start))
    return times


def time_flowcli(flowcli, args, steps):
    """The median milliseconds of a step."""
    command = [flowcli, "bench", "nice", "--json", "--bench-steps", str(steps), "--device",
               args.device, "--batch-size", str(args.batch_size), *args.flowcli_options]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(out)["step_ms"]


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    default = pathlib.Path(__file__).resolve().parent.parent / "build" / "flowcli"
    parser.add_argument("--flowcli", default=str(default))
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--batch-size", type=int, default=200)
    parser.add_argument("--steps", type=int, default=20, help="of each in one round")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--precision", choices=["f32", "tf32"], default="f32")
    parser.add_argument("--json", action="store_true")
    args, args.flowcli_options = parser.parse_known_args()
    if args.precision == "tf32":
        torch.backends.cuda.matmul.allow_tf32 = True
    levels = torch.randint(0, 256, (8, args.batch_size, DIMS), dtype=torch.uint8,
                           device=args.device)
    steps = {mode: make_step(args.device, mode) for mode in ("eager", "compile")}
    times = {mode: [] for mode in ("flowcli", *steps)}
    for step in steps.values():
        time_torch(step, levels, 3, args.device)  # compiles, allocates
    for _ in range(args.rounds):
        times["flowcli"].append(time_flowcli(args.flowcli, args, args.steps))
        for mode, step in steps.items():
            times[mode] += time_torch(step, levels, args.steps, args.device)
    result = {mode: statistics.median(t) for mode, t in times.items()}
    fastest = min(result["eager"], result["compile"])
    if args.json:
        print(json.dumps({"step_ms": result, "ratio": result["flowcli"] / fastest,
                          "torch": torch.__version__, "batch_size": args.batch_size,
                          "device": args.device, "threads": torch.get_num_threads()}))
        return
    print(f"NICE, batch {args.batch_size}, {args.device}; PyTorch {torch.__version__}, "
          f"{torch.get_num_threads()} threads")
    for mode, ms in result.items():
        print(f"  {'flowcli' if mode == 'flowcli' else 'PyTorch ' + mode:16} {ms:9.2f} ms a step")
    print(f"  flowcli / the faster PyTorch: {result['flowcli'] / fastest:.3f}")


if __name__ == "__main__":
    main()
