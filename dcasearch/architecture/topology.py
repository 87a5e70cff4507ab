"""Which blocks listen to which: the topologies of the paper's sections 3 and 5, over the blocks that have a dimension.

Blocks are numbered 1..n in network order, counting only those that have the dimension; every block sends,
the receiving set says who listens. Dense and tree index within a stage, from 1; the first numbered block of
a stage receives from the last numbered block before it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from dcasearch.registry import Registry

Sources: TypeAlias = Callable[[Sequence[int], int], list[int]]
"""(stages of the numbered blocks, position k from 0) -> positions j < k that block k receives from."""

TOPOLOGIES: Registry[Sources] = Registry("a topology")


def _stage_start(stages: Sequence[int], k: int) -> int:
    """Position of the first numbered block of k's stage."""
    return stages.index(stages[k])


@TOPOLOGIES.register("chain")
def chain(stages: Sequence[int], k: int) -> list[int]:
    """Each block receives from the one before it (the paper's DCANet)."""
    return [k - 1] if k else []


@TOPOLOGIES.register("dense")
def dense(stages: Sequence[int], k: int) -> list[int]:
    """Each block receives from every earlier one of its stage, as in DenseNet (section 5)."""
    start = _stage_start(stages, k)
    return chain(stages, k) if k == start else list(range(start, k))


@TOPOLOGIES.register("tree")
def tree(stages: Sequence[int], k: int) -> list[int]:
    """Each block receives from k - 2^i for every 2^i that divides its index k, as in DLA (section 5)."""
    start = _stage_start(stages, k)
    if k == start:
        return chain(stages, k)
    index = k - start + 1  # from 1; a source of index 0 does not exist
    steps = [2**i for i in range(index.bit_length()) if index % 2**i == 0]
    return sorted(k - step for step in steps if index - step >= 1)
