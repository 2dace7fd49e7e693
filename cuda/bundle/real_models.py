"""Writes ResNet-50 and VGG-16 with live batch norms into a folder, as ONNX and as safetensors, with weights drawn from a
fixed seed. Needs torch, torchvision, onnx and safetensors; downloads nothing."""

import sys
from pathlib import Path

import torch
import torchvision
from safetensors.torch import save_file

folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
for name in "resnet50", "vgg16_bn":
    torch.manual_seed(1)
    model = torchvision.models.get_model(name, weights=None)
    for norm in model.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(norm.weight, 0.5, 1.5)
            torch.nn.init.normal_(norm.bias, 0, 0.1)
            torch.nn.init.normal_(norm.running_mean, 0, 0.1)
            torch.nn.init.uniform_(norm.running_var, 0.5, 1.5)
    model.eval()
    torch.onnx.export(model, torch.zeros(1, 3, 224, 224), folder / f"{name}.onnx", dynamo=False, opset_version=17,
                      training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False)
    save_file(model.state_dict(), folder / f"{name}.safetensors")
