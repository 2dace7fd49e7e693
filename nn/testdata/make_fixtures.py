#!/usr/bin/env python3
"""Write fixtures.json: single modules, and layers with a norm behind them, as PyTorch computes them. The same bytes every time.

    apt-get install -y --no-install-recommends python3-torch=1.13.0* python3-numpy
    /usr/bin/python3 make_fixtures.py

A tensor is {"shape", "dtype", "hex"}, hex being its little-endian bytes. Inputs, weights and biases are multiples of 1/8, so
that sums of their products are exact in any order. "fused" is made here one output channel at a time, and compared with
torch.nn.utils.fusion where that is right, which it is not for a transposed convolution in groups.
"""
import json, pathlib

import numpy as np
import torch
from torch import nn
from torch.nn.utils import fusion

HERE = pathlib.Path(__file__).resolve().parent
rng = np.random.RandomState(20240229)


def eighths(*shape):
    return torch.tensor(rng.randint(-16, 17, shape) / 8.0)


def pack(t):
    if t is None:
        return None
    a = t.detach().numpy()
    return {"shape": list(a.shape), "dtype": str(a.dtype), "hex": a.astype(a.dtype.newbyteorder("<")).tobytes().hex()}


def fill(layer):
    for p in layer.parameters():
        p.data = eighths(*p.shape)


def fill_norm(norm, channels):
    """Statistics as training leaves them; one channel in three is negated, one is switched off."""
    if norm.affine:
        norm.weight.data = torch.tensor(rng.uniform(0.5, 1.5, channels) * np.where(np.arange(channels) % 3 == 1, -1, 1))
        norm.weight.data[-1] = 0
        norm.bias.data = torch.tensor(rng.normal(size=channels))
    if norm.track_running_stats:
        norm.running_mean = torch.tensor(rng.normal(size=channels))
        norm.running_var = torch.tensor(rng.uniform(0.01, 4, channels))


def options(m):
    names = ("stride", "padding", "output_padding", "dilation", "groups", "kernel_size", "eps")
    out = {n: getattr(m, n) for n in names if hasattr(m, n)}
    return {n: [v] * 2 if n in ("stride", "padding", "kernel_size", "dilation") and isinstance(v, int) else v for n, v in out.items()}


def module(m):
    kind = type(m).__name__
    out = {"kind": kind, "options": options(m)}
    if isinstance(m, nn.modules.batchnorm._BatchNorm):
        out.update(gamma=pack(m.weight), beta=pack(m.bias), mean=pack(m.running_mean), var=pack(m.running_var))
    elif hasattr(m, "weight"):
        out.update(weight=pack(m.weight), bias=pack(m.bias))
    return out


def fold(layer, norm):
    """One output channel at a time: the slice of the weight that makes it is found by its group, not by a broadcast."""
    scale = 1 / torch.sqrt(norm.running_var + norm.eps)
    if norm.affine:
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    shift = (norm.bias if norm.affine else 0) - norm.running_mean * scale
    weight, bias = layer.weight.detach().clone(), torch.zeros_like(scale) if layer.bias is None else layer.bias
    for c in range(len(scale)):
        if isinstance(layer, nn.modules.conv._ConvTransposeNd):
            per_group, inputs = weight.shape[1], weight.shape[0] // layer.groups
            g = c // per_group
            weight[g * inputs:(g + 1) * inputs, c % per_group] *= scale[c]
        else:
            weight[c] *= scale[c]
    return weight, bias * scale + shift


def check(layer, norm, weight, bias):
    if isinstance(layer, nn.Linear):
        want = fusion.fuse_linear_bn_eval(layer, norm) if norm.affine else None
    else:
        transposed = isinstance(layer, nn.modules.conv._ConvTransposeNd)
        want = None if transposed and layer.groups > 1 else fusion.fuse_conv_bn_eval(layer, norm, transposed)
    if want is not None:
        assert torch.allclose(weight, want.weight, rtol=1e-13) and torch.allclose(bias, want.bias, rtol=1e-12), layer


def single(name, m, x):
    return {"name": name, "module": module(m), "input": pack(x), "output": pack(m.eval()(x))}


def pair(name, layer, norm, channels, x):
    fill(layer)
    fill_norm(norm, channels)
    layer.eval(), norm.eval()
    weight, bias = fold(layer, norm)
    check(layer, norm, weight, bias)
    return {"name": name, "module": module(layer), "norm": module(norm), "input": pack(x), "output": pack(norm(layer(x))),
            "fused": {"weight": pack(weight), "bias": pack(bias)}}


CONVS = {1: (nn.Conv1d, nn.ConvTranspose1d, nn.BatchNorm1d, (7,)), 2: (nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d, (5, 6)),
         3: (nn.Conv3d, nn.ConvTranspose3d, nn.BatchNorm3d, (3, 4, 3))}
VARIANTS = (  # groups, bias, affine, eps, geometry
    (1, True, True, 1e-5, {}),
    (1, False, False, 1e-3, dict(stride=2, padding=1)),
    (2, False, True, 1e-5, dict(padding=1, dilation=2)),
    (4, True, False, 0.5, dict(stride=2)),
)


def pairs():
    for axes, (conv, transposed, norm, size) in CONVS.items():
        for groups, bias, affine, eps, geometry in VARIANTS:
            ins, outs = (4, 4) if groups == 4 else (4, 6)
            kernel = (2,) * (axes - 1) + (3,)
            if "dilation" in geometry:
                kernel = (2,) * axes
            for kind in (conv, transposed):
                extra = dict(output_padding=1) if kind is transposed and geometry.get("stride") == 2 else {}
                layer = kind(ins, outs, kernel, groups=groups, bias=bias, **geometry, **extra).double()
                name = f"{kind.__name__} groups={groups} bias={bias} affine={affine}"
                yield pair(name, layer, norm(outs, eps=eps, affine=affine).double(), outs, eighths(2, ins, *size))
    for bias, affine in ((True, True), (False, True), (True, False), (False, False)):
        layer, norm = nn.Linear(5, 4, bias=bias).double(), nn.BatchNorm1d(4, affine=affine).double()
        yield pair(f"Linear bias={bias} affine={affine}", layer, norm, 4, eighths(3, 5))


def float32():
    layer, norm = nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4)
    p = pair("Conv2d float32", layer.double(), norm.double(), 4, eighths(1, 3, 4, 5))
    layer.float(), norm.float()
    weight, bias = fold(layer.double(), norm.double())  # the parameters are float32's, the arithmetic is not
    layer.float(), norm.float()
    x = eighths(1, 3, 4, 5).float()
    p.update(module=module(layer), norm=module(norm), input=pack(x), output=pack(norm(layer(x))),
             fused={"weight": pack(weight.float()), "bias": pack(bias.float())})
    return p


def singles():
    x = eighths(2, 3, 6, 5)
    yield single("MaxPool2d", nn.MaxPool2d(3, stride=2, padding=1), x)
    yield single("AvgPool2d", nn.AvgPool2d((2, 3), padding=(1, 1)), x)
    yield single("ReLU", nn.ReLU(), x)
    yield single("Flatten", nn.Flatten(), x)
    norm = nn.BatchNorm2d(3, track_running_stats=False).double()
    fill_norm(norm, 3)
    yield single("BatchNorm2d without running statistics", norm, x)


cases = list(pairs()) + [float32()] + list(singles())
(HERE / "fixtures.json").write_text("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")
print(len(cases), "cases")
