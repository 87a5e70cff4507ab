"""Common random numbers: parameters of equal name start equal, whatever else the network has.

Each module's own parameters are drawn by a generator of their own, seeded by (seed, module name): two
architectures differ by their design alone. The global random state is neither read nor changed.

Distributions: a prepared backbone's are torchvision's; those of a library's network are the library's, drawn by its
constructor from (seed, backbone), so that attention and connections change none of its numbers. Attention and matching:
convolutions Kaiming normal by fan-in (GCNet's choice for its mask, whose fan-out of 1 would saturate the softmax),
linear layers nn.Linear's own with zero biases (the released MnasNet code draws them with deviation 1, which saturates
half of the gates), norms 1 and 0. An architecture with `init: authors` has the released code's distributions instead.

A network is built without memory and gets it uninitialised, so whatever a module registers must be drawn, buffers
too: what is left undrawn is an error that names it.
"""

from __future__ import annotations

import hashlib
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from functools import partial
from typing import Literal, Protocol, cast, runtime_checkable

import torch
from torch import Tensor, nn

from dcasearch.architecture import KINDS, LibraryNetwork, Network
from dcasearch.models.backbones import Backbone
from dcasearch.models.connections import parameter_name
from dcasearch.models.layers import BatchNorm
from dcasearch.models.traced import library_network

_BACKBONE = "backbone"
"""A network's part that is no attention, as its parameters are named."""


@runtime_checkable
class Drawn(Protocol):
    """A module that knows how its own parameters and buffers start."""

    def draw(self, generator: torch.Generator) -> None:
        """Set the module's own parameters and buffers, not its children's."""


@runtime_checkable
class DrawnAsReleased(Protocol):
    """A module that knows how its own parameters start in the released code."""

    def draw_as_released(self, generator: torch.Generator, *, zero_bias: bool) -> None:
        """Set the module's own parameters and buffers; `zero_bias` as `Released.zero_biases`."""


@torch.no_grad()
def initialize(model: nn.Module, seed: int) -> None:
    """Draw every parameter of a model from `build_model` anew, and reset its buffers.

    Args:
        model: on the CPU (move it afterwards), and not wrapped: a compiled or a DDP model has other names.
        seed: equal seeds and names give equal parameters.

    Raises:
        TypeError: a parameter or a buffer is left undrawn, whole or in part; each is named.
    """
    network: Network | None = getattr(model, "network", None)
    library = None if network is None else network.library
    if library is not None:
        _as_library(model.get_submodule(_BACKBONE), library.network, cast(int, model.classes), seed)
    way = _way_of(model)
    undrawn: list[str] = []
    for name, module in model.named_modules():
        drawn = library is not None and name.split(".")[0] == _BACKBONE
        if not drawn and any(True for _ in _own(module)):
            draw = partial(_draw, way, name, module, seed=_seed(seed, name))
            undrawn += [f"{name}.{key}" for key in _undrawn(module, draw)]
        undrawn += [f"{name}.{key}" for key, it in vars(module).items() if isinstance(it, Tensor) and it.is_meta]
    if undrawn:
        raise TypeError(
            f"not drawn: {', '.join(undrawn)}; the module needs a method `draw(generator)` that sets all of its own "
            "parameters and buffers (a tensor that is a plain attribute must be registered as a buffer)"
        )


def _as_library(backbone: nn.Module, network: LibraryNetwork, classes: int, seed: int) -> None:
    """Set all parameters and buffers of a library's network as the library draws them under (seed, backbone).

    Attention and connections make no difference, and neither does what became of the library's own attention: that is
    drawn too, and taken out afterwards.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(_seed(seed, _BACKBONE))
        drawn = library_network(network, classes)
    values = dict(_all(drawn))
    for name, tensor in _all(backbone):
        tensor.copy_(values[name])


def _all(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Yield all parameters and buffers, those too that no state dict has."""
    yield from module.named_parameters()
    yield from module.named_buffers()


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


def _draw(way: Way, name: str, module: nn.Module, seed: int) -> None:
    way.draw(name, module, torch.Generator().manual_seed(seed))


