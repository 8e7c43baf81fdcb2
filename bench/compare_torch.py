#!/usr/bin/env python3
"""A training step of NICE in flowcli and in PyTorch, in one run, same model, batch and optimizer; or,
with --conv, convolutions and a residual network, forward and backward.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install torch
    /tmp/venv/bin/python bench/compare_torch.py [--batch-size 200] [--device cpu] [--json]
    /tmp/venv/bin/python bench/compare_torch.py --conv [--json]

Rounds of both alternate, so that a change in the machine's speed meets both alike; the median of
all steps is told. PyTorch runs eagerly and under torch.compile, each with its fused Adam; on CUDA
the compiled one is replayed as a CUDA graph, and a third has the whole step in one. Of convolutions the shortest time is told, and PyTorch
has its images channels last. Wanted: build/flowcli (or --flowcli PATH) and, for --conv,
build/bench/nf_bench_conv_step.
"""
import argparse
import json
import math
import pathlib
import re
import statistics
import subprocess
import sys
import time

try:
    import torch
    from torch import nn
except ImportError as error:
    sys.exit(f"compare_torch.py: {error}; install PyTorch: python3 -m venv /tmp/venv && "
             "/tmp/venv/bin/pip install torch, and run it by /tmp/venv/bin/python")

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
    optimizer = torch.optim.Adam(model.parameters(), 1e-3, (0.9, 0.99), 1e-4, fused=True,
                                 capturable=device == "cuda")

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


def recorded(step, levels):
    """The whole step, optimizer and all, as one CUDA graph."""
    batch = levels.clone()
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            step(batch)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step(batch)

    def replay(levels):
        batch.copy_(levels)
        graph.replay()

    return replay


def time_torch(step, levels, steps, device):
    """Milliseconds of each step; on a GPU, which is waited for once at the end as flowcli does, their mean."""
    if device == "cuda":
        torch.cuda.synchronize()
        start = time.perf_counter()
        for i in range(steps):
            step(levels[i % len(levels)])
        torch.cuda.synchronize()
        return [1000 * (time.perf_counter() - start) / steps]
    times = []
    for i in range(steps):
        start = time.perf_counter()
        step(levels[i % len(levels)])
        times.append(1000 * (time.perf_counter() - start))
    return times


def time_flowcli(flowcli, args, steps):
    """The median milliseconds of a step."""
    command = [flowcli, "bench", "nice", "--json", "--bench-steps", str(steps), "--device",
               args.device, "--batch-size", str(args.batch_size), *args.flowcli_options]
    if args.device == "cuda":
        command += ["--set", "precision=" + args.precision]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(out)["step_ms"]


def torch_ms(function, inputs, dout, rounds):
    """The shortest time of function(*inputs) and all gradients."""
    best = math.inf
    for i in range(rounds + 2):  # the first compile and allocate
        start = time.perf_counter()
        function(*inputs).backward(dout)
        if i >= 2:
            best = min(best, 1000 * (time.perf_counter() - start))
        for tensor in inputs:
            tensor.grad = None
    return best


