#!/usr/bin/env python3
"""Write the models of this folder, expect.json and the table in README.md. The same bytes every time.

    apt-get install -y --no-install-recommends python3-torch=1.13.0* python3-torchvision python3-onnx
    /usr/bin/python3 make_testdata.py [NAME ...]

Nothing is downloaded. Weights come from a seed for each model; the norms' statistics are measured on random data, so that
activations stay in a realistic range, and one channel in 7 has a negative gamma, one in 16 none at all. Exports keep their
norms: training=PRESERVE, do_constant_folding=False.
"""
import json, pathlib, struct, sys, warnings, zlib
from dataclasses import dataclass, field
from typing import Callable, Optional

import numpy as np
import onnx
import torch
from onnx import TensorProto, numpy_helper
from torch import nn
from torch.onnx import TrainingMode

import networks as net

HERE = pathlib.Path(__file__).resolve().parent
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
FLOAT32, FLOAT16, FLOAT64 = 1e-4, 2e-2, 1e-11  # largest ||a-b|| / ||a|| of the outputs, by the type of the weights


@dataclass
class Model:
    build: Callable
    inputs: list  # shapes of the example inputs
    what: str
    opset: int = 14
    kept: int = 0  # BatchNormalization nodes that must stay; all others must go
    why_kept: str = ""
    left: dict = field(default_factory=dict)  # op type → nodes that remain after the fold, for norms written out as arithmetic
    tolerance: float = FLOAT32
    finish: Optional[Callable] = None  # torch model → torch model, after calibration
    rewrite: Optional[Callable] = None  # ONNX model → ONNX model, after the export
    save: Optional[Callable] = None  # writes the ONNX model, if not as one file
    calibrated: bool = True
    dtype: torch.dtype = torch.float32
    export: dict = field(default_factory=dict)
    state: tuple = ()  # state dicts to write as well: "pt", "safetensors"


def calibrate(model, inputs):
    """Random affine parameters, and statistics measured on two random batches."""
    norms = [m for m in model.modules() if isinstance(m, NORMS)]
    for m in norms:
        m.momentum = None  # a cumulative average
        m.reset_running_stats()
        if m.affine:
            nn.init.uniform_(m.weight, 0.5, 1.5)
            nn.init.normal_(m.bias, 0, 0.2)
            with torch.no_grad():
                m.weight[3::7] *= -1
                m.weight[5::16] = 0
    model.train()
    with torch.no_grad():
        for _ in range(2):
            model(*[torch.randn(max(8, s[0]), *s[1:]) if len(s) > 1 else torch.full(s, 2) for s in inputs])
    for m in norms:
        m.momentum = 0.1
        for stat in (m.running_mean, m.running_var):  # half precision hides the last bits, in which one processor differs from another
            stat.copy_(stat.half().float())
    return model.eval()


def keep_dropout_alive(model):
    for m in model.modules():
        if isinstance(m, nn.Dropout):
            m.train()
    return model


def to_half(model, keep_norms=False):
    """Every float32 tensor as float16, as converters of deployed models do; keep_norms leaves the norms' own parameters float32."""
    norm_inputs = {name for n in model.graph.node if n.op_type == "BatchNormalization" for name in n.input[1:]}
    for t in model.graph.initializer:
        if t.data_type == TensorProto.FLOAT and not (keep_norms and t.name in norm_inputs):
            t.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(t).astype(np.float16), t.name))
    for v in [*model.graph.input, *model.graph.output]:
        if v.type.tensor_type.elem_type == TensorProto.FLOAT:
            v.type.tensor_type.elem_type = TensorProto.FLOAT16
    del model.graph.value_info[:]
    return model


def to_half_with_float_norms(model):
    return to_half(model, keep_norms=True)


def set_external(tensor, folder, location, offset, data):
    with open(folder / location, "r+b" if (folder / location).exists() else "w+b") as f:
        f.seek(offset)
        f.write(data)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", str(offset)), ("length", str(len(data)))):
        tensor.external_data.add(key=key, value=value)


