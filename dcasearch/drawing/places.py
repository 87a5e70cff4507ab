"""Where the nodes of a drawing stand: side by side, within a width that fits a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from dcasearch.architecture import Node
from dcasearch.architecture.words import label_of
from dcasearch.drawing.svg import text_width

MARGIN = 24.0
STAGE_GAP = 16.0
END_WIDTH = 44.0
"""Of the stem and of the head."""
STAGE_END_PITCH = 46.0
"""Least room for what stands after a stage."""
_WIDEST = 1176.0
"""Of a drawing, as long as its blocks need not be closer than the least distance."""
_PITCH = (10.0, 58.0, 80.0)
"""Least and greatest distance of two blocks of a stage; the last where their names are long."""
_FILLED = 0.72
"""Share of a block in its pitch."""


@dataclass(frozen=True)
class Place:
    """Where a node stands; `x` is its left side. Connections leave on its right and arrive on its left."""

    node: Node
    number: int
    """Of the block, from 1; of what stands after a stage that of the block before it."""
    x: float
    width: float

    @property
    def right(self) -> float:
        """The right side."""
        return self.x + self.width

    @property
    def centre(self) -> float:
        """The middle."""
        return self.x + self.width / 2

    def sends(self, number: int) -> float:
        """Return where connections leave; those of a side's second dimension, which are further out, further left."""
        return self.x + (0.72 - 0.11 * number) * self.width

    def receives(self, number: int) -> float:
        """Return where connections arrive."""
        return self.x + (0.28 + 0.11 * number) * self.width


def places_of(nodes: Sequence[Node]) -> dict[str, Place]:
    """Stand the nodes side by side within the greatest width, by name; a gap tells the stages apart.

    What stands after a stage has a gap on both sides, and is never too narrow for its name.
    """
    ends = sum(node.after_stage for node in nodes)
    borders = sum(a.layout.stage != b.layout.stage for a, b in pairwise(nodes)) + ends
    left = MARGIN + END_WIDTH + STAGE_GAP
    room = _WIDEST - 2 * left - STAGE_GAP * borders - STAGE_END_PITCH * ends
    longest = max(text_width(label_of(node.kind), 10, bold=True) for node in nodes) + 6
    widest = min(_PITCH[2], max(_PITCH[1], longest / _FILLED))
    pitch = min(widest, max(_PITCH[0], room / (len(nodes) - ends)))
    x, number, places = left, 0, dict[str, Place]()
    before: Node | None = None
    for node in nodes:
        if before is not None and (node.after_stage or node.layout.stage != before.layout.stage):
            x += STAGE_GAP
        number += not node.after_stage
        width = max(pitch, STAGE_END_PITCH) if node.after_stage else pitch
        places[node.name] = Place(node, number, x, width * _FILLED)
        x, before = x + width, node
    return places
