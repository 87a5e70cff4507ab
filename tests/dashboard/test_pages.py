from __future__ import annotations

from pathlib import Path

import optuna
import pytest

from dcasearch.analysis.standing import Standing, standing_of
from dcasearch.dashboard import pages as room
from dcasearch.dashboard.pages import Pages
from dcasearch.store import Store
from tests.dashboard.support import STUDY, run_study


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The studies that were read, once for each reading."""
    names: list[str] = []

    def reading(store: Store, name: str) -> Standing:
        names.append(name)
        return standing_of(store, name)

    monkeypatch.setattr(room, "standing_of", reading)
    return names


def test_a_study_is_read_once_while_nothing_changes(
    ended: Store, made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "FRESH_SECONDS", 0.0)
    monkeypatch.setattr(room, "SHARE", float("inf"))
    pages = Pages(ended)
    first, second, full = pages.of(1), pages.of(1), pages.of(2)
    assert first is not None
    assert first is second
    assert full is not None
    assert full.note.startswith("**full**")
    assert made == ["tiny"]


def test_pages_follow_a_study_that_goes_on_but_not_at_every_request(
    copied: Store, tmp_path: Path, made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = Pages(copied)
    before = pages.of(1)
    proxy, full = STUDY["fidelities"]
    run_study(tmp_path, fidelities=[{**proxy, "trials": 10}, full]).close()
    assert pages.of(1) is before
    monkeypatch.setattr(room, "FRESH_SECONDS", 0.0)
    monkeypatch.setattr(room, "SHARE", float("inf"))
    after = pages.of(1)
    assert before is not None
    assert after is not None
    assert len(after.trials) > len(before.trials)
    assert made == ["tiny", "tiny"]


def test_what_is_not_ours_has_no_page(copied: Store) -> None:
    optuna.create_study(study_name="plain", storage=copied.optuna)
    optuna.create_study(study_name="other.proxy", storage=copied.optuna)
    optuna.create_study(study_name="tiny.other", storage=copied.optuna)
    pages = Pages(copied)
    assert [pages.of(id) for id in (3, 4, 5, 99)] == [None] * 4


def test_of_a_named_study_its_fidelities_are_shown_alone(ended: Store) -> None:
    assert Pages(ended, "tiny").shows("tiny.proxy")
    assert not Pages(ended, "tiny").shows("tiny2.proxy")
    assert Pages(ended).shows("anything")
