"""Does a checkpoint hold the tensors of a released model? If not, what differs, and which known network is it?"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from dcasearch.architecture import BACKBONES, Architecture
from dcasearch.paper.released.checkpoint import Checkpoint
from dcasearch.paper.released.key_map import COUNTER, KeyMap, Shape, key_map, without_ones
from dcasearch.paper.released.table import RELEASED, Released
from dcasearch.paper.released.unreleased import VARIANTS, Variant

_SHOWN = 3
"""Keys of each sort that a message names."""


@dataclass(frozen=True, kw_only=True)
class Misfit:
    """How the tensors of a checkpoint differ from the keys of a file."""

    missing: tuple[str, ...]
    left_over: tuple[str, ...]
    shapes: tuple[str, ...]
    """Each with both shapes, in words."""

    def __len__(self) -> int:
        return len(self.missing) + len(self.left_over) + len(self.shapes)

    def __str__(self) -> str:
        parts = (("missing", self.missing), ("left over", self.left_over), ("of another shape", self.shapes))
        return "; ".join(f"{len(found)} {what} ({_first(found)})" for what, found in parts if found)


def _first(names: tuple[str, ...]) -> str:
    return ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")


def misfit(tensors: Mapping[str, Tensor], expected: Mapping[str, Shape]) -> Misfit:
    """Return what differs; of length 0 where every key is there, with its shape, and no other.

    Files of torch before 0.4.1 have no counter of batches in any BatchNorm. Counters change no output, so a file
    without a single one fits.
    """
    if not any(name.endswith(COUNTER) for name in tensors):
        expected = {name: shape for name, shape in expected.items() if not name.endswith(COUNTER)}
    return Misfit(
        missing=tuple(name for name in expected if name not in tensors),
        left_over=tuple(name for name in tensors if name not in expected),
        shapes=tuple(_other_shapes(tensors, expected)),
    )


def _other_shapes(tensors: Mapping[str, Tensor], expected: Mapping[str, Shape]) -> Iterator[str]:
    for name in (name for name in expected if name in tensors):
        found = tuple(tensors[name].shape)
        if without_ones(found) != without_ones(expected[name]):
            yield f"{name} {list(found)}, expected {list(expected[name])}"


def parameters(tensors: Mapping[str, Tensor]) -> int:
    """Return the number of parameters in a checkpoint: every number of a tensor that is no statistic of a BatchNorm."""
    buffers = (COUNTER, "running_mean", "running_var")
    return sum(tensor.numel() for name, tensor in tensors.items() if not name.endswith(buffers))


def named(checkpoint: Checkpoint) -> str:
    """Return in one sentence which known network a checkpoint's keys and shapes fit, or which is nearest."""
    tensors = checkpoint.tensors
    candidates = [
        (misfit(tensors, key_map(known.architecture, known.names).keys), known) for known in _candidates(tensors)
    ]
    if not candidates:
        return f"Its keys are of no backbone of the released code; its first keys: {_first(tuple(tensors))}."
    if fitting := [_known(known) for found, known in candidates if not found]:
        return f"Its keys and shapes are those of {' and of '.join(fitting)}."
    found, nearest = min(candidates, key=lambda candidate: len(candidate[0]))
    return (
        f"It has {parameters(tensors):,} parameters, and no known network fits. The nearest is {_known(nearest)}; "
        f"{len(found)} keys differ: {found}."
    )


def _known(known: Released | Variant) -> str:
    if isinstance(known, Variant):
        return f"{known.name} (no released code builds it, so it is not imported)"
    return f"{known.factory} (import it with --row {known.row})"


def _candidates(tensors: Mapping[str, Tensor]) -> Iterator[Released | Variant]:
    """Yield the known networks that have a checkpoint's backbone."""
    known: Iterable[Released | Variant] = (*RELEASED, *VARIANTS)
    return (network for network in known if _has_backbone(tensors, network.architecture))


def _has_backbone(tensors: Mapping[str, Tensor], architecture: Architecture) -> bool:
    name = architecture.backbone.name
    family = BACKBONES[name].family
    if family != "resnet":  # there is one network of each in the table
        return any(re.match(_FIRST_NAMES[family], key) for key in tensors)
    blocks = {match[0] for key in tensors if (match := re.match(r"layer\d\.\d+", key))}
    return blocks == {node.layout.name for node in architecture.network.blocks}


_FIRST_NAMES = {"mnasnet": r"layers\d?\.", "mobilenet": r"features\d?\."}


def converted(tensors: Mapping[str, Tensor], keys: KeyMap) -> dict[str, Tensor]:
    """Return a checkpoint's tensors under our names, with our shapes, in the checkpoint's number type.

    Args:
        tensors: those of a checkpoint that fits (`misfit` has length 0).
        keys: of the released model.
    """
    ours: dict[str, Tensor] = {}
    for name, (key, part) in keys.sources.items():
        tensor = tensors[key] if key in tensors else torch.zeros((), dtype=torch.int64)  # a counter that it lacks
        chosen = tensor if part is None else tensor.reshape(-1)[part]
        ours[name] = chosen.reshape(keys.shapes[name]).clone()
    return ours
