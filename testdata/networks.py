"""The architectures behind testdata: torchvision's own classes at a small width, and small real networks of other kinds."""
from functools import partial

import torch
from torch import nn
from torchvision import models as tv
from torchvision.models.mobilenetv3 import InvertedResidualConfig
from torchvision.models.efficientnet import MBConvConfig
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet
from torchvision.ops import FrozenBatchNorm2d


class SmallResNet(ResNet):
    """torchvision's ResNet with a narrow trunk; its own constructor fixes the widths at 64 to 512."""

    def __init__(self, block, planes=(8, 12, 16), groups=1, width_per_group=64, norm_layer=nn.BatchNorm2d):
        nn.Module.__init__(self)
        self._norm_layer, self.inplanes, self.dilation = norm_layer, planes[0], 1
        self.groups, self.base_width = groups, width_per_group
        self.conv1 = nn.Conv2d(3, planes[0], 7, stride=2, padding=3, bias=False)
        self.bn1 = norm_layer(planes[0])
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = self._make_layer(block, planes[0], 1)
        self.layer2 = self._make_layer(block, planes[1], 1, stride=2)
        self.layer3 = self._make_layer(block, planes[2], 1, stride=2)
        self.layer4 = nn.Identity()
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(planes[2] * block.expansion, 10)


def resnet():
    return SmallResNet(BasicBlock)


def resnext():
    return SmallResNet(Bottleneck, groups=4, width_per_group=16)


def freeze(trained):
    """The detection models' backbone: FrozenBatchNorm2d is not an operator but arithmetic on buffers."""
    frozen = SmallResNet(BasicBlock, norm_layer=FrozenBatchNorm2d)
    frozen.load_state_dict(trained.state_dict())
    return frozen.eval()


def mobilenet_v2():
    rows = [[1, 16, 1, 1], [6, 24, 2, 2], [6, 32, 1, 2], [6, 64, 1, 1]]  # expansion, channels, repeats, stride
    return tv.MobileNetV2(num_classes=10, width_mult=0.25, inverted_residual_setting=rows)


def mobilenet_v3():
    block = partial(InvertedResidualConfig, width_mult=0.5)
    rows = [block(16, 3, 16, 16, True, "RE", 2, 1), block(16, 3, 72, 24, False, "RE", 2, 1),
            block(24, 5, 96, 40, True, "HS", 2, 1), block(40, 5, 120, 40, True, "HS", 1, 1)]
    return tv.MobileNetV3(rows, last_channel=64, num_classes=10)


def efficientnet():
    block = partial(MBConvConfig, width_mult=0.5, depth_mult=0.5)
    rows = [block(1, 3, 1, 32, 16, 1), block(6, 3, 2, 16, 24, 2), block(6, 5, 2, 24, 40, 2)]
    return tv.EfficientNet(rows, dropout=0.2, num_classes=10)


def densenet():
    return tv.DenseNet(growth_rate=8, block_config=(2, 2, 2), num_init_features=16, bn_size=2, num_classes=10)


def shufflenet_v2():
    return tv.ShuffleNetV2([2, 2, 2], [8, 16, 24, 32, 48], num_classes=10)


def conv_norm_relu(conv, norm):
    return nn.Sequential(conv, norm, nn.ReLU())


class Generator(nn.Module):
    """The DCGAN generator: ConvTranspose2d and BatchNorm2d all the way up."""

    def __init__(self, z=16, f=8):
        super().__init__()
        up = partial(nn.ConvTranspose2d, kernel_size=4, bias=False)
        self.main = nn.Sequential(
            up(z, f * 4, stride=1, padding=0), nn.BatchNorm2d(f * 4), nn.ReLU(True),
            up(f * 4, f * 2, stride=2, padding=1), nn.BatchNorm2d(f * 2), nn.ReLU(True),
            up(f * 2, f, stride=2, padding=1), nn.BatchNorm2d(f), nn.ReLU(True),
            up(f, 3, stride=2, padding=1), nn.Tanh())

    def forward(self, z):
        return self.main(z)


class GroupedDecoder(nn.Module):
    """Grouped and depthwise transposed convolutions, where the output channels are spread over two axes of the weight."""

    def __init__(self):
        super().__init__()
        self.up1 = nn.ConvTranspose2d(24, 36, 3, 2, 1, output_padding=1, groups=3)
        self.bn1 = nn.BatchNorm2d(36, eps=1e-3)
        self.up2 = nn.ConvTranspose2d(36, 36, 4, 2, 1, groups=36, bias=False)
        self.bn2 = nn.BatchNorm2d(36)
        self.up3 = nn.ConvTranspose2d(36, 8, 2, 2, groups=4)
        self.bn3 = nn.BatchNorm2d(8, affine=False)

    def forward(self, x):
        x = torch.relu(self.bn1(self.up1(x)))
        x = torch.relu(self.bn2(self.up2(x)))
        return self.bn3(self.up3(x))


