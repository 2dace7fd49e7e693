#!/usr/bin/env python3
"""Load a fused checkpoint into the class it was trained with, and compare the outputs with the original's.

    bnfuse fuse resnet18.pt --graph resnet18.onnx           # writes resnet18.fused.safetensors
    python3 load_fused.py torchvision.models:resnet18 resnet18.pt resnet18.fused.safetensors --input 1,3,224,224
    python3 load_fused.py networks.py:Generator generator.pt generator.fused.safetensors --input 2,16,1,1

The first argument is a module, or a file, and what in it makes the model. Only torch is needed: safetensors are read here. In
your own code, take read_state and load_fused.
"""
import argparse, importlib, json, pathlib, pickle, struct, sys
from collections import OrderedDict

import torch
from torch import nn

DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64, "I32": torch.int32,
          "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool, "C64": torch.complex64}


def read_safetensors(path):
    """The tensors of a safetensors file, by name."""
    data = bytearray(pathlib.Path(path).read_bytes())
    if data[8:9] != b"{":
        raise ValueError(f"{path} is no safetensors file")
    length, = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    tensors = {}
    for name, t in header.items():
        begin, end = t["data_offsets"]
        flat = torch.empty(0, dtype=DTYPES[t["dtype"]])
        if end > begin:
            raw = torch.frombuffer(data, dtype=torch.uint8, offset=8 + length + begin, count=end - begin)
            flat = raw.clone().view(DTYPES[t["dtype"]])  # a copy is aligned
        tensors[name] = flat.reshape(t["shape"])
    return tensors


def without_prefix(state, prefix="module."):
    """A parallel run's checkpoint has a prefix that the model's class has not."""
    return {k[len(prefix) :]: v for k, v in state.items()} if all(k.startswith(prefix) for k in state) else state


def load_fused(model, state):
    """Load the tensors of a fused checkpoint: norms that are not in it become Identity, layers that got a bias get a parameter for it."""
    state = without_prefix(state)
    gone = 0
    for name, module in list(model.named_modules()):
        if getattr(module, "running_mean", None) is not None and name + ".running_mean" not in state:
            parent, _, child = name.rpartition(".")
            setattr(model.get_submodule(parent), child, nn.Identity())
            gone += 1
        elif getattr(module, "weight", None) is not None and getattr(module, "bias", module) is None and name + ".bias" in state:
            module.bias = nn.Parameter(module.weight.new_empty(state[name + ".bias"].shape))  # of the type and on the device of the class
    model.load_state_dict(with_versions(state, model))  # strict: every tensor has its place, and every parameter its tensor
    return gone


def with_versions(state, model):
    """The state dict with the versions of its modules, which safetensors does not hold and some classes, as MNASNet, want."""
    state = OrderedDict(state)
    state._metadata = model.state_dict()._metadata
    return state


def read_state(path):
    """The state dict of a checkpoint: safetensors, PyTorch's, or in the shards that an index names."""
    path = pathlib.Path(path)
    if path.name.endswith(".index.json"):
        shards = sorted(set(json.loads(path.read_text())["weight_map"].values()))
        return {name: t for shard in shards for name, t in read_state(path.parent / shard).items()}
    if path.suffix == ".safetensors":
        return read_safetensors(path)
    state = torch.load(path, map_location="cpu")
    for key in ("state_dict", "model"):
        state = state.get(key, state)
    return state


def error(a, b):
    """‖a − b‖ / ‖a‖ over all outputs."""
    flat = lambda x: torch.cat([flat(v) for v in (x.values() if isinstance(x, dict) else x)]) if isinstance(x, (dict, list, tuple)) else x.flatten().double()
    a, b = flat(a), flat(b)
    return ((a - b).norm() / a.norm()).item()


def compare(make, original, fused, inputs):
    """The error of the fused model's outputs, and how many norms it has less."""
    before, after = make().eval(), make().eval()
    before.load_state_dict(original)
    gone = load_fused(after, fused)
    with torch.no_grad():
        return error(before(*inputs), after(*inputs)), gone


def factory(spec):
    """What MODULE:NAME or FILE.py:NAME names."""
    module, _, name = spec.rpartition(":")
    if module.endswith(".py"):
        sys.path.insert(0, str(pathlib.Path(module).resolve().parent))
        module = pathlib.Path(module).stem
    return getattr(importlib.import_module(module), name)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("make", metavar="MODULE:NAME")
    p.add_argument("original")
    p.add_argument("fused")
    p.add_argument("--input", action="append", required=True, metavar="1,3,224,224", help="the shape of an input; once for each")
    p.add_argument("--tolerance", type=float, default=1e-4, help="the largest error that is accepted (default %(default)s)")
    a = p.parse_args()
    torch.manual_seed(0)
    inputs = [torch.randn(*map(int, shape.split(","))) for shape in a.input]
    try:
        err, gone = compare(factory(a.make), without_prefix(read_state(a.original)), read_state(a.fused), inputs)
    except (ImportError, AttributeError, KeyError, OSError, pickle.UnpicklingError, ValueError, RuntimeError) as e:
        sys.exit(f"load_fused.py: {e}")  # a name, a file or a class that is not the right one; nobody needs a traceback for these
    print(f"{a.fused}: {gone} norms less, relative error of the outputs {err:.1e}")
    return int(not err <= a.tolerance)


if __name__ == "__main__":
    sys.exit(main())
