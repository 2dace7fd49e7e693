#!/usr/bin/env python3
"""Write the checkpoints of this folder: what torch.save makes of the usual wrappings and of unusual tensors.

    apt-get install -y --no-install-recommends python3-torch=1.13.0*
    /usr/bin/python3 make_checkpoints.py

The zip files have the same bytes every time; legacy.pt has not, since the format names storages by their addresses. plain.safetensors
has what a reader must find in all of them.
"""
import argparse, json, pathlib, pickle, struct
from collections import OrderedDict

import numpy as np
import torch
from torch import nn

HERE = pathlib.Path(__file__).resolve().parent
KINDS = {torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64", torch.uint8: "U8",
         torch.bool: "BOOL", torch.complex64: "C64"}


def state():
    """conv, norm | half linear, norm | one tensor of each other kind."""
    torch.manual_seed(1)
    d = OrderedDict()
    d["conv.weight"] = torch.randn(4, 3, 2, 2)
    for name, channels in (("bn", 4), ("head.1", 5)):
        d[name + ".weight"] = torch.rand(channels) + 0.5
        d[name + ".bias"] = torch.randn(channels)
        d[name + ".running_mean"] = torch.randn(channels)
        d[name + ".running_var"] = torch.rand(channels) + 0.5
        d[name + ".num_batches_tracked"] = torch.tensor(7)
    d["head.0.weight"] = torch.randn(5, 6).half()
    d["head.0.bias"] = torch.randn(5).half()
    d["scale"] = torch.randn(3).bfloat16()
    d["wide"] = torch.randn(2, 2, dtype=torch.float64)
    d["mask"] = torch.tensor([True, False, True])
    d["bytes"] = torch.arange(5, dtype=torch.uint8)
    d["waves"] = torch.randn(2, dtype=torch.complex64)
    d["none"] = torch.empty(0, 3)
    return d


def safetensors(tensors, path):
    header, blobs, at = {"__metadata__": {"format": "pt"}}, [], 0
    for k, v in tensors.items():
        v = v.detach().contiguous()
        raw = bytes(v.flatten().view(torch.uint8).tolist()) if v.numel() and v.dtype != torch.bool else bytes(v.flatten().tolist())
        header[k] = {"dtype": KINDS[v.dtype], "shape": list(v.shape), "data_offsets": [at, at + len(raw)]}
        blobs.append(raw)
        at += len(raw)
    h = json.dumps(header, separators=(",", ":")).encode()
    h += b" " * (-len(h) % 8)
    path.write_bytes(struct.pack("<Q", len(h)) + h + b"".join(blobs))


def strided(tensors):
    """The same values in other places: one storage for all float32 tensors, channels last, transposed."""
    flat = torch.cat([v.flatten() for v in tensors.values() if v.dtype == torch.float32])
    out, at = OrderedDict(), 0
    for k, v in tensors.items():
        if v.dtype == torch.float32:
            out[k] = flat[at : at + v.numel()].view(v.shape)
            at += v.numel()
        else:
            out[k] = v
    out["conv.weight"] = tensors["conv.weight"].contiguous(memory_format=torch.channels_last)
    out["head.0.weight"] = tensors["head.0.weight"].t().contiguous().t()
    out["wide"] = torch.cat([tensors["wide"], tensors["wide"]], 1)[:, :2]
    return out


class Part:
    """A part of a storage, or the whole."""

    def __init__(self, root, data, view=None):
        self.id = ("storage", KINDS_OF_STORAGE[data.dtype], root, "cpu", data.numel(), view)


class Described:
    """Pickled as torch.save pickles a tensor."""

    def __init__(self, part, offset, like):
        self.args = (part, offset, tuple(like.shape), like.stride(), False, OrderedDict())

    def __reduce__(self):
        return torch._utils._rebuild_tensor_v2, self.args


KINDS_OF_STORAGE = {torch.float64: torch.DoubleStorage, torch.float32: torch.FloatStorage, torch.float16: torch.HalfStorage, torch.bfloat16: torch.BFloat16Storage,
                    torch.int64: torch.LongStorage, torch.uint8: torch.ByteStorage, torch.bool: torch.BoolStorage, torch.complex64: torch.ComplexFloatStorage}


def save_parts(tensors, path):
    """The legacy format as PyTorch before 0.4 wrote it: the float32 tensors are parts of one storage, and every part has a key of its own."""
    floats = [k for k, v in tensors.items() if v.dtype == torch.float32]
    roots = {"floats": torch.cat([tensors[k].flatten() for k in floats]), **{k: v.contiguous() for k, v in tensors.items() if k not in floats}}
    described, at = OrderedDict(), 0
    for k, v in tensors.items():
        n = v.numel()
        if k not in floats:
            described[k] = Described(Part(k, v), 0, v)
        else:
            begin = max(at - 1, 0)  # the part begins one element early, so that offsets within parts count
            described[k] = Described(Part("floats", roots["floats"], (k, begin, at + n - begin)), at - begin, v)
            at += n
    class Pickler(pickle.Pickler):
        def persistent_id(self, x):
            return x.id if isinstance(x, Part) else None
    with open(path, "wb") as f:
        for x in 0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}, described, sorted(roots):
            Pickler(f, protocol=2).dump(x)
        for k in sorted(roots):
            raw = roots[k].flatten()
            f.write(struct.pack("<q", raw.numel()) + (bytes(raw.view(torch.uint8).tolist()) if raw.numel() and raw.dtype != torch.bool else bytes(raw.tolist())))
    read = torch.load(path)
    assert read.keys() == tensors.keys() and all(read[k].dtype == v.dtype and torch.equal(read[k], v) for k, v in tensors.items())


def main():
    plain = state()
    safetensors(plain, HERE / "plain.safetensors")
    torch.save(plain, HERE / "plain.pt")
    torch.save(plain, HERE / "legacy.pt", _use_new_zipfile_serialization=False)
    save_parts(plain, HERE / "parts.pt")
    torch.save(plain, HERE / "protocol4.pt", pickle_protocol=4)
    torch.save(strided(plain), HERE / "strided.pt")
    parameters = OrderedDict((k, nn.Parameter(v, requires_grad=v.is_floating_point() or v.is_complex())) for k, v in plain.items())
    torch.save({"epoch": 3, "best": np.float64(0.5), "args": argparse.Namespace(lr=[0.1, 0.01]), "state_dict": parameters,
                "optimizer": {"state": {0: plain["bn.bias"]}}, "history": np.arange(3)}, HERE / "wrapped.pt")
    parallel = nn.DataParallel(nn.Sequential(nn.Linear(2, 2)))
    torch.save(parallel.state_dict(), HERE / "parallel.pt")
    torch.save({"weight": plain["wide"], "tied": plain["wide"], "part": plain["wide"][0]}, HERE / "tied.pt")
    torch.save(nn.Linear(2, 2), HERE / "module.pt")


if __name__ == "__main__":
    main()
