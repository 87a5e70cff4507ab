"""How many vanilla parents a study trains besides its trials."""

from __future__ import annotations

from collections.abc import Sequence

from dcasearch.architecture import vanilla_of
from dcasearch.config.study import Fidelity, Study
from dcasearch.space import Point, Space, parents_of
from dcasearch.space.parents import may_be_constant


def parents_trained(study: Study, space: Space, fidelity: Fidelity) -> int:
    """Return the distinct vanilla networks that a fidelity starts from: the space's, and its baselines'."""
    found = parents_of(space, fidelity.initialize.max_parents) or ()
    baselines = [vanilla_of(baseline.architecture) for baseline in space.baselines(study.baselines)]
    return len({architecture.id for architecture in (*found, *baselines)})


def constant_parents(
    study: Study, space: Space, fidelity: Fidelity, most: int, *, trained: Sequence[Point] = (), final: bool = False
) -> int:
    """Return how many vanilla networks are trained at most for the constant messages of so many architectures.

    A vanilla baseline is one of them, and is trained anyway, as is one among `trained`, which are then all points of
    the space. Not so for the final trainings, whose baselines are measured on the test split.
    """
    if fidelity.kind == "zero_cost" or not may_be_constant(space):
        return 0
    baselines = set() if final else {baseline.architecture.id for baseline in space.baselines(study.baselines)}
    if trained:
        there = {point.architecture.id for point in trained} | baselines
        constant = (point.architecture for point in trained if point.architecture.network.has_constants)
        return len({vanilla_of(architecture).id for architecture in constant} - there)
    found = parents_of(space, most + len(space.baselines(True)))
    if found is None:
        return most
    return min(most, len({architecture.id for architecture in found} - baselines))
