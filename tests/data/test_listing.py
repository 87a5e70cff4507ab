"""Which files of a folder are images, and that the others are told."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from dcasearch.data.listing import Listing, list_images
from dcasearch.data.reading import READINGS
from dcasearch.errors import DataError
from tests.data.support import write_folder, write_image

NEWEST = READINGS[2]


def names(listing: Listing) -> list[str]:
    return [file for file, _ in listing.files]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path, images=2) / "train"


def test_a_listing_has_classes_and_files_in_order_with_sizes(tmp_path: Path) -> None:
    write_folder(tmp_path, images=2)
    (tmp_path / "train" / "cat" / "notes.txt").write_text("not an image")
    listing = list_images(tmp_path / "train")
    assert listing.classes == ("cat", "dog", "eel")
    assert [file for file, _ in listing.files][:3] == ["cat/00.jpg", "cat/01.jpg", "dog/00.jpg"]
    assert listing.files[0][1] == (tmp_path / "train" / "cat" / "00.jpg").stat().st_size
    assert listing.labels == (0, 0, 1, 1, 2, 2)


def test_a_class_without_images_is_refused(tmp_path: Path) -> None:
    write_folder(tmp_path)
    (tmp_path / "train" / "ant").mkdir()
    with pytest.raises(DataError, match="ant holds no image"):
        list_images(tmp_path / "train")


def test_a_folder_without_classes_is_refused(tmp_path: Path) -> None:
    write_image(tmp_path / "0.png", seed=0)
    with pytest.raises(DataError, match=r"no class folders; expected .*<class>/<image>"):
        list_images(tmp_path)


def test_images_in_folders_below_a_class_are_taken_by_the_newest_reading_alone(folder: Path) -> None:
    write_image(folder / "cat" / "batch2" / "deep" / "07.jpg", seed=7)
    newest, oldest = list_images(folder, NEWEST), list_images(folder)
    assert names(newest)[:3] == ["cat/00.jpg", "cat/01.jpg", "cat/batch2/deep/07.jpg"]
    assert newest.labels.count(0) == 3
    assert newest.passed.notes == ()
    assert names(oldest)[:3] == ["cat/00.jpg", "cat/01.jpg", "dog/00.jpg"]
    [note] = oldest.passed.notes
    assert note == "1 file is passed over, in folders below a class: cat/batch2/deep/07.jpg"


def test_files_that_are_no_images_are_counted_and_the_first_are_named(folder: Path) -> None:
    for name in ("a.heic", "b.gif", "c.avif", "d.jfif"):
        (folder / "dog" / name).touch()
    [note] = list_images(folder, NEWEST).passed.notes
    assert note.startswith("4 files are passed over, with an ending that is not read (.jpg .jpeg")
    assert note.endswith(": dog/a.heic, dog/b.gif, dog/c.avif and 1 more")


def test_links_that_lead_nowhere_or_to_themselves_and_pipes_are_named(folder: Path) -> None:
    (folder / "cat" / "gone.jpg").symlink_to("nowhere.jpg")
    (folder / "cat" / "self.jpg").symlink_to("self.jpg")
    (folder / "dog" / "loop").symlink_to(folder / "dog")
    os.mkfifo(folder / "cat" / "pipe.jpg")
    listing = list_images(folder, NEWEST)
    [note] = listing.passed.notes
    assert note.startswith("3 files are passed over, links that lead nowhere, pipes or devices: cat/gone.jpg, cat/pipe")
    assert len(listing.files) == 6


def test_a_link_to_a_folder_of_images_is_followed_once(folder: Path, tmp_path: Path) -> None:
    write_image(tmp_path / "elsewhere" / "1.jpg", seed=1)
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "elsewhere")
    (folder / "cat" / "more").symlink_to(tmp_path / "elsewhere")
    assert "cat/more/1.jpg" in names(list_images(folder, NEWEST))


def test_what_macos_hides_is_passed_over_without_a_word(folder: Path) -> None:
    (folder / "cat" / "._00.jpg").write_bytes(b"AppleDouble")
    (folder / "cat" / ".DS_Store").touch()
    (folder / "__MACOSX" / "cat").mkdir(parents=True)
    listing = list_images(folder, NEWEST)
    assert (listing.classes, len(listing.files), listing.passed.notes) == (("cat", "dog", "eel"), 6, ())


@pytest.mark.parametrize("reading", READINGS.values(), ids=lambda reading: f"reading {reading.version}")
@pytest.mark.parametrize("what", ["class", "file"])
def test_names_that_are_not_utf8_are_refused_before_any_work(folder: Path, reading: object, what: str) -> None:
    odd = os.fsencode(folder) + (b"/ch\xeane" if what == "class" else b"/cat/ch\xeane.jpg")
    if what == "class":
        shutil.copytree(os.fsencode(folder / "cat"), odd)
    else:
        shutil.copy(os.fsencode(folder / "cat" / "00.jpg"), odd)
    with pytest.raises(DataError, match=r"1 name that is not UTF-8: 'ch\\udceane.*rename it"):
        list_images(folder, reading)  # type: ignore[arg-type]  # one of the readings


def test_a_folder_that_may_not_be_read_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.scandir

    def scan(path: Path) -> object:
        if Path(path).name == "dog":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scan)
    with pytest.raises(DataError, match=r"dog cannot be listed: Permission denied"):
        list_images(folder, NEWEST)
