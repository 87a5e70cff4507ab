"""Attention that a library's network brings along, e.g. SE in EfficientNet, RegNetY and MobileNetV3."""

from __future__ import annotations

from torch import nn

from dcasearch.architecture.libraries import LIBRARIES

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


def is_own_attention(module: nn.Module) -> bool:
    """Tell whether a module is attention of the library's, which can be taken out."""
    return _name(module) in _GATES


def is_own_convolution(module: nn.Module) -> bool:
    """Tell whether a module is attention of the library's that is the block's convolution too."""
    return _name(module) in _CONVOLUTIONS


def _name(module: nn.Module) -> str:
    """Return a module's class with the room of its library, e.g. `layers.SEModule`; empty for other modules."""
    library, *rooms = type(module).__module__.split(".")
    return f"{rooms[0]}.{type(module).__name__}" if library in LIBRARIES and rooms else ""
