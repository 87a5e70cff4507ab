"""Several networks side by side: what differs, what was measured, and whether that can be told apart."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from dcasearch.analysis.measured import powers_of
from dcasearch.analysis.power import Difference, difference
from dcasearch.analysis.references import Referred
from dcasearch.analysis.standing import load_study_of
from dcasearch.architecture.words import difference_of, sentence_of
from dcasearch.metrics import METRICS, Metric
from dcasearch.store import Store


@dataclass(frozen=True, kw_only=True)
class ComparedNetwork:
    """One of the networks."""

    name: str
    architecture_id: str
    sentence: str
    against_first: str
    """What it has that the first has not; empty for the first, and for an equal network."""
    headline: Metric | None = None
    """What its trainings are compared by; None where none is known."""
    values: Mapping[int, float] = field(default_factory=dict)
    """Of the headline metric, by seed."""
    difference: Difference | None = None
    """The first minus this one, where both were trained at one fidelity of one study."""

    @property
    def mean(self) -> float | None:
        """Mean over the seeds."""
        return statistics.fmean(self.values.values()) if self.values else None


def compare_networks(store: Store | None, referred: Sequence[Referred]) -> list[ComparedNetwork]:
    """Return networks side by side, the first as what the others are compared with.

    Args:
        store: Their database; None where none has trainings.
        referred: The networks, at least one.
    """
    led_by = _led_by(store, referred)
    first, *others = [_measured(store, one, referred[0], led_by) for one in referred]
    pairs = zip(others, referred[1:], strict=True)
    return [first, *(_told_apart(store, first, one, (referred[0], of), len(others)) for one, of in pairs)]


def _led_by(store: Store | None, referred: Sequence[Referred]) -> Metric | None:
    """Return what the one study compares by that all networks are of; None where they are of several, or of none."""
    studies = {one.study for one in referred}
    study = studies.pop() if len(studies) == 1 else None
    return None if store is None or study is None else load_study_of(store, study).headline


def _measured(store: Store | None, one: Referred, first: Referred, led_by: Metric | None) -> ComparedNetwork:
    records = {} if store is None else store.evaluations(one.evaluations.values())
    last = {seed: records[id].last for seed, id in sorted(one.evaluations.items()) if id in records}
    headline = next((epoch.headline for epoch in last.values()), None)
    if led_by is not None and last and all(led_by.name in epoch.values for epoch in last.values()):
        headline = led_by
    return ComparedNetwork(
        name=one.name,
        architecture_id=one.architecture.id,
        sentence=sentence_of(one.architecture.network),
        against_first=difference_of(one.architecture.network, first.architecture.network),
        headline=headline,
        values={} if headline is None else {seed: epoch.values[headline.name] for seed, epoch in last.items()},
    )


def _told_apart(
    store: Store | None, first: ComparedNetwork, one: ComparedNetwork, of: tuple[Referred, Referred], comparisons: int
) -> ComparedNetwork:
    study, fidelity = of[1].study, of[1].fidelity
    together = (study, fidelity) == (of[0].study, of[0].fidelity)
    if store is None or study is None or not together or not first.values or not one.values:
        return one
    power = powers_of(load_study_of(store, study), store).get(str(fidelity))
    if power is None or first.headline is not METRICS[power.metric]:
        return one
    return replace(one, difference=difference(power, first.values, one.values, comparisons))
