from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dcasearch import study as study_room
from dcasearch.analysis.wholeness import broken_invariants
from dcasearch.errors import StudyFailed, TrialFailure
from dcasearch.search.retrying import take_up_again
from dcasearch.search.work import Job
from dcasearch.space import LoadedStudy, load_study
from dcasearch.store import Store
from dcasearch.trial import State, Trial
from tests.support import Simulated

PROXY: dict[str, Any] = {"name": "proxy", "trials": 6, "resolution": 16, "epochs": 2}
FULL: dict[str, Any] = {"name": "full", "promote": {"top": 2}, "resolution": 16, "epochs": 3}


class Bench:
    def __init__(self, store: Store, write_study: Callable[..., Path]) -> None:
        self.store, self._write = store, write_study

    def load(self, **changes: Any) -> LoadedStudy:
        return load_study(self._write(**{"fidelities": [PROXY, FULL], "baselines": True, **changes}))

    def run(self, failing: Callable[[Job], TrialFailure | None] = lambda job: None, **changes: Any) -> Simulated:
        executor = Simulated(fail=failing)
        study_room.run(self.load(**changes), self.store, executor)
        return executor

    def trials(self, fidelity: str) -> list[Trial]:
        return self.store.trials("tiny", fidelity)


@pytest.fixture
def bench(write_study: Callable[..., Path], tmp_path: Path) -> Bench:
    return Bench(Store.open(f"sqlite:///{tmp_path}/study.db", create=True), write_study)


def failing(kind: Any, *labels: str) -> Callable[[Job], TrialFailure | None]:
    return lambda job: TrialFailure(kind, "as planned") if job.label in labels else None


def test_failed_trials_and_baselines_are_trained_under_new_numbers_and_keep_the_budget(bench: Bench) -> None:
    bench.run(failing("oom", "proxy trial 1", "proxy baseline plain", "full trial 0"))
    assert take_up_again(bench.load().study, bench.store, ("bug",)) == {}
    assert take_up_again(bench.load().study, bench.store, ("oom",)) == {"proxy": {"oom": 2}, "full": {"oom": 1}}
    assert take_up_again(bench.load().study, bench.store, ("oom",)) == {}  # they are planned already
    executor = bench.run()
    before, after = bench.trials("proxy")[1], bench.trials("proxy")[-1]
    assert (before.state, before.failure) == (State.FAILED, "oom")
    assert (after.state, after.attributes["retry_of"]) == (State.COMPLETE, 1)
    assert (after.architecture_id, after.seed) == (before.architecture_id, before.seed)
    full = bench.trials("full")
    (again,) = (trial for trial in full if "retry_of" in trial.attributes)
    assert (full[0].state, again.state) == (State.FAILED, State.COMPLETE)
    assert (again.attributes["retry_of"], again.attributes["of"]) == (0, full[0].attributes["of"])
    assert "proxy baseline plain" in [job.label for job in executor.ran]
    assert sum(trial.state is State.COMPLETE for trial in bench.trials("proxy")) == PROXY["trials"]
    assert broken_invariants(bench.store, "tiny") == []
    assert bench.run().ran == []


def test_trials_that_were_lost_go_on_once_retries_are_raised_and_keep_the_count(bench: Bench) -> None:
    lost = failing("lost", "proxy trial 1")
    bench.run(lost, executor={"retries": 1})
    assert bench.run(executor={"retries": 1}).ran == []
    executor = bench.run(failing("lost", "proxy trial 6"), executor={"retries": 3})
    assert [job.label for job in executor.ran if job.label.startswith("proxy")].count("proxy trial 6") == 3
    row = bench.trials("proxy")[-1]
    assert (row.state, row.failure, row.retries, row.attributes["retry_of"]) == (State.FAILED, "lost", 3, 1)
    assert broken_invariants(bench.store, "tiny") == []


def test_a_baseline_that_lost_its_worker_is_tried_again_by_the_next_run(bench: Bench) -> None:
    bench.run(failing("lost", "proxy baseline plain"), executor={"retries": 0})
    assert [job.label for job in bench.run(executor={"retries": 0}).ran] == ["proxy baseline plain"]


def test_a_study_with_too_many_failures_fails_goes_on_after_a_retry_and_says_so(bench: Bench) -> None:
    everything = ("proxy trial 0", "proxy trial 1", "proxy trial 2", "proxy trial 3")
    with pytest.raises(StudyFailed, match=r"proxy: 2 trials have failed \(2 bug\).*dcasearch retry tiny"):
        bench.run(failing("bug", *everything), stop={"failures": 2})
    with pytest.raises(StudyFailed, match=r"stop\.failures is 2"):
        bench.run(stop={"failures": 2})
    take_up_again(bench.load().study, bench.store, ("bug",))
    bench.run(stop={"failures": 2})
    assert sum(trial.state is State.COMPLETE for trial in bench.trials("proxy")) == PROXY["trials"]
    assert broken_invariants(bench.store, "tiny") == []


def test_a_target_that_is_reached_ends_the_sampling_and_the_study_goes_on(bench: Bench) -> None:
    bench.run(stop={"target": 0.0})
    assert [trial.state for trial in bench.trials("proxy")] == [State.COMPLETE]
    assert bench.trials("full")
