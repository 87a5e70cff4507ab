import errno
import logging
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFile, ImageOps

from dcasearch.data.images import Corrupt, Unreadable, read_rgb
from dcasearch.data.reading import READINGS, Reading
from dcasearch.errors import DataError
from tests.data.support import write_image


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

    def fail(*some: Any, **more: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Image, "open", fail)
    with pytest.raises(OSError, match=os.strerror(number)):
        read_rgb(path)


NEWEST = READINGS[2]


def saved(path: Path, image: Image.Image, **options: Any) -> Path:
    image.save(path, **options)
    return path


def test_sixteen_bits_are_scaled_to_eight_and_not_clipped(tmp_path: Path) -> None:
    values = np.linspace(0, 65535, 64, dtype=np.uint16).reshape(8, 8)
    path = saved(tmp_path / "xray.png", Image.fromarray(values))
    seen = np.asarray(read_rgb(path, NEWEST))[..., 0]
    assert (seen.min(), seen.max()) == (0, 255)
    np.testing.assert_allclose(seen, values / 257, atol=0.5)
    assert (np.asarray(read_rgb(path)) == 255).mean() > 0.9, "the oldest reading clips, as it always did"


def test_floating_point_pixels_are_refused_with_the_reason(tmp_path: Path) -> None:
    path = saved(tmp_path / "depth.tif", Image.fromarray(np.ones((4, 4), np.float32)))
    with pytest.raises(Unreadable, match="floating-point numbers; 8 or 16 bits are read"):
        read_rgb(path, NEWEST)


def test_integers_beyond_sixteen_bits_are_refused_with_their_range(tmp_path: Path) -> None:
    path = saved(tmp_path / "big.tif", Image.fromarray(np.full((4, 4), 70_000, np.int32)))
    with pytest.raises(Unreadable, match="from 70000 to 70000"):
        read_rgb(path, NEWEST)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_is_white(tmp_path: Path, mode: str) -> None:
    image = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    path = tmp_path / "a.png"
    if mode == "P":
        saved(path, Image.new("P", (4, 4), 0), transparency=0)
    else:
        saved(path, image.convert(mode))
    assert (np.asarray(read_rgb(path, NEWEST)) == 255).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_image_is_turned_as_its_camera_was_held(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = np.zeros((4, 6, 3), np.uint8)
    pixels[0, 0] = 255
    path = saved(tmp_path / "phone.png", Image.fromarray(pixels), exif=exif)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(path)))
    assert np.array_equal(np.asarray(read_rgb(path, NEWEST)), expected)
    assert np.array_equal(np.asarray(read_rgb(path, NEWEST.lying())), pixels)


def test_formats_beside_those_of_the_list_are_not_decoded(tmp_path: Path) -> None:
    path = tmp_path / "icon.png"
    Image.new("RGB", (16, 16)).save(path, format="ICO")
    with pytest.raises(Unreadable, match="cannot identify"):
        read_rgb(path, NEWEST)
    assert read_rgb(path).size == (16, 16)


@pytest.mark.parametrize(
    "error", [RuntimeError("dav1d"), NotImplementedError("DXGI"), KeyError(3), ZeroDivisionError()]
)
def test_whatever_a_decoder_raises_makes_the_file_unreadable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    write_image(tmp_path / "a.jpg", seed=0)

    def fail(*some: Any, **more: Any) -> None:
        raise error

    monkeypatch.setattr(ImageFile.ImageFile, "load", fail)
    with pytest.raises(Unreadable, match=str(error) or type(error).__name__):
        read_rgb(tmp_path / "a.jpg", NEWEST)


def test_what_pillow_warns_of_names_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write_image(tmp_path / "a.jpg", seed=0)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 600)
    with caplog.at_level(logging.WARNING):
        read_rgb(tmp_path / "a.jpg", NEWEST)
    assert caplog.messages[0].startswith(f"{tmp_path / 'a.jpg'}: Image size (1024 pixels) exceeds limit")


def test_an_unreadable_image_is_named_once_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    corrupt = Corrupt(images=100, share=0.02)
    with caplog.at_level(logging.WARNING):
        for name in ("a.jpg", "b.jpg", "a.jpg"):
            corrupt.add(name, "cut off")
    assert len(corrupt) == 2
    assert [record.getMessage() for record in caplog.records] == [
        "unreadable: a.jpg: cut off",
        "unreadable: b.jpg: cut off",
    ]


def test_too_many_unreadable_images_stop_the_run_with_their_list() -> None:
    corrupt = Corrupt(images=100, share=0.02)
    corrupt.add("a.jpg", "cut off")
    corrupt.add("b.jpg", "cut off")
    with pytest.raises(DataError, match=r"3 of 100 images(.|\n)*a\.jpg: cut off\n  b\.jpg: cut off\n  c\.jpg: empty"):
        corrupt.add("c.jpg", "empty")


@pytest.mark.parametrize("reading", READINGS.values(), ids=str)
def test_an_image_of_too_many_pixels_is_unreadable_before_it_is_decoded(tmp_path: Path, reading: Reading) -> None:
    path = tmp_path / "a.ppm"
    path.write_bytes(b"P5 10001 10000 255\n")
    with pytest.raises(Unreadable, match=r"has 10,001 × 10,000 pixels; at most 100,000,000 are decoded"):
        read_rgb(path, reading)


def test_an_image_that_is_a_line_is_unreadable_since_resized_it_would_be_huge(tmp_path: Path) -> None:
    Image.new("L", (60_000, 2)).save(tmp_path / "a.png")
    with pytest.raises(Unreadable, match=r"is 60,000 × 2 pixels; the longer side may have 100 times as many"):
        read_rgb(tmp_path / "a.png", NEWEST)


def test_a_file_for_which_pillow_would_start_a_program_is_unreadable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "a.eps")
    (tmp_path / "a.eps").rename(tmp_path / "a.png")
    monkeypatch.setattr(subprocess, "check_call", lambda *some, **more: pytest.fail("a program was started"))
    for reading in READINGS.values():
        with pytest.raises(Unreadable, match="cannot identify image file"):
            read_rgb(tmp_path / "a.png", reading)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "I;16"])
def test_a_tall_image_is_converted_as_in_one_piece(tmp_path: Path, mode: str) -> None:
    noise = np.random.default_rng(0)
    shape = (600, 7) if mode == "I;16" else (600, 7, len(mode))
    dtype = np.uint16 if mode == "I;16" else np.uint8
    pixels = noise.integers(0, np.iinfo(dtype).max + 1, shape, dtype=dtype)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    if mode == "I;16":
        expected = Image.fromarray(((pixels.astype(np.int64) + 128) // 257).astype(np.uint8)).convert("RGB")
    else:
        whole = Image.fromarray(pixels).convert("RGBA")
        expected = Image.alpha_composite(Image.new("RGBA", whole.size, "white"), whole).convert("RGB")
    assert read_rgb(tmp_path / "a.png", NEWEST).tobytes() == expected.tobytes()


@pytest.mark.parametrize("what", ["pipe", "device", "folder"])
def test_what_is_no_file_is_unreadable_and_never_waited_for(tmp_path: Path, what: str) -> None:
    path = tmp_path / "a.jpg"
    {"pipe": os.mkfifo, "device": lambda path: path.symlink_to("/dev/zero"), "folder": Path.mkdir}[what](path)
    with pytest.raises(Unreadable, match="a folder, a pipe or a device, not a file"):
        read_rgb(path)
