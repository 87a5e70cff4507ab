from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dcasearch.interpretation.contact_sheet import contact_sheet, overlay, save_all, shown_size, wrapped
from dcasearch.interpretation.looking import Look, Picture, look
from dcasearch.interpretation.subjects import load_subjects


def noise(height: int, width: int, name: str = "noise") -> Picture:
    pixels = np.random.RandomState(0).randint(0, 256, (height, width, 3)).astype(np.uint8)
    return Picture(name, pixels, 0, (4, 4, 20, 16))


@pytest.fixture(scope="module")
def looks(specs: dict[str, Path]) -> list[list[Look]]:
    pictures = [noise(32, 48, "first"), noise(32, 32, "second")]
    return [list(look(subject, pictures)) for subject in load_subjects(list(specs.values()))]


def with_map(one: Look, map_: torch.Tensor) -> Look:
    return Look(**{**vars(one), "maps": {"stage1": map_}})


def test_an_overlay_is_half_the_picture_and_half_the_maps_colour(looks: list[list[Look]]) -> None:
    one = with_map(looks[0][0], torch.tensor([[0.0, 1.0]]))
    found = np.asarray(overlay(one, "stage1")).astype(int)
    assert found.shape == (149, 224, 3)
    height, width = found.shape[:2]
    picture = Image.fromarray(one.picture.pixels).resize((width, height), Image.Resampling.BICUBIC)
    colour = 2 * found - np.asarray(picture).astype(int)
    red, blue = colour[:, -20:].mean((0, 1)), colour[:, :20].mean((0, 1))
    assert red == pytest.approx([128, 0, 0], abs=20)
    assert blue == pytest.approx([0, 0, 128], abs=20)


def test_a_map_without_places_is_said_on_a_grey_picture(looks: list[list[Look]]) -> None:
    for map_ in (torch.zeros(4, 4), torch.ones(1, 1)):
        found = np.asarray(overlay(with_map(looks[0][0], map_), "stage1")).astype(int)
        assert (found.max(2) - found.min(2)).max() <= 30  # no colour
        middle = found[found.shape[0] // 2]
        assert (middle == 255).all(1).sum() > 20  # the band that the words stand on
    zero, flat = (
        overlay(with_map(looks[0][0], map_), "stage1").tobytes() for map_ in (torch.zeros(4, 4), torch.ones(1, 1))
    )
    assert zero != flat


def test_a_sheet_has_a_row_for_each_network_and_a_column_for_each_stage(looks: list[list[Look]]) -> None:
    sheet = contact_sheet(looks)
    assert sheet.width > 5 * 168
    assert 4 * 168 < sheet.height < 5 * 190
    one = contact_sheet([looks[0][:1]])
    assert one.width == sheet.width
    assert one.height < sheet.height / 3


def test_all_is_written(looks: list[list[Look]], tmp_path: Path) -> None:
    files = save_all(looks, tmp_path / "out", 1)
    written = sorted(path.relative_to(tmp_path / "out").as_posix() for path in files)
    stages = [f"first/{name}-stage{n}.png" for name in ("connected", "plain") for n in (1, 2, 3, 4)]
    assert written == sorted(["contact_sheet.png", *stages])
    for path in files:
        with Image.open(path) as image:
            assert image.width > 100
    assert not (tmp_path / "out" / "second").exists()


def test_pictures_are_drawn_neither_huge_nor_tiny() -> None:
    for size, expected in (((64, 32), (224, 112)), ((300, 200), (300, 200)), ((1000, 4000), (112, 448))):
        assert shown_size(Picture("x", np.zeros((*size, 3), np.uint8))) == expected


def test_words_that_are_too_long_for_a_line_go_on_in_the_next_and_none_is_lost() -> None:
    words = "connected cbam (channel, spatial)"
    lines = wrapped(words, 15, 184)
    assert len(lines) == 2
    assert " ".join(lines) == words
    assert wrapped(words, 15, 1000) == [words]


def test_a_single_word_that_is_too_long_is_cut() -> None:
    [one, other] = wrapped("a " + 60 * "b", 15, 184)
    assert one == "a"
    assert other.startswith("bbb")
    assert other.endswith("…")
