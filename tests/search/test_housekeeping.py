"""The files of a study follow its name, and go with it, on disk and behind a URL."""

from __future__ import annotations

from pathlib import Path

import pytest

from dcasearch.artifacts import Place, open_artifacts
from dcasearch.search.housekeeping import files_of, move_readings, remove_found

ID, OTHER = "a" * 16, "b" * 16


@pytest.fixture(params=["folder", "url"])
def artifacts(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    place = open_artifacts(str(tmp_path / "artifacts") if request.param == "folder" else f"memory://{tmp_path}")
    for name in (
        f"checkpoints/{ID}.pt",
        f"checkpoints/{ID}.broken",
        f"checkpoints/{OTHER}.pt",
        f"weights/{ID}.safetensors",
        "interpretation/tiny/drift.json",
        "interpretation/other/drift.json",
    ):
        file = place / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(bytes(1000))
    return place


def names(artifacts: Place) -> set[str]:
    return {"/".join(file.parts[-2:]) for file in artifacts.rglob("*") if file.is_file()}


def test_the_files_of_some_evaluations_and_the_readings_of_one_study_are_found(artifacts: Place) -> None:
    found = files_of(artifacts, {ID}, "tiny")
    assert [(one.place.name, one.size, one.why) for one in found] == [
        (f"{ID}.broken", 1000, "checkpoint"),
        (f"{ID}.pt", 1000, "checkpoint"),
        (f"{ID}.safetensors", 1000, "weights"),
        ("drift.json", 1000, "reading"),
    ]


def test_what_was_found_is_deleted_and_nothing_else(artifacts: Place) -> None:
    found = files_of(artifacts, {ID}, "tiny")
    remove_found(found)
    remove_found(found)  # as after a kill
    assert names(artifacts) == {f"checkpoints/{OTHER}.pt", "other/drift.json"}


def test_readings_follow_the_name_of_their_study(artifacts: Place) -> None:
    before = names(artifacts)
    move_readings(artifacts, "tiny", "large")
    move_readings(artifacts, "tiny", "large")
    assert names(artifacts) == before - {"tiny/drift.json"} | {"large/drift.json"}


def test_a_study_without_files_has_none(tmp_path: Path) -> None:
    assert files_of(tmp_path / "none", {ID}, "tiny") == []


@pytest.mark.parametrize("name", ["..", "../weights", "/tmp", "a/b"])
def test_a_name_that_is_a_way_to_another_folder_has_no_readings(artifacts: Place, name: str) -> None:
    assert files_of(artifacts, set(), name) == []
    before = sorted(str(place) for place in artifacts.rglob("*"))
    move_readings(artifacts, name, "new")
    assert sorted(str(place) for place in artifacts.rglob("*")) == before
