"""Where the time of a study went: by fidelity and by what the trainings were for. Pure but for Optuna's own curves."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from dcasearch.analysis.networks import Records
from dcasearch.analysis.standing import FidelityStanding, Standing
from dcasearch.store import Store
from dcasearch.trial import State, Trial, shown_as

Purpose: TypeAlias = Literal["complete trials", "pruned trials", "baselines", "final trainings", "parents"]
PURPOSES: tuple[Purpose, ...] = ("complete trials", "pruned trials", "baselines", "final trainings", "parents")
_OF_ROLE: Mapping[str, Purpose] = {"baseline": "baselines", "final": "final trainings", "parent": "parents"}


@dataclass(frozen=True, kw_only=True)
class TrainingTime:
    """One stored training, counted once, for the first that asked for it."""

    fidelity: str
    purpose: Purpose
    name: str
    """E.g. `trial 12`, `plain`."""
    architecture_id: str
    seed: int
    epochs: int
    seconds: float
    """Of one worker, without `reused`."""
    reused: float
    """Seconds of epochs that were taken over from the training of a smaller budget."""
    device: str


@dataclass(frozen=True)
class Lost:
    """What failures of one fidelity cost."""

    fidelity: str
    trials: int
    """Failed ones."""
    epochs: int
    """That they reported before they failed."""
    seconds: float | None
    """Estimated: these epochs times the median time of an epoch; None where no time of an epoch is known."""


@dataclass(frozen=True)
class Spending:
    """All times of a study."""

    trainings: tuple[TrainingTime, ...]
    """The dearest first."""
    lost: tuple[Lost, ...]
    """By fidelity, where trials failed."""

    @property
    def seconds(self) -> float:
        """Of all stored trainings, each second once."""
        return sum(training.seconds for training in self.trainings)

    @property
    def reused(self) -> float:
        """Seconds that were not spent, because trainings went on from a smaller budget."""
        return sum(training.reused for training in self.trainings)

    @property
    def pruned(self) -> float:
        """Seconds of trainings that were pruned."""
        return sum(training.seconds for training in self.trainings if training.purpose == "pruned trials")

    def of(self, fidelity: str, purpose: Purpose) -> float:
        """Return the seconds of one fidelity and purpose."""
        return sum(t.seconds for t in self.trainings if (t.fidelity, t.purpose) == (fidelity, purpose))


def spending_of(store: Store, standing: Standing, records: Records) -> Spending:
    """Return where the time of a study went."""
    trainings = sorted(_once(_asked(standing, records), records), key=lambda training: -training.seconds)
    lost = [_lost(store, standing.study.name, fidelity, trainings) for fidelity in standing.fidelities]
    return Spending(tuple(trainings), tuple(one for one in lost if one is not None))


_Asked: TypeAlias = tuple[str, Purpose, str, int, str | None]
"""Fidelity, purpose, name, seed, evaluation."""


def _asked(standing: Standing, records: Records) -> Iterable[_Asked]:
    for fidelity in standing.fidelities:
        for trial in fidelity.trials:
            if trial.state in (State.COMPLETE, State.PRUNED):
                purpose: Purpose = "complete trials" if trial.state is State.COMPLETE else "pruned trials"
                yield fidelity.name, purpose, f"trial {trial.number}", trial.seed, trial.evaluation
    for role in records.roles:
        yield role.fidelity, _OF_ROLE[role.role], shown_as(role.name), role.seed, role.evaluation


def _once(asked: Iterable[_Asked], records: Records) -> Iterable[TrainingTime]:
    """Yield each stored training for the first that asked for it, so that the times add up to the study's."""
    seen: set[str] = set()
    for fidelity, purpose, name, seed, evaluation in asked:
        record = records.evaluations.get(evaluation or "")
        if record is not None and record.key.id not in seen:
            seen.add(record.key.id)
            yield TrainingTime(
                fidelity=fidelity,
                purpose=purpose,
                name=name,
                architecture_id=record.key.architecture_id,
                seed=seed,
                epochs=len(record.history),
                seconds=record.seconds - record.reused_seconds,
                reused=record.reused_seconds,
                device=record.device,
            )


def _lost(store: Store, study: str, fidelity: FidelityStanding, trainings: Sequence[TrainingTime]) -> Lost | None:
    failed = [trial for trial in fidelity.trials if trial.state is State.FAILED]
    if not failed:
        return None
    epochs = _reported(store, study, failed)
    each = [t.seconds / t.epochs for t in trainings if t.fidelity == fidelity.name and not t.reused]
    return Lost(fidelity.name, len(failed), epochs, epochs * statistics.median(each) if each else None)


def _reported(store: Store, study: str, failed: Sequence[Trial]) -> int:
    """Return how many epochs failed trials reported: only Optuna's tables hold them, since they have no record."""
    import optuna

    name = f"{study}.{failed[0].fidelity}"
    if name not in optuna.get_all_study_names(store.optuna):
        return 0
    told = optuna.load_study(study_name=name, storage=store.optuna)
    trials = told.get_trials(deepcopy=False, states=(optuna.trial.TrialState.FAIL,))
    return sum(len(trial.intermediate_values) for trial in trials)


def dearest(spending: Spending, count: int) -> tuple[TrainingTime, ...]:
    """Return the trainings that took the longest."""
    return spending.trainings[:count]
