from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from dcasearch.cli.storage import named_storage, relink, remember
from tests.cli.conftest import Command
from tests.support import make_study


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


@pytest.mark.parametrize(
    ("storage", "said"),
    [
        ("sqlite:///missing/x.db", "There is no folder {here}/missing for the database; make it"),
        ("sqlite:///folder", "{here}/folder is no file"),
        ("mysql://host/x", "mysql://host/x: SQLite and PostgreSQL (psycopg) are known, not 'mysql'"),
        ("sqlite:///~nosuchuser/x.db", "~nosuchuser/x.db: no home folder is known for ~nosuchuser"),
        (
            "postgresql://me:secret@localhost:1/x?connect_timeout=abc",
            "postgresql+psycopg://me:***@localhost:1/x?connect_timeout=abc: ",
        ),
        ("postgresql://me:sec@ret@localhost/x", "postgresql://me:***@localhost/x has several @"),
    ],
)
@pytest.mark.parametrize("command", ["check", "run"])
def test_a_mistake_in_the_storage_is_told_with_its_line(
    dcasearch: Command, tmp_path: Path, storage: str, said: str, command: str
) -> None:
    (tmp_path / "folder").mkdir()
    line = written(tmp_path, storage)
    done = dcasearch(command, "study.yaml")
    assert done.code == 2
    assert f"study.yaml:{line}:10: storage: {said.format(here=tmp_path)}" in done.err
    assert "secret" not in done.err


@pytest.mark.parametrize("command", ["status", "trials", "stop", "retry", "replay", "rename", "delete", "logs"])
def test_every_command_that_takes_the_yaml_tells_the_line(dcasearch: Command, tmp_path: Path, command: str) -> None:
    line = written(tmp_path, "mysql://host/x")
    done = dcasearch(command, "study.yaml", *{"rename": ["other"], "logs": ["0"]}.get(command, []))
    assert done.code == 2
    assert f"study.yaml:{line}:10: storage: mysql://host/x: SQLite and PostgreSQL" in done.err


def written(folder: Path, storage: str) -> int:
    """Write a study with a storage; return the storage's line."""
    text = yaml.safe_dump(make_study(storage=storage).model_dump(mode="json", exclude_unset=True))
    (folder / "study.yaml").write_text(text)
    return 1 + next(n for n, words in enumerate(text.splitlines()) if words.startswith("storage:"))


def test_a_storage_that_an_option_names_has_no_line(dcasearch: Command, tmp_path: Path) -> None:
    written(tmp_path, "mysql://host/x")
    done = dcasearch("check", "study.yaml", "--storage", "sqlite:///missing/x.db")
    assert done.code == 2
    assert done.err.startswith("There is no folder")
