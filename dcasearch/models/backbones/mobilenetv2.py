"""MobileNetV2 (Sandler et al., 2018, https://arxiv.org/abs/1801.04381), torchvision's network.

Departs from torchvision: the small stem's first convolution has stride 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import mobilenetv2 as torchvision_mobilenetv2

from dcasearch.architecture.layouts import Stem
from dcasearch.architecture.layouts.mobilenetv2 import NAME
from dcasearch.architecture.specification import ClassifierInit
from dcasearch.models.backbones.base import NETWORKS, Released


class InvertedResidual(torchvision_mobilenetv2.InvertedResidual):
    """1x1 (absent where t = 1), 3x3 depth-wise, 1x1 without activation."""

    @property
    def convolution(self) -> nn.Conv2d:
        """The depth-wise convolution."""
        return self._depthwise[0]

    @property
    def activation(self) -> nn.Module:
        """The ReLU6 after the depth-wise convolution."""
        return self._depthwise[2]

    @property
    def _depthwise(self) -> Any:
        return self.conv[-3]

    def before(self, x: Tensor) -> Tensor:
        """Expand, where the block does."""
        return self.conv[0](x) if len(self.conv) == 4 else x

    def convolve(self, u: Tensor) -> Tensor:
        """Apply the depth-wise convolution, its BatchNorm and ReLU6."""
        return self._depthwise(u)

    def after(self, v: Tensor) -> Tensor:
        """Project."""
        return self.conv[-1](self.conv[-2](v))

    def join(self, x: Tensor, y: Tensor) -> Tensor:
        """Add the shortcut to y in place, where the block has one."""
        return y.add_(x) if self.use_res_connect else y


@NETWORKS.register(NAME)
class MobileNetV2(torchvision_mobilenetv2.MobileNetV2):
    """torchvision's MobileNetV2 of the blocks above."""

    classifier_init: ClassifierInit = "small"
    released = Released(linear=(0.0, 0.01))

    def __init__(self, width: float, stem: Stem, classes: int) -> None:
        super().__init__(num_classes=classes, width_mult=width, block=InvertedResidual)
        if stem == "small":
            first: Any = self.features[0]
            first[0].stride = (1, 1)

    def stem(self, images: Tensor) -> Tensor:
        """Apply the first convolution."""
        return self.features[0](images)

    def blocks(self) -> Iterator[nn.Module]:
        """Yield the inverted residuals."""
        return iter(list(self.features)[1:-1])

    def head(self, x: Tensor) -> Tensor:
        """Widen, pool and classify."""
        return self.classifier(torch.flatten(F.adaptive_avg_pool2d(self.features[-1](x), 1), 1))

    def drop_head(self) -> None:
        """Let go of the last 1x1 convolution and the classifier."""
        self.features[-1], self.classifier = nn.Identity(), nn.Sequential()

    def draw_classifier(self, layer: nn.Linear, generator: torch.Generator) -> None:
        """Draw torchvision's distribution for it."""
        nn.init.normal_(layer.weight, 0.0, 0.01, generator=generator)
        nn.init.zeros_(layer.bias)
