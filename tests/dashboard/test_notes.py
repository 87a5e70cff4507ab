from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest

from dcasearch import study as study_room
from dcasearch.analysis.naming import Sentences
from dcasearch.analysis.power import LEGEND, Difference
from dcasearch.analysis.standing import Compared, FidelityStanding
from dcasearch.errors import UserError
from dcasearch.metrics import METRICS
from dcasearch.report import dashboard
from dcasearch.report.dashboard import note, serve, write_notes
from dcasearch.space import LoadedStudy, read_space
from dcasearch.store import Store
from dcasearch.trial import State
from tests.search.test_racing import Field
from tests.support import Simulated, make_study

PROXY: dict[str, Any] = {"name": "proxy", "trials": 5, "resolution": 16, "epochs": 4}


def compared(name: str, *top1: float) -> Compared:
    values = {"top1": top1, "top5": top1} if top1 else {}
    return Compared(
        name=name,
        architecture_id=f"{name}-id",
        seeds=tuple(range(len(top1))),
        headline=METRICS["top1"],
        values=values,
        failure="" if top1 else "oom: 9 GB",
    )


def standing_at(name: str, counts: dict[State, int], leader: Compared, **more: Any) -> FidelityStanding:
    return FidelityStanding(
        name=name, trials=(), counts=counts, leader=leader, suspended=(), **{"baselines": (), **more}
    )


def test_a_note_is_a_table_of_the_leader_and_its_lead_over_each_baseline_that_was_trained() -> None:
    told = Difference(2.0, 3.1, seeds_known=True, images_known=True)
    baselines = (replace(compared("plain", 88.0, 89.0), behind=told), compared("vanilla se"))
    standing = standing_at("proxy", {State.COMPLETE: 3}, compared("trial 4", 90.5), baselines=baselines)
    assert note(standing).splitlines() == [
        "**proxy**: 3 complete",
        "",
        "|  | &emsp;top-1 % | &emsp;seeds | &emsp;leader's lead | &emsp;does it count? | &emsp;architecture |",
        "|---|--:|--:|--:|---|---|",
        "| trial 4 | &emsp;90.50 | &emsp;0 | &emsp; | &emsp; | &emsp;`trial 4-id` |",
        "| plain | &emsp;88.50 ± 0.71 | &emsp;0, 1 | &emsp;+2.00 ± 3.1 | &emsp;no | &emsp;`plain-id` |",
        "",
        LEGEND,
    ]


def test_a_note_says_what_each_network_is_in_words_the_leader_first() -> None:
    standing = standing_at(
        "proxy", {State.COMPLETE: 3}, compared("trial 4", 90.5), baselines=(compared("plain", 88.0),)
    )
    words = {"plain-id": "no attention", "trial 4-id": "SE r=16 in all stages; not connected", "other": "another"}
    said = note(standing, Sentences("resnet18", words)).split("Networks, each on resnet18:")[1].split("\n")
    assert [line for line in said if line] == [
        "- trial 4: SE r=16 in all stages; not connected",
        "- plain: no attention",
    ]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    study = make_study(artifacts=str(tmp_path), baselines=True)
    store = Store.open(f"sqlite:///{tmp_path}/study.db", create=True)
    study_room.run(LoadedStudy(study, read_space(study.space), tmp_path, frozenset()), store, Simulated())
    return store


def test_serve_writes_the_notes_and_serves_the_studys_own_database(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    import optuna_dashboard

    served: list[Any] = []
    monkeypatch.setattr(optuna_dashboard, "run_server", lambda *args, **options: served.append((*args, options)))
    serve(store, "tiny", "127.0.0.1", 8081)
    assert served == [(store.optuna, {"host": "127.0.0.1", "port": 8081})]
    assert "vanilla se" in stored_note(store)


def stored_note(store: Store) -> str:
    from optuna_dashboard import get_note

    return str(get_note(optuna.load_study(study_name="tiny.proxy", storage=store.optuna)))


def test_notes_follow_a_study_that_goes_on_while_the_dashboard_is_open(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import optuna_dashboard

    def serve_while_the_study_goes_on(*arguments: object, **options: object) -> None:
        longer = make_study(artifacts=str(tmp_path), baselines=True, fidelities=[{**PROXY, "trials": 7}])
        study_room.run(LoadedStudy(longer, read_space(longer.space), tmp_path, frozenset()), store, Simulated())
        end = time.monotonic() + 20
        while "7 complete" not in stored_note(store) and time.monotonic() < end:
            time.sleep(0.05)
        assert "7 complete" in stored_note(store)

    monkeypatch.setattr(dashboard, "REFRESH_SECONDS", 0.05)
    monkeypatch.setattr(optuna_dashboard, "run_server", serve_while_the_study_goes_on)
    serve(store, "tiny", "127.0.0.1", 8081)


def test_a_note_of_the_users_own_is_left_alone(store: Store) -> None:
    from optuna_dashboard import save_note

    study = optuna.load_study(study_name="tiny.proxy", storage=store.optuna)
    save_note(study, "mine")
    write_notes(store, "tiny")
    assert stored_note(store) == "mine"


def test_without_its_extra_serve_says_what_to_install(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna_dashboard", None)
    with pytest.raises(UserError, match=r"pip install 'dcasearch\[dashboard\]'"):
        serve(store, "tiny", "127.0.0.1", 8081)


def test_a_note_says_how_far_a_race_is() -> None:
    race = Field().seeds(1, 90.0, 20.0).race()
    standing = standing_at("full", {State.COMPLETE: 2}, compared("trial 0", 90.5), race=race)
    assert note(standing).splitlines()[-1] == (
        "race (confidence 95%, up to 6 seeds): 2 of 2 are in it; the next look is at 2 seeds"
    )
