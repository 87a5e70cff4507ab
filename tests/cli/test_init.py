from __future__ import annotations

from pathlib import Path

import pytest

from dcasearch.proposal import machine
from tests.cli.conftest import Command
from tests.proposal.conftest import no_cache, photos, write_pictures

__all__ = ["no_cache", "photos"]


def test_without_data_the_shipped_studies_are_copied(dcasearch: Command, tmp_path: Path) -> None:
    done = dcasearch("init", "new")
    assert done.code == 0
    assert (tmp_path / "new" / "studies" / "quickstart.yaml").is_file()
    assert "try: dcasearch run new/studies/quickstart.yaml" in done.out
    again = dcasearch("init", "new")
    assert again.code == 2
    assert "would be overwritten" in again.err


def test_options_of_own_images_need_data(dcasearch: Command) -> None:
    done = dcasearch("init", "new", "--hours", "1")
    assert done.code == 2
    assert "belong to --data DIR" in done.err


def test_a_study_for_own_images_is_written_checked_and_says_what_comes_next(
    dcasearch: Command, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "_SECONDS", 0.01)
    (photos / "cat" / "broken.jpg").write_bytes(b"no image")
    write_pictures(photos, {"fox": 3}, first=200)
    done = dcasearch("init", "animals", "--data", "photos", "--hours", 5)
    assert done.code == 0, done.err
    said = " ".join(done.out.split())
    assert "34 images of 3 classes: cat 19, dog 12, fox 3" in said
    assert "1 of 34 images cannot be read and are left out: " in said
    assert "fewer than 10 images: fox" in said
    assert "written: animals.yaml, animals_space.yaml" in said
    assert "dcasearch predict animals photos --csv predictions.csv" in said
    checked = dcasearch("check", "animals.yaml")
    assert checked.code == 0
    assert "no mistakes found" in checked.out
    assert "warning" not in checked.out
    again = dcasearch("init", "animals", "--data", "photos")
    assert again.code == 2
    assert "nothing was written" in again.err


def test_a_folder_of_two_lines_is_shown_in_one(
    dcasearch: Command, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "_SECONDS", 0.01)
    photos.rename("a\nnext: b")
    Path("a\nnext: b/cat/c\nd.jpg").write_bytes(b"no image")
    done = dcasearch("init", "animals", "--data", "a\nnext: b", "--backbone", "resnet18")
    assert done.code == 0, done.err
    assert "predict animals 'a\\nnext: b' --csv" in done.out
    assert "c\\nd.jpg" in done.out
    assert dcasearch("check", "animals.yaml").code == 0
