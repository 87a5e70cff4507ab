"""The same YAML goes on with the same study from every folder; a copy of it is another study."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dcasearch.store import Store
from tests.cli.conftest import Command

WriteStudy = Callable[..., Path]
HERE = {"storage": "sqlite:///here.db", "artifacts": "./art"}


@pytest.fixture
def enter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Go to a folder below the test's, made if it is not there."""

    def go(name: str) -> Path:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        monkeypatch.chdir(folder)
        return folder

    return go


@pytest.mark.usefixtures("simulated")
def test_a_run_from_another_folder_goes_on_with_the_same_study(
    dcasearch: Command, write_study: WriteStudy, enter: Callable[[str], Path]
) -> None:
    study = write_study(**HERE)
    first = enter("first")
    done = dcasearch("run", study)
    assert done.code == 0, done.err
    line = done.out.splitlines()[0]
    assert line == f"study tiny, database sqlite:///{first}/here.db, artifacts {first}/art"
    enter("second")
    again = dcasearch("run", study)
    assert again.out.splitlines()[0] == line
    assert list(Path.cwd().iterdir()) == []
    with Store.open(f"sqlite:///{first}/here.db") as store:
        stored = store.get_study("tiny")
        assert stored is not None
    assert f"database sqlite:///{first}/here.db" in dcasearch("status", study).out


@pytest.mark.usefixtures("simulated")
def test_two_clones_with_one_home_each_run_their_own(
    dcasearch: Command, write_study: WriteStudy, enter: Callable[[str], Path]
) -> None:
    study = write_study(**HERE)
    for clone in ("one", "two"):
        folder = enter(clone)
        shutil.copyfile(study, folder / "study.yaml")
        done = dcasearch("run", "study.yaml")
        assert done.code == 0, done.err
        assert f"database sqlite:///{folder}/here.db" in done.out.splitlines()[0]
        assert (folder / "here.db").is_file()


@pytest.mark.usefixtures("simulated")
def test_a_remembered_database_that_is_gone_starts_nothing_and_names_what_begins_anew(
    dcasearch: Command, write_study: WriteStudy, enter: Callable[[str], Path]
) -> None:
    study = write_study(**HERE)
    first = enter("first")
    assert dcasearch("run", study).code == 0
    for file in first.glob("here.db*"):
        file.unlink()
    second = enter("second")
    done = dcasearch("run", study)
    assert done.code == 2
    assert f"{first}/here.db" in done.err
    assert "--anew" in done.err
    assert not any(first.glob("here.db*"))
    assert not any(second.iterdir())
    assert dcasearch("run", study, "--anew").code == 0
    assert (second / "here.db").is_file()
    enter("first")
    assert f"{second}/here.db" in dcasearch("run", study).out.splitlines()[0]


@pytest.mark.usefixtures("simulated")
def test_the_database_of_before_is_found_from_the_folder_it_was_made_in(
    dcasearch: Command, write_study: WriteStudy, enter: Callable[[str], Path], tmp_path: Path
) -> None:
    study = write_study(**HERE)
    folder = enter("first")
    assert dcasearch("run", study).code == 0
    shutil.rmtree(tmp_path / "state")  # an older version remembered no folder
    done = dcasearch("run", study)
    assert done.code == 0
    assert f"{folder}/here.db" in done.out.splitlines()[0]


@pytest.mark.usefixtures("simulated")
def test_export_and_the_ledger_know_the_artifacts_from_a_third_folder(
    dcasearch: Command, write_study: WriteStudy, enter: Callable[[str], Path]
) -> None:
    study = write_study(**HERE)
    first = enter("first")
    assert dcasearch("run", study).code == 0
    enter("third")
    from dcasearch.analysis.standing import load_study_of

    with Store.open(f"sqlite:///{first}/here.db") as store:
        stored: Any = load_study_of(store, "tiny")
        assert stored.artifacts == f"{first}/art"  # where `export` looks
