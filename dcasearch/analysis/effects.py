"""What several rows of a list say together: a gain by depth or initial values, and whether two dimensions add up.

Which rows belong together is recognised by their networks, not by their labels.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from dcasearch.analysis.contrasts import BySeed, Term, contrast, slope
from dcasearch.analysis.power import Difference, Power
from dcasearch.architecture import Network, family_of
from dcasearch.architecture.specification import ParameterInit
from dcasearch.space import ListedSpace, Row

OURS: ParameterInit = "ours"
"""The initial values that are this package's own."""
DEPTHS = 3
"""Depths below which no trend is told: two make a difference, not a trend."""


@dataclass(frozen=True)
class Effect:
    """A contrast over several rows, in words."""

    name: str
    rows: tuple[str, ...]
    """Labels of the rows that it is made of."""
    said: str
    """What its sign means, e.g. what it is for a gain to shrink."""
    difference: Difference
    rising: str
    """The word where it is resolved and positive."""
    falling: str
    """The word where it is resolved and negative."""

    @property
    def verdict(self) -> str:
        """In words; nothing that is not resolved gets a direction."""
        if not self.difference.resolved:
            return "not resolved" if self.difference.seeds_known else "needs three seeds"
        return self.rising if self.difference.value > 0 else self.falling


@dataclass(frozen=True)
class _Planned:
    """An effect before it is measured."""

    name: str
    rows: tuple[Row, ...]
    said: str
    terms: tuple[Term, ...]
    rising: str
    falling: str


def effects_of(space: ListedSpace, known: Mapping[str, BySeed], power: Power) -> tuple[Effect, ...]:
    """Return every effect whose rows are all trained, corrected for their number.

    Args:
        space: The list.
        known: By label the headline metric by seed; empty where nothing is trained.
        power: Of these trainings.
    """
    planned = [*_trends(space, known), *_interactions(space, known), *_initial_values(space, known)]
    found = []
    for plan in planned:
        told = contrast(power, plan.terms, len(planned))
        if told is not None:
            labels = tuple(row.label for row in plan.rows)
            found.append(Effect(plan.name, labels, plan.said, told, plan.rising, plan.falling))
    return tuple(found)


def depth_of(row: Row) -> int | None:
    """Return how many layers with weights the backbone has on its main path; None where it is not named by them."""
    family = family_of(row.architecture.backbone.name)
    return None if family is None else family.depth


def _trends(space: ListedSpace, known: Mapping[str, BySeed]) -> Iterator[_Planned]:
    """Yield the slope of (connected − vanilla) over log₂ depth, of rows that differ in their depth alone."""
    groups: dict[str, list[tuple[int, Row, Row]]] = {}
    for row in space.rows:
        depth, other = depth_of(row), space.reference(row)
        if row.role == "connected" and depth is not None and other is not None and other.role == "vanilla":
            groups.setdefault(_but_depth(row), []).append((depth, row, other))
    for group in groups.values():
        trained = sorted((g for g in group if known[g[1].label] and known[g[2].label]), key=lambda g: g[0])
        if len({depth for depth, _, _ in trained}) < DEPTHS:
            continue
        terms = slope([(math.log2(depth), known[ours.label], known[theirs.label]) for depth, ours, theirs in trained])
        yield _Planned(
            name="difference by depth",
            rows=tuple(row for _, *pair in trained for row in pair),
            said="change of (connected − vanilla) from one depth to twice the depth",
            terms=tuple(terms),
            rising="grows with depth",
            falling="shrinks with depth",
        )


def _but_depth(row: Row) -> str:
    """Return what two networks that differ in their depth alone share."""
    written = row.architecture.to_dict()
    written["backbone"] = {key: value for key, value in written["backbone"].items() if key != "name"}
    family = family_of(row.architecture.backbone.name)
    return json.dumps(["" if family is None else family.family, written], sort_keys=True)


def _interactions(space: ListedSpace, known: Mapping[str, BySeed]) -> Iterator[_Planned]:
    """Yield both − one − other + none, of rows that differ in which of two dimensions is connected."""
    trained = [row for row in space.rows if known[row.label]]
    for both in trained:
        network = both.architecture.network
        if len(network.dimensions) != 2:  # an interaction is of two
            continue
        alone = [_with_edges(trained, network, {dimension}) for dimension in network.dimensions]
        none = _with_edges(trained, network, set())
        one, other = alone
        if one is None or other is None or none is None:
            continue
        first, second = network.dimensions
        yield _Planned(
            name=f"{first} × {second}",
            rows=(none, one, other, both),
            said=f"both − {first} alone − {second} alone + neither",
            terms=(
                Term(1.0, known[both.label], known[one.label]),
                Term(-1.0, known[other.label], known[none.label]),
            ),
            rising="more than the sum of the two",
            falling="less than the sum of the two",
        )


def _initial_values(space: ListedSpace, known: Mapping[str, BySeed]) -> Iterator[_Planned]:
    """Yield how much a row's difference to its reference changes with the initial values of both."""
    by_id = {row.architecture.id: row for row in space.rows}
    for row in space.rows:
        network = row.architecture.network
        twin, reference = by_id.get(replace(network, init=OURS).id), space.reference(row)
        its_reference = None if twin is None else space.reference(twin)
        if network.init == OURS or twin is None or reference is None or its_reference is None:
            continue
        rows = (row, reference, twin, its_reference)
        if all(known[r.label] for r in rows):
            difference, its_difference = (f"{a.label} − {b.label}" for a, b in (rows[:2], rows[2:]))
            yield _Planned(
                name=f"initial values in {difference}",
                rows=rows,
                said=f"({difference}) − ({its_difference})",
                terms=(
                    Term(1.0, known[row.label], known[reference.label]),
                    Term(-1.0, known[twin.label], known[its_reference.label]),
                ),
                rising="greater under the released initial values",
                falling="smaller under the released initial values",
            )


def _with_edges(rows: list[Row], network: Network, dimensions: set[str]) -> Row | None:
    """Return the row with the same nodes and, of the same edges, those in some dimensions."""
    edges = {edge for edge in network.edges if edge.dimension in dimensions}
    bare = replace(network, edges=(), alpha_init=1.0)
    for row in rows:
        other = row.architecture.network
        if replace(other, edges=(), alpha_init=1.0) == bare and set(other.edges) == edges:
            return row
    return None
