"""What a backbone offers: torchvision's own network split into stem, blocks and head.

Tensors are (B, C, H, W). A block is split where attention may enter:
before -> convolve (the k x k convolution, whose place SK takes) -> after -> [attention] -> join (the shortcut).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import torch
from torch import Tensor, nn

from dcasearch.architecture.layouts import Stem
from dcasearch.architecture.specification import ClassifierInit
from dcasearch.registry import Registry


class Host(Protocol):
    """One block of a backbone, in four steps."""

    @property
    def convolution(self) -> nn.Conv2d:
        """The k x k convolution of `convolve`."""

    @property
    def activation(self) -> nn.Module | None:
        """The activation that ends `convolve`, if one does."""

    def before(self, x: Tensor) -> Tensor:
        """Return the k x k convolution's input."""

    def convolve(self, u: Tensor) -> Tensor:
        """Apply the k x k convolution, its BatchNorm and the activation that follows."""

    def after(self, v: Tensor) -> Tensor:
        """Return the residual branch's output."""

    def join(self, x: Tensor, y: Tensor) -> Tensor:
        """Add the shortcut from the block's input x, where it has one; may overwrite y."""


@dataclass(frozen=True)
class Released:
    """How the released code of a family draws parameters (`init: authors`); convolutions are Kaiming by fan-out in all.

    Source: the code of the DCANet authors, as docs/method.md describes it.
    """

    linear: tuple[float, float] | None = None
    """Mean and deviation of linear layers' weights, whose biases are then 0; None: nn.Linear's own."""
    zero_biases: bool = True
    """Whether biases of convolutions start at 0; else they are nn.Conv2d's own."""
    silences: bool = False
    """Whether the norms that a kind of attention names (`Kind.silenced`) start at weight 0."""


class Passage:
    """The host of attention after a stage: there is no block, so x passes every step as it is."""

    activation = None

    @property
    def convolution(self) -> nn.Conv2d:
        """Nothing to replace.

        Raises:
            TypeError: always; a kind that stands after a stage must not ask.
        """
        raise TypeError("attention after a stage has no convolution to replace")

    def before(self, x: Tensor) -> Tensor:
        """Return x."""
        return x

    def convolve(self, u: Tensor) -> Tensor:
        """Return u."""
        return u

    def after(self, v: Tensor) -> Tensor:
        """Return v."""
        return v

    def join(self, x: Tensor, y: Tensor) -> Tensor:
        """Return y: the attention stands outside the residual."""
        return y


class Backbone(Protocol):
    """A torchvision network (an nn.Module) in three steps; its parameter names are torchvision's."""

    classifier_init: ClassifierInit
    """How the classifier starts, for those that know more than one way; `build_model` sets it."""

    released: Released
    """How the released code of its family draws parameters."""

    def stem(self, images: Tensor) -> Tensor:
        """Return the first block's input."""

    def blocks(self) -> Iterator[Host]:
        """Yield the blocks in network order, as `dcasearch.architecture.BACKBONES` lists them."""

    def head(self, x: Tensor) -> Tensor:
        """Return the logits (B, classes)."""

    def drop_head(self) -> None:
        """Let go of every parameter and buffer that `head` alone uses; `head` cannot be called any more."""

    def draw_classifier(self, layer: nn.Linear, generator: torch.Generator) -> None:
        """Draw the classifier's initial parameters from torchvision's distribution."""


Factory: TypeAlias = Callable[[float, Stem, int], nn.Module]
"""(width multiplier, stem, classes) -> a module that is a `Backbone`."""

NETWORKS: Registry[Factory] = Registry("a backbone")
