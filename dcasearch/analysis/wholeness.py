"""Whether a study's ledger is whole, in either of two senses: equal to another ledger to the last bit, or true to what
must hold whoever was killed on the way.

Left out of equality on purpose is what a fault may change without harm: `retries`, measured seconds, times of day, and
the provenance of a record. Reads, never writes. Written against the tables alone, so that it shares no mistake with the
search that fills them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import chain
from typing import Any, TypeAlias

from optuna.trial import FrozenTrial, TrialState

from dcasearch.analysis.standing import load_study_of
from dcasearch.config.study import Fidelity, Study
from dcasearch.evaluation import Evaluation
from dcasearch.metrics import costs
from dcasearch.search.objectives import curve_metric, objectives_at, values_of
from dcasearch.store import Store
from dcasearch.store.optuna_private import uncached
from dcasearch.trial import RETRY_OF, Role, State, Trial, Value

Rows: TypeAlias = Mapping[str, Mapping[str, Any]]
"""Who a row is about, and its fields as plain data."""
Seconds: TypeAlias = Mapping[str, Sequence[float]]
"""By an evaluation's id, the measured seconds of the epochs that a checkpoint of it held."""

_LEFT_OUT = ("retries", "seconds", "provenance", "device")
_OPTUNA = {
    State.COMPLETE: TrialState.COMPLETE,
    State.PRUNED: TrialState.PRUNED,
    State.INFEASIBLE: TrialState.PRUNED,
    State.FAILED: TrialState.FAIL,
}
_TRAINED = (State.COMPLETE, State.PRUNED)
_BUDGET = (State.RUNNING, State.COMPLETE, State.PRUNED, State.FAILED)
_SHOWN = 60
"""Characters of a value in a difference."""


def trainings_of(store: Store, study: str) -> Rows:
    """Return the records of a study's trials, baselines and final trainings, by id."""
    return {f"evaluation {id}": _plain(record) for id, record in _records(store, study).items()}


def ledger_of(store: Store, study: str) -> Rows:
    """Return everything that is stored of a study, in our tables and in Optuna's, but for what is left out."""
    rows: dict[str, Mapping[str, Any]] = {}
    for trial in store.trials(study):
        rows[_name(trial)] = _plain(trial)
    for role in store.roles(study):
        rows[_role_name(role)] = _plain(role)
    for fidelity in load_study_of(store, study).fidelities:
        for frozen in _optuna_trials(store, study, fidelity.name):
            name = f"{fidelity.name} trial {frozen.number} in Optuna's tables"
            while name in rows:  # Optuna's tables allow a number twice
                name += ", again"
            rows[name] = _plain_optuna(frozen)
    return {**rows, **trainings_of(store, study)}


def differences(expected: Rows, got: Rows) -> list[str]:
    """Return every difference between two ledgers, one sentence each; floats are compared to the last bit."""
    found = [f"{name}: lost" for name in expected if name not in got]
    found += [f"{name}: should not be there" for name in got if name not in expected]
    for name in expected.keys() & got.keys():
        before, after = expected[name], got[name]
        for field in sorted(before.keys() | after.keys()):
            texts = _text(before.get(field)), _text(after.get(field))
            if texts[0] != texts[1]:
                found.append(f"{name}: {field}: expected {_excerpt(*texts)}, got {_excerpt(*reversed(texts))}")
    return sorted(found)


def broken_invariants(store: Store, study: str) -> list[str]:
    """Return what is wrong in the ledger of a study that ended, one sentence each."""
    loaded, records = load_study_of(store, study), _records(store, study)
    found: list[str] = []
    for fidelity in loaded.fidelities:
        trials = store.trials(study, fidelity.name)
        told = _optuna_trials(store, study, fidelity.name)
        found += _wrong_numbers(fidelity, trials, told)
        found += chain.from_iterable(_wrong(trial, trials, records) for trial in trials)
        by_number = {frozen.number: frozen for frozen in told}
        for trial in trials:
            if trial.number in by_number and trial.state not in (State.RUNNING, State.WAITING):
                found += _disagreements(loaded, fidelity, trial, trials, by_number[trial.number], records)
    found += chain.from_iterable(_wrong_role(role, records) for role in store.roles(study))
    return found


