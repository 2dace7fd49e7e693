"""Times what PyTorch users do today: fold each norm into its layer on the GPU, one layer after the other, in place.

The shapes are those of BenchmarkResidentResNet50, and a zoo of 1 GB; bytes count each weight read and written.
"""

import time

import torch


def resnet50():
    yield 64, 3, 7
    fan_in = 64
    for stage, blocks in enumerate((3, 4, 6, 3)):
        width = 64 << stage
        for block in range(blocks):
            yield width, fan_in, 1
            yield width, width, 3
            yield 4 * width, width, 1
            if block == 0:
                yield 4 * width, fan_in, 1
            fan_in = 4 * width


def layer(out, fan_in, kernel):
    ones = torch.ones(out, device="cuda")
    weight = torch.ones(out, fan_in, kernel, kernel, device="cuda")
    return weight, torch.zeros_like(ones), ones, ones, ones, ones


def fold(weight, bias, gamma, beta, mean, var, eps=1e-5):
    scale = gamma * torch.rsqrt(var + eps)
    weight.mul_(scale[:, None, None, None])
    bias.sub_(mean).mul_(scale).add_(beta)


def best(layers, rounds=20):
    times = []
    for _ in range(rounds):
        torch.cuda.synchronize()
        began = time.perf_counter()
        for parts in layers:
            fold(*parts)
        torch.cuda.synchronize()
        times.append(time.perf_counter() - began)
    return min(times)


def report(name, layers):
    nbytes = sum(parts[0].numel() * 8 for parts in layers)
    seconds = best(layers)
    print(f"{name}: {len(layers)} layers, {seconds * 1e6:.0f} us, {nbytes / seconds / 1e9:.1f} GB/s")


print(torch.__version__, torch.cuda.get_device_name())
report("ResNet-50", [layer(*shape) for shape in resnet50()])
report("1 GB zoo", [layer(*shape) for _ in range(11) for shape in resnet50()])
