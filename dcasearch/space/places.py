"""Where the chosen kinds of attention stand in a network, and the sites at which a choice is made."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from dcasearch.architecture import KINDS, BackboneLayout, Dimension
from dcasearch.architecture.kinds.declaration import NO_ATTENTION

Grain: TypeAlias = Literal["network", "stage", "block"]


@dataclass(frozen=True)
class Place:
    """A node of a network whose kinds are chosen: a block, or the end of a stage."""

    kind: str
    stage: int
    block: int | None
    """Its number from 0; None after the stage."""

    def site(self, grain: Grain, layout: BackboneLayout) -> int:
        """Return at which of `site_names` a choice about it is made."""
        if grain == "network":
            return 0
        if grain == "stage":
            return self.stage
        return len(layout.blocks) + self.stage if self.block is None else self.block


def site_names(grain: Grain, layout: BackboneLayout, *, after_stages: bool = False) -> list[str]:
    """Return the suffixes of a choice that is made once per network, stage or block.

    At the grain of blocks, attention after stages has sites of its own, which follow those of the blocks.
    """
    if grain == "network":
        return [""]
    stages = range(1, layout.stages + 1)
    if grain == "stage":
        return [f".stage{n}" for n in stages]
    blocks = [f".block{n + 1:02}" for n in range(len(layout.blocks))]
    return blocks + [f".after_stage{n}" for n in stages] * after_stages


def places_of(per_block: Sequence[str], per_stage: Sequence[str], layout: BackboneLayout) -> list[Place]:
    """Return the nodes in network order.

    Args:
        per_block: the kind that is chosen for each block; one that stands after stages does so.
        per_stage: the kind that is chosen for the end of each stage.
        layout: the backbone.
    """
    places = []
    for n, block in enumerate(layout.blocks):
        chosen = per_block[n]
        places.append(Place(chosen if KINDS[chosen].in_blocks else NO_ATTENTION, block.stage, n))
        if layout.ends_stage(n):
            kinds = (kind for kind in (chosen, per_stage[block.stage]) if is_after(kind, block.stage, layout))
            places += [Place(kind, block.stage, None) for kind in kinds]
    return places


def is_after(kind: str, stage: int, layout: BackboneLayout) -> bool:
    """Tell whether a kind, if it is chosen for a stage, stands after it."""
    return not KINDS[kind].in_blocks and KINDS[kind].stands_after(layout, stage)


def spread(per_site: list[str], grain: Grain, layout: BackboneLayout) -> list[str]:
    """Return for every block what was chosen for its site."""
    if grain == "network":
        return per_site * len(layout.blocks)
    return [per_site[block.stage] for block in layout.blocks] if grain == "stage" else per_site


def receiving_sites(dimension: Dimension, places: Collection[Place], grain: Grain, layout: BackboneLayout) -> list[int]:
    """Return the sites at which 'receives or not' makes a difference: those with a node that has a predecessor."""
    numbered = [place for place in places if dimension in KINDS[place.kind].dimensions]
    return sorted({place.site(grain, layout) for place in numbered[1:]})
