from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from dcasearch import study as study_room
from dcasearch.analysis.standing import Compared, FidelityStanding
from dcasearch.errors import UserError
from dcasearch.report.dashboard import note, serve
from dcasearch.space import LoadedStudy, read_space
from dcasearch.store import Store
from dcasearch.trial import State
from tests.support import Simulated, make_study


def compared(name: str, *top1: float) -> Compared:
    return Compared(name, f"{name}-id", tuple(range(len(top1))), top1, top1, "" if top1 else "oom: 9 GB")


def test_a_note_is_a_table_of_the_leader_and_its_lead_over_each_baseline_that_was_trained() -> None:
    baselines = (compared("plain", 88.0, 89.0), compared("vanilla se"))
    standing = FidelityStanding("proxy", (), {State.COMPLETE: 3}, compared("trial 4", 90.5), baselines, ())
    assert note(standing).splitlines() == [
        "**proxy**: 3 complete",
        "",
        "| | top-1 % | seeds | leader − | architecture |",
        "|---|---|---|---|---|",
        "| trial 4 | 90.50 | 0 |  | `trial 4-id` |",
        "| plain | 88.50 | 0, 1 | +2.00 | `plain-id` |",
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
    study_id = store.optuna.get_study_id_from_name("tiny.proxy")
    attributes = store.optuna.get_study_system_attrs(study_id)
    assert any("vanilla se" in str(value) for name, value in attributes.items() if "note" in name)


def test_without_its_extra_serve_says_what_to_install(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna_dashboard", None)
    with pytest.raises(UserError, match=r"pip install 'dcasearch\[dashboard\]'"):
        serve(store, "tiny", "127.0.0.1", 8081)
