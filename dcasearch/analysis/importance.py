"""Which axes of a search space matter: PED-ANOVA beside what an axis without meaning gets by chance. Pure.

PED-ANOVA (arXiv 2304.10255; conditional axes: arXiv 2601.20800) asks how far the answers of the best trials are from
those of all trials. Every axis has dummies of its own: its answers, shuffled over the trials that were asked for it. A
dummy has the same options in the same numbers, and cannot matter. The numbers equal those of Optuna's
`PedAnovaImportanceEvaluator` (a test holds it), which takes 10 s for 1,000 trials with 20 dummies an axis.
"""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dcasearch.analysis.networks import Records
from dcasearch.analysis.standing import FidelityStanding
from dcasearch.metrics import Direction, is_cost
from dcasearch.trial import LABELLED, State, Trial, Value

ENOUGH = 20
"""Trials below which no importance is told."""
DRAWS = 500
"""Dummies of each axis."""
_TOP = 5
"""Trials that the best ones must be at least, so that they have a distribution."""
_AT_PLACE = re.compile(r"(?P<what>[\w.]+?)\.(?P<site>(?:after_)?stage|block)(?P<number>\d+)")
_TINY = 1e-12
_ABSENT = object()
"""Stands where a trial was not asked for an axis."""


@dataclass(frozen=True)
class Chance:
    """What dummies get."""

    mean: float
    low: float
    """5% of the dummies are below it."""
    high: float
    """5% of the dummies are above it."""


@dataclass(frozen=True)
class AxisImportance:
    """One axis, or all axes of one dimension in one stage."""

    name: str
    """Of the axis, e.g. `connections.function`; of a place, e.g. `channel, stage 2`."""
    share: float
    """Of the importance of all axes together."""
    chance: Chance
    """Of the dummies, in the same unit."""

    @property
    def above_chance(self) -> bool:
        """Whether 95% of its dummies are below it; so one axis in twenty is above chance by chance."""
        return self.share > self.chance.high


@dataclass(frozen=True, kw_only=True)
class PlaceImportance(AxisImportance):
    """All axes that choose one thing in one stage."""

    what: str
    """A dimension, or `attention`."""
    stage: int
    """From 1."""


@dataclass(frozen=True, kw_only=True)
class Importance:
    """How much each axis of a space decides whether a trial is among the best of one fidelity."""

    fidelity: str
    metric: str
    trials: int
    """Complete and pruned ones."""
    best: int
    """Trials that are called the best."""
    axes: tuple[AxisImportance, ...] = ()
    """The most important first; empty where nothing is told."""
    places: tuple[PlaceImportance, ...] = ()
    """Grouped by dimension and stage, where axes are chosen by stage or block; by dimension, then stage."""
    why_not: str = ""
    """Why nothing is told, in a sentence."""


def importance_of(fidelity: FidelityStanding, records: Records) -> Importance:
    """Return the importance of each axis at a fidelity, with respect to its first measured objective.

    A pruned trial counts as worse than every complete one: it has no value, but without it the trials would be a
    selection of good ones.
    """
    place, metric = next(((n, m) for n, m in enumerate(fidelity.objectives) if not is_cost(m)), (0, ""))
    trials = [t for t in fidelity.trials if t.state in (State.COMPLETE, State.PRUNED) and t.params]
    losses = _losses(trials, place, fidelity.objectives[metric]) if metric else []
    complete = sum(map(math.isfinite, losses))
    best = min(max(_TOP, math.ceil(0.1 * len(trials))), complete)
    found = Importance(fidelity=fidelity.name, metric=metric, trials=len(trials), best=best)
    chosen = _varied(trials)
    if not chosen:
        return _without(found, "The trials differ in no axis of the space, so there is no importance to tell.")
    if len(trials) < ENOUGH or complete < _TOP:
        return _without(
            found,
            f"Fidelity {fidelity.name} has {len(trials)} trials, {complete} of them complete; the importance of axes is"
            f" told from {ENOUGH} trials and {_TOP} complete ones.",
        )
    shares = _shares(trials, losses, chosen, best)
    named = [AxisImportance(name, float(shares[name][0]), _chance(shares[name][1:])) for name in chosen]
    return Importance(
        fidelity=found.fidelity,
        metric=metric,
        trials=found.trials,
        best=best,
        axes=tuple(sorted(named, key=lambda axis: -axis.share)),
        places=tuple(_places(shares, _stages_of_blocks(records))),
    )


def _without(found: Importance, why: str) -> Importance:
    return Importance(fidelity=found.fidelity, metric=found.metric, trials=found.trials, best=found.best, why_not=why)


