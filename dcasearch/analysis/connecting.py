"""What connecting a stage in a dimension is worth: networks that do it against networks that do not. Pure.

Where networks were trained that differ in that stage and dimension alone, each is compared with its twin. Elsewhere
networks that connect the stage are compared with those that do not; they differ in much else, so this is no experiment.
How to read both: docs/report.md.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from dcasearch.analysis.networks import TrainedNetwork, TrainedNetworks
from dcasearch.analysis.paired import CONFIDENCE, ENOUGH, Error
from dcasearch.analysis.power import Power, difference
from dcasearch.architecture import Dimension, Edge, Network

Basis: TypeAlias = Literal["paired", "observational"]
_Place: TypeAlias = tuple[Dimension, int]
"""A dimension, and a stage from 1."""
_Wiring: TypeAlias = Mapping[_Place, frozenset[Edge]]
"""The edges of a network by where their receivers are."""


@dataclass(frozen=True, kw_only=True)
class Connecting:
    """Networks whose blocks of one stage receive in one dimension, minus networks in which none of them does."""

    dimension: Dimension
    stage: int
    """From 1."""
    basis: Basis
    """`paired`: twins that differ in this stage and dimension alone; `observational`: they may differ in all else."""
    pairs: int
    """paired: networks without the connection that have at least one twin with it."""
    connected: int
    """Networks with the connection that are compared."""
    unconnected: int
    """Networks without it that are compared."""
    value: float
    """Mean difference in the headline metric's unit; percentages differ by points."""
    margin: float | None
    """Half-width of the 95% interval of this difference alone; None: too few networks, and no noise is known."""

    @property
    def clear(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.margin is not None and abs(self.value) > self.margin


@dataclass(frozen=True)
class ConnectingAt:
    """All that can be said at one fidelity."""

    fidelity: str
    metric: str
    places: tuple[Connecting, ...]
    """By dimension, then stage. A place where all networks connect, or none, is not among them; one with fewer than
    three pairs has both comparisons, the paired one first."""


def connecting_of(trained: TrainedNetworks, power: Power | None) -> ConnectingAt:
    """Return what connecting each stage in each dimension is worth at a fidelity.

    Networks without attention in two places, such as the plain backbone, can connect nothing and are left out.
    """
    networks = [(network, _wiring(network.network)) for network in trained.networks if _can_connect(network.network)]
    places = sorted({place for _, wiring in networks for place in wiring})
    bases = {network.architecture_id: _rest(network.network) for network, _ in networks}
    found: list[Connecting] = []
    for place in places:
        ours = [network for network, wiring in networks if place in wiring]
        theirs = [network for network, wiring in networks if place not in wiring and _has(network.network, place)]
        if not ours or not theirs:
            continue
        twins = _twins(place, networks, bases)
        told = _paired(place, twins, power)
        found += [] if told is None else [told]
        if told is None or told.pairs < ENOUGH:
            found.append(_observed(place, ours, theirs))
    return ConnectingAt(trained.fidelity, trained.metric.name, tuple(found))


def t_margin(values: Sequence[float]) -> float | None:
    """Return the half-width of the 95% interval of a mean, by Student's t; None of fewer than two values."""
    if len(values) < 2:
        return None
    return Error(statistics.variance(values) / len(values), len(values) - 1).margin()


def welch_margin(ours: Sequence[float], theirs: Sequence[float]) -> float | None:
    """Return the half-width of the 95% interval of a difference of means, by Welch; None where a side has under 3."""
    if min(len(ours), len(theirs)) < ENOUGH:
        return None
    from scipy import special  # takes a fifth of a second to import

    parts = [statistics.variance(side) / len(side) for side in (ours, theirs)]
    total = sum(parts)
    if total == 0:
        return 0.0
    df = total**2 / sum(part**2 / (len(side) - 1) for part, side in zip(parts, (ours, theirs), strict=True))
    return float(special.stdtrit(df, (1 + CONFIDENCE) / 2)) * math.sqrt(total)


def _wiring(network: Network) -> _Wiring:
    edges: dict[_Place, set[Edge]] = {}
    for edge in network.edges:
        edges.setdefault((edge.dimension, network.nodes[edge.target].layout.stage + 1), set()).add(edge)
    return {place: frozenset(some) for place, some in edges.items()}


def _can_connect(network: Network) -> bool:
    """Return whether two nodes share a dimension."""
    dimensions = [dimension for node in network.nodes for dimension in node.ports]
    return len(dimensions) > len(set(dimensions))


def _has(network: Network, place: _Place) -> bool:
    """Return whether a node of the place could receive: it has the dimension, and a node before it has it too."""
    dimension, stage = place
    having = [node.layout.stage + 1 for node in network.nodes if dimension in node.ports]
    return stage in having[1:]


def _rest(network: Network) -> str:
    """Return what a network is without its connections."""
    return replace(network, edges=()).canonical


def _twins(
    place: _Place, networks: Sequence[tuple[TrainedNetwork, _Wiring]], bases: Mapping[str, str]
) -> list[tuple[TrainedNetwork, list[TrainedNetwork]]]:
    """Return each network that does not connect a place with its twins that do, and are equal everywhere else."""
    groups: dict[object, tuple[list[TrainedNetwork], list[TrainedNetwork]]] = {}
    for network, wiring in networks:
        elsewhere = frozenset((other, edges) for other, edges in wiring.items() if other != place)
        without, having = groups.setdefault((bases[network.architecture_id], elsewhere), ([], []))
        (having if place in wiring else without).append(network)
    return [(without[0], having) for without, having in groups.values() if without and having]


def _paired(
    place: _Place, twins: Sequence[tuple[TrainedNetwork, Sequence[TrainedNetwork]]], power: Power | None
) -> Connecting | None:
    """Return the mean over the pairs; the twins of one network are averaged first, since they share its luck.

    None where there is no pair, or a single one of which nothing more is known.
    """
    differences, compared = [], 0
    for without, having in twins:
        of_twins = [d for twin in having if (d := _difference(twin.values, without.values)) is not None]
        compared += len(of_twins)
        if of_twins:
            differences.append(statistics.fmean(of_twins))
    if not differences:
        return None
    margin = t_margin(differences)
    if margin is None and power is not None:
        without, having = twins[0]
        margin = difference(replace(power, candidates=1), having[0].values, without.values).margin
    return (
        None
        if margin is None
        else Connecting(
            dimension=place[0],
            stage=place[1],
            basis="paired",
            pairs=len(differences),
            connected=compared,
            unconnected=len(differences),
            value=statistics.fmean(differences),
            margin=margin,
        )
    )


def _difference(ours: Mapping[int, float], theirs: Mapping[int, float]) -> float | None:
    """Return the mean difference over the seeds that both have; None without such a seed."""
    shared = sorted(ours.keys() & theirs.keys())
    return statistics.fmean(ours[seed] - theirs[seed] for seed in shared) if shared else None


def _observed(place: _Place, ours: Sequence[TrainedNetwork], theirs: Sequence[TrainedNetwork]) -> Connecting:
    having, without = [network.mean for network in ours], [network.mean for network in theirs]
    return Connecting(
        dimension=place[0],
        stage=place[1],
        basis="observational",
        pairs=0,
        connected=len(ours),
        unconnected=len(theirs),
        value=statistics.fmean(having) - statistics.fmean(without),
        margin=welch_margin(having, without),
    )
