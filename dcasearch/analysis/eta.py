"""How long a run will still take, as a range that holds eight times out of ten. No torch.

The rest of the run is drawn many times: who is pruned at which rung, who fails, how long each epoch takes, and which
of the workers is free next. What is not known well is drawn too: the mean epoch of a fidelity after few trainings, or
before any, when it is carried over from another fidelity by the work of an epoch. The 10% and 90% quantiles of the
draws are the range. `benchmarks/eta_replay.py` replays runs and counts how often ranges are right.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dcasearch.analysis.progress import Phase, Progress, Training

_STEPS = (1, 5, 10, 30, 60, 300, 600, 1800, 3600, 6 * 3600, 12 * 3600)
Floats = NDArray[np.float64]

_DRAWS = 200
_DRAWN_ONE_BY_ONE = 300
"""Trainings of a phase whose place among the workers is drawn; further ones are taken at their mean."""
_SPREAD = 0.3
"""Relative spread of networks' epochs that is assumed before any was measured, and as many trainings as:"""
_SPREAD_WEIGHT = 3.0
_RECENT = 200
"""Trainings of a fidelity that are looked at: the last ones."""
_HALF_AFTER = 8.0
"""Trainings after which an older one counts half."""
_WARM = 0.3
"""Share of a first training's start that later ones need, as long as none of those was measured."""
_DRIFT = 0.15
"""Relative error of a mean that no number of trainings removes: a machine is not equally busy all the time."""
_CARRIED = (0.1, 0.25)
"""Relative error of a mean that is carried over from another fidelity: always, and per factor e in work."""
_FROM_EARLIER_RUNS = 0.2
"""Relative error of a mean that earlier runs measured."""
_SURVIVE, _SURVIVE_WEIGHT = 0.4, 4.0
"""Share of trials that pass all rungs, as assumed where none is announced, and how many trials it counts for."""
_STALLS = 0.02
"""Share of epochs that take three times as long, as assumed before any was measured."""
_NOISE, _NOISE_WEIGHT = 0.1, 4.0
"""Relative spread of the epochs of one training that is assumed before any was measured, and epochs it counts for."""
_FAILURES = (0.1, 10.0)
"""Failures among trainings, as assumed before any was seen."""


@dataclass(frozen=True)
class Estimate:
    """How long the rest of a run takes, in seconds."""

    low: float
    median: float
    high: float
    share: float
    """Share of the run's time that is over, by the median."""

    @property
    def rounded(self) -> tuple[float, float]:
        """The range in seconds that people read: its ends at a twentieth or so of the time, outwards."""
        step = next(step for step in _STEPS if step * 25 >= self.high or step == _STEPS[-1])
        return math.floor(self.low / step) * step, math.ceil(self.high / step) * step


def estimate(progress: Progress, now: float) -> Estimate | None:
    """Return how long the rest of a run takes from now on; None while nobody can know.

    Nobody can know before an epoch was measured, or while the number of trainings of a phase is not known.
    """
    phases = [phase for phase in progress.phases.values() if phase.left is None or phase.left or phase.running]
    if not phases or any(phase.left is None for phase in phases):
        return None
    rng = np.random.default_rng(0)  # equal draws each time, so that a range does not flicker
    measured = {phase.fidelity: _Measured.of(progress, phase.fidelity) for phase in progress.phases.values()}
    work = {phase.fidelity: phase.work for phase in progress.phases.values()}
    means = _means(phases, measured, work, rng)
    if means is None:
        return None
    ends = _ends(progress, phases, measured, means, now, rng)
    low, median, high = np.quantile(ends, (0.1, 0.5, 0.9))
    if progress.limit is not None:
        left = max(0.0, progress.limit - now)
        low, median, high = min(low, left), min(median, left), min(high, left)
    elapsed = now - (now if progress.began is None else progress.began)
    return Estimate(float(low), float(median), float(high), elapsed / max(elapsed + float(median), 1e-9))


