#!/usr/bin/env python3
"""The numbers of tests/nn_conv2d.cpp: convolutions and their gradients, by PyTorch in f64.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install torch numpy
    /tmp/venv/bin/python bench/golden_conv.py

Element i of an operand is sin(f i), row-major in the order that nf stores it: images (N, H, W, C),
weights (O, C, kh, kw). Printed is sum(y r) with r = sin(0.3 i) in place of a loss, and of its gradients
with respect to x, the weight and the bias the sums with sin(0.3 i).
"""
import math

import torch


def wave(f, shape):
    return torch.sin(f * torch.arange(math.prod(shape), dtype=torch.float64)).reshape(shape)


def mark(t):
    return (t * wave(0.3, t.shape)).sum().item()


def main():
    print(f"// PyTorch {torch.__version__}")
    for (n, h, w, c), (o, kh, kw), stride, padding in [
            ((2, 5, 6, 3), (4, 3, 3), 1, (1, 1)), ((2, 5, 6, 3), (4, 3, 3), 2, (1, 1)),
            ((1, 4, 4, 2), (3, 5, 5), 1, (2, 2)), ((3, 4, 7, 5), (2, 1, 3), 1, (0, 1)),
            ((2, 6, 7, 3), (5, 4, 4), 2, (0, 2)), ((2, 3, 4, 6), (5, 1, 1), 1, (0, 0))]:
        x = wave(0.7, (n, h, w, c)).requires_grad_()
        layer = torch.nn.Conv2d(c, o, (kh, kw), stride, padding, dtype=torch.float64)
        layer.weight.data = wave(0.9, (o, c, kh, kw))
        layer.bias.data = wave(1.1, (o,))
        y = torch.tanh(layer(x.permute(0, 3, 1, 2))).permute(0, 2, 3, 1)
        loss = (y * wave(0.3, y.shape)).sum()
        loss.backward()
        marks = [loss.item(), mark(x.grad), mark(layer.weight.grad), mark(layer.bias.grad)]
        print(f"{{{{{n}, {h}, {w}, {c}}}, {o}, {{{kh}, {kw}}}, {stride}, "
              f"{{{padding[0]}, {padding[1]}}}, {{{', '.join(f'{m:.12g}' for m in marks)}}}}},")


if __name__ == "__main__":
    main()
