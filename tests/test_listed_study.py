"""A study whose space is a list, from its first training to its views: every row once per seed, named by its label."""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from dcasearch import study as study_room
from dcasearch.analysis.forecast import forecast
from dcasearch.analysis.standing import standing_of
from dcasearch.cli.standing import print_standing
from dcasearch.config.study import Study
from dcasearch.dashboard.notes import leaders
from dcasearch.models import cost
from dcasearch.search.work import Event
from dcasearch.space import LoadedStudy, read_space
from dcasearch.store import Store
from dcasearch.trial import State
from tests.support import DriverDied, Simulated, make_study

BACKBONE: dict[str, Any] = {"name": "mobilenet_v2", "width": 0.1, "stem": "small"}
SE: dict[str, Any] = {"name": "se", "reduction": 4}
ROWS: list[dict[str, Any]] = [
    {"label": "plain", "backbone": BACKBONE},
    {"label": "SE", "backbone": BACKBONE, "attention": SE},
    {"label": "DCA-SE", "backbone": BACKBONE, "attention": SE, "connections": {"function": "learned"}},
]
TABLE: dict[str, Any] = {"name": "table", "resolution": 16, "epochs": 2, "seeds": [0, 1, 2]}


def make(**changes: Any) -> Study:
    space = {"architectures": ROWS}
    return make_study(
        **{"space": space, "sampler": {"name": "grid"}, "fidelities": [TABLE], "baselines": True, **changes}
    )


def run(store: Store, study: Study, executor: Simulated | None = None) -> tuple[Simulated, list[Event]]:
    events: list[Event] = []
    executor = executor or Simulated()
    loaded = LoadedStudy(study, read_space(study.space), Path("study.yaml"), frozenset())
    study_room.run(loaded, store, executor, events.append)
    return executor, events


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Simulated, list[Event]]:
    folder = tmp_path_factory.mktemp("listed")
    store = Store.open(f"sqlite:///{folder}/study.db", create=True)
    return store, *run(store, make(artifacts=str(folder), final={"seeds": [1000]}))


def test_a_grid_trains_every_row_once_with_every_seed(ended: tuple[Store, Simulated, list[Event]]) -> None:
    store, executor, _ = ended
    trials = store.trials("tiny", "table")
    assert Counter((t.label, t.seed) for t in trials) == {(row["label"], s): 1 for row in ROWS for s in (0, 1, 2)}
    assert {t.state for t in trials} == {State.COMPLETE}
    trained = Counter(job.assignment.key.id for job in executor.ran)
    assert set(trained.values()) == {1}, "a row that is a baseline too is trained once"


def test_seeds_that_are_added_train_only_themselves(tmp_path: Path) -> None:
    store = Store.open(f"sqlite:///{tmp_path}/study.db", create=True)
    run(store, make(artifacts=str(tmp_path), fidelities=[{**TABLE, "seeds": [0, 1]}]))
    executor, _ = run(store, make(artifacts=str(tmp_path), fidelities=[{**TABLE, "seeds": [0, 1, 2]}]))
    assert [job.assignment.seed for job in executor.ran] == [2, 2, 2]


def test_a_driver_that_died_is_followed_by_one_that_plans_no_pair_twice(tmp_path: Path) -> None:
    store = Store.open(f"sqlite:///{tmp_path}/study.db", create=True)
    for call in (9, 17):
        with pytest.raises(DriverDied):
            run(store, make(artifacts=str(tmp_path)), Simulated(die_at=call))
    run(store, make(artifacts=str(tmp_path)))
    pairs = Counter((t.label, t.seed) for t in store.trials("tiny", "table"))
    assert pairs == {(row["label"], seed): 1 for row in ROWS for seed in (0, 1, 2)}


def test_events_call_a_trial_by_its_label_and_seed(ended: tuple[Store, Simulated, list[Event]]) -> None:
    labels = {event.label for event in ended[2] if event.kind == "complete"}
    assert {"table trial 1 (SE)", "table trial 5 (DCA-SE, seed 1)"} <= labels


def test_status_shows_the_label_of_every_trial_and_of_the_leader(ended: tuple[Store, Simulated, list[Event]]) -> None:
    console = Console(width=200, file=io.StringIO(), record=True)
    standing = standing_of(ended[0], "tiny")
    print_standing(console, standing, words={})
    printed = console.export_text()
    assert standing.winner is not None
    leader = standing.winner.trials[0]
    assert f"trial {leader.number} ({leader.label})" in printed
    assert f"chosen ({leader.label})" in printed
    rows = [line.split() for line in printed.splitlines()]
    assert ["4", "SE", "complete"] in [row[:3] for row in rows]


def test_the_dashboard_s_note_shows_the_leader_s_label(ended: tuple[Store, Simulated, list[Event]]) -> None:
    standing = standing_of(ended[0], "tiny")
    assert standing.winner is not None
    assert f"({standing.winner.trials[0].label})" in leaders(standing.fidelities[0])


def test_the_forecast_counts_a_row_that_is_a_baseline_once() -> None:
    study = make()
    [phase] = forecast(study, read_space(study.space), None, None).phases
    assert phase.trainings == 9


def test_the_forecast_of_a_grid_is_the_sum_over_its_rows() -> None:
    deep = {"label": "deep", "backbone": {"name": "resnet50", "stem": "small"}}
    study = make(space={"architectures": [*ROWS, deep]})
    [phase] = forecast(study, read_space(study.space), None, None).phases
    each = [cost(point.architecture, 16, 1000).macs for point in read_space(study.space).enumerate()]
    images = 1_281_167
    assert phase.macs == pytest.approx(sum(each) * 3 * 2 * images * (3 * 0.9 + 0.1))


def test_a_sampler_that_is_no_grid_may_draw_rows(tmp_path: Path) -> None:
    store = Store.open(f"sqlite:///{tmp_path}/study.db", create=True)
    proxy = {"name": "table", "resolution": 16, "epochs": 2, "trials": 2}
    run(store, make(artifacts=str(tmp_path), fidelities=[proxy], sampler={"name": "random"}, baselines=False))
    labels = {t.label for t in store.trials("tiny", "table") if t.state is State.COMPLETE}
    assert len(labels) == 2
    assert labels <= {row["label"] for row in ROWS}