@dataclass(frozen=True)
class _Measured:
    """What the trainings of one fidelity took in this run."""

    epochs: Floats
    """Seconds of an epoch, by training."""
    starts: Floats
    """Seconds that a training takes besides its epochs, by training."""
    noise: Floats
    """Seconds of single epochs, in means of their training."""

    @classmethod
    def of(cls, progress: Progress, fidelity: str) -> _Measured:
        """Read what was measured."""
        begun = [t for t in progress.trainings(fidelity) if t.first is not None or t.later][-_RECENT:]
        whole = [training for training in begun if training.first is not None and training.later]
        starts = [_start(t) for t in whole if not t.cold] or [_start(t) * _WARM for t in whole]
        usual = float(np.median(starts)) if starts else 0.0
        noise = [seconds / np.mean(t.later) for t in begun if len(t.later) > 1 for seconds in t.later]
        return cls(np.array([_epoch(training, usual) for training in begun]), np.array(starts), np.array(noise))

    @property
    def weights(self) -> Floats:
        """What each training counts for in the mean: the last ones most, since a machine gets more or less busy."""
        return np.asarray(0.5 ** (np.arange(len(self.epochs))[::-1] / _HALF_AFTER), np.float64)

    @property
    def mean(self) -> float:
        """Mean seconds of an epoch."""
        return float(np.average(self.epochs, weights=self.weights))

    @property
    def count(self) -> float:
        """Trainings that the mean rests on."""
        return float(self.weights.sum() ** 2 / (self.weights**2).sum())

    @property
    def spread(self) -> float:
        """Relative spread of the epochs of two networks, drawn towards what is assumed."""
        n = len(self.epochs)
        seen = float(np.var(self.epochs / self.epochs.mean())) * n if n > 1 else 0.0
        return math.sqrt((seen + _SPREAD_WEIGHT * _SPREAD**2) / (max(n - 1, 0) + _SPREAD_WEIGHT))

    def sums(self, most: int, rng: np.random.Generator) -> Floats:
        """Return draws of the sums of 0, 1, … `most` epochs, in means of their training."""
        assumed = np.exp(_NOISE * rng.standard_normal((_DRAWS, most)))
        assumed *= np.where(rng.random((_DRAWS, most)) < _STALLS, 3.0, 1.0)
        if len(self.noise):
            seen = rng.random((_DRAWS, most)) * (len(self.noise) + _NOISE_WEIGHT) < len(self.noise)
            assumed = np.where(seen, rng.choice(self.noise, (_DRAWS, most)), assumed)
        return np.concatenate([np.zeros((_DRAWS, 1)), assumed.cumsum(1)], axis=1)

    @property
    def epoch_noise(self) -> float:
        """Relative spread of the epochs of one training, drawn towards what is assumed."""
        seen = float(np.var(self.noise)) * len(self.noise) if len(self.noise) else 0.0
        return math.sqrt((seen + _NOISE_WEIGHT * _NOISE**2) / (len(self.noise) + _NOISE_WEIGHT))


def _start(training: Training) -> float:
    return max(0.0, (training.first or 0.0) - float(np.mean(training.later))) + training.closing


def _epoch(training: Training, usual_start: float) -> float:
    if training.later:
        return float(np.mean(training.later))
    return max((training.first or 0.0) - usual_start, 0.2 * (training.first or 0.0))


def _means(
    phases: Sequence[Phase],
    measured: Mapping[str, _Measured],
    work: Mapping[str, float | None],
    rng: np.random.Generator,
) -> dict[str, Floats] | None:
    """Return draws of the mean epoch of each fidelity, in seconds; None where nothing tells one of them."""
    means: dict[str, Floats] = {}
    for fidelity, found in measured.items():
        if len(found.epochs):
            errors = found.spread / math.sqrt(found.count) * rng.standard_t(found.count + 2, _DRAWS)
            means[fidelity] = found.mean * np.exp(errors + _DRIFT * rng.standard_normal(_DRAWS))
    for phase in phases:
        common = rng.standard_normal(_DRAWS)
        if phase.fidelity in means:
            continue
        if phase.epoch_seconds is not None:
            means[phase.fidelity] = phase.epoch_seconds * np.exp(_FROM_EARLIER_RUNS * common)
        elif phase.work and (comparable := [fidelity for fidelity in means if work[fidelity]]):
            nearest = comparable[-1]
            ratio = phase.work / (work[nearest] or phase.work)
            error = _CARRIED[0] + _CARRIED[1] * abs(math.log(ratio))
            means[phase.fidelity] = means[nearest] * ratio * np.exp(error * common)
        else:
            return None
    return means


def _ends(
    progress: Progress,
    phases: Sequence[Phase],
    measured: Mapping[str, _Measured],
    means: Mapping[str, Floats],
    now: float,
    rng: np.random.Generator,
) -> Floats:
    """Return draws of the seconds until the last training ends: each goes to the worker that is free first."""
    free = np.zeros((_DRAWS, _workers(progress)))
    ended: dict[str, Floats] = {}
    slot = 0
    for phase in phases:
        last = np.zeros(_DRAWS)
        for training in phase.running.values():
            left = _left_of(training, phase, measured[phase.fidelity], means[phase.fidelity], now, rng)
            free[:, slot % free.shape[1]] += left
            last = np.maximum(last, free[:, slot % free.shape[1]])
            slot += 1
        ended[phase.label] = last
    for phase in phases:
        if phase.after in ended:
            free = np.maximum(free, ended[phase.after][:, None])
        durations = _durations(phase, measured[phase.fidelity], means[phase.fidelity], _failures(progress), rng)
        last = _schedule(free, *durations)
        ended[phase.label] = np.maximum(ended[phase.label], last)
    end: Floats = np.stack(list(ended.values())).max(0)
    return end


