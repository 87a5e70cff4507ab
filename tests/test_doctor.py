"""What `dcasearch doctor` finds on a machine."""

from __future__ import annotations

import os
import resource
import shutil
from collections import namedtuple
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from dcasearch import doctor
from dcasearch.doctor import Finding, examine
from dcasearch.space import LoadedStudy, read_space
from dcasearch.store import Store
from tests.support import make_study


def found(name: str, url: str = "sqlite:///none.db", loaded: LoadedStudy | None = None) -> Finding:
    return next(finding for finding in examine(loaded, url) if finding.name == name)


def loaded(folder: Path, **changes: Any) -> LoadedStudy:
    study = make_study(artifacts=str(folder), **changes)
    return LoadedStudy(study, read_space(study.space), folder / "study.yaml", frozenset())


def test_every_line_has_a_state_and_a_problem_says_what_to_do(tmp_path: Path) -> None:
    lines = list(examine(loaded(tmp_path), "sqlite:///none.db"))
    assert [line.name for line in lines] == [
        *("Python", "packages", "device", "cores", "database", "disk", "shared memory", "open files", "home"),
        *("extras", "data", "executor"),
    ]
    assert all(line.found for line in lines)
    assert all(line.todo for line in lines if line.state == "problem")


def test_a_package_that_does_not_fit_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: "0.1" if name == "optuna" else real(name))
    finding = found("packages")
    assert finding.state == "problem"
    assert "optuna 0.1 is not" in finding.found


def test_the_database_says_which_studies_it_holds(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    assert "is not there yet" in found("database", url).found
    with Store.open(url, create=True) as store:
        store.put_study("tiny", {}, make_study().model_dump_json())
    assert found("database", url).found.endswith("holds 1 studies, tiny")
    (tmp_path / "broken.db").write_text("no database")
    assert found("database", f"sqlite:///{tmp_path}/broken.db").state == "problem"


def test_little_room_and_a_folder_that_cannot_be_written_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "free total")
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage(10**9, 64 << 20))
    assert found("disk").state == "note"
    assert found("shared memory").todo.startswith("start the container with --shm-size=8g")
    monkeypatch.setattr(os, "access", lambda place, how: False)
    assert found("disk").state == "problem"
    assert "set XDG_STATE_HOME" in found("home").todo


def test_few_open_files_are_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda which: (256, 4096))
    assert found("open files") == Finding("open files", "problem", "at most 256", "ulimit -n 4096")


def test_missing_extras_are_named_with_what_needs_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "find_spec", lambda name: None if name == "captum" else object())
    assert found("extras").todo == "pip install 'dcasearch[gradcam]'"


def test_data_that_is_missing_is_a_problem_and_does_not_end_the_table(tmp_path: Path) -> None:
    without = loaded(tmp_path, data={"name": "cifar10", "root": "nowhere"})
    assert found("data", loaded=without).state == "problem"
    assert found("executor", loaded=without).found == "local, 1 trials at a time"
    assert (
        "1,437" in found("data", loaded=loaded(tmp_path)).found or found("data", loaded=loaded(tmp_path)).state == "ok"
    )
