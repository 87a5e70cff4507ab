"""Curves over epochs: how trainings learnt, where they were pruned, and how connections' α grew. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dcasearch.analysis.networks import Records
from dcasearch.analysis.standing import FidelityStanding, Standing
from dcasearch.config.study import Fidelity
from dcasearch.evaluation import Evaluation
from dcasearch.search.pruning import rungs
from dcasearch.trial import State


@dataclass(frozen=True)
class LearningCurve:
    """One training, epoch by epoch."""

    name: str
    """E.g. `trial 12`, or the baseline's name."""
    pruned: bool
    values: tuple[float, ...]
    """Of the first epoch, the second, …"""


@dataclass(frozen=True, kw_only=True)
class LearningCurves:
    """All trainings of one fidelity that trains."""

    fidelity: str
    metric: str
    """The one that pruning goes by; the headline metric where nothing is pruned."""
    epochs: int
    rungs: tuple[int, ...]
    """Epochs after which a trial may be pruned."""
    trials: tuple[LearningCurve, ...]
    """Complete and pruned ones; duplicates are not trained."""
    leader: LearningCurve | None
    plain: LearningCurve | None
    """The baseline without attention, with its first seed."""

    def pruned_after(self, epoch: int) -> int:
        """Return how many trials were pruned after an epoch."""
        return sum(curve.pruned and len(curve.values) == epoch for curve in self.trials)


@dataclass(frozen=True, kw_only=True)
class Alphas:
    """The coefficient of each connection of one network, epoch by epoch: its α, or the weight of a learned function."""

    name: str = ""
    """Who the network is: `the chosen network`, or e.g. `the best row, DCA-SE`."""
    architecture_id: str = ""
    seed: int = 0
    where: str = ""
    """Which training, e.g. `full`, `final`."""
    curves: Mapping[str, tuple[float, ...]]
    """By connection, e.g. `channel 1→3`, or by receiver, e.g. `channel →3`: then the mean over its connections. Empty
    where nothing is told."""
    first_epoch: int = 1
    """Of the curves: a training that an older version began may have the coefficients of its last epochs alone."""
    why_not: str = ""
    """Why nothing is told, in a sentence."""


def curves_of(standing: Standing, records: Records) -> tuple[LearningCurves, ...]:
    """Return the learning curves of each fidelity that trains and has at least one."""
    found = []
    for fidelity, level in zip(standing.fidelities, standing.study.fidelities, strict=True):
        if level.kind == "training":
            curves = _curves(standing, fidelity, level, records)
            if curves.trials:
                found.append(curves)
    return tuple(found)


def _curves(standing: Standing, fidelity: FidelityStanding, level: Fidelity, records: Records) -> LearningCurves:
    steps = tuple(rungs(level.pruner, level.epochs))
    metric = level.pruner.metric if steps else standing.study.headline.name

    def curve(name: str, evaluation: str | None, epochs: int, *, pruned: bool = False) -> LearningCurve | None:
        record = records.evaluations.get(evaluation or "")
        if record is None or metric not in record.history[0].values:
            return None
        return LearningCurve(name, pruned, tuple(epoch.values[metric] for epoch in record.history[:epochs]))

    trained = [trial for trial in fidelity.trials if trial.state in (State.COMPLETE, State.PRUNED)]
    trials = [curve(f"trial {t.number}", t.evaluation, t.epochs, pruned=t.state is State.PRUNED) for t in trained]
    leading = None if fidelity.leader is None else fidelity.leader.architecture_id
    leader = next((t for t in trained if t.architecture_id == leading and t.state is State.COMPLETE), None)
    baselines = (r for r in records.roles if (r.role, r.fidelity) == ("baseline", fidelity.name))
    plain = next((r for r in baselines if _is_plain(r.name)), None)
    return LearningCurves(
        fidelity=fidelity.name,
        metric=metric,
        epochs=level.epochs,
        rungs=steps,
        trials=tuple(one for one in trials if one is not None),
        leader=None if leader is None else curve(f"trial {leader.number}", leader.evaluation, level.epochs),
        plain=None if plain is None else curve(plain.name, plain.evaluation, level.epochs),
    )


def _is_plain(name: str) -> bool:
    """Return whether a baseline is a backbone without attention: `plain`, or with the backbone's name before it."""
    return name.rpartition(" ")[2] == "plain"


def alphas_of(standing: Standing, records: Records) -> Alphas:
    """Return the coefficients of the chosen network: of its final training, else of its last one."""
    if standing.winner is None:
        return Alphas(curves={}, why_not="No trial of the last fidelity is complete yet.")
    id = standing.winner.architecture.id
    network = records.networks[id]
    if not network.edges:
        return Alphas(curves={}, why_not="The chosen network has no connections, so it has no α.")
    last = standing.fidelities[-1].name
    asked = [(r.seed, r.evaluation, "final") for r in records.roles if r.role == "final" and r.architecture_id == id]
    asked += [(trial.seed, trial.evaluation, last) for trial in standing.winner.trials]
    held = [(seed, where, records.evaluations.get(evaluation or "")) for seed, evaluation, where in asked]
    told = [(seed, where, record) for seed, where, record in held if record is not None and record.last.alphas]
    if not told:
        why = "The trainings of the chosen network hold no α: an older version recorded none. New trainings record it."
        return Alphas(curves={}, why_not=why)
    seed, where, record = told[0]
    first, curves = _alpha_curves(record)
    label = standing.winner.trials[0].label
    name = "the chosen network" if label is None else f"the best row, {label}"
    return Alphas(name=name, architecture_id=id, seed=seed, where=where, curves=curves, first_epoch=first)


def _alpha_curves(record: Evaluation) -> tuple[int, dict[str, tuple[float, ...]]]:
    """Return the first epoch from which all coefficients are known, and the coefficients from there on."""
    known = [epoch for epoch in record.history if epoch.alphas.keys() == record.last.alphas.keys()]
    return known[0].epoch, {name: tuple(epoch.alphas[name] for epoch in known) for name in record.last.alphas}
