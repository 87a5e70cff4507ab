"""docs/events.md describes every kind of event, and every field that a run sends."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any, get_args

import pytest

from dcasearch import study as study_room
from dcasearch.errors import TrialFailure
from dcasearch.metrics import METRICS
from dcasearch.search.work import Event, EventKind
from dcasearch.space import LoadedStudy, read_space
from dcasearch.store import Store
from tests.support import SPACE, Simulated, make_study

PAGE = (Path(__file__).parents[1] / "docs" / "events.md").read_text()
KINDS: tuple[str, ...] = get_args(EventKind)
EXAMPLES: dict[str, dict[str, Any]] = {
    kind: json.loads(line) for kind, line in re.findall(r"^## (\w+)\n.*?^```json\n(.*?)\n```", PAGE, re.M | re.S)
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_heading_and_an_example_on_one_line(kind: str) -> None:
    example = EXAMPLES[kind]
    assert example["event"] == kind
    assert list(example)[:4] == ["event", "time", "label", "message"]


def test_the_page_describes_no_kind_that_does_not_exist() -> None:
    assert set(EXAMPLES) == set(KINDS)


@pytest.fixture(scope="session")
def sent(tmp_path_factory: pytest.TempPathFactory) -> list[Event]:
    """Return the events of a study with pruning, constraints, failures, a lost worker and final trainings."""
    folder = tmp_path_factory.mktemp("events")
    halving = {"name": "successive_halving", "min_epochs": 1, "reduction_factor": 3, "startup": 1}
    proxy = {"name": "proxy", "trials": 6, "resolution": 16, "epochs": 3, "pruner": halving}
    full = {"name": "full", "promote": {"top": 1, "random": 0}, "resolution": 16, "epochs": 3}
    study = make_study(
        space={
            **SPACE,
            "backbone": {"name": "resnet18", "width": 0.125, "stem": "small"},
            "connections": {**SPACE["connections"], "granularity": "network"},
        },
        artifacts=str(folder),
        fidelities=[proxy, full],
        objectives={"top1": "maximize", "params": "minimize"},
        constraints={"params": {"max": 181_500}},
        baselines=["plain"],
        final={"seeds": [1000]},
    )
    loaded = LoadedStudy(study, read_space(study.space), folder / "study.yaml", frozenset())
    failures = {2: TrialFailure("oom", "made to"), 3: TrialFailure("lost", "made to")}
    events: list[Event] = []
    executor = Simulated(fail=lambda job: failures.pop(len(executor.ran) - 1, None) if job.trial else None)
    study_room.run(loaded, Store.open(f"sqlite:///{folder}/study.db", create=True), executor, events.append)
    return events


def test_a_run_sends_every_kind_that_its_events_promise(sent: list[Event]) -> None:
    usual = {"run", "plan", "phase", "started", "epoch", "complete", "pruned", "failed", "lost", "resumed", "leader"}
    assert usual | {"note", "infeasible", "duplicate"} == {event.kind for event in sent}


def test_the_page_shows_every_field_that_a_run_sends(sent: list[Event]) -> None:
    fields: dict[str, set[str]] = defaultdict(set)
    for event in sent:
        fields[event.kind] |= set(event.fields)
    shown = {kind: set(EXAMPLES[kind]) | set(METRICS) for kind in fields}
    assert {kind: names - shown[kind] for kind, names in fields.items() if names - shown[kind]} == {}


def test_events_about_a_training_name_its_network_in_words(sent: list[Event]) -> None:
    for event in sent:
        if event.kind in ("started", "resumed", "complete", "pruned", "failed", "lost", "infeasible", "duplicate"):
            assert str(event.fields["network"]).startswith("resnet18 × 0.125, small stem: ")
            assert len(str(event.fields["architecture"])) == 16


def test_the_plan_names_every_phase_before_it_begins(sent: list[Event]) -> None:
    kinds = [event.kind for event in sent]
    assert kinds[0] == "run"
    planned = [event.label for event in sent if event.kind == "plan"]
    assert planned == ["proxy baselines", "proxy trials", "full baselines", "full trials", "full finals"]
    assert [event.label for event in sent if event.kind == "phase"] == planned
    assert kinds.index("phase") > len(planned)
