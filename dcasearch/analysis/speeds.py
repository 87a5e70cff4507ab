"""How fast a study's trainings run, fidelity by fidelity, and how many of them at a time."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from dcasearch.analysis.device_speed import DeviceSpeed
from dcasearch.config.study import Fidelity, Resources, Study
from dcasearch.models import cost
from dcasearch.store import Store

PASSES = 3
"""A training step is about three forward passes: one forward, two for the gradients."""
_RECENT = 50
"""Trainings that the speed is measured from."""
_SPREAD = 1.3
"""Factor by which trainings of one speed take less or more time: networks of equal multiply-adds differ."""
_LEAST_SPREAD, _FEW = 1.1, 10
"""The spread is that of a study's own trainings from so many on, and never less than this."""


@dataclass(frozen=True)
class Speed:
    """How fast one training of a fidelity runs."""

    macs: float | None
    """Multiply-adds per second; None: nothing says it."""
    basis: str
    images: float | None = None
    """Per second, what its loaders give at most; None: that is no limit, or in the number above."""
    spread: float = _SPREAD
    """Factor by which a training may take less or more time than these numbers say."""

    def seconds(self, macs: float, images: float) -> float | None:
        """Return the time of a training's work, of the slower of the two."""
        if not self.macs:
            return None
        return max(macs / self.macs, images / self.images if self.images else 0.0)


def speeds_of(study: Study, store: Store | None, classes: int, known: DeviceSpeed | None) -> dict[str, Speed]:
    """Return how fast each fidelity trains, by what is nearest to it, and where the number is from.

    Args:
        study: the study.
        store: its database, where one exists.
        classes: of its data.
        known: what a GPU check measured on the device; None where nothing is known of it.
    """
    measured = {} if store is None else {one.name: _measured(study, one, store, classes) for one in study.fidelities}
    return {one.name: _speed(study, one, measured, known) for one in study.fidelities}


def _speed(study: Study, fidelity: Fidelity, measured: Mapping[str, Speed | None], known: DeviceSpeed | None) -> Speed:
    own, others = measured.get(fidelity.name), [speed for speed in measured.values() if speed is not None]
    if own is not None:
        return own
    said = study.throughput_of(fidelity.name)
    if others and (said is None or not isinstance(study.throughput, Mapping)):
        return others[-1]  # of the fidelity that is the most like a full training
    if said is not None:
        return Speed(said, "`throughput` of the YAML")
    if known is not None and study.detector is None:  # a classifier's speed says nothing of a detector's heads
        return Speed(known.macs_per_second, known.basis, known.loaded_per_second)
    return Speed(None, "no training of this study is stored yet and the YAML gives no `throughput`")


def _measured(study: Study, fidelity: Fidelity, store: Store, classes: int) -> Speed | None:
    """Return the speed of a fidelity's stored trainings; evaluation passes are small change beside them."""
    if fidelity.kind != "training":
        return None
    macs, seconds = list[float](), list[float]()
    trials = [t for t in store.trials(study.name, fidelity.name) if t.evaluation and t.duplicate_of is None]
    for trial in trials[-_RECENT:]:
        record = store.evaluation(trial.evaluation or "")
        architecture = store.get_architecture(trial.architecture_id)
        macs.append(PASSES * record.images * cost(architecture, fidelity.resolution, classes).macs)
        seconds.append(record.seconds)
    if not sum(seconds):
        return None
    speed = sum(macs) / sum(seconds)
    off = [
        max(one / (speed * took), speed * took / one) for one, took in zip(macs, seconds, strict=True) if one and took
    ]
    spread = sorted(off)[int(0.9 * len(off))] if len(off) >= _FEW else _SPREAD  # nine of ten trainings lie within it
    return Speed(speed, "this study's own trainings so far", spread=max(_LEAST_SPREAD, min(spread, _SPREAD**2)))


def bases_of(speeds: Mapping[str, Speed]) -> str:
    """Return what the times are computed from, fidelity by fidelity where they differ."""
    by_basis: dict[str, list[str]] = {}
    for name, speed in speeds.items():
        by_basis.setdefault(speed.basis, []).append(name)
    if len(by_basis) == 1:
        return next(iter(by_basis))
    return "; ".join(f"{', '.join(names)}: {basis}" for basis, names in by_basis.items())


def room_here(study: Study) -> dict[str, int]:
    """Return how many trainings of each fidelity this machine's cores hold; nothing where trials run on a cluster."""
    if study.executor.name != "local":
        return {}
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    wanted = {one.name: study.executor.resources.get(one.name, Resources()).cpu for one in study.fidelities}
    return {name: max(1, cores // cpus) for name, cpus in wanted.items()}
