"""The option of kinds that divide a block's channels into groups; several kinds declare it."""

from __future__ import annotations

import math
from functools import lru_cache

from dcasearch.architecture.kinds.declaration import Option, Value
from dcasearch.architecture.layouts.layout import BlockLayout

NAME = "groups"


@lru_cache(maxsize=1024)
def _divisors(number: int) -> tuple[int, ...]:
    """Return what divides a number: a trace may say a million channels for each of its blocks."""
    small = [n for n in range(1, math.isqrt(number) + 1) if number % n == 0]
    return (*small, *(number // n for n in small))


def groups(*, least: int = 1) -> Option:
    """Return the number of groups of a block's channels.

    A block is built with the greatest number of groups that divides both what is written and the block's channels.

    Args:
        least: least number of channels in a group, where the block has that many.
    """

    def built(block: BlockLayout, value: Value) -> tuple[str, Value]:
        shared = math.gcd(int(value or 1), block.channels)
        fitting = (n for n in _divisors(shared) if block.channels // n >= least)
        return NAME, max(fitting, default=1)

    says = "groups of channels; a block has the greatest divisor of them that divides its channels too"
    return Option(
        name=NAME,
        type=int,
        default=64,
        least=1,
        built=built,
        says=says if least == 1 else f"{says} and leaves {least} channels a group",
    )
