from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from dcasearch import study as study_room
from dcasearch.evaluation import EvaluationKey
from dcasearch.search import pipeline
from dcasearch.search.work import Event, Job, Observer
from dcasearch.space import LoadedStudy, read_space
from dcasearch.store import Store
from dcasearch.study import Outcome
from dcasearch.trial import State
from tests.support import Simulated, make_epoch, make_evaluation, make_study

LEVELS = [{"name": "proxy", "trials": 4, "resolution": 16, "epochs": 2}]


@pytest.fixture(autouse=True)
def _look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "LOOK_SECONDS", 0.02)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(f"sqlite:///{tmp_path}/study.db", create=True)


def run(
    store: Store, folder: Path, name: str, executor: Simulated, observe: Observer = lambda event: None, **changes: Any
) -> Outcome:
    study = make_study(**{"name": name, "artifacts": str(folder), "fidelities": LEVELS, **changes})
    loaded = LoadedStudy(study, read_space(study.space), folder / "study.yaml", frozenset())
    return study_room.run(loaded, store, executor, observe)


def keys(executor: Simulated) -> list[EvaluationKey]:
    return [job.assignment.key for job in executor.ran]


class Slow(Simulated):
    """Takes long enough that another driver meets each of its trainings."""

    def _train(self, work: Any, job: Job) -> None:
        time.sleep(0.05)
        super()._train(work, job)


def test_two_studies_that_run_at_once_never_train_the_same_twice(store: Store, tmp_path: Path) -> None:
    one, other = Slow(), Slow()
    drivers = [
        threading.Thread(target=run, args=(store, tmp_path, name, executor))
        for name, executor in (("one", one), ("other", other))
    ]
    for driver in drivers:
        driver.start()
    for driver in drivers:
        driver.join()
    trained = keys(one) + keys(other)
    assert len(trained) == len(set(trained))
    first, second = store.trials("one"), store.trials("other")
    assert [(t.number, t.state, t.evaluation, t.values) for t in first] == [
        (t.number, t.state, t.evaluation, t.values) for t in second
    ]


@pytest.fixture
def known(tmp_path: Path) -> Simulated:
    """What ran in the same study elsewhere."""
    executor = Simulated()
    with Store.open(f"sqlite:///{tmp_path}/elsewhere.db", create=True) as store:
        run(store, tmp_path, "one", executor)
    return executor


WAITED = "is being trained by study holder: its record is waited for"


def test_what_another_study_trains_is_waited_for_and_its_record_taken_over(
    store: Store, tmp_path: Path, known: Simulated
) -> None:
    job = known.ran[0]
    record = make_evaluation(job, (make_epoch(job, 1), make_epoch(job, 2)))
    waited: list[str] = []
    with store.lease("holder") as holder:
        holder.claim(record.key.id)

        def end(event: Event) -> None:
            if event.message == WAITED:
                waited.append(event.label)
                store.put_architecture(job.assignment.architecture)
                store.record(record)
                holder.release(record.key.id)

        executor = Simulated()
        run(store, tmp_path, "other", executor, end)
    assert record.key not in keys(executor)
    assert store.trials("other")[0].evaluation == record.key.id
    assert waited == ["proxy trial 0"], "said once"


def test_what_another_study_gave_up_is_trained_here(store: Store, tmp_path: Path, known: Simulated) -> None:
    with store.lease("holder") as holder:
        holder.claim(keys(known)[0].id)
        executor = Simulated()
        run(store, tmp_path, "other", executor, lambda e: e.message == WAITED and holder.release(keys(known)[0].id))
    assert set(keys(executor)) == set(keys(known))
    assert {trial.state for trial in store.trials("other")} <= {State.COMPLETE, State.DUPLICATE}


def test_no_more_trials_are_asked_for_than_may_run_while_one_is_waited_for(
    store: Store, tmp_path: Path, known: Simulated
) -> None:
    """A sampler would suggest them better once that record is there."""
    seen: list[int] = []
    with store.lease("holder") as holder:
        holder.claim(keys(known)[0].id)

        def end() -> None:
            seen.append(len(store.trials("other")))
            holder.release(keys(known)[0].id)

        later = threading.Timer(0.5, end)
        run(store, tmp_path, "other", Simulated(), lambda event: event.message == WAITED and later.start())
    assert seen == [1]


def test_time_that_is_over_ends_the_waiting_for_another_study(store: Store, tmp_path: Path, known: Simulated) -> None:
    with store.lease("holder") as holder:
        holder.claim(keys(known)[0].id)
        outcome = run(store, tmp_path, "other", Simulated(), stop={"wall_hours": 1 / 3600})
    assert outcome.stopped is not None
