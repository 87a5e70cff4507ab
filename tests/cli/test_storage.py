from __future__ import annotations

from pathlib import Path

import pytest

from dcasearch.cli.storage import named_storage, relink, remember


def test_the_option_beats_the_environment_which_beats_the_link_which_beats_the_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert named_storage("tiny", None) == "sqlite:///dcasearch.db"
    remember("tiny", "sqlite:////data/linked.db")
    assert named_storage("tiny", None) == "sqlite:////data/linked.db"
    assert named_storage("other", None) == "sqlite:///dcasearch.db"
    monkeypatch.setenv("DCASEARCH_STORAGE", "sqlite:////data/environment.db")
    assert named_storage("tiny", None) == "sqlite:////data/environment.db"
    assert named_storage("tiny", "sqlite:////data/option.db") == "sqlite:////data/option.db"


def test_the_last_run_of_a_name_is_the_one_that_is_remembered() -> None:
    for name, file in (("a", "1"), ("b", "2"), ("a", "3")):
        remember(name, f"sqlite:////data/{file}.db")
    assert [named_storage(name, None) for name in "ab"] == ["sqlite:////data/3.db", "sqlite:////data/2.db"]


def test_a_link_follows_a_new_name_or_is_forgotten_but_not_one_to_another_database() -> None:
    remember("tiny", "sqlite:////data/a.db")
    relink("tiny", "large", "sqlite:////data/b.db")
    assert named_storage("tiny", None) == "sqlite:////data/a.db"
    relink("tiny", "large", "sqlite:////data/a.db")
    assert named_storage("large", None) == "sqlite:////data/a.db"
    assert named_storage("tiny", None) == "sqlite:///dcasearch.db"
    relink("large", None, "sqlite:////data/a.db")
    assert named_storage("large", None) == "sqlite:///dcasearch.db"


def test_a_link_without_its_password_follows_too() -> None:
    remember("tiny", "postgresql://me:secret@host/db")
    relink("tiny", "large", "postgresql://me:secret@host/db")
    assert named_storage("large", None) == "postgresql+psycopg://me@host/db"


def test_a_password_is_never_written(tmp_path: Path) -> None:
    remember("tiny", "postgresql://me:secret@host/db")
    remember("other", "sqlite:////data/x.db")
    written = "".join(path.read_text() for path in (tmp_path / "state").rglob("*") if path.is_file())
    assert "x.db" in written
    assert "secret" not in written