def _way_of(model: nn.Module) -> Way:
    backbone = cast(Backbone, model.get_submodule("backbone"))
    network: Network | None = getattr(model, "network", None)
    return Ours(backbone) if network is None or network.init == "ours" else Authors(backbone, network)


class Way(ABC):
    """The distributions that a network's parameters start from."""

    def __init__(self, backbone: Backbone) -> None:
        self._backbone = backbone

    @abstractmethod
    def draw(self, name: str, module: nn.Module, generator: torch.Generator) -> None:
        """Set a module's own parameters and buffers, where a way is known; `name` is the module's in the network."""


class Ours(Way):
    """The backbone as torchvision does; attention and connections as this module's head says."""

    def draw(self, name: str, module: nn.Module, generator: torch.Generator) -> None:
        """Set a module's own parameters and buffers, where a way is known."""
        of_backbone = name.startswith("backbone.")
        if isinstance(module, Drawn):
            module.draw(generator)
        elif isinstance(module, nn.Conv2d):
            mode: Literal["fan_in", "fan_out"] = "fan_out" if of_backbone else "fan_in"
            nn.init.kaiming_normal_(module.weight, mode=mode, nonlinearity="relu", generator=generator)
            _zero(module.bias)
        elif isinstance(module, BatchNorm | nn.LayerNorm):
            module.reset_parameters()  # 1 and 0, and the running statistics
        elif isinstance(module, nn.Linear) and of_backbone:
            self._backbone.draw_classifier(module, generator)
        elif isinstance(module, nn.Linear):
            nn.init.kaiming_uniform_(module.weight, a=math.sqrt(5), generator=generator)
            _zero(module.bias)


class Authors(Way):
    """The released code of the backbone's family, its mistakes included (docs/method.md).

    What the released code does not have starts as in `Ours`: modules that draw themselves. α starts at `alpha.init`.
    """

    def __init__(self, backbone: Backbone, network: Network) -> None:
        super().__init__(backbone)
        self._released = backbone.released
        self._kinds = {parameter_name(node): KINDS[node.kind] for node in network.nodes}

    def draw(self, name: str, module: nn.Module, generator: torch.Generator) -> None:
        """Set a module's own parameters and buffers, where a way is known."""
        released, kind = self._released, self._kinds.get(name.split(".")[1] if "." in name else "")
        convolved = kind is not None and name.endswith(kind.convolved)
        if isinstance(module, DrawnAsReleased):
            module.draw_as_released(generator, zero_bias=released.zero_biases)
        elif isinstance(module, nn.Linear) and convolved:
            self._convolution(module, generator)
        elif isinstance(module, Drawn):
            module.draw(generator)
        elif isinstance(module, nn.Conv2d):
            self._convolution(module, generator)
        elif isinstance(module, BatchNorm | nn.LayerNorm):
            module.reset_parameters()
            if released.silences and kind is not None and name.endswith(kind.silenced):
                nn.init.zeros_(module.weight)
        elif isinstance(module, nn.Linear):
            self._linear(module, generator)

    def _convolution(self, module: nn.Conv2d | nn.Linear, generator: torch.Generator) -> None:
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu", generator=generator)
        if self._released.zero_biases:
            _zero(module.bias)
        else:
            _own_bias(module, generator)

    def _linear(self, module: nn.Linear, generator: torch.Generator) -> None:
        if self._released.linear is None:
            nn.init.kaiming_uniform_(module.weight, a=math.sqrt(5), generator=generator)
            _own_bias(module, generator)
        else:
            mean, deviation = self._released.linear
            nn.init.normal_(module.weight, mean, deviation, generator=generator)
            _zero(module.bias)


def _own_bias(module: nn.Conv2d | nn.Linear, generator: torch.Generator) -> None:
    """Draw a bias as torch's own layers do."""
    if module.bias is not None:
        bound = 1 / math.sqrt(module.weight[0].numel())
        nn.init.uniform_(module.bias, -bound, bound, generator=generator)


def _zero(bias: Tensor | None) -> None:
    if bias is not None:
        nn.init.zeros_(bias)