class Vocoder(nn.Module):
    """Waveform upsampling: ConvTranspose1d and dilated Conv1d residual blocks, each with its norm."""

    def __init__(self, mels=20, f=24):
        super().__init__()
        self.pre = conv_norm_relu(nn.Conv1d(mels, f, 7, padding=3), nn.BatchNorm1d(f))
        self.up = nn.ModuleList([conv_norm_relu(nn.ConvTranspose1d(f, f // 2, 8, 4, 2), nn.BatchNorm1d(f // 2)),
                                 conv_norm_relu(nn.ConvTranspose1d(f // 2, f // 2, 4, 2, 1, groups=3, bias=False), nn.BatchNorm1d(f // 2))])
        self.residual = nn.ModuleList([conv_norm_relu(nn.Conv1d(f // 2, f // 2, 3, padding=d, dilation=d), nn.BatchNorm1d(f // 2)) for d in (1, 3)])
        self.post = nn.Conv1d(f // 2, 1, 7, padding=3)

    def forward(self, mel):
        x = self.pre(mel)
        for up, residual in zip(self.up, self.residual):
            x = up(x)
            x = x + residual(x)
        return torch.tanh(self.post(x))


class PointNet(nn.Module):
    """Conv1d and Linear; a Linear without bias is exported as a Transpose of its weight and a MatMul."""

    def __init__(self, classes=10):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv1d(3, 16, 1), nn.BatchNorm1d(16)
        self.conv2, self.bn2 = nn.Conv1d(16, 32, 1), nn.BatchNorm1d(32)
        self.conv3, self.bn3 = nn.Conv1d(32, 96, 1), nn.BatchNorm1d(96)
        self.fc1, self.bn4 = nn.Linear(96, 48), nn.BatchNorm1d(48)
        self.fc2, self.bn5 = nn.Linear(48, 32, bias=False), nn.BatchNorm1d(32)
        self.fc3 = nn.Linear(32, classes)

    def forward(self, points):
        x = torch.relu(self.bn1(self.conv1(points)))
        x = torch.relu(self.bn2(self.conv2(x)))
        x = self.bn3(self.conv3(x)).max(2)[0]
        x = torch.relu(self.bn4(self.fc1(x)))
        x = torch.relu(self.bn5(self.fc2(x)))
        return self.fc3(x)


class UNet3D(nn.Module):
    """Conv3d and ConvTranspose3d with a skip connection: the second layer of the way up reads a Concat."""

    def __init__(self, f=6):
        super().__init__()
        conv = lambda i, o: conv_norm_relu(nn.Conv3d(i, o, 3, padding=1, bias=False), nn.BatchNorm3d(o))
        self.down1, self.down2 = conv(1, f), conv(f, 2 * f)
        self.pool = nn.MaxPool3d(2)
        self.up = conv_norm_relu(nn.ConvTranspose3d(2 * f, f, 2, 2), nn.BatchNorm3d(f))
        self.join = conv(2 * f, f)
        self.out = nn.Conv3d(f, 2, 1)

    def forward(self, volume):
        a = self.down1(volume)
        b = self.up(self.down2(self.pool(a)))
        return self.out(self.join(torch.cat([a, b], 1)))


class QSparseNet(nn.Module):
    """Nested nn.Sequential whose inner sequence begins with a norm: it belongs to the layer before it."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1), nn.Sequential(nn.BatchNorm2d(16), nn.ReLU()),
            nn.Sequential(nn.Conv2d(16, 24, 3, stride=2, bias=False)), nn.BatchNorm2d(24), nn.ReLU(),
            nn.ConvTranspose2d(24, 12, 2, 2, bias=False), nn.BatchNorm2d(12), nn.AvgPool2d(2), nn.Flatten())
        self.head = nn.Sequential(nn.Linear(588, 32), nn.BatchNorm1d(32), nn.Dropout(0.1), nn.ReLU(), nn.Linear(32, 10))

    def forward(self, x):
        return self.head(self.features(x))


class DropoutHead(nn.Module):
    """Dropout between a Linear and its norm. Exported with the dropout alive, which before opset 12 means nothing at inference."""

    def __init__(self):
        super().__init__()
        self.fc1, self.drop1, self.bn1 = nn.Linear(20, 32), nn.Dropout(0.3), nn.BatchNorm1d(32)
        self.fc2, self.drop2, self.bn2 = nn.Linear(32, 24, bias=False), nn.Dropout(0.1), nn.BatchNorm1d(24)
        self.fc3 = nn.Linear(24, 5)

    def forward(self, x):
        x = torch.relu(self.bn1(self.drop1(self.fc1(x))))
        x = torch.relu(self.bn2(self.drop2(self.fc2(x))))
        return self.fc3(x)


class TokenMixer(nn.Module):
    """Linear over [batch, tokens, features]. As many tokens as features, so a norm over the wrong axis has lengths that agree.

    by_token normalizes tokens right after a Linear: its axis is not the layer's, it must stay. scale and shift act on the
    Linear's own last axis, a norm written out. by_feature finds the Linear's features on axis 1, since a transpose put them there."""

    def __init__(self, n=16):
        super().__init__()
        self.embed, self.by_token = nn.Linear(12, n), nn.BatchNorm1d(n)
        self.mix = nn.Linear(n, n, bias=False)
        self.scale, self.shift = nn.Parameter(torch.rand(n) + 0.5), nn.Parameter(torch.randn(n) * 0.1)
        self.project, self.by_feature = nn.Linear(n, n), nn.BatchNorm1d(n)
        self.conv, self.bn = nn.Conv1d(n, 2 * n, 1), nn.BatchNorm1d(2 * n)
        self.head = nn.Linear(2 * n, 10)

    def forward(self, tokens):
        x = torch.relu(self.by_token(self.embed(tokens)))
        x = x + torch.relu(self.mix(x) * self.scale + self.shift)
        x = torch.relu(self.by_feature(self.project(x).transpose(1, 2)))
        return self.head(torch.relu(self.bn(self.conv(x))).mean(2))


class Siamese(nn.Module):
    """One encoder for two images, so each weight and each norm has two users, and one norm behind two different layers."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(1, 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU(),
                                     nn.Conv2d(8, 12, 3, stride=2, bias=False), nn.BatchNorm2d(12), nn.ReLU(), nn.Flatten())
        self.left, self.right, self.norm = nn.Linear(108, 16), nn.Linear(108, 16, bias=False), nn.BatchNorm1d(16)

    def forward(self, a, b):
        a, b = self.norm(self.left(self.encoder(a))), self.norm(self.right(self.encoder(b)))
        return a, b, (a * b).sum(1)


class NormFirst(nn.Module):
    """Norms before layers. Exact where nothing is padded: a 3x3 convolution without pads, a 1x1 convolution, a Linear."""

    def __init__(self):
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(3), nn.Conv2d(3, 12, 3, bias=False)
        self.norm2, self.conv2 = nn.BatchNorm2d(12), nn.Conv2d(12, 16, 1, groups=2)
        self.norm3, self.conv3 = nn.BatchNorm2d(16), nn.Conv2d(16, 16, 3, padding=1)
        self.norm4, self.fc = nn.BatchNorm1d(16), nn.Linear(16, 10)

    def forward(self, x):
        x = torch.relu(self.conv1(self.norm1(x)))
        x = torch.relu(self.conv2(self.norm2(x)))
        x = torch.relu(self.conv3(self.norm3(x)))  # padded: zeros at the border are not normalized, so this norm stays
        return self.fc(self.norm4(x.mean((2, 3))))


class AffineChain(nn.Module):
    """Norms followed by further scaling by constants: the maps compose, and the whole chain goes into the layer."""

    def __init__(self):
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, 12, 3), nn.BatchNorm2d(12)
        self.layer_scale = nn.Parameter(torch.rand(12, 1, 1) + 0.5)
        self.conv2, self.bn2, self.bn3 = nn.Conv2d(12, 12, 3, groups=12, bias=False), nn.BatchNorm2d(12), nn.BatchNorm2d(12)
        self.register_buffer("mean", torch.randn(1, 12, 1, 1))
        self.register_buffer("std", torch.rand(1, 12, 1, 1) + 0.5)
        self.fc, self.temperature = nn.Linear(12, 10), nn.Parameter(torch.tensor(2.5))

    def forward(self, x):
        x = torch.relu(self.bn(self.conv(x)) * self.layer_scale)
        x = torch.relu((self.bn3(self.bn2(self.conv2(x))) - self.mean) / self.std)
        return self.fc(x.mean((2, 3))) / self.temperature


class TwoHeads(nn.Module):
    """A convolution whose raw output is used too: its norm cannot go into it. The other norms can."""

    def __init__(self):
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 10, 3), nn.BatchNorm2d(10)
        self.boxes = conv_norm_relu(nn.Conv2d(10, 8, 3), nn.BatchNorm2d(8))
        self.masks = conv_norm_relu(nn.ConvTranspose2d(10, 6, 2, 2), nn.BatchNorm2d(6))

    def forward(self, x):
        raw = self.stem(x)
        return raw, self.boxes(torch.relu(self.norm(raw))), self.masks(raw)


class DefaultNorms(nn.Module):
    """Norms that never saw data: equal parameters everywhere, which the exporter shares through Identity nodes."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(*[conv_norm_relu(nn.Conv2d(i, 8, 3, bias=False), nn.BatchNorm2d(8)) for i in (3, 8, 8)])
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(800, 8, bias=False), nn.BatchNorm1d(8))

    def forward(self, x):
        return self.head(self.body(x))


class Speech(nn.Module):
    """DeepSpeech in small: Conv2d, BatchNorm2d and Hardtanh, then a GRU. No layer is right before the last norm, but a Linear without bias comes after it."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Sequential(nn.Conv2d(1, 8, (11, 5), (2, 2), (5, 2)), nn.BatchNorm2d(8), nn.Hardtanh(0, 20),
                                  nn.Conv2d(8, 8, (5, 3), (2, 1), (2, 1)), nn.BatchNorm2d(8), nn.Hardtanh(0, 20))
        self.gru, self.norm = nn.GRU(64, 24), nn.BatchNorm1d(24)
        self.fc = nn.Linear(24, 12, bias=False)

    def forward(self, spectrogram):
        x = self.conv(spectrogram)
        x = x.flatten(1, 2).permute(2, 0, 1)  # [time, batch, features]
        x, _ = self.gru(x)
        t, n, h = x.shape
        return self.fc(self.norm(x.reshape(t * n, h))).view(t, n, -1)


class FakeQuant(nn.Module):
    """Quantization-aware training: the first weight reaches its convolution through QuantizeLinear and DequantizeLinear."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8)
        self.conv2, self.bn2 = nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8)

    def forward(self, x):
        w = torch.fake_quantize_per_tensor_affine(self.conv1.weight, 0.01, 0, -128, 127)
        x = torch.relu(self.bn1(torch.conv2d(x, w)))
        return torch.relu(self.bn2(self.conv2(x)))


class WeightNorm(nn.Module):
    """torch.nn.utils.weight_norm: the first weight is computed in the graph, so its norm stays."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.utils.weight_norm(nn.Conv1d(6, 8, 3)), nn.BatchNorm1d(8)
        self.conv2, self.bn2 = nn.Conv1d(8, 8, 3), nn.BatchNorm1d(8)

    def forward(self, x):
        return self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))


class ControlFlow(nn.Module):
    """Scripted, so that If and Loop stay in the graph. The bodies hold norms of their own and use weights from outside."""

    def __init__(self):
        super().__init__()
        self.stem, self.stem_norm = nn.Conv2d(2, 6, 3, padding=1), nn.BatchNorm2d(6)
        self.dark, self.dark_norm = nn.Conv2d(6, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6)
        self.light = nn.Conv2d(6, 6, 1)
        self.step, self.step_norm = nn.Conv2d(6, 6, 3, padding=1), nn.BatchNorm2d(6)

    def forward(self, x, steps):
        x = torch.relu(self.stem_norm(self.stem(x)))
        if bool(x[0, 0, 0, 0] > 0.1):
            x = self.dark_norm(self.dark(x))
        else:
            x = self.light(x)
        for _ in range(int(steps)):
            x = torch.relu(self.step_norm(self.step(x)))
        return x


class Perceptron(nn.Module):
    """Linear and BatchNorm1d, biased or not."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(12, 24), nn.BatchNorm1d(24), nn.ReLU(),
                                 nn.Linear(24, 24, bias=False), nn.BatchNorm1d(24, eps=1e-3), nn.ReLU(), nn.Linear(24, 4))

    def forward(self, x):
        return self.net(x)


class Stem(nn.Module):
    """A convolution, a depthwise convolution, a transposed convolution and a Linear, each with its norm: one for each opset."""

    def __init__(self):
        super().__init__()
        self.conv = conv_norm_relu(nn.Conv2d(3, 6, 3, stride=2, bias=False), nn.BatchNorm2d(6))
        self.depthwise = conv_norm_relu(nn.Conv2d(6, 6, 3, groups=6), nn.BatchNorm2d(6))
        self.up = conv_norm_relu(nn.ConvTranspose2d(6, 4, 2, 2, groups=2), nn.BatchNorm2d(4))
        self.fc, self.norm = nn.Linear(256, 8), nn.BatchNorm1d(8)

    def forward(self, x):
        return self.norm(self.fc(torch.flatten(self.up(self.depthwise(self.conv(x))), 1)))
