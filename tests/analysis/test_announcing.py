from __future__ import annotations

from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from dcasearch.analysis.announcing import plan_events, run_event
from dcasearch.data import DataInfo
from dcasearch.search.work import Event
from dcasearch.space import read_space
from dcasearch.store import Store
from tests.analysis.conftest import SMALL
from tests.search.support import HALVING, Bench, proxy
from tests.support import SPACE, make_study

DATA = DataInfo(fingerprint="digits", classes=10, train_images=1000, validation_images=200, test_images=300)
FULL: dict[str, Any] = {"name": "full", "promote": {"top": 2, "random": 1}, "resolution": 32, "epochs": 4}


def plan(tmp_path: Path, **changes: Any) -> dict[str, Event]:
    study = make_study(space=SMALL, **changes)
    store = Store.open(f"sqlite:///{tmp_path}/plan.db", create=True)
    return {event.label: event for event in plan_events(study, read_space(study.space), DATA, store)}


def test_every_phase_is_planned_with_its_trainings_epochs_rungs_and_what_it_waits_for(tmp_path: Path) -> None:
    fidelities = [*proxy(trials=20, pruner=HALVING, train_fraction=0.5), FULL]
    planned = plan(tmp_path, fidelities=fidelities, baselines=True, final={"seeds": [1000, 1001]})
    assert {label: event.fields["total"] for label, event in planned.items()} == {
        "proxy baselines": 3, "proxy trials": 20, "full baselines": 3, "full trials": 3, "full finals": 8,
    }  # fmt: skip
    trials = planned["proxy trials"].fields
    assert (trials["epochs"], trials["rungs"], trials["keeps"], trials["images"]) == (4, "1, 2", 0.5, 700)
    assert planned["proxy baselines"].fields["rungs"] == ""
    after = {label: event.fields.get("after", "") for label, event in planned.items()}
    assert after["full trials"] == "proxy trials"
    assert after["full finals"] == "full trials"
    assert after["full baselines"] == ""
    work = [planned[f"{name} trials"].fields["work"] for name in ("proxy", "full")]
    assert work == [(3 * 500 + 200) * 16**2, (3 * 1000 + 200) * 32**2]


def test_a_space_that_is_smaller_than_its_trials_bounds_them(tmp_path: Path) -> None:
    listed = {**SMALL, "attention": {"name": "se"}, "connections": {"dimensions": {"channel": [True, False]}}}
    study = make_study(space=listed, fidelities=proxy(trials=20))
    store = Store.open(f"sqlite:///{tmp_path}/plan.db", create=True)
    (trials,) = plan_events(study, read_space(study.space), DATA, store)
    assert trials.fields["total"] == 2


def test_parents_and_races_are_planned(tmp_path: Path) -> None:
    race = {**FULL, "promote": {"top": 3, "random": 0, "race": {"max_seeds": 5}}}
    planned = plan(tmp_path, fidelities=[*proxy(initialize="vanilla"), race])
    assert planned["proxy parents"].fields["total"] == 2  # one per reduction
    assert (planned["full trials"].fields["total"], planned["full trials"].fields["most"]) == (6, 15)


def test_asynchronous_trials_wait_for_nobody(tmp_path: Path) -> None:
    early = {**FULL, "promote": {"top": 3, "random": 0, "asynchronous": True}}
    assert plan(tmp_path, fidelities=[*proxy(), early])["full trials"].fields["after"] == ""


def test_what_earlier_runs_have_trained_is_counted_and_its_epochs_are_timed(finished: Bench) -> None:
    study = make_study(space=SMALL, fidelities=proxy(trials=9))
    (trials,) = plan_events(study, read_space(study.space), DATA, Store.open(finished.url))
    counts = Counter(str(trial.state) for trial in finished.ledger())
    assert trials.fields["total"] == 9
    assert {name: trials.fields[name] for name in ("complete", "pruned") if counts[name]} == {
        name: count for name, count in counts.items() if name in ("complete", "pruned")
    }
    assert trials.fields["epoch_seconds"] == 0.0  # simulated


@pytest.mark.parametrize(
    ("stop", "seconds"),
    [
        ({}, None),
        ({"wall_hours": 2}, 7200),
        ({"deadline": "2026-12-01T09:00"}, 3600),
        ({"wall_hours": 2, "deadline": "2026-12-01T07:00"}, 0),
    ],
)
def test_the_first_event_says_when_the_run_ends_in_any_case(stop: dict[str, Any], seconds: float | None) -> None:
    study = make_study(stop=stop, executor={"max_concurrent": 3})
    event = run_event(study, read_space(study.space), datetime(2026, 12, 1, 8).astimezone())
    assert event.fields["limit_seconds"] == seconds
    assert (event.fields["workers"], event.fields["backbone"]) == (3, "resnet18, small stem")


def test_no_backbone_is_named_where_there_are_several() -> None:
    study = make_study(space={**SPACE, "backbone": {"name": ["resnet18", "resnet34"]}}, stop={"target": 90})
    event = run_event(study, read_space(study.space), datetime(2026, 12, 1, 8).astimezone())
    assert (event.fields["backbone"], event.fields["may_end_early"]) == (None, True)
