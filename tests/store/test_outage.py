from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

import optuna
import pytest
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import IntegrityError, OperationalError

from dcasearch.errors import StorageError
from dcasearch.store import Store
from dcasearch.store.outage import outlasting, translated

URL = "postgresql://ann:s3cret@db/search"


def busy() -> OperationalError:
    error = sqlite3.OperationalError("database is locked")
    error.sqlite_errorcode = sqlite3.SQLITE_BUSY
    return OperationalError("UPDATE", {}, error)


def failing(errors: list[Exception]) -> Callable[[], str]:
    """A call that raises each of the errors once."""

    @outlasting
    def call() -> str:
        with translated(URL):
            if errors:
                raise errors.pop(0)
            return "done"

    return call


def test_a_call_is_repeated_until_the_database_answers() -> None:
    assert failing([busy(), busy()])() == "done"


def test_a_full_disk_is_not_waited_for() -> None:
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorcode = sqlite3.SQLITE_FULL
    left = [OperationalError("INSERT", {}, error), busy()]
    with pytest.raises(StorageError, match=r"ann:\*\*\*@db.*disk is full"):
        failing(left)()
    assert len(left) == 1


def test_a_mistake_of_ours_stays_a_traceback() -> None:
    with pytest.raises(IntegrityError):
        failing([IntegrityError("INSERT", {}, sqlite3.IntegrityError("no such study"))])()


class Unseen:
    """Lets one commit of a storage's session arrive, and then loses the connection."""

    def __init__(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        self._storage: Any = store.optuna._backend  # type: ignore[attr-defined]  # no public way from the cache
        self._patch = monkeypatch
        self.times = 0

    def arm(self) -> None:
        session = self._storage.scoped_session()
        commit = session.commit

        def lost() -> None:
            commit()
            if self.times == 0:
                self.times += 1
                raise busy()

        self._patch.setattr(type(session), "commit", lambda _: lost())
        self._patch.setattr("optuna.storages._rdb.storage.random.random", lambda: 0.0)

    def disarm(self) -> None:
        assert self.times == 1
        self._patch.undo()


@pytest.fixture
def study(store: Store) -> optuna.Study:
    made = optuna.create_study(storage=store.optuna)
    for _ in range(3):
        asked = made.ask()
        made.tell(asked, asked.suggest_categorical("a", (0, 1)))
    return made


def test_a_tell_whose_commit_was_not_seen_is_done(
    store: Store, study: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = study.ask()
    unseen = Unseen(store, monkeypatch)
    unseen.arm()
    study.tell(asked, 0.5)
    unseen.disarm()
    assert [t.value for t in study.trials[3:]] == [0.5]


def test_a_new_trial_whose_commit_was_not_seen_is_that_trial(
    store: Store, study: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    study._storage.get_all_trials(study._study_id)
    backend: Any = study._storage._backend  # type: ignore[attr-defined]  # no public way from the cache
    newest = backend._newest_of(study._study_id)
    monkeypatch.setattr(type(backend), "_newest_of", lambda *_: newest)  # its own commit shall arrive
    unseen = Unseen(store, monkeypatch)
    unseen.arm()
    study.enqueue_trial({"a": 1})
    unseen.disarm()
    assert [t.state for t in study.trials[3:]] == [TrialState.WAITING]
    asked = study.ask()
    assert (asked.number, asked.suggest_categorical("a", (0, 1))) == (3, 1)


def test_a_planned_trial_that_was_taken_up_unseen_is_taken_up(
    store: Store, study: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    study.enqueue_trial({"a": 1})
    study.enqueue_trial({"a": 0})
    unseen = Unseen(store, monkeypatch)
    unseen.arm()
    number = study.ask().number
    unseen.disarm()
    assert number == 3
    assert [t.state for t in study.trials[3:]] == [TrialState.RUNNING, TrialState.WAITING]


def test_kept_parameters_whose_commit_was_not_seen_are_written_once(
    store: Store, study: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = study.ask()
    drawn = asked.suggest_categorical("a", (0, 1))
    asked.set_user_attr("note", "x")
    unseen = Unseen(store, monkeypatch)
    unseen.arm()
    store.optuna._backend.flush()  # type: ignore[attr-defined]  # no public way from the cache to it
    unseen.disarm()
    [running] = study.get_trials(states=(TrialState.RUNNING,))
    assert (running.params, running.user_attrs) == ({"a": drawn}, {"note": "x"})


def comparable(trial: FrozenTrial) -> dict[str, str]:
    """All that a trial holds, in text: there nan equals nan; attributes have no order, parameters do."""
    held = {**vars(trial), "_system_attrs": sorted(trial.system_attrs.items())}
    return {name: repr(value) for name, value in held.items()}


def test_the_rows_read_at_once_are_the_trials_that_optuna_reads_one_by_one(store: Store, study: optuna.Study) -> None:
    study.enqueue_trial({"a": 0}, user_attrs={"why": [1, None]})
    for value in (float("inf"), 1 / 3):
        asked = study.ask()
        asked.suggest_float("x", 0, 1)
        asked.suggest_int("n", 1, 9)
        for step, reported in enumerate((float("nan"), float("-inf"), 0.1 + 0.2), start=1):
            asked.report(reported, step)
        asked.set_constraint("params", 1.0)
        study.tell(asked, value)
    study.tell(study.ask(), state=TrialState.FAIL)
    study.ask()
    ours: Any = study._storage._backend  # type: ignore[attr-defined]  # no public way from the cache
    with ours.engine.connect() as connection:
        url = connection.engine.url.render_as_string(hide_password=False)
    plain = RDBStorage(url)
    expected, read = plain.get_all_trials(study._study_id), ours.get_all_trials(study._study_id)
    plain.remove_session()
    plain.engine.dispose()
    assert list(map(comparable, read)) == list(map(comparable, expected))
    assert [comparable(ours.get_trial(t._trial_id)) for t in read] == list(map(comparable, expected))
    with pytest.raises(KeyError):
        ours.get_trial(10**6)
    with pytest.raises(KeyError):
        ours.get_all_trials(10**6)
