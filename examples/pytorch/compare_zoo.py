#!/usr/bin/env python3
"""Fuse the checkpoints of a folder and compare what PyTorch computes with them before and after.

    python3 compare_zoo.py DIR make_zoo.py:ZOO [NAME ...] [--bnfuse PROGRAM]

DIR holds NAME.pt, NAME.safetensors and the same network as NAME.onnx. The second argument names a dictionary: for each NAME a
function that makes the model, and the shape of its input. Both checkpoints are folded by the graph, once as they are, to be
loaded by load_fused, and once with --keep-norms, to be loaded into the class as it is. The rows of a table go to standard
output: norms that became part of a layer, and for both ways the largest difference of the outputs, in numbers and in parts of
the largest output.
"""
import argparse, json, pathlib, subprocess, sys, tempfile

import torch

from load_fused import factory, load_fused, read_safetensors, read_state, with_versions, without_prefix


def fuse(bnfuse, checkpoint, *options):
    """The tensors that bnfuse makes of a checkpoint, and its report."""
    with tempfile.TemporaryDirectory() as folder:
        out, report = pathlib.Path(folder, "out.safetensors"), pathlib.Path(folder, "report.json")
        graph = checkpoint.with_suffix(".onnx")
        subprocess.run([bnfuse, "fuse", checkpoint, "-o", out, "--graph", graph, "--report", report, *options], check=True, stdout=subprocess.DEVNULL)
        return read_safetensors(out), json.loads(report.read_text())


def same(a, b):
    """Whether two state dicts are equal, bit for bit."""
    raw = lambda t: t.contiguous().flatten().view(torch.uint8) if t.dim() else t
    return a.keys() == b.keys() and all(a[k].dtype == b[k].dtype and a[k].shape == b[k].shape and torch.equal(raw(a[k]), raw(b[k])) for k in a)


def flat(outputs):
    """All numbers of a model's outputs."""
    if isinstance(outputs, torch.Tensor):
        return outputs.flatten().double()
    return torch.cat([flat(v) for v in (outputs.values() if isinstance(outputs, dict) else outputs)])


def run(model, inputs):
    with torch.no_grad():
        return flat(model.eval()(*inputs))


def row(bnfuse, folder, name, make, shapes):
    """Fuse and compare one model. The differences are relative to the largest output."""
    torch.manual_seed(0)
    inputs = [torch.randn(*shape) for shape in shapes]
    before = make()
    before.load_state_dict(without_prefix(read_state(folder / (name + ".pt"))))
    want = run(before, inputs)
    differences, norms, folded = [], 0, 0
    for options in [], ["--keep-norms"]:
        (state, report), (other, _) = (fuse(bnfuse, folder / (name + ext), *options) for ext in (".pt", ".safetensors"))
        if not same(state, other):
            raise SystemExit(f"{name}: .pt and .safetensors give other tensors")
        model = make()
        if options:
            model.load_state_dict(with_versions(state, model))
        else:
            norms, folded = report["folded"] + report["kept"], report["folded"]
            gone = load_fused(model, state)
            if gone != folded:
                raise SystemExit(f"{name}: {folded} norms are folded, {gone} are not in the file")
        differences.append((run(model, inputs) - want).abs().max().item())
    return norms, folded, differences, want.abs().max().item()


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("folder", type=pathlib.Path)
    p.add_argument("models", metavar="FILE.py:NAME")
    p.add_argument("names", nargs="*")
    p.add_argument("--bnfuse", default="bnfuse", help="the program (default %(default)s)")
    p.add_argument("--tolerance", type=float, default=1e-4, help="the largest relative difference that is accepted (default %(default)s)")
    a = p.parse_args()
    failed = False
    print("| model | norms | folded | norms gone: difference | relative | norms kept: difference | relative |")
    print("|---|---|---|---|---|---|---|")
    for name, model in factory(a.models).items():
        if a.names and name not in a.names or not (a.folder / (name + ".pt")).exists():
            continue
        make, shapes = (model.build, model.inputs) if hasattr(model, "build") else (model[0], [model[1]])
        norms, folded, differences, largest = row(a.bnfuse, a.folder, name, make, shapes)
        cells = [f"{d:.1e} | {d / largest:.1e}" for d in differences]
        failed |= not max(differences) <= a.tolerance * largest
        print(f"| {name} | {norms} | {folded} | {' | '.join(cells)} |", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
