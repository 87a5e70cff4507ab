"""The ledger of one fidelity: every trial's row in our tables, mirrored into Optuna's so that both say the same.

| our state  | Optuna's state | and there                                                            |
|------------|----------------|----------------------------------------------------------------------|
| running    | RUNNING        |                                                                      |
| waiting    | RUNNING        | a duplicate whose original still runs                                 |
| complete   | COMPLETE       | values and curve                                                     |
| pruned     | PRUNED         | curve                                                                |
| infeasible | PRUNED         | no value; constraint > 0, which tpe learns from (nsga2 cannot)        |
| duplicate  | its original's | the original's values and curve, and `duplicate_of`                   |
| failed     | FAIL           |                                                                      |

The exact state is in the user attribute `state`. Our row is committed first, Optuna is told after: a driver
that dies in between leaves a RUNNING trial whose row says what became of it (`Ledger.unfinished`).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import optuna
from optuna.trial import FrozenTrial, TrialState

from dcasearch.config.study import Fidelity, Study
from dcasearch.evaluation import Epoch, Evaluation
from dcasearch.search.objectives import curve_metric, objectives_at
from dcasearch.search.samplers import SeededPerTrial
from dcasearch.store import Store
from dcasearch.store.optuna_private import id_of, set_constraints, storage_of
from dcasearch.trial import State, Trial, Value

_OPTUNA = {
    State.COMPLETE: TrialState.COMPLETE,
    State.PRUNED: TrialState.PRUNED,
    State.INFEASIBLE: TrialState.PRUNED,
    State.FAILED: TrialState.FAIL,
}


class Ledger:
    """The trials of one fidelity in both sets of tables; one writer, the driver."""

    def __init__(self, store: Store, study: Study, fidelity: Fidelity) -> None:
        self._store = store
        self._study = study
        self.fidelity = fidelity
        self.optuna = _open(store, study, fidelity)
        self.trials: dict[int, Trial] = {t.number: t for t in store.trials(study.name, fidelity.name)}
        self.curves: dict[int, list[float]] = {}
        """Per number the values of the curve metric so far, duplicates left out."""
        self.settled = 0
        """Trials that ended since this ledger was opened."""
        self._metric = curve_metric(study, fidelity)
        originals = [t for t in self.trials.values() if t.evaluation is not None and t.state is not State.DUPLICATE]
        curves = store.curves((t.evaluation for t in originals if t.evaluation is not None), self._metric)
        for trial in originals:
            # Up to where the trial went: another study may have trained the same network longer.
            self.curves[trial.number] = curves[trial.evaluation or ""][: trial.epochs]

    def unfinished(self) -> list[FrozenTrial]:
        """Return the trials that Optuna holds as RUNNING, by number."""
        return self.optuna.get_trials(deepcopy=False, states=(TrialState.RUNNING,))

    def planned(self) -> list[FrozenTrial]:
        """Return the trials that were enqueued and not yet asked for, by number."""
        return self.optuna.get_trials(deepcopy=False, states=(TrialState.WAITING,))

    def complete(self) -> list[Trial]:
        """Return the complete trials, by number."""
        return [self.trials[n] for n in sorted(self.trials) if self.trials[n].state is State.COMPLETE]

    def attributes(self, *names: str) -> set[Value | tuple[Value, ...]]:
        """Return what the trials hold under these user attributes: values for one name, tuples for several."""
        trials = self.optuna.get_trials(deepcopy=False)
        held = [tuple(t.user_attrs[name] for name in names) for t in trials if set(names) <= t.user_attrs.keys()]
        return {values[0] if len(names) == 1 else values for values in held}

    def enqueue(self, params: Mapping[str, Value], **attributes: Value) -> None:
        """Plan a trial: the next `optuna.ask()` returns it."""
        self.optuna.enqueue_trial(dict(params), user_attrs=attributes)

    def put(self, trial: Trial) -> None:
        """Store a row that is not final yet."""
        self._store.put_trial(trial)
        self.trials[trial.number] = trial

    def report(self, number: int, epoch: Epoch) -> list[float]:
        """Add one epoch to a trial's curve, or overwrite it, and return the curve up to that epoch."""
        curve = self.curves.setdefault(number, [])
        curve[epoch.epoch - 1 :] = [epoch.values[self._metric]]
        self._set_intermediate(number, epoch.epoch, curve[-1])
        return curve

    def settle(
        self, trial: Trial, evaluation: Evaluation | None = None, violation: Mapping[str, float] | None = None
    ) -> None:
        """Store a trial's end with its record in one transaction, then tell Optuna."""
        if evaluation is None:
            self._store.put_trial(trial)
        else:
            self._store.record_and_put(evaluation, trial)
        self.trials[trial.number] = trial
        self.settled += 1
        self.tell(trial, violation)

    def tell(self, trial: Trial, violation: Mapping[str, float] | None = None) -> None:
        """Tell Optuna what our tables say of a trial's end. Told trials are immutable there, so all else goes first."""
        self._annotate(trial, violation or {})
        told = trial
        if trial.duplicate_of is not None:
            told = self.trials[trial.duplicate_of]
            self._replay(trial.number, self.curves.get(told.number, ()))
        state = _OPTUNA[told.state]
        values = list(trial.values or ()) if state is TrialState.COMPLETE else None
        self.optuna.tell(trial.number, values, state)

    def annotate(self, number: int, **attributes: Value) -> None:
        """Show attributes of a trial in Optuna's tables and the dashboard."""
        storage, trial_id = storage_of(self.optuna), id_of(self.optuna, number)
        for name, value in attributes.items():
            storage.set_trial_user_attr(trial_id, name, value)

    def _annotate(self, trial: Trial, violation: Mapping[str, float]) -> None:
        details: dict[str, Value] = {"state": str(trial.state)}
        if trial.duplicate_of is not None:
            details["duplicate_of"] = trial.duplicate_of
        if trial.constraint or trial.message:
            details["reason"] = trial.constraint or trial.message
        self.annotate(trial.number, **details)
        if violation:
            set_constraints(self.optuna, trial.number, violation.items())

    def _replay(self, number: int, curve: Sequence[float]) -> None:
        for epoch, value in enumerate(curve, start=1):
            self._set_intermediate(number, epoch, value)

    def _set_intermediate(self, number: int, epoch: int, value: float) -> None:
        # Through the storage: Trial.report refuses studies with several objectives.
        storage_of(self.optuna).set_trial_intermediate_value(id_of(self.optuna, number), epoch, value)


def _open(store: Store, study: Study, fidelity: Fidelity) -> optuna.Study:
    """Open the fidelity's own Optuna study, `<study>.<fidelity>`; make it where it does not exist."""
    objectives = objectives_at(study, fidelity)
    opened = optuna.create_study(
        storage=store.optuna,
        study_name=f"{study.name}.{fidelity.name}",
        directions=list(objectives.values()),
        sampler=SeededPerTrial(study.sampler),
        pruner=optuna.pruners.NopPruner(),
        load_if_exists=True,
    )
    if not opened.metric_names:
        with warnings.catch_warnings():
            # Metric names are experimental in name; without them the dashboard says "Objective 0".
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            opened.set_metric_names(list(objectives))
    return opened
