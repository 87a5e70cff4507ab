import errno
import logging
import os
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from dcasearch.data.images import Corrupt, Unreadable, list_images, read_rgb
from dcasearch.errors import DataError
from tests.data.support import write_folder, write_image


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


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK"])
def test_every_image_is_read_with_three_channels(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    Image.new(mode, (4, 6)).save(path)
    image = read_rgb(path)
    assert (image.mode, image.size) == ("RGB", (4, 6))


@pytest.mark.parametrize("damage", ["empty", "text", "cut", "missing"])
def test_a_broken_file_is_unreadable(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "a.jpg"
    write_image(path, seed=0)
    whole = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes({"empty": b"", "text": b"<html>", "cut": whole[: len(whole) // 2]}[damage])
    with pytest.raises(Unreadable):
        read_rgb(path)


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENOMEM, errno.ESTALE, errno.ETIMEDOUT])
def test_a_fault_of_the_machine_makes_no_good_image_unreadable(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.jpg"
    write_image(path, seed=0)

    def fail(*some: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Image, "open", fail)
    with pytest.raises(OSError, match=os.strerror(number)):
        read_rgb(path)


def test_an_unreadable_image_is_named_once_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    corrupt = Corrupt(images=100, share=0.02)
    with caplog.at_level(logging.WARNING):
        for name in ("a.jpg", "b.jpg", "a.jpg"):
            corrupt.add(name, "cut off")
    assert len(corrupt) == 2
    assert [record.getMessage() for record in caplog.records] == [
        "skipped an unreadable image: a.jpg (cut off)",
        "skipped an unreadable image: b.jpg (cut off)",
    ]


def test_too_many_unreadable_images_stop_the_run_with_their_list() -> None:
    corrupt = Corrupt(images=100, share=0.02)
    corrupt.add("a.jpg", "cut off")
    corrupt.add("b.jpg", "cut off")
    with pytest.raises(DataError, match=r"3 of 100 images(.|\n)*a\.jpg: cut off\n  b\.jpg: cut off\n  c\.jpg: empty"):
        corrupt.add("c.jpg", "empty")