def conv_of(shape):
    """function(x, w, bias), its inputs and dout of "64,64->64,32x32,3x3"."""
    n, c, o, h, w, kh, kw = map(int, re.split(",|->|x", shape))
    last = torch.channels_last
    leaf = lambda *size: torch.randn(*size)
    x = leaf(n, c, h, w).to(memory_format=last).requires_grad_()
    weights = leaf(o, c, kh, kw).to(memory_format=last).requires_grad_()
    dout = leaf(n, o, h, w).to(memory_format=last)

    def function(x, w, bias):
        return nn.functional.conv2d(x, w, bias, padding=(kh // 2, kw // 2))

    return function, [x, weights, leaf(o).requires_grad_()], dout


class Residual(nn.Module):
    """The network of bench/conv_step.cpp."""

    def __init__(self):
        super().__init__()
        conv = lambda i, o, k: nn.Conv2d(i, o, k, padding=k // 2)
        self.first, self.last = conv(6, 32, 3), conv(32, 12, 1)
        self.blocks = nn.ModuleList(nn.ModuleList([conv(32, 32, 3), conv(32, 32, 3)])
                                    for _ in range(4))

    def forward(self, x):
        h = self.first(x)
        for one, two in self.blocks:
            h = h + two(one(h.relu()).relu())
        return self.last(h.relu())


def network_of():
    """function(x), its inputs and dout; the gradients of the parameters are computed too."""
    last = torch.channels_last
    net = Residual().to(memory_format=last)
    x = torch.randn(64, 6, 32, 32).to(memory_format=last)
    return net, [x], torch.randn(64, 12, 32, 32).to(memory_format=last)


def compare_conv(args):
    """Every shape in turns: ours, PyTorch eager, PyTorch compiled."""
    program = pathlib.Path(args.flowcli).resolve().parent / "bench" / "nf_bench_conv_step"

    def ours(*what):
        command = [program, "--json", "--rounds", str(args.steps), *what]
        return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    shapes = [c["shape"] for c in ours("--rounds", "1")["convolutions"]]
    cases = {shape: conv_of(shape) for shape in shapes} | {"network": network_of()}
    rows = []
    for name, (function, inputs, dout) in cases.items():
        best = {"ours": math.inf, "eager": math.inf, "compile": math.inf}
        torch._dynamo.reset()  # or it stops compiling after eight shapes
        compiled = torch.compile(function)
        for _ in range(args.rounds):
            if name == "network":
                mine = ours("--network")["network"]["ms"]
            else:
                mine = ours(name)["convolutions"][0]["ms"]
            best["ours"] = min(best["ours"], mine)
            best["eager"] = min(best["eager"], torch_ms(function, inputs, dout, args.steps))
            best["compile"] = min(best["compile"], torch_ms(compiled, inputs, dout, args.steps))
        faster = min(best["eager"], best["compile"])
        rows.append({"shape": name, "ms": best["ours"], "torch_ms": faster,
                     "torch_eager_ms": best["eager"], "torch_compile_ms": best["compile"],
                     "ratio": best["ours"] / faster})
        if not args.json:
            print(f"  {name:24} {best['ours']:9.2f} ms, eager {best['eager']:9.2f}, compiled "
                  f"{best['compile']:9.2f}: {rows[-1]['ratio']:.3f}", flush=True)
    *convolutions, network = rows
    mean = math.exp(statistics.mean(math.log(row["ratio"]) for row in convolutions))
    if args.json:
        print(json.dumps({"convolutions": convolutions, "geometric_mean": mean, "network": network,
                          "torch": torch.__version__, "threads": torch.get_num_threads()}))
    else:
        print(f"  geometric mean of the convolutions' ratios: {mean:.3f}")


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
    parser.add_argument("--conv", action="store_true",
                        help="convolutions and a residual network, on the CPU")
    args, args.flowcli_options = parser.parse_known_args()
    if args.conv:
        return compare_conv(args)
    if args.precision == "tf32":
        torch.backends.cuda.matmul.allow_tf32 = True
    levels = torch.randint(0, 256, (8, args.batch_size, DIMS), dtype=torch.uint8,
                           device=args.device)
    steps = {mode: make_step(args.device, mode) for mode in ("eager", "compile")}
    if args.device == "cuda":
        steps["graph"] = recorded(make_step(args.device, "eager"), levels[0])
    times = {mode: [] for mode in ("flowcli", *steps)}
    for step in steps.values():
        time_torch(step, levels, 3, args.device)  # compiles, allocates
    for _ in range(args.rounds):
        times["flowcli"].append(time_flowcli(args.flowcli, args, args.steps))
        for mode, step in steps.items():
            times[mode] += time_torch(step, levels, args.steps, args.device)
    result = {mode: statistics.median(t) for mode, t in times.items()}
    fastest = min(result[mode] for mode in steps)
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
