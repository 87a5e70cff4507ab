"""Common random numbers: parameters of equal name start equal, whatever else the network has.

Each module's own parameters are drawn by a generator of their own, seeded by (seed, module name): two
architectures differ by their design alone. The global random state is neither read nor changed.

Distributions: a backbone's are torchvision's. Attention and matching: convolutions Kaiming normal by fan-in (GCNet's
choice for its mask, whose fan-out of 1 would saturate the softmax), linear layers nn.Linear's own with zero biases
(the released MnasNet code draws them with deviation 1, which saturates half of the gates), norms 1 and 0.
"""

from __future__ import annotations

import hashlib
import math
from typing import Literal, Protocol, cast, runtime_checkable

import torch
from torch import Tensor, nn

from dcasearch.models.backbones import Backbone
from dcasearch.models.layers import BatchNorm


@runtime_checkable
class Drawn(Protocol):
    """A module that knows how its own parameters start."""

    def draw(self, generator: torch.Generator) -> None:
        """Set the module's own parameters, not its children's."""


@torch.no_grad()
def initialize(model: nn.Module, seed: int) -> None:
    """Draw every parameter of a model from `build_model` anew, and reset its running statistics.

    Args:
        model: on the CPU (move it afterwards), and not wrapped: a compiled or a DDP model has other names.
        seed: equal seeds and names give equal parameters.
    """
    backbone = cast(Backbone, model.get_submodule("backbone"))
    for name, module in model.named_modules():
        if next(module.parameters(recurse=False), None) is not None:
            generator = torch.Generator().manual_seed(_seed(seed, name))
            _draw(module, generator, backbone if name.startswith("backbone.") else None)


def _seed(seed: int, name: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed} {name}".encode()).digest()[:8], "little") >> 1


def _draw(module: nn.Module, generator: torch.Generator, backbone: Backbone | None) -> None:
    """Draw one module's own parameters; `backbone` where it belongs to it."""
    if isinstance(module, Drawn):
        module.draw(generator)
    elif isinstance(module, nn.Conv2d):
        mode: Literal["fan_in", "fan_out"] = "fan_in" if backbone is None else "fan_out"
        nn.init.kaiming_normal_(module.weight, mode=mode, nonlinearity="relu", generator=generator)
        _zero(module.bias)
    elif isinstance(module, BatchNorm | nn.LayerNorm):
        module.reset_parameters()  # 1 and 0, and the running statistics
    elif isinstance(module, nn.Linear) and backbone is not None:
        backbone.draw_classifier(module, generator)
    elif isinstance(module, nn.Linear):
        nn.init.kaiming_uniform_(module.weight, a=math.sqrt(5), generator=generator)
        _zero(module.bias)
    else:
        raise TypeError(f"{type(module).__name__} has parameters but no way to draw them")


def _zero(bias: Tensor | None) -> None:
    if bias is not None:
        nn.init.zeros_(bias)
