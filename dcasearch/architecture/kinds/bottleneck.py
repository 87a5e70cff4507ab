"""The option of kinds with a bottleneck C -> C/r -> C; several kinds declare it."""

from __future__ import annotations

from collections.abc import Callable

from dcasearch.architecture.kinds.declaration import Option, Value
from dcasearch.architecture.layouts.layout import BlockLayout

NAME, HIDDEN = "reduction", "hidden"
"""As it is written, and as what is built: equal widths are equal networks, so the id has the width."""


def _channels(block: BlockLayout) -> int:
    return block.channels


def reduction(*, of: Callable[[BlockLayout], int] = _channels, least: int = 1, default: int = 16) -> Option:
    """Return r of C -> C/r.

    Args:
        of: channels that the attention works on.
        least: least hidden width; 4 where a norm follows (a LayerNorm over one feature is dead).
        default: r where none is written.
    """

    def built(block: BlockLayout, value: Value) -> tuple[str, Value]:
        return HIDDEN, max(least, of(block) // int(value or 1))

    says = "r of the bottleneck C → C/r"
    return Option(name=NAME, type=int, default=default, least=1, asked=0, built=built, says=says, symbol="r")