def save_with_one_data_file(model, path):
    """As PyTorch and Hugging Face write large models: tensors in one file beside the model, each at a page boundary."""
    data, offset = path.name + ".data", 0
    (path.parent / data).unlink(missing_ok=True)
    for t in model.graph.initializer:
        raw = t.raw_data
        if len(raw) >= 64:
            set_external(t, path.parent, data, offset, raw)
            offset += -(-len(raw) // 4096) * 4096
    path.write_bytes(model.SerializeToString(deterministic=True))


def save_with_many_data_files(model, path):
    """One file for each convolution weight, in a folder of its own; the rest stays in the model."""
    folder = path.with_suffix("")
    folder.mkdir(exist_ok=True)
    for t in model.graph.initializer:
        if len(t.dims) > 1:
            set_external(t, path.parent, f"{folder.name}/{t.name}.bin", 0, t.raw_data)
    path.write_bytes(model.SerializeToString(deterministic=True))


IMAGE = [(2, 3, 32, 32)]
MODELS = {
    "resnet": Model(net.resnet, IMAGE, "torchvision ResNet, basic blocks", opset=9, state=("pt", "safetensors")),
    "resnext": Model(net.resnext, IMAGE, "torchvision ResNeXt, grouped bottlenecks"),
    "frozen_resnet": Model(net.resnet, IMAGE, "the same ResNet with FrozenBatchNorm2d: its norms are Mul and Add", opset=13,
                           finish=net.freeze, left={"Mul": 0, "Add": 3}),
    "mobilenet_v2": Model(net.mobilenet_v2, IMAGE, "torchvision MobileNetV2, depthwise convolutions, a free batch axis", opset=11,
                          export={"dynamic_axes": {"input": {0: "batch"}, "output": {0: "batch"}}}, state=("pt", "safetensors")),
    "mobilenet_v3": Model(net.mobilenet_v3, IMAGE, "torchvision MobileNetV3, squeeze-and-excitation, eps 1e-3", opset=13),
    "efficientnet": Model(net.efficientnet, IMAGE, "torchvision EfficientNet, SiLU and squeeze-and-excitation", opset=17),
    "densenet": Model(net.densenet, IMAGE, "torchvision DenseNet", opset=12, kept=9, why_kept="norms of concatenated features"),
    "shufflenet_v2": Model(net.shufflenet_v2, IMAGE, "torchvision ShuffleNetV2, channels split and shuffled", opset=10),
    "generator": Model(net.Generator, [(2, 16, 1, 1)], "DCGAN generator, ConvTranspose; every initializer is also an input (IR 3)", opset=7),
    "grouped_decoder": Model(net.GroupedDecoder, [(1, 24, 7, 7)], "grouped and depthwise ConvTranspose", state=("pt", "safetensors")),
    "vocoder": Model(net.Vocoder, [(1, 20, 16)], "ConvTranspose1d and dilated Conv1d"),
    "pointnet": Model(net.PointNet, [(2, 3, 64)], "Conv1d, Linear with and without bias, free batch and point axes", opset=15,
                      export={"dynamic_axes": {"input": {0: "batch", 2: "points"}, "output": {0: "batch"}}}),
    "unet3d": Model(net.UNet3D, [(1, 1, 4, 8, 8)], "Conv3d and ConvTranspose3d", opset=16),
    "qsparse_net": Model(net.QSparseNet, [(2, 3, 16, 16)], "nested Sequential whose inner sequence begins with a norm", state=("pt", "safetensors")),
    "dropout_head": Model(net.DropoutHead, [(4, 20)], "Dropout between Linear and norm", opset=11, finish=keep_dropout_alive),
    "token_mixer": Model(net.TokenMixer, [(2, 16, 12)], "Linear over tokens, rank 3", kept=1,
                         why_kept="over the token axis", left={"Mul": 0}),
    "siamese": Model(net.Siamese, [(2, 1, 16, 16), (2, 1, 16, 16)], "every weight and norm used by two nodes"),
    "norm_first": Model(net.NormFirst, [(2, 3, 12, 12)], "norms before convolutions and a Linear", kept=1, why_kept="before a padded convolution"),
    "affine_chain": Model(net.AffineChain, [(2, 3, 12, 12)], "norms followed by scaling by constants", left={"Mul": 0, "Sub": 0, "Div": 0}),
    "two_heads": Model(net.TwoHeads, [(1, 3, 12, 12)], "an output taken before the norm", kept=1, why_kept="its layer's output is used elsewhere"),
    "default_norms": Model(net.DefaultNorms, [(2, 3, 16, 16)], "equal parameters shared through Identity", calibrated=False),
    "speech": Model(net.Speech, [(2, 1, 32, 32)], "Conv2d, Hardtanh and a GRU, whose norm goes into the Linear after it"),
    "fake_quant": Model(net.FakeQuant, [(2, 3, 12, 12)], "a weight behind QuantizeLinear and DequantizeLinear", opset=13, kept=1, why_kept="quantized weight"),
    "weight_norm": Model(net.WeightNorm, [(2, 6, 12)], "weight_norm", kept=1, why_kept="its layer's weight is computed in the graph"),
    "control_flow": Model(net.ControlFlow, [(1, 2, 8, 8), (1,)], "scripted: norms in the bodies of If and Loop, weights outside", opset=13, finish=torch.jit.script),
    "external_data": Model(net.resnet, IMAGE, "tensors in one data file beside the model", save=save_with_one_data_file),
    "external_split": Model(net.resnext, IMAGE, "a data file for each weight, in a folder", save=save_with_many_data_files),
    "half": Model(net.resnet, IMAGE, "float16 throughout", rewrite=to_half, tolerance=FLOAT16),
    "half_float_norms": Model(net.mobilenet_v3, IMAGE, "float16 with float32 norm parameters", opset=15, rewrite=to_half_with_float_norms, tolerance=FLOAT16),
    "double": Model(net.Perceptron, [(3, 12)], "float64", dtype=torch.float64, tolerance=FLOAT64),
    "overridable": Model(net.Perceptron, [(3, 12)], "every initializer is also an input, IR 7", kept=2, why_kept="a caller may pass other weights",
                         export={"keep_initializers_as_inputs": True}),
    "training": Model(net.Perceptron, [(3, 12)], "exported for training", kept=2, why_kept="training_mode=1", export={"training": TrainingMode.TRAINING}),
    **{f"stem_opset{v:02}": Model(net.Stem, [(1, 3, 13, 13)], f"one of each layer, opset {v}", opset=v) for v in range(7, 18)},
}


def export(name, model):
    seed = zlib.crc32(model.build.__name__.encode())
    torch.manual_seed(seed)
    module = model.build().eval()
    if model.calibrated:
        torch.manual_seed(seed)
        module = calibrate(module, model.inputs)
    module = module.to(model.dtype)
    write_states(module, name, model.state)
    if model.finish:
        module = model.finish(module)
    example = tuple(torch.randn(*s, dtype=model.dtype) if len(s) > 1 else torch.full(s, 2) for s in model.inputs)
    path = HERE / (name + ".onnx")
    options = {"training": TrainingMode.PRESERVE, "do_constant_folding": False, "opset_version": model.opset, **model.export}
    torch.onnx.export(module, example, str(path), input_names=input_names(model), output_names=output_names(module, example), **options)
    graph = onnx.load(str(path))
    if model.rewrite:
        graph = model.rewrite(graph)
    save = model.save or (lambda g, p: p.write_bytes(g.SerializeToString(deterministic=True)))
    save(graph, path)


def input_names(model):
    return ["input"] if len(model.inputs) == 1 else [f"input{i}" for i in range(len(model.inputs))]


def output_names(module, example):
    with torch.no_grad():
        out = module(*example)
    return [f"output{i}" for i in range(len(out))] if isinstance(out, tuple) else ["output"]


def write_states(module, name, formats):
    if "pt" in formats:
        torch.save(module.state_dict(), HERE / (name + ".pt"))
    if "safetensors" in formats:
        save_safetensors(module.state_dict(), HERE / (name + ".safetensors"))


def save_safetensors(state, path):
    kinds = {torch.float32: "F32", torch.int64: "I64"}
    header, blobs, at = {"__metadata__": {"format": "pt"}}, [], 0
    for key, tensor in state.items():
        raw = tensor.contiguous().numpy().tobytes()
        header[key] = {"dtype": kinds[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [at, at + len(raw)]}
        blobs.append(raw)
        at += len(raw)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def count_norms(graph):
    """BatchNormalization nodes, those in the bodies of If and Loop too."""
    n = 0
    for node in graph.node:
        n += node.op_type == "BatchNormalization"
        n += sum(count_norms(a.g) for a in node.attribute if a.HasField("g"))
    return n


def expectation(name, model):
    norms = count_norms(onnx.load(str(HERE / (name + ".onnx")), load_external_data=False).graph)
    e = {"what": model.what, "opset": model.opset, "folded": norms - model.kept, "kept": model.kept}
    if model.why_kept:
        e["why_kept"] = model.why_kept
    if model.left:
        e["left"] = model.left
    return {**e, "tolerance": model.tolerance, "inputs": dict(zip(input_names(model), model.inputs))}


def write_table(expect):
    readme = HERE / "README.md"
    before, rest = readme.read_text().split("<!-- table -->\n", 1)
    after = rest.split("<!-- end -->\n", 1)[1]
    rows = ["| model | what it is | opset | norms folded | norms kept |", "|---|---|---|---|---|"]
    for name, e in expect.items():
        folded = f"{e['folded']}" if e["folded"] or "left" not in e else "all, written out"
        kept = f"{e['kept']}: {e['why_kept']}" if e["kept"] else "0"
        rows.append(f"| {name} | {e['what']} | {e['opset']} | {folded} | {kept} |")
    readme.write_text(before + "<!-- table -->\n" + "\n".join(rows) + "\n<!-- end -->\n" + after)


def main():
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    for name in sys.argv[1:] or MODELS:
        export(name, MODELS[name])
    expect = {name: expectation(name, m) for name, m in MODELS.items()}
    (HERE / "expect.json").write_text(json.dumps(expect, indent=1) + "\n")
    write_table(expect)


if __name__ == "__main__":
    main()
