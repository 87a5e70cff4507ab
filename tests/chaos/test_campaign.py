"""The campaign over simulated runs: a kill of the driver ends a run in its middle, training nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from dcasearch import study as study_room
from dcasearch.chaos import Settings, Verdict, chaos
from dcasearch.chaos.copies import Copy
from dcasearch.errors import DcasearchError
from dcasearch.search.work import Event
from dcasearch.space import LoadedStudy, load_study, read_space
from dcasearch.store import Store
from dcasearch.trial import State
from tests.support import DriverDied, Simulated, make_study


class Line:
    """Takes the place of the audience."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, line: str) -> None:
        self.said.append(line)

    def show(self, line: str) -> None:
        pass


@dataclass
class World:
    """What befalls the runs of a campaign."""

    code: int | None = None
    """Exit code of every run after the first kill."""
    hangs: bool = False
    orphans: int = 0
    end: Callable[[Copy], None] = lambda copy: None
    """Called when a copy that was killed has ended."""
    killed: int = 0

    @contextmanager
    def started(self, copy: Copy) -> Iterator[SimulatedRun]:
        copy.log.touch()
        yield SimulatedRun(copy, self)


@dataclass(eq=False)
class SimulatedRun:
    """Takes the place of a process: whenever it is waited for, it comes some calls further."""

    copy: Copy
    world: World
    calls: int = 0
    seconds: float = 0.0
    pid: int = 1
    first_epoch: float = 0.1
    doing: str = ""
    epochs: set[tuple[str, int]] = field(default_factory=set)

    def wait(self, seconds: float) -> int | None:
        self.seconds += seconds
        if self.world.killed and self.world.hangs:
            self.seconds += 60.0
            return None
        if self.world.killed and self.world.code is not None:
            return self.world.code
        self.calls += 15
        with Store.open(self.copy.storage, create=True) as store:
            try:
                study_room.run(load_study(self.copy.file), store, Simulated(die_at=self.calls), self._take)
            except DriverDied:
                return None
        if self.world.killed:
            self.world.end(self.copy)
        return 0

    def _take(self, event: Event) -> None:
        if event.kind == "epoch":
            self.epochs.add((event.label, int(str(event.fields["epoch"]))))

    def workers(self) -> list[Any]:
        return []

    def kill_driver(self) -> list[str]:
        self.world.killed += 1
        return ["7 (a worker)"] * self.world.orphans


@pytest.fixture
def campaign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Verdict, list[str]]]:
    monkeypatch.setattr("dcasearch.chaos.campaign.not_reproduced", lambda *arguments: [])

    def run(world: World, settings: Settings | None = None, **changes: Any) -> tuple[Verdict, list[str]]:
        monkeypatch.setattr("dcasearch.chaos.campaign.started", world.started)
        study = make_study(**changes)
        loaded = LoadedStudy(study, read_space(study.space), tmp_path / "study.yaml", frozenset())
        line = Line()
        return chaos(loaded, settings or Settings(kills=2, workers=0), tmp_path / "scratch", line), line.said

    return run


Campaign = Callable[..., tuple[Verdict, list[str]]]


def execute(statement: str) -> Callable[[Copy], None]:
    def damage(copy: Copy) -> None:
        with sqlite3.connect(copy.storage.removeprefix("sqlite:///")) as connection:
            connection.execute(statement)
        connection.close()

    return damage


def problems(verdict: Verdict) -> list[str]:
    return [problem for check in verdict.checks for problem in check.problems]


def test_a_study_that_survives_every_kill_is_whole(campaign: Campaign) -> None:
    verdict, said = campaign(World())
    assert verdict.whole, problems(verdict)
    assert (verdict.drivers, verdict.workers) == (2, 0)
    assert said[0].startswith("undisturbed run: ")
    assert [line.split(":")[0] for line in said if line.startswith("kill")] == ["kill 1/2", "kill 2/2"]


@pytest.mark.parametrize("objectives", [{"top1": "maximize"}, {"top1": "maximize", "macs": "minimize"}])
def test_a_study_with_pruned_trials_is_whole_with_one_and_two_objectives(
    campaign: Campaign, tmp_path: Path, objectives: dict[str, str]
) -> None:
    pruner = {"name": "successive_halving", "startup": 2}
    proxy = {"name": "proxy", "trials": 5, "resolution": 16, "epochs": 2, "pruner": pruner}
    verdict, _ = campaign(World(), Settings(kills=1, workers=0), objectives=objectives, fidelities=[proxy])
    assert verdict.whole, problems(verdict)
    databases = list(tmp_path.rglob("*.db"))
    assert databases
    for database in databases:
        with Store.open(f"sqlite:///{database}") as store:
            assert any(trial.state is State.PRUNED for trial in store.trials("tiny", "proxy"))


def test_one_worker_is_tested_for_equality_and_several_for_what_must_hold(campaign: Campaign) -> None:
    verdict, _ = campaign(World())
    assert verdict.meaning == "equal"
    assert verdict.checks[-1].name == "equal to the undisturbed run, bit for bit"


def test_several_workers_are_tested_for_what_must_hold_and_equal_as_a_set_where_order_does_not_matter(
    campaign: Campaign,
) -> None:
    verdict, _ = campaign(World(), Settings(kills=1, workers=0, concurrent=2))
    assert verdict.meaning == "invariants"
    assert verdict.checks[-2].name == "the same trainings as undisturbed, bit for bit"
    assert verdict.checks[-1].name == "3 trials trained anew: the same values"


def test_order_matters_to_tpe_so_several_workers_are_not_compared_as_a_set(campaign: Campaign) -> None:
    verdict, _ = campaign(World(), Settings(kills=1, workers=0, concurrent=2), sampler={"name": "tpe", "seed": 0})
    assert "the same trainings as undisturbed, bit for bit" not in [check.name for check in verdict.checks]


def test_a_value_that_changed_makes_the_study_not_whole(campaign: Campaign) -> None:
    damage = execute("UPDATE trial_values SET value = value + 1e-13 WHERE trial_id = 1")
    verdict, _ = campaign(World(end=damage))
    assert not verdict.whole
    assert any(problem.startswith("proxy trial 0 in Optuna's tables: values: ") for problem in problems(verdict))


def test_a_run_that_fails_after_a_kill_makes_the_study_not_whole(campaign: Campaign) -> None:
    world = World(code=1)
    verdict, _ = campaign(world)
    assert any(problem.startswith("exit code 1 without a kill") for problem in problems(verdict))
    assert world.killed == 1


def test_a_run_that_hangs_after_a_kill_makes_the_study_not_whole(campaign: Campaign) -> None:
    verdict, _ = campaign(World(hangs=True))
    assert any(problem.startswith("hangs: ") for problem in problems(verdict))


def test_a_process_that_outlives_its_driver_makes_the_study_not_whole(campaign: Campaign) -> None:
    verdict, _ = campaign(World(orphans=1))
    assert "process 7 (a worker) outlived its driver 1" in problems(verdict)


@pytest.mark.parametrize("code", [1, 2])
def test_a_study_that_does_not_run_undisturbed_is_not_killed(
    code: int, campaign: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(run: SimulatedRun, seconds: float) -> int:
        run.copy.log.write_text("why it failed")
        return code

    monkeypatch.setattr(SimulatedRun, "wait", fail)
    with pytest.raises(DcasearchError, match="why it failed") as error:
        campaign(World())
    assert error.value.exit_code == code
