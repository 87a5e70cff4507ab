"""Networks beside each other and beside their untrained ones, by how far their focus moves. Every number is paired."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from dcasearch.interpretation.drift import Track
from dcasearch.interpretation.intervals import Combine, Estimate, Floats

Variant: TypeAlias = Literal["trained", "untrained", "untrained, trained coefficients"]
VARIANTS: tuple[Variant, ...] = ("trained", "untrained", "untrained, trained coefficients")


@dataclass(frozen=True, eq=False, kw_only=True)
class Watched:
    """One network, or one of its untrained ones, with every measure of it."""

    name: str
    """Of the spec."""
    variant: Variant
    tracks: tuple[Track, ...]

    @property
    def label(self) -> str:
        """The network in words."""
        return self.name if self.variant == "trained" else f"{self.name}, {self.variant}"

    def track(self, measure: str) -> Track | None:
        """Return one measure of it; None where it has none."""
        return next((track for track in self.tracks if track.measure == measure), None)


@dataclass(frozen=True, kw_only=True)
class Mean:
    """A mean over steps, of one network or of a difference of networks."""

    label: str
    measure: str
    steps: Estimate | None
    """The mean over all steps; None where no step is defined in all of the networks."""
    borders: Estimate | None
    """The mean over the steps from one stage to another."""


def mean_of(watched: Watched, track: Track) -> Mean:
    """Return the mean over the steps of a network."""
    return _mean(watched.label, [(1.0, track)])


def differences(watched: Sequence[Watched]) -> Iterator[Mean]:
    """Yield every comparison that the networks allow, measure by measure.

    Each trained network minus its untrained ones; the first trained network minus each other trained one; and the
    first's gain over its untrained one minus the other's gain. Two networks are compared where both have the same
    spots.
    """
    first = watched[0].name
    known = {(w.name, w.variant): w for w in watched}
    for measure in dict.fromkeys(track.measure for w in watched for track in w.tracks):
        by_network = {key: track for key, w in known.items() if (track := w.track(measure)) is not None}
        for name, variant in by_network:
            trained = by_network.get((name, "trained"))
            if variant != "trained" and trained is not None:
                label = f"{name} − {variant}"
                yield _mean(label, [(1.0, trained), (-1.0, by_network[name, variant])])
        for name in dict.fromkeys(name for name, _ in by_network if name != first):
            ours, theirs = by_network.get((first, "trained")), by_network.get((name, "trained"))
            if ours is None or theirs is None or ours.spots != theirs.spots:
                continue
            yield _mean(f"{first} − {name}", [(1.0, ours), (-1.0, theirs)])
            untrained = [by_network.get((network, "untrained")) for network in (first, name)]
            if untrained[0] is not None and untrained[1] is not None:
                terms = [(1.0, ours), (-1.0, untrained[0]), (-1.0, theirs), (1.0, untrained[1])]
                yield _mean(f"{first} − {name}, each beyond its untrained network", terms)


def _mean(label: str, terms: Sequence[tuple[float, Track]]) -> Mean:
    """Return the mean over steps of a sum of tracks with signs, over the steps that all of them have."""
    joined = terms[0][1].steps
    for _, track in terms[1:]:
        joined = joined.beside(track.steps)
    steps, borders = (joined.estimates(_of(terms, only))[0] for only in (None, terms[0][1].borders))
    return Mean(label=label, measure=terms[0][1].measure, steps=steps, borders=borders)


def _of(terms: Sequence[tuple[float, Track]], only: Any) -> Combine:
    signs = [sign for sign, _ in terms]

    def of(rows_RM: Floats) -> Floats:
        parts = [sign * part for sign, part in zip(signs, np.split(rows_RM, len(signs), axis=1), strict=True)]
        total_RS = np.sum(parts, axis=0)
        if only is not None:
            total_RS = total_RS[:, only]
        known = np.isfinite(total_RS[0])
        if not known.any():
            return np.full((len(total_RS), 1), np.nan)
        return np.asarray(total_RS[:, known].mean(1, keepdims=True))

    return of
