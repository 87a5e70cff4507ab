"""The vanilla network with as many parameters as a connected one: a control for what parameters alone are worth.

Its attention is larger: the reductions r of the bottlenecks C -> C/r are lowered, each stage by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dcasearch.architecture import KINDS, Architecture, vanilla_of
from dcasearch.architecture.kinds.bottleneck import NAME as REDUCTION
from dcasearch.architecture.specification import AttentionKind
from dcasearch.errors import ArchitectureError
from dcasearch.models.cost import cost

_PIXELS, _CLASSES = 32, 10
"""Neither changes a difference of parameters."""


@dataclass(frozen=True)
class EqualSize:
    """A vanilla network beside the connected one that it was made for."""

    architecture: Architecture
    reductions: tuple[int | None, ...]
    """Of each stage; the greatest where its blocks differ, None where nothing there has a reduction."""
    difference: int
    """Its parameters minus those of the connected network."""


def vanilla_of_equal_size(connected: Architecture) -> EqualSize:
    """Return the vanilla network whose parameters are nearest to a connected network's.

    The blocks of a stage share a reduction, at most their own; kinds, backbone, initial values and the attention
    under `stage_attention` stay. Of equally near networks the one with the greater reductions in earlier stages is
    taken. At reduction 1 the attention cannot grow further; the difference says what is then missing.

    Raises:
        ArchitectureError: no attention of the network has a reduction.
    """
    vanilla = vanilla_of(connected)
    stages = _Stages(vanilla)
    most = [stages.own(stage) for stage in range(stages.count)]
    if not any(most):
        raise ArchitectureError("no attention has a reduction that could be lowered", ("attention",))
    base = _parameters(vanilla)
    choices = [[None] if own is None else list(range(own, 0, -1)) for own in most]
    added = [
        np.array([0 if r is None else _parameters(stages.lowered({stage: r})) - base for r in of_stage])
        for stage, of_stage in enumerate(choices)
    ]
    picked = _nearest(added, _parameters(connected) - base)
    reductions = tuple(of_stage[n] for of_stage, n in zip(choices, picked, strict=True))
    architecture = stages.lowered({stage: r for stage, r in enumerate(reductions) if r is not None})
    return EqualSize(architecture, reductions, _parameters(architecture) - _parameters(connected))


def _parameters(architecture: Architecture) -> int:
    return cost(architecture, _PIXELS, _CLASSES).params


class _Stages:
    """A vanilla network whose attention is written per stage or per block, so that a stage can be changed."""

    def __init__(self, vanilla: Architecture) -> None:
        self._vanilla, attention = vanilla, vanilla.attention
        layout = vanilla.backbone.layout
        self.count = layout.stages
        self._grain = "stages" if attention.blocks is None else "blocks"
        everywhere = [] if attention.name is None else [AttentionKind(name=attention.name, **attention.options)]
        self._kinds = attention.blocks or attention.stages or tuple(everywhere * self.count)
        self._stage_of = [b.stage for b in layout.blocks] if self._grain == "blocks" else list(range(self.count))

    def own(self, stage: int) -> int | None:
        """Return the greatest reduction in a stage."""
        here = [_reduction(kind) for kind, of in zip(self._kinds, self._stage_of, strict=True) if of == stage]
        return max((reduction for reduction in here if reduction is not None), default=None)

    def lowered(self, reductions: dict[int, int]) -> Architecture:
        """Return the network with the reductions of some stages lowered."""
        kinds = [_with(kind, reductions.get(stage)) for kind, stage in zip(self._kinds, self._stage_of, strict=True)]
        return Architecture.parse(
            {**self._vanilla.to_dict(), "attention": {self._grain: [k.model_dump(exclude_none=True) for k in kinds]}}
        )


def _reduction(kind: AttentionKind) -> int | None:
    option = KINDS[kind.name].option(REDUCTION)
    if option is None:
        return None
    value = kind.options.get(REDUCTION, option.default)
    assert isinstance(value, int)  # the declaration says so
    return value


def _with(kind: AttentionKind, reduction: int | None) -> AttentionKind:
    own = _reduction(kind)
    if own is None or reduction is None:
        return kind
    return AttentionKind(name=kind.name, **{**kind.options, REDUCTION: min(own, reduction)})


def _nearest(added: Sequence[NDArray[np.int64]], wanted: int) -> list[int]:
    """Return which entry of each array to take so that their sum is nearest to a number; the first of equal ones.

    Sums of the first and of the second half of the arrays are met in the middle: all of 16 choices in seven stages
    would be 268 million.
    """
    middle = (len(added) + 1) // 2
    first, second = _sums(added[:middle]), _sums(added[middle:])
    order = np.argsort(second, kind="stable")
    places = np.searchsorted(second[order], wanted - first)
    best: tuple[int, int, int] | None = None
    for step in (-1, 0):
        near = np.clip(places + step, 0, len(second) - 1)
        off = np.abs(first + second[order][near] - wanted)
        n = int(off.argmin())
        found = int(off[n]), n, int(order[near[n]])
        best = found if best is None else min(best, found)
    assert best is not None
    sizes = [len(choices) for choices in added]
    return [*_digits(best[1], sizes[:middle]), *_digits(best[2], sizes[middle:])]


def _sums(arrays: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Return the sum of every choice of one entry an array, the last array's changing fastest."""
    sums = np.zeros(1, np.int64)
    for array in arrays:
        sums = (sums[:, None] + array[None, :]).reshape(-1)
    return sums


def _digits(number: int, sizes: Sequence[int]) -> list[int]:
    """Return which entries a sum's position stands for."""
    digits: list[int] = []
    for size in reversed(sizes):
        number, digit = divmod(number, size)
        digits.insert(0, digit)
    return digits