def trained_twice(store: Store, study: str, checkpoints: Seconds) -> list[str]:
    """Return which epochs were trained again though they were saved, one sentence each.

    The measured seconds of an epoch are like its fingerprint: an epoch that a checkpoint held, whenever someone
    looked, must stand in the record with the very same ones.
    """
    found = []
    for id, record in _records(store, study).items():
        recorded = [epoch.seconds for epoch in record.history]
        for epoch, (saved, kept) in enumerate(zip(checkpoints.get(id, ()), recorded, strict=False), start=1):
            if saved != kept:
                found.append(f"evaluation {id}: epoch {epoch} was in a checkpoint and was trained again")
    return found


def trained_epochs(store: Store, study: str) -> int:
    """Return how many epochs the records of a study hold."""
    return sum(len(record.history) for record in _records(store, study).values())


# What must hold


def _wrong_numbers(fidelity: Fidelity, trials: Sequence[Trial], told: Sequence[FrozenTrial]) -> Iterator[str]:
    """Every number from 0 once, in both sets of tables; nothing unfinished; the budget kept."""
    for where, numbers in (("our", [t.number for t in trials]), ("Optuna's", [t.number for t in told])):
        counts = Counter(numbers)
        for number in range(max(counts, default=-1) + 1):
            if counts[number] != 1:
                times = "missing" if not counts[number] else f"{counts[number]} times"
                yield f"{fidelity.name} trial {number}: {times} in {where} tables"
    ours, theirs = {t.number for t in trials}, {t.number for t in told}
    yield from (f"{fidelity.name} trial {n}: in our tables, not in Optuna's" for n in sorted(ours - theirs))
    yield from (f"{fidelity.name} trial {n}: in Optuna's tables, not in ours" for n in sorted(theirs - ours))
    for frozen in told:
        if not frozen.state.is_finished():
            yield f"{fidelity.name} trial {frozen.number}: left {frozen.state.name} in Optuna's tables"
    again = {trial.attributes.get(RETRY_OF) for trial in trials}  # a failed one that was taken up again counts once
    used = sum(trial.state in _BUDGET and trial.number not in again for trial in trials)
    if fidelity.trials is not None and used > fidelity.trials:
        yield f"{fidelity.name}: {used} trials were trained, {fidelity.trials} were asked for"


def _wrong(trial: Trial, trials: Sequence[Trial], records: Mapping[str, Evaluation]) -> Iterator[str]:
    """One trial's row against its record and against the trial that it is a duplicate of."""
    name = _name(trial)
    if trial.state in (State.RUNNING, State.WAITING):
        yield f"{name}: left {trial.state}"
    elif trial.state in _TRAINED:
        record = records.get(trial.evaluation or "")
        if record is None:
            yield f"{name}: {trial.state} without a record"
        elif len(record.history) < trial.epochs:
            yield f"{name}: {trial.epochs} epochs, its record has {len(record.history)}"
        elif [epoch.epoch for epoch in record.history] != list(range(1, len(record.history) + 1)):
            yield f"{name}: its record has a gap"
    elif trial.state is State.DUPLICATE:
        original = next((t for t in trials if t.number == trial.duplicate_of), None)
        if original is None or original.architecture_id != trial.architecture_id:
            yield f"{name}: a duplicate of trial {trial.duplicate_of}, which is none of its kind"
        elif _text(_outcome(original)) != _text(_outcome(trial)):
            yield f"{name}: another outcome than trial {trial.duplicate_of}, of which it is a duplicate"