def _varied(trials: Iterable[Trial]) -> list[str]:
    """Return the axes in which trials differ, sorted; the label of a listed network is none."""
    answers: dict[str, set[str]] = {}
    for trial in trials:
        for name, value in trial.params.items():
            answers.setdefault(name, set()).add(str(value))
    return sorted(name for name, values in answers.items() if len(values) > 1 and name != LABELLED)


def _losses(trials: Iterable[Trial], place: int, direction: Direction) -> list[float]:
    sign = -1.0 if direction == "maximize" else 1.0
    return [sign * t.values[place] if t.state is State.COMPLETE and t.values else math.inf for t in trials]


def _shares(
    trials: Sequence[Trial], losses: Sequence[float], axes: Sequence[str], best: int
) -> dict[str, NDArray[np.float64]]:
    """Return by axis its importance and then that of each of its dummies; the axes themselves add up to 1."""
    values = np.array(losses)
    top = values <= np.sort(values)[best - 1]
    found = {axis: _of_axis([trial.params.get(axis, _ABSENT) for trial in trials], top, axis) for axis in axes}
    total = sum(of_axis[0] for of_axis in found.values()) or 1.0
    return {axis: of_axis / total for axis, of_axis in found.items()}


def _of_axis(answers: Sequence[Value | object], top: NDArray[np.bool_], name: str) -> NDArray[np.float64]:
    """Return the importance of one axis and of its dummies, by the numbers of its answers.

    Shuffling answers over trials draws, for the best trials, from an urn that holds all answers.
    """
    asked = np.array([answer is not _ABSENT for answer in answers])
    options = {str(answer): n for n, answer in enumerate(dict.fromkeys(a for a in answers if a is not _ABSENT))}
    codes = np.array([options[str(answer)] for answer in answers if answer is not _ABSENT])
    counts = np.bincount(codes, minlength=len(options))
    of_best = np.bincount(codes[top[asked]], minlength=len(options))
    draw = np.random.default_rng(zlib.crc32(name.encode()))
    dummies = draw.multivariate_hypergeometric(counts, int(of_best.sum()), size=DRAWS)
    weight = (of_best.sum() / top.sum()) ** 2 / asked.mean()
    return np.asarray(weight * pearson(counts, np.vstack([of_best, dummies])))


def pearson(counts: NDArray[np.int64], of_best: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the Pearson divergence of the best trials' answers from all trials' answers, as PED-ANOVA smooths both.

    Args:
        counts: Trials by option.
        of_best: The best of them by option, in each row.
    """
    everywhere, best = _smoothed(counts), _smoothed(of_best)
    divergence = ((best / everywhere - 1) ** 2) @ everywhere
    return np.where(of_best.any(-1), divergence, 0.0)


def _smoothed(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the density of a Parzen estimator over options: one kernel for each that occurs, and a flat one."""
    options, total = counts.shape[-1], counts.sum(-1, keepdims=True)
    kernels = np.count_nonzero(counts, axis=-1, keepdims=True) + 1
    flat = 1 / kernels / (1 + options / kernels)  # of a kernel, beside its own option
    density = counts * (1 + kernels) * flat + (total - counts) * flat + 1 / options
    return np.asarray(density / (total + 1) + _TINY)


def _chance(shares: NDArray[np.float64]) -> Chance:
    low, high = np.quantile(shares, (0.05, 0.95))
    return Chance(float(shares.mean()), float(low), float(high))


def _stages_of_blocks(records: Records) -> list[int]:
    """Return the stage of each block, from 1; empty where backbones of different shape are among the networks."""
    shapes = {tuple(block.layout.stage + 1 for block in network.blocks) for network in records.networks.values()}
    return list(shapes.pop()) if len(shapes) == 1 else []


def _places(shares: Mapping[str, NDArray[np.float64]], stages: Sequence[int]) -> list[PlaceImportance]:
    """Return the axes that are chosen by stage or block, added up by what they choose and by stage."""
    groups: dict[tuple[str, int], list[NDArray[np.float64]]] = {}
    for name, of_axis in shares.items():
        at = _AT_PLACE.fullmatch(name)
        if at is None or (at["site"] == "block" and int(at["number"]) > len(stages)):
            continue
        stage = stages[int(at["number"]) - 1] if at["site"] == "block" else int(at["number"])
        groups.setdefault((_what(at["what"]), stage), []).append(of_axis)
    found = []
    for (what, stage), members in sorted(groups.items()):
        total = np.sum(members, axis=0)
        name, share = f"{what}, stage {stage}", float(total[0])
        found.append(PlaceImportance(name=name, share=share, chance=_chance(total[1:]), what=what, stage=stage))
    return found


def _what(axis: str) -> str:
    """Return what an axis chooses: `channel` of `connections.channel`, `attention` of `attention.name`."""
    first, _, last = axis.partition(".")
    return last if first == "connections" else first.replace("_", " ")
