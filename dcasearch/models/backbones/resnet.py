"""ResNet (He et al., 2016, https://arxiv.org/abs/1512.03385), torchvision's version 1.5.

Departs from torchvision: the small stem is a 3x3 convolution of stride 1 without max-pooling, for 32-pixel images;
a width multiplier scales all channels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from itertools import chain

import torch
from torch import Tensor, nn
from torchvision.models import resnet as torchvision_resnet

from dcasearch.architecture.layouts import Stem, scaled_channels
from dcasearch.architecture.layouts.resnet import VARIANTS
from dcasearch.architecture.specification import ClassifierInit
from dcasearch.models.backbones.base import NETWORKS, Released


class BasicBlock(torchvision_resnet.BasicBlock):
    """Two 3x3 convolutions; conv2 is the one whose place SK takes, and no activation follows it."""

    activation = None

    @property
    def convolution(self) -> nn.Conv2d:
        """conv2."""
        return self.conv2

    def before(self, x: Tensor) -> Tensor:
        """Return the input of conv2."""
        return self.relu(self.bn1(self.conv1(x)))

    def convolve(self, u: Tensor) -> Tensor:
        """Apply conv2 and its BatchNorm."""
        return self.bn2(self.conv2(u))

    def after(self, v: Tensor) -> Tensor:
        """Return v: conv2 ends the residual branch."""
        return v

    def join(self, x: Tensor, y: Tensor) -> Tensor:
        """Add the shortcut to y in place, then ReLU."""
        y += x if self.downsample is None else self.downsample(x)
        return self.relu(y)


class Bottleneck(torchvision_resnet.Bottleneck):
    """1x1, 3x3, 1x1; conv2 is the 3x3."""

    @property
    def convolution(self) -> nn.Conv2d:
        """conv2."""
        return self.conv2

    @property
    def activation(self) -> nn.Module:
        """The ReLU after conv2."""
        return self.relu

    def before(self, x: Tensor) -> Tensor:
        """Return the input of conv2."""
        return self.relu(self.bn1(self.conv1(x)))

    def convolve(self, u: Tensor) -> Tensor:
        """Apply conv2, its BatchNorm and ReLU."""
        return self.relu(self.bn2(self.conv2(u)))

    def after(self, v: Tensor) -> Tensor:
        """Apply conv3 and its BatchNorm."""
        return self.bn3(self.conv3(v))

    def join(self, x: Tensor, y: Tensor) -> Tensor:
        """Add the shortcut to y in place, then ReLU."""
        y += x if self.downsample is None else self.downsample(x)
        return self.relu(y)


class ResNet(torchvision_resnet.ResNet):
    """torchvision's ResNet of the blocks above."""

    classifier_init: ClassifierInit = "small"
    released = Released(zero_biases=False, silences=True)

    def __init__(
        self, block: type[BasicBlock | Bottleneck], depths: tuple[int, ...], width: float, stem: Stem, classes: int
    ) -> None:
        super().__init__(block, list(depths) if width == 1 else [1, 1, 1, 1], num_classes=classes)
        channels = scaled_channels(64, width)
        if width != 1:  # torchvision's __init__ has no name for these numbers
            self.conv1 = nn.Conv2d(3, channels, 7, stride=2, padding=3, bias=False)
            self.bn1 = nn.BatchNorm2d(channels)
            self.inplanes = channels
            for n, depth in enumerate(depths):
                stage = self._stage(block, scaled_channels(64 << n, width), depth, stride=1 if n == 0 else 2)
                setattr(self, f"layer{n + 1}", stage)
            self.fc = nn.Linear(self.inplanes, classes)
        if stem == "small":
            self.conv1 = nn.Conv2d(3, channels, 3, padding=1, bias=False)
            self.maxpool = nn.Identity()  # type: ignore[assignment]  # torchvision names the type of its own layer

    def _stage(self, block: type[BasicBlock | Bottleneck], planes: int, depth: int, stride: int) -> nn.Sequential:
        """Return one of the four stages as torchvision makes them; its own maker is private."""
        blocks = []
        for n in range(depth):
            step, out, shortcut = stride if n == 0 else 1, planes * block.expansion, None
            if step != 1 or self.inplanes != out:
                shortcut = nn.Sequential(torchvision_resnet.conv1x1(self.inplanes, out, step), nn.BatchNorm2d(out))
            blocks.append(block(self.inplanes, planes, step, shortcut))
            self.inplanes = out
        return nn.Sequential(*blocks)

    def stem(self, images: Tensor) -> Tensor:
        """Return the input of layer1."""
        return self.maxpool(self.relu(self.bn1(self.conv1(images))))

    def blocks(self) -> Iterator[nn.Module]:
        """Yield the blocks of layer1 to layer4."""
        return chain(self.layer1, self.layer2, self.layer3, self.layer4)

    def head(self, x: Tensor) -> Tensor:
        """Pool and classify."""
        return self.fc(torch.flatten(self.avgpool(x), 1))

    def drop_head(self) -> None:
        """Let go of fc."""
        self.fc = nn.Identity()  # type: ignore[assignment]  # torchvision names the type of its own layer

    def draw_classifier(self, layer: nn.Linear, generator: torch.Generator) -> None:
        """Draw nn.Linear's own distribution."""
        bound = 1 / math.sqrt(layer.in_features)
        nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
        nn.init.uniform_(layer.bias, -bound, bound, generator=generator)


for _name, (_depths, _expansion) in VARIANTS.items():
    NETWORKS.register(_name)(partial(ResNet, BasicBlock if _expansion == 1 else Bottleneck, _depths))
