"""Attention that a library's network brings along, e.g. SE in EfficientNet, RegNetY and MobileNetV3."""

from __future__ import annotations

from torch import nn

from dcasearch.architecture.libraries import LIBRARIES
from dcasearch.errors import ArchitectureError

_GATES = frozenset(
    (
        *("layers.SEModule", "layers.EffectiveSEModule", "layers.EcaModule", "layers.CecaModule"),
        *("layers.CbamModule", "layers.LightCbamModule", "layers.GatherExcite", "layers.GlobalContext"),
        *("layers.NonLocalAttn", "layers.BatNonLocalAttn", "layers.BilinearAttnTransform", "layers.StripAttn"),
        *("layers.CoordAttn", "layers.SimpleCoordAttn", "layers.EfficientLocalAttn"),
        *("models.SqueezeExcite", "models.SEModule", "models.EseModule", "models.SEWithNorm"),
        "ops.SqueezeExcitation",
    )
)
"""Classes that take a map and return a map of its shape, by the room of their library: each can be taken out."""
_CONVOLUTIONS = frozenset(("layers.SplitAttn", "layers.SelectiveKernel"))
"""Classes that are the block's convolution as well: without them there is no block."""

_GAIN = "attn_gain"
"""NFNet's factor after its own attention, which stays when that goes."""


def is_own_attention(module: nn.Module) -> bool:
    """Tell whether a module is attention of the library's, which can be taken out."""
    return _name(module) in _GATES


def is_own_convolution(module: nn.Module) -> bool:
    """Tell whether a module is attention of the library's that is the block's convolution too."""
    return _name(module) in _CONVOLUTIONS


def without_own_attention(network: nn.Module) -> list[str]:
    """Put an identity in the place of each module that is a library's own attention; return their paths.

    Args:
        network: is changed.

    Raises:
        ArchitectureError: there is none, or a block needs it.
    """
    path = ("backbone", "own_attention")
    convolving = [name for name, module in network.named_modules() if is_own_convolution(module)]
    if convolving:
        raise ArchitectureError(
            f"the network's own attention is the convolution of its blocks ({convolving[0]}): it can only be kept", path
        )
    paths = [name for name, module in network.named_modules() if is_own_attention(module)]
    if not paths:
        raise ArchitectureError("the network has no attention of its own; leave own_attention out", path)
    for name in paths:
        parent = network.get_submodule(name.rpartition(".")[0])
        if getattr(parent, _GAIN, 1.0) != 1.0:
            raise ArchitectureError(
                f"{name} belongs to a block that multiplies its output by {_GAIN}: it can only be kept", path
            )
        network.set_submodule(name, nn.Identity())
    return paths


def _name(module: nn.Module) -> str:
    """Return a module's class with the room of its library, e.g. `layers.SEModule`; empty for other modules."""
    library, *rooms = type(module).__module__.split(".")
    return f"{rooms[0]}.{type(module).__name__}" if library in LIBRARIES and rooms else ""