def _workers(progress: Progress) -> int:
    """Return how many trainings run at a time: as announced, or what was seen where a cluster gives fewer."""
    begun = any(phase.ended for phase in progress.phases.values())
    return max(1, min(progress.workers, progress.widest) if begun and progress.widest else progress.workers)


def _schedule(free: Floats, durations: Floats, bulk: Floats) -> Floats:
    """Hand trainings to the workers in their order, and `bulk` seconds of work to all alike; return when all end.

    Args:
        free: when each worker is free, by draw and worker; is changed.
        durations: by draw and training.
        bulk: by draw.
    """
    if bulk.any():
        free += bulk[:, None] / free.shape[1]
    last = free.max(1) if bulk.any() else np.zeros(_DRAWS)
    draws = np.arange(_DRAWS)
    for duration in durations.T:
        worker = free.argmin(1)
        free[draws, worker] += duration
        last = np.maximum(last, free[draws, worker])
    return last


def _durations(
    phase: Phase, measured: _Measured, mean: Floats, failures: float, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Return draws of the seconds of the trainings that a phase has still to begin, and of those beyond them in all."""
    left = phase.left or 0
    further = max(0, (phase.most or 0) - (phase.total or 0)) if not phase.over else 0
    drawn = min(left + further, _DRAWN_ONE_BY_ONE)
    epochs = _epochs_of(phase, rng, drawn)
    sigma = np.sqrt(np.log1p(measured.spread**2 + measured.epoch_noise**2 / np.maximum(epochs, 1)))
    speed = np.exp(sigma * rng.standard_normal((_DRAWS, drawn)) - sigma**2 / 2)
    starts = rng.choice(measured.starts, (_DRAWS, drawn)) if len(measured.starts) else np.zeros((_DRAWS, drawn))
    durations = (epochs * speed * mean[:, None] + starts) * _done_of_failed(failures, rng, drawn)
    bulk = durations.mean(1) * (left + further - drawn) if left + further > drawn else np.zeros(_DRAWS)
    if further:  # a race ends anywhere between the fewest and the most trainings
        begun = left + rng.random(_DRAWS) * further
        durations = durations * (np.arange(drawn)[None, :] < begun[:, None])
    return durations, bulk


def _epochs_of(phase: Phase, rng: np.random.Generator, trainings: int, done: int = 0) -> Floats:
    """Return draws of the epochs at which trainings end that have `done` epochs behind them."""
    epochs = np.full((_DRAWS, trainings), float(phase.epochs))
    alive = np.ones((_DRAWS, trainings), bool)
    each = phase.keeps or _SURVIVE ** (1 / max(1, len(phase.rungs)))
    for rung in phase.rungs:
        on, out = phase.passed[rung], phase.stopped[rung]
        passes = rng.beta(_SURVIVE_WEIGHT * each + on, _SURVIVE_WEIGHT * (1 - each) + out, _DRAWS)
        if rung <= done:
            continue
        ends = alive & (rng.random((_DRAWS, trainings)) > passes[:, None])
        epochs[ends] = rung
        alive &= ~ends
    return epochs


def _failures(progress: Progress) -> float:
    """Return the share of trainings that fail."""
    ended = [training for phase in progress.phases.values() for training in phase.ended]
    return (sum(t.last.kind == "failed" for t in ended) + _FAILURES[0]) / (len(ended) + _FAILURES[1])


def _done_of_failed(share: float, rng: np.random.Generator, trainings: int) -> Floats:
    """Return draws of the share of each training that is done before it fails; 1 where it does not."""
    done = rng.random((_DRAWS, trainings))
    return np.where(rng.random((_DRAWS, trainings)) < share, done, 1.0)


def _left_of(
    training: Training, phase: Phase, measured: _Measured, mean: Floats, now: float, rng: np.random.Generator
) -> Floats:
    """Return draws of the seconds until a running training ends."""
    if training.later:  # its own pace, held against the mean of all while it has few epochs
        own, n = float(np.mean(training.later)), len(training.later)
        each = (own * n + mean) / (n + 1) * np.exp(_DRIFT * rng.standard_normal(_DRAWS))
    else:
        each = mean * np.exp(measured.spread * rng.standard_normal(_DRAWS))
    epochs = (_epochs_of(phase, rng, 1, training.epoch)[:, 0] - training.epoch).astype(int)
    if training.epoch == 0 and len(measured.starts):
        each_start = rng.choice(measured.starts, _DRAWS)
    else:
        each_start = np.zeros(_DRAWS)
    sums = measured.sums(max(1, phase.epochs - training.epoch), rng)
    whole = sums[np.arange(_DRAWS), np.maximum(epochs, 0)] * each + each_start
    passed = now - training.heard
    # An epoch that is overdue ends any time now.
    this = sums[:, 1] * each + each_start
    waited = np.where(passed < this, passed, this - 0.4 * passed * rng.standard_exponential(_DRAWS))
    return np.where(epochs > 0, whole - waited, 0.0).clip(0.0)
