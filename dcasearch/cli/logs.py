"""`dcasearch logs`: the story of one trial."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dcasearch.cli.arguments import AsJson, Storage, StudyName
from dcasearch.cli.console import make_console
from dcasearch.errors import UserError

if TYPE_CHECKING:  # imported by those who use them, so that `--help` is instant
    from rich.console import Console

    from dcasearch.evaluation import Evaluation
    from dcasearch.store import Store
    from dcasearch.trial import Trial

LAST_ALONE = "Only the last failure of a trial is stored; of the attempts before it, their number alone."


def logs(
    study: StudyName,
    trial: Annotated[int, typer.Argument(help="Number of a trial.", show_default=False)],
    fidelity: Annotated[str | None, typer.Option(help="Its fidelity, where several have such a trial.")] = None,
    storage: Storage = None,
    as_json: AsJson = False,
) -> None:
    """Tell the story of one trial: state, times, attempts, failure, where and how it was trained, every epoch."""
    from dcasearch.cli.storage import open_study

    console = make_console(stderr=as_json)
    name, store = open_study(study, storage, console)
    with store:
        found = _chosen(store, name, trial, fidelity)
        trials = store.trials(name, found.fidelity)
        evaluations = store.evaluations(filter(None, [found.evaluation]))
        record = evaluations.get(found.evaluation or "")
        times = store.times(name, found.fidelity, found.number)
        if as_json:
            print(json.dumps(_plain(found, trials, record, times), indent=1))
        else:
            _print(console, store, found, trials, record, times)


def _chosen(store: Store, study: str, number: int, fidelity: str | None) -> Trial:
    """Return the one trial that is meant.

    Raises:
        UserError: the study has no such trial, or several fidelities have one.
    """
    from dcasearch.analysis.standing import load_study_of

    load_study_of(store, study)  # says which studies there are
    found = [trial for trial in store.trials(study, fidelity) if trial.number == number]
    if len(found) == 1:
        return found[0]
    where = "" if fidelity is None else f" of {fidelity}"
    if found:
        several = " and ".join(trial.fidelity for trial in found)
        raise UserError(f"trial {number} is in {several}: say which with --fidelity")
    counts = [f"{name}: {sum(states.values())}" for name, states in store.counts(study).items()]
    raise UserError(f"study '{study}' has no trial {number}{where}; trials by fidelity: {', '.join(counts) or 'none'}")


def _attempts(trial: Trial, trials: list[Trial]) -> tuple[Trial | None, list[Trial]]:
    """Return the failed trial that this one takes up again, and the trials that take this one up again."""
    from dcasearch.trial import RETRY_OF

    of = trial.attributes.get(RETRY_OF)
    before = next((other for other in trials if of is not None and other.number == of), None)
    return before, [other for other in trials if other.attributes.get(RETRY_OF) == trial.number]


def _print(
    console: Console,
    store: Store,
    trial: Trial,
    trials: list[Trial],
    record: Evaluation | None,
    times: tuple[datetime | None, datetime | None],
) -> None:
    from dcasearch.analysis.naming import sentences_of

    console.print(f"{trial.fidelity} trial {trial.number}: {_state(trial)}")
    id = trial.architecture_id
    words = sentences_of(store, [id])
    console.print(f"network {id}: {words.of[id]}{f', on {words.backbone}' if words.backbone else ''}")
    console.print(f"origin {trial.origin}, seed {trial.seed}, epochs {trial.epochs}")
    began, ended = ("" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S}" for moment in times)
    if began:
        console.print(f"drawn {began}, {f'ended {ended}' if ended else 'not ended'}")
    before, after = _attempts(trial, trials)
    if before is not None:
        console.print(f"takes up trial {before.number} again: {_state(before)}")
    for other in after:
        console.print(f"taken up again as trial {other.number}: {_state(other)}")
    if trial.retries:
        console.print(f"lost its worker {trial.retries} times and went on from its checkpoint")
    if trial.retries or trial.failure is not None:
        console.print(LAST_ALONE, style="dim")
    if record is None:
        console.print("no record of a training is stored")
        return
    made = ", ".join(f"{name} {value}" for name, value in sorted(record.provenance.items()))
    console.print(f"evaluation {record.key.id}: {record.seconds:,.1f} s on {record.device}; {made or 'no provenance'}")
    if record.weights is not None:
        console.print(f"weights {record.weights}")
    _print_epochs(console, record)


def _print_epochs(console: Console, record: Evaluation) -> None:
    from dcasearch.cli.tables import print_long
    from dcasearch.metrics import METRICS

    names = list(record.last.values)
    heads = ["epoch", "train loss", *(METRICS[name].heading if name in METRICS else name for name in names)]
    rows = [
        [
            str(epoch.epoch),
            f"{epoch.train_loss:.4f}",
            *(f"{epoch.values[name]:.4f}" if name in epoch.values else "" for name in names),
            f"{epoch.seconds:,.1f}",
            epoch.device,
        ]
        for epoch in record.history
    ]
    print_long(console, [*heads, "seconds", "place"], rows)


def _state(trial: Trial) -> str:
    """Return what became of a trial, and why."""
    kind = "" if trial.failure is None else f" ({trial.failure})"
    original = "" if trial.duplicate_of is None else f" of trial {trial.duplicate_of}"
    reason = trial.message or trial.constraint
    return f"{trial.state}{kind}{original}{f': {reason}' if reason else ''}"


def _plain(
    trial: Trial, trials: list[Trial], record: Evaluation | None, times: tuple[datetime | None, datetime | None]
) -> dict[str, Any]:
    """Return the story as plain data; numbers that are not finite are None."""
    from dcasearch.report.readings import plain

    before, after = _attempts(trial, trials)
    drawn, ended = (None if moment is None else moment.isoformat() for moment in times)
    told = {
        **asdict(trial),
        "drawn": drawn,
        "ended": ended,
        "retry_of": None if before is None else before.number,
        "retried_as": [other.number for other in after],
        "record": None
        if record is None
        else {
            "seconds": record.seconds,
            "device": record.device,
            "provenance": dict(record.provenance),
            "weights": record.weights,
            "epochs": [epoch.flat() for epoch in record.history],
        },
    }
    found: dict[str, Any] = plain(told)
    return found
