"""MnasNet-B1 (Tan et al., 2019, https://arxiv.org/abs/1807.11626), torchvision's network.

Departs from torchvision: the small stem's first convolution has stride 1; a state dict without version
metadata (as safetensors keeps it) is read as the current version; below 1,000 classes the classifier starts smaller.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models import MNASNet

from dcasearch.architecture.layouts import TORCHVISION_CLASSES, Stem
from dcasearch.architecture.layouts.mnasnet import VARIANTS
from dcasearch.architecture.specification import ClassifierInit
from dcasearch.models.backbones.base import NETWORKS, Released

_FIRST_STACK, _AFTER_STACKS = 8, 14
_SMALL = 0.01
"""Deviation of the classifier's weights with few classes; MobileNetV2's."""


class InvertedResidual(nn.Module):
    """torchvision's inverted residual, its layers taken over: 1x1, k x k depth-wise, 1x1 without activation."""

    def __init__(self, original: Any) -> None:
        super().__init__()
        self.layers: nn.Sequential = original.layers
        self.apply_residual: bool = original.apply_residual

    @property
    def convolution(self) -> Any:
        """The depth-wise convolution."""
        return self.layers[3]

    @property
    def activation(self) -> nn.Module:
        """The ReLU after the depth-wise convolution."""
        return self.layers[5]

    def before(self, x: Tensor) -> Tensor:
        """Expand."""
        expand, norm, relu, *_ = self.layers
        return relu(norm(expand(x)))

    def convolve(self, u: Tensor) -> Tensor:
        """Apply the depth-wise convolution, its BatchNorm and ReLU."""
        _, _, _, convolution, norm, relu, _, _ = self.layers
        return relu(norm(convolution(u)))

    def after(self, v: Tensor) -> Tensor:
        """Project."""
        *_, project, norm = self.layers
        return norm(project(v))

    def join(self, x: Tensor, y: Tensor) -> Tensor:
        """Add the shortcut to y in place, where the block has one."""
        return y.add_(x) if self.apply_residual else y

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output without attention."""
        return self.join(x, self.after(self.convolve(self.before(x))))


class MnasNet(nn.Module):
    """The layers of torchvision's MNASNet, with the blocks above. Its own class refuses weights without a version."""

    classifier_init: ClassifierInit = "small"
    released = Released(linear=(0.01, 1.0))

    def __init__(self, alpha: float, width: float, stem: Stem, classes: int) -> None:
        super().__init__()
        theirs = MNASNet(alpha, num_classes=classes)
        self.layers, self.classifier = theirs.layers, theirs.classifier
        if stem == "small":
            first: Any = self.layers[0]
            first.stride = (1, 1)
        for stack in self._stacks():
            for i, block in enumerate(stack):
                stack[i] = InvertedResidual(block)

    def _stacks(self) -> list[Any]:
        return list(self.layers)[_FIRST_STACK:_AFTER_STACKS]

    def stem(self, images: Tensor) -> Tensor:
        """Apply the first convolution and the depth-wise separable one."""
        for layer in list(self.layers)[:_FIRST_STACK]:
            images = layer(images)
        return images

    def blocks(self) -> Iterator[nn.Module]:
        """Yield the blocks of the six stacks."""
        return chain.from_iterable(self._stacks())

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits of the network without attention."""
        return self.classifier(self.layers(images).mean([2, 3]))

    def head(self, x: Tensor) -> Tensor:
        """Widen, pool and classify."""
        for layer in list(self.layers)[_AFTER_STACKS:]:
            x = layer(x)
        return self.classifier(x.mean([2, 3]))

    def drop_head(self) -> None:
        """Let go of the last 1x1 convolution, its BatchNorm and the classifier."""
        for n in range(_AFTER_STACKS, len(self.layers)):
            self.layers[n] = nn.Identity()
        self.classifier = nn.Sequential()

    def draw_classifier(self, layer: nn.Linear, generator: torch.Generator) -> None:
        """Draw a uniform distribution: torchvision's where it asks for it or has as many classes as ImageNet.

        torchvision's deviation is 1/√classes. Ten classes then start with a loss of 7 to 9, not ln 10.
        """
        nn.init.kaiming_uniform_(layer.weight, mode="fan_out", nonlinearity="sigmoid", generator=generator)
        if self.classifier_init == "small" and layer.out_features < TORCHVISION_CLASSES:
            layer.weight.mul_(_SMALL * math.sqrt(layer.out_features))
        nn.init.zeros_(layer.bias)


for _name, _alpha in VARIANTS.items():
    NETWORKS.register(_name)(partial(MnasNet, _alpha))
