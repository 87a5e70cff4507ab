"""Points of the space that no sampler suggests: the grid's, and the ones drawn when a sampler only repeats itself."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection

from dcasearch.space import Point, Space, size

ENUMERABLE = 20_000
"""Largest size as written that is enumerated whole to find what is left."""
DRAWS = 5_000
"""Random draws in a larger space before nothing is said to be left."""


def architectures(space: Space, look: Callable[[], None] = lambda: None) -> set[str] | None:
    """Return the ids of all architectures of a space of up to `ENUMERABLE` points; None of a larger one.

    `look` is called again and again meanwhile; what it raises passes.
    """
    return {point.architecture.id for point in space.distinct(look)} if size(space) <= ENUMERABLE else None


def draw_unvisited(
    space: Space,
    visited: Collection[str],
    feasible: Callable[[Point], bool],
    seed: str,
    look: Callable[[], None] = lambda: None,
) -> Point | None:
    """Return a random feasible point whose architecture is not visited, or None if there is none.

    Exact in a space of up to `ENUMERABLE` points; in a larger one None means that `DRAWS` random points
    held no such architecture. `look` is called again and again meanwhile; what it raises passes.
    """
    rng = random.Random(seed)
    if size(space) <= ENUMERABLE:
        left = [point for point in space.distinct(look) if point.architecture.id not in visited]
        rng.shuffle(left)
        return next((point for point in left if feasible(point)), None)
    seen = set(visited)
    for _ in range(DRAWS):
        look()
        point = space.random(rng)
        if point.architecture.id not in seen:
            if feasible(point):
                return point
            seen.add(point.architecture.id)
    return None