def _disagreements(
    study: Study,
    fidelity: Fidelity,
    trial: Trial,
    trials: Sequence[Trial],
    frozen: FrozenTrial,
    records: Mapping[str, Evaluation],
) -> Iterator[str]:
    """Our row of an ended trial against Optuna's, and the values of both against the record."""
    original = next((t for t in trials if t.number == trial.duplicate_of), trial)
    state = _OPTUNA.get(original.state)
    values = trial.values if state is TrialState.COMPLETE else None
    expected: dict[str, Any] = {
        "state": None if state is None else state.name,
        "values": values,
        "params": trial.params,
        "state as it is shown": str(trial.state),
    }
    got: dict[str, Any] = {
        "state": frozen.state.name,
        "values": None if frozen.values is None else tuple(frozen.values),
        "params": frozen.params,
        "state as it is shown": frozen.user_attrs.get("state"),
    }
    record = records.get(trial.evaluation or "")
    if original.state in _TRAINED and record is not None:
        metric = curve_metric(study, fidelity)
        expected["curve"] = {e.epoch: e.values[metric] for e in record.history[: original.epochs]}
        got["curve"] = frozen.intermediate_values
        if state is TrialState.PRUNED and len(objectives_at(study, fidelity)) == 1:
            # Optuna takes a pruned trial's last intermediate value as its value where there is one objective.
            expected["values"] = (expected["curve"][original.epochs],)
    for field, value in expected.items():
        if _text(value) != _text(got[field]):
            yield f"{_name(trial)}: {field}: {_text(value)} in our tables, {_text(got[field])} in Optuna's"
    if trial.state is State.COMPLETE and record is not None:
        known = {name: frozen.user_attrs.get(name, 0) for name in costs()}
        measured = values_of(objectives_at(study, fidelity), record.last, known)
        if _text(measured) != _text(trial.values):
            yield f"{_name(trial)}: values {_text(trial.values)}, its record says {_text(measured)}"


def _wrong_role(role: Role, records: Mapping[str, Evaluation]) -> Iterator[str]:
    if role.evaluation is None and role.failure is None:
        yield f"{_role_name(role)}: neither a record nor a failure"
    elif role.evaluation is not None and role.evaluation not in records:
        yield f"{_role_name(role)}: its record is lost"


# Rows as plain data


def _records(store: Store, study: str) -> dict[str, Evaluation]:
    items: list[Trial | Role] = [*store.trials(study), *store.roles(study)]
    return store.evaluations(item.evaluation for item in items if item.evaluation is not None)


def _optuna_trials(store: Store, study: str, fidelity: str) -> list[FrozenTrial]:
    # Not through its cache, which would hide that a number is there twice.
    storage = uncached(store.optuna)
    try:
        id = storage.get_study_id_from_name(f"{study}.{fidelity}")
    except KeyError:
        return []
    return storage.get_all_trials(id, deepcopy=False)


def _plain(item: Trial | Role | Evaluation) -> Mapping[str, Any]:
    fields = {name: value for name, value in asdict(item).items() if name not in _LEFT_OUT}
    for epoch in fields.pop("history", ()):
        fields[f"epoch {epoch['epoch']}"] = {name: v for name, v in epoch.items() if name not in _LEFT_OUT}
    return fields


def _plain_optuna(trial: FrozenTrial) -> Mapping[str, Any]:
    return {
        "state": trial.state.name,
        "params": trial.params,
        "values": trial.values,
        "curve": trial.intermediate_values,
        **{f"attribute {name}": value for name, value in trial.user_attrs.items()},
        **{f"attribute {name} of the system": value for name, value in trial.system_attrs.items()},
    }


def _outcome(trial: Trial) -> tuple[Value | tuple[float, ...], ...]:
    return trial.evaluation, trial.values, trial.epochs, trial.failure, trial.message


def _name(trial: Trial) -> str:
    return f"{trial.fidelity} trial {trial.number}"


def _role_name(role: Role) -> str:
    return f"{role.fidelity} {role.role} {role.name} seed {role.seed}"


def _text(value: Any) -> str:
    """Return a value as text that is equal for equal bits alone: nan equals nan, and 0.0 differs from -0.0."""
    return json.dumps(value, sort_keys=True)


def _excerpt(text: str, other: str) -> str:
    """Return a text, or of a long one the part around the first character in which it differs from the other."""
    if len(text) <= _SHOWN:
        return text
    first = next((n for n, (a, b) in enumerate(zip(text, other, strict=False)) if a != b), min(len(text), len(other)))
    start = max(0, first - _SHOWN // 2)
    return f"{'…' if start else ''}{text[start : start + _SHOWN]}{'…' if start + _SHOWN < len(text) else ''}"
