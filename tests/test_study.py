from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import optuna
import pytest

import dcasearch
from dcasearch import study as study_room
from dcasearch.config.study import Study
from dcasearch.errors import (
    DataError,
    StudyChanged,
    StudyFailed,
    StudyLocked,
    TimeOver,
    TrialFailure,
    UserError,
)
from dcasearch.search.work import Event, Job
from dcasearch.space import LoadedStudy, read_space
from dcasearch.store import Store
from dcasearch.study import Outcome
from dcasearch.trial import State, Trial
from tests.executors.support import InProcess
from tests.support import Simulated, make_study

PROXY: dict[str, Any] = {"name": "proxy", "trials": 6, "resolution": 16, "epochs": 3}
FULL: dict[str, Any] = {"name": "full", "promote": {"top": 2, "random": 1}, "resolution": 16, "epochs": 4}


class Bench:
    """A study in a database of its own, run by the simulated executor."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = Store.open(f"sqlite:///{folder}/study.db", create=True)
        self.events: list[Event] = []

    def load(self, missing: frozenset[str] = frozenset(), **changes: Any) -> LoadedStudy:
        study = make_study(**{"artifacts": str(self.folder), "fidelities": [PROXY, FULL], **changes})
        return LoadedStudy(study, read_space(study.space), self.folder / "study.yaml", missing)

    def run(self, executor: Simulated | None = None, **changes: Any) -> Outcome:
        return study_room.run(self.load(**changes), self.store, executor or Simulated(), self.events.append)

    def trials(self, fidelity: str) -> list[Trial]:
        return self.store.trials("tiny", fidelity)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def labels(executor: Simulated) -> list[str]:
    return [job.label for job in executor.ran]


def index_of(executor: Simulated, start: str) -> list[int]:
    return [n for n, label in enumerate(labels(executor)) if label.startswith(start)]


def test_baselines_are_trained_before_the_trials_of_each_fidelity_and_finals_last(bench: Bench) -> None:
    executor = Simulated()
    bench.run(executor, baselines=True, final={"seeds": [100, 101]})
    order = ["proxy baseline", "proxy trial", "full baseline", "full trial", "full final"]
    places = [index_of(executor, start) for start in order]
    assert all(places)
    assert all(max(a) < min(b) for a, b in pairwise(places))
    assert [role.name for role in bench.store.roles("tiny") if role.role == "baseline" and role.fidelity == "full"] == [
        "plain",
        "vanilla se",
        "dca se",
    ]


def test_finals_are_measured_on_the_test_split_with_fresh_seeds_and_nothing_else_is(bench: Bench) -> None:
    executor = Simulated()
    outcome = bench.run(executor, baselines=True, final={"seeds": [100, 101]})
    finals = [job for job in executor.ran if " final " in job.label]
    assert {job.assignment.protocol for job in executor.ran if job not in finals} == {"search"}
    assert {job.assignment.protocol for job in finals} == {"test"}
    assert outcome.winner is not None
    winners = [job for job in finals if job.label.startswith("full final chosen")]
    assert {(job.assignment.architecture.id, job.assignment.seed) for job in winners} == {
        (outcome.winner.architecture.id, 100),
        (outcome.winner.architecture.id, 101),
    }


def test_the_top_and_one_of_each_quantile_are_promoted_with_their_parameters_and_a_link(bench: Bench) -> None:
    bench.run()
    proxy, full = bench.trials("proxy"), bench.trials("full")
    best = sorted((t for t in proxy if t.state is State.COMPLETE), key=lambda t: -(t.values or (0.0,))[0])
    assert [trial.origin for trial in full] == ["promoted", "promoted", "promoted_random"]
    assert [trial.attributes["of"] for trial in full[:2]] == [best[0].number, best[1].number]
    for trial in full:
        source = proxy[int(str(trial.attributes["of"]))]
        assert (trial.params, trial.architecture_id) == (source.params, source.architecture_id)
        assert trial.attributes["reason"]
    assert full[2].attributes["probability"] == pytest.approx(1 / (len(best) - 2))


def test_each_fidelity_is_its_own_optuna_study(bench: Bench) -> None:
    bench.run()
    for name, expected in (("tiny.proxy", 6), ("tiny.full", 3)):
        told = optuna.load_study(study_name=name, storage=bench.store.optuna).trials
        complete = [
            t for t in told if t.state is optuna.trial.TrialState.COMPLETE and "duplicate_of" not in t.user_attrs
        ]
        assert len(complete) == expected
        assert all(t.params for t in told)


def test_a_later_fidelity_trains_every_promoted_architecture_with_every_seed(bench: Bench) -> None:
    outcome = bench.run(fidelities=[PROXY, {**FULL, "seeds": [0, 1, 2]}])
    full = bench.trials("full")
    assert len(full) == 9
    assert {trial.seed for trial in full} == {0, 1, 2}
    assert outcome.winner is not None
    assert [trial.seed for trial in outcome.winner.trials] == [0, 1, 2]


def test_the_users_own_configurations_are_tried_first_and_only_once(bench: Bench) -> None:
    own = {"attention.reduction": 16}
    names = read_space(make_study().space).parameters()
    assert set(own) <= set(names), sorted(names)
    bench.run(enqueue=[own])
    bench.run(enqueue=[{"attention.reduction": 8}, own])
    first, *others = [trial for trial in bench.trials("proxy") if trial.origin == "enqueued"]
    assert (first.number, first.params["attention.reduction"]) == (0, 16)
    assert [trial.params["attention.reduction"] for trial in others] == [8]


def test_a_fidelity_without_a_complete_trial_fails_the_study(bench: Bench) -> None:
    everything = Simulated(fail=lambda job: TrialFailure("nan", "the loss is nan"))
    with pytest.raises(StudyFailed, match=r"^proxy: no trial was completed; `dcasearch status tiny`"):
        bench.run(everything)
    assert {trial.state for trial in bench.trials("proxy")} <= {State.FAILED, State.DUPLICATE}


def test_a_failed_baseline_does_not_stop_the_study(bench: Bench) -> None:
    def fail(job: Job) -> TrialFailure | None:
        return TrialFailure("oom", "too large") if "baseline plain" in job.label else None

    outcome = bench.run(Simulated(fail=fail), baselines=True)
    assert outcome.winner is not None
    assert {role.name for role in bench.store.roles("tiny") if role.failure == "oom"} == {"plain"}


def test_the_same_call_again_trains_nothing(bench: Bench) -> None:
    settings: dict[str, Any] = {"baselines": True, "final": {"seeds": [100]}}
    first = bench.run(**settings)
    again = Simulated()
    assert bench.run(again, **settings) == first
    assert again.ran == []


def test_more_trials_and_a_larger_top_extend_a_study(bench: Bench) -> None:
    bench.run(fidelities=[PROXY, {**FULL, "promote": {"top": 1}}])
    before = bench.trials("proxy")
    more = Simulated()
    bench.run(more, fidelities=[{**PROXY, "trials": 8}, {**FULL, "promote": {"top": 3}, "seeds": [0, 1]}])
    after = bench.trials("proxy")
    assert after[: len(before)] == before
    assert sum(trial.state is State.COMPLETE for trial in after) == 8
    full = bench.trials("full")
    assert len({trial.architecture_id for trial in full}) >= 3
    assert {trial.seed for trial in full} == {0, 1}
    assert len({(trial.architecture_id, trial.seed) for trial in full}) == len(full)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"sampler": {"name": "random", "seed": 1}}, "sampler: "),
        ({"objectives": {"loss": "minimize"}}, "objectives: "),
        ({"fidelities": [{**PROXY, "epochs": 5}, FULL]}, "fidelities.proxy.epochs: 3 in the database, 5 in the YAML"),
        ({"fidelities": [PROXY]}, "fidelities.full.resolution: 16 in the database, nothing in the YAML"),
        ({"data": {"name": "digits", "split_seed": 1}}, "data: "),
        ({"space": {"backbone": {"name": "resnet34"}, "attention": {"name": "se"}}}, "space: "),
    ],
)
def test_a_study_that_means_something_else_now_is_refused_with_a_diff_and_nothing_is_written(
    bench: Bench, changes: dict[str, Any], told: str
) -> None:
    bench.run()
    before = (bench.store.get_study("tiny"), bench.store.trials("tiny"))
    with pytest.raises(StudyChanged, match="another `name`") as caught:
        bench.run(**changes)
    assert f"\n  {told}" in str(caught.value)
    assert (bench.store.get_study("tiny"), bench.store.trials("tiny")) == before


class Clock:
    """Time that goes on by an hour at each look."""

    def __init__(self) -> None:
        self.moment = datetime(2026, 1, 1).astimezone()

    def now(self) -> datetime:
        self.moment += timedelta(hours=1)
        return self.moment


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(study_room, "datetime", clock)
    return clock


@pytest.mark.parametrize("fidelities", [[PROXY], [PROXY, {**FULL, "seeds": [0, 1]}]])
def test_hours_that_are_over_stop_a_run_and_the_same_call_goes_on_to_the_end(
    bench: Bench, clock: Clock, fidelities: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    settings: dict[str, Any] = {"fidelities": fidelities, "baselines": True, "final": {"seeds": [9]}}
    runs, outcome = 0, Outcome(None, "not begun")
    while outcome.stopped is not None:
        outcome = bench.run(**settings, stop={"wall_hours": 4})
        assert outcome.stopped in (None, "4 hours of this run are over")
        runs += 1
        assert runs < 30
    assert runs > 3
    undisturbed = Bench(tmp_path_factory.mktemp("undisturbed"))
    assert undisturbed.run(**settings) == outcome
    assert undisturbed.store.trials("tiny") == bench.store.trials("tiny")
    assert undisturbed.store.roles("tiny") == bench.store.roles("tiny")


class Attending(Simulated):
    """Looks while a job runs whether the run is over, as executors do."""

    def __init__(self, broke_off: list[Job]) -> None:
        super().__init__()
        self.broke_off = broke_off
        """Jobs that the end of a run has broken off; this one adds its own."""

    def _train(self, work: Any, job: Job) -> None:
        try:
            work.attend()
        except TimeOver:
            self.broke_off.append(job)
            raise
        super()._train(work, job)


@pytest.mark.usefixtures("clock")
def test_hours_that_are_over_end_trainings_that_run_and_the_same_call_goes_on_with_them(
    bench: Bench, tmp_path_factory: pytest.TempPathFactory
) -> None:
    settings: dict[str, Any] = {"baselines": True, "final": {"seeds": [9]}}
    broke_off, ended_early = list[Job](), 0
    for hours in range(4, 60):
        left, executor = [job.label for job in broke_off], Attending(broke_off)
        broke_off.clear()
        outcome = bench.run(executor, **settings, stop={"wall_hours": hours})
        assert left == [] or executor.ran[0].label == left[0]
        ended_early += len(broke_off)
        if outcome.stopped is None:
            break
        assert outcome == Outcome(None, f"{hours} hours of this run are over")
    assert ended_early > 1
    assert all(trial.state is not State.RUNNING for trial in bench.trials("proxy"))
    undisturbed = Bench(tmp_path_factory.mktemp("undisturbed"))
    assert undisturbed.run(**settings) == outcome
    assert undisturbed.store.trials("tiny") == bench.store.trials("tiny")


def test_a_deadline_stops_a_run_before_anything_is_complete_without_calling_it_a_failure(bench: Bench) -> None:
    executor = Simulated()
    outcome = bench.run(executor, stop={"deadline": "2020-01-01T08:00"})
    assert outcome == Outcome(None, "the deadline 2020-01-01T08:00 has passed")
    assert executor.ran == []


def test_a_finished_study_is_not_called_stopped_when_its_deadline_has_passed(bench: Bench) -> None:
    finished = bench.run(baselines=True)
    assert bench.run(baselines=True, stop={"deadline": "2020-01-01T08:00"}) == finished


def test_no_improvement_ends_the_sampling_and_the_study_goes_on_to_its_promotion(bench: Bench) -> None:
    outcome = bench.run(fidelities=[{**PROXY, "trials": 40}, FULL], stop={"no_improvement": 3})
    assert sum(trial.state is State.COMPLETE for trial in bench.trials("proxy")) < 40
    assert outcome.winner is not None
    assert any("without improvement" in event.message for event in bench.events if event.kind == "note")


def test_a_second_driver_is_refused_and_told_who_runs_the_study_since_when(bench: Bench) -> None:
    class Second(Simulated):
        def run(self, work: Any) -> None:
            with pytest.raises(StudyLocked, match=r"run by process \d+ on \S+ since \d{4}-\d\d-\d\d \d\d:\d\d"):
                bench.run()
            super().run(work)

    assert bench.run(Second()).winner is not None


def test_a_variable_that_is_not_set_is_an_error_and_makes_no_database(tmp_path: Path) -> None:
    loaded = Bench(tmp_path).load(missing=frozenset({"IMAGENET_ROOT"}), storage=f"sqlite:///{tmp_path}/new.db")
    with pytest.raises(UserError, match="not set: IMAGENET_ROOT"):
        study_room.run(loaded, executor=Simulated())
    assert not (tmp_path / "new.db").exists()


def test_data_that_is_missing_is_an_error(bench: Bench) -> None:
    with pytest.raises(DataError, match="nowhere"):
        bench.run(data={"name": "cifar10", "root": str(bench.folder / "nowhere")})
    assert bench.store.get_study("tiny") is None


def test_each_phase_is_announced_with_what_is_done_already(bench: Bench) -> None:
    bench.run(baselines=True)
    bench.events.clear()
    bench.run(baselines=True, fidelities=[{**PROXY, "trials": 7}, FULL])
    phases = {event.label: event.fields for event in bench.events if event.kind == "phase"}
    assert list(phases) == ["proxy baselines", "proxy trials", "full baselines", "full trials"]
    assert (phases["proxy baselines"]["total"], phases["proxy baselines"]["complete"]) == (3, 3)
    assert (phases["proxy trials"]["total"], phases["proxy trials"]["complete"]) == (7, 6)
    best = max((trial.values or (0.0,))[0] for trial in bench.trials("proxy")[:7])
    assert phases["proxy trials"]["best"] == pytest.approx(best)


def test_the_stored_study_holds_no_storage_url(bench: Bench) -> None:
    bench.run(storage="sqlite:///secret-place.db")
    stored = bench.store.get_study("tiny")
    assert stored is not None
    assert "secret-place" not in stored.resolved
    assert Study.model_validate_json(stored.resolved).name == "tiny"


def test_run_takes_a_yaml_and_opens_the_database_that_it_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_study: Callable[..., Path]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DCASEARCH_STORAGE", "sqlite:///from_environment.db")
    assert dcasearch.run(write_study("plain.yaml"), executor=Simulated()).winner is not None
    assert (tmp_path / "from_environment.db").exists()
    named = write_study("named.yaml", storage="sqlite:///named.db")
    assert dcasearch.run(str(named), executor=Simulated()).winner is not None
    assert (tmp_path / "named.db").exists()


def test_a_trial_that_was_lost_goes_on_and_the_study_ends(bench: Bench) -> None:
    lost: list[str] = []

    def fail(job: Job) -> TrialFailure | None:
        if lost:
            return None
        lost.append(job.label)
        return TrialFailure("lost", "killed")

    outcome = bench.run(Simulated(fail=fail))
    assert outcome.winner is not None
    assert bench.trials("proxy")[0].retries == 1


def test_promoted_trials_and_baselines_go_on_from_where_the_smaller_budget_ended(bench: Bench, tmp_path: Path) -> None:
    """Real trainings on digits; the values are those of trainings from scratch, since nothing else differs."""
    recipe = {"schedule": {"name": "step", "warmup_epochs": 0.5}, "batch_size": 16, "bn_momentum": 0.3}
    level = {"name": "proxy", "trials": 2, "resolution": 16, "epochs": 1, "train_fraction": 0.05, "recipe": recipe}
    longer = {**level, "name": "full", "epochs": 2, "trials": None, "promote": {"top": 1}}
    space = {
        "backbone": {"name": "mobilenet_v2", "width": 0.1, "stem": "small"},
        "attention": {"name": "se", "reduction": [4, 8]},
    }
    changes: dict[str, Any] = {"space": space, "fidelities": [level, longer], "baselines": ["plain"]}
    study_room.run(bench.load(**changes), bench.store, InProcess(tmp_path))
    ids = [*(t.evaluation for t in bench.trials("full")), *(r.evaluation for r in bench.store.roles("tiny"))]
    records = list(bench.store.evaluations(filter(None, ids)).values())
    full = [record for record in records if len(record.history) == 2]
    assert len(full) == 2
    assert all(0 < record.reused_seconds < record.seconds for record in full)
    assert list((tmp_path / "checkpoints").iterdir()) == [], "nothing can go on from them any more"
