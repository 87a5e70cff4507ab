"""Trials trained once more, by themselves: their records must come out again, to the last bit."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from dcasearch.analysis.standing import load_study_of
from dcasearch.config.study import Resources, Study
from dcasearch.data import describe
from dcasearch.evaluation import Epoch, Evaluation
from dcasearch.search.assignments import assignment_of
from dcasearch.space import Space
from dcasearch.store import Store
from dcasearch.training import evaluate
from dcasearch.trial import State, Trial


def draw_trained(store: Store, study: str, count: int, seed: int) -> list[Trial]:
    """Return up to `count` trials that were trained and recorded, drawn at random, in the order of the ledger."""
    trained = [trial for trial in store.trials(study) if trial.state in (State.COMPLETE, State.PRUNED)]
    records = store.evaluations(trial.evaluation for trial in trained if trial.evaluation is not None)
    trained = [trial for trial in trained if trial.evaluation in records]
    chosen = random.Random(f"reproduce {seed}").sample(range(len(trained)), min(count, len(trained)))
    return [trained[n] for n in sorted(chosen)]


def not_reproduced(
    store: Store,
    study: str,
    space: Space,
    trials: list[Trial],
    watch: Callable[[Trial], None] = lambda trial: None,
) -> list[str]:
    """Train each trial anew, in this process on the CPU, and return what comes out otherwise, one sentence each.

    Args:
        store: the study's database.
        study: its name.
        space: its space.
        trials: complete or pruned ones, trained on a CPU of this kind.
        watch: is told whose turn it is.
    """
    loaded, found = load_study_of(store, study), []
    for trial in trials:
        watch(trial)
        name = f"{trial.fidelity} trial {trial.number}"
        made = _train(loaded, space, trial)
        record = store.evaluation(trial.evaluation or "")
        if made.key != record.key:
            found.append(f"{name}: its assignment is evaluation {made.key.id}, its record {record.key.id}")
        for expected, got in zip(record.history, made.history, strict=False):
            if _measured(expected) != _measured(got):
                found.append(f"{name}: recorded {_measured(expected)}, trained anew {_measured(got)}")
        if trial.state is State.COMPLETE and made.weights_sha256 != record.weights_sha256:
            found.append(f"{name}: trained anew, it has other weights")
    return found


def _train(study: Study, space: Space, trial: Trial) -> Evaluation:
    fidelity = next(f for f in study.fidelities if f.name == trial.fidelity)
    fingerprint = describe(study.data).fingerprint
    architecture = space.point(trial.params).architecture
    assignment = assignment_of(study, fidelity, architecture, trial.seed, data_fingerprint=fingerprint)
    threads = study.executor.resources.get(fidelity.name, Resources()).threads
    with tempfile.TemporaryDirectory(prefix="dcasearch-") as folder:
        artifacts = Path(folder)
        if assignment.parent is not None:
            evaluate(assignment.parent, artifacts=artifacts, report=lambda epoch: True, threads=threads, device="cpu")
        return evaluate(
            assignment,
            artifacts=artifacts,
            report=lambda epoch: epoch.epoch < trial.epochs,
            threads=threads,
            device="cpu",
        )


def _measured(epoch: Epoch) -> str:
    """Return the numbers of an epoch as text, in which nan equals nan."""
    return str(replace(epoch, seconds=0.0, device=""))
