"""Common random numbers: parameters of equal name start equal, whatever else the network has.

Each module's own parameters are drawn by a generator of their own, seeded by (seed, module name): two
architectures differ by their design alone. The global random state is neither read nor changed.

Distributions: a backbone's are torchvision's. Attention and matching: convolutions Kaiming normal by fan-in (GCNet's
choice for its mask, whose fan-out of 1 would saturate the softmax), linear layers nn.Linear's own with zero biases
(the released MnasNet code draws them with deviation 1, which saturates half of the gates), norms 1 and 0.

A network is built without memory and gets it uninitialised, so whatever a module registers must be drawn, buffers
too: what is left undrawn is an error that names it.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Literal, Protocol, cast, runtime_checkable

import torch
from torch import Tensor, nn

from dcasearch.models.backbones import Backbone
from dcasearch.models.layers import BatchNorm


@runtime_checkable
class Drawn(Protocol):
    """A module that knows how its own parameters and buffers start."""

    def draw(self, generator: torch.Generator) -> None:
        """Set the module's own parameters and buffers, not its children's."""


@torch.no_grad()
def initialize(model: nn.Module, seed: int) -> None:
    """Draw every parameter of a model from `build_model` anew, and reset its buffers.

    Args:
        model: on the CPU (move it afterwards), and not wrapped: a compiled or a DDP model has other names.
        seed: equal seeds and names give equal parameters.

    Raises:
        TypeError: a parameter or a buffer is left undrawn, whole or in part; each is named.
    """
    backbone = cast(Backbone, model.get_submodule("backbone"))
    undrawn: list[str] = []
    for name, module in model.named_modules():
        if any(True for _ in _own(module)):
            of = backbone if name.startswith("backbone.") else None
            draw = partial(_draw, module, seed=_seed(seed, name), backbone=of)
            undrawn += [f"{name}.{key}" for key in _undrawn(module, draw)]
        undrawn += [f"{name}.{key}" for key, it in vars(module).items() if isinstance(it, Tensor) and it.is_meta]
    if undrawn:
        raise TypeError(
            f"not drawn: {', '.join(undrawn)}; the module needs a method `draw(generator)` that sets all of its own "
            "parameters and buffers (a tensor that is a plain attribute must be registered as a buffer)"
        )


def _own(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Yield a module's own parameters and buffers."""
    yield from module.named_parameters(recurse=False, remove_duplicate=False)
    yield from module.named_buffers(recurse=False, remove_duplicate=False)


def _undrawn(module: nn.Module, draw: Callable[[], None]) -> list[str]:
    """Draw a module; return the names of what is left undrawn, whole or in part.

    Before, every tensor is filled with a value that no drawing gives. A type of few values has no such value: then the
    module is drawn twice over different fillings, and what differs was left.
    """
    fillings = (0, 1) if any(_no_drawing_gives(tensor) is None for _, tensor in _own(module)) else (0,)
    results: list[dict[str, Tensor]] = []
    for filling in fillings:
        for _, tensor in _own(module):
            spoilt = _no_drawing_gives(tensor)
            tensor.fill_(filling if spoilt is None else spoilt)
        draw()
        results.append({key: tensor.clone() for key, tensor in _own(module)} if len(fillings) > 1 else {})
    return [key for key, tensor in _own(module) if not _is_drawn(tensor, [result.get(key) for result in results])]


def _no_drawing_gives(tensor: Tensor) -> float | int | None:
    """Return a value of a tensor's type that no drawing gives; None for types of few values."""
    if tensor.is_floating_point() or tensor.is_complex():
        return math.nan
    return torch.iinfo(tensor.dtype).max if tensor.dtype in (torch.int32, torch.int64) else None


def _is_drawn(tensor: Tensor, results: list[Tensor | None]) -> bool:
    """Tell whether a tensor has been set in all of its places; `results` are its values after each drawing."""
    if tensor.is_meta:
        return False
    spoilt = _no_drawing_gives(tensor)
    if spoilt is None:
        first, second = results
        return first is not None and second is not None and torch.equal(first, second)
    return not bool((tensor.isnan() if math.isnan(spoilt) else tensor == spoilt).any())


def _seed(seed: int, name: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed} {name}".encode()).digest()[:8], "little") >> 1


def _draw(module: nn.Module, seed: int, backbone: Backbone | None) -> None:
    """Draw one module's own parameters, where a way is known; `backbone` where it belongs to it."""
    generator = torch.Generator().manual_seed(seed)
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


def _zero(bias: Tensor | None) -> None:
    if bias is not None:
        nn.init.zeros_(bias)
