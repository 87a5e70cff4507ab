from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from dcasearch.interpretation.boxes import (
    OBJECT,
    Detected,
    boxes_sheet,
    colour_of,
    draw_boxes,
    save_boxes,
    strongest,
)
from dcasearch.interpretation.looking import Picture
from dcasearch.training.tasks.average_precision import Found, Objects

NAMES = ("circle", "square", "triangle")
SIDE = 336
GREYS = (0, 128, 255)


def detected(
    *found: tuple[float, ...],
    objects: tuple[tuple[float, ...], ...] = (),
    grey: int = 128,
    size: tuple[int, int] = (SIDE, SIDE),
    name: str = "picture",
) -> Detected:
    """Take label, score, x1, y1, x2, y2 of each box that was found, and the boxes of the objects."""
    rows = np.array(found, np.float64).reshape(-1, 6)
    boxes = np.array(objects, np.float64).reshape(-1, 4)
    truth = Objects(boxes, np.ones(len(boxes), np.int64), np.ones(len(boxes)), np.zeros(len(boxes), bool))
    said = Found(rows[:, 2:], rows[:, 0].astype(np.int64), rows[:, 1])
    return Detected(Picture(name, np.full((*size, 3), grey, np.uint8)), truth, said)


def pixels(one: Detected, least_score: float = 0.3) -> NDArray[np.int64]:
    return np.asarray(draw_boxes(one, NAMES, least_score)).astype(np.int64)


def where(drawn: NDArray[np.int64], colour: tuple[int, int, int]) -> NDArray[np.bool_]:
    equal: NDArray[np.bool_] = (drawn == np.array(colour)).all(2)
    return equal


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The words that are written into pictures, in order."""
    words: list[str] = []
    write = ImageDraw.ImageDraw.multiline_text

    def keep(self: ImageDraw.ImageDraw, xy: tuple[float, float], text: str, *rest: Any) -> None:
        words.append(text)
        write(self, xy, text, *rest)

    monkeypatch.setattr(ImageDraw.ImageDraw, "multiline_text", keep)
    return words


@pytest.mark.parametrize("grey", GREYS)
def test_a_found_box_has_the_colour_of_its_class_and_a_dark_edge_on_any_ground(grey: int) -> None:
    drawn = pixels(detected((2, 0.9, 100, 100, 200, 200), grey=grey))
    assert where(drawn, colour_of(2))[150, 100:103].all()
    assert where(drawn, colour_of(2))[150, 197:200].all()
    assert (drawn[150, [99, 103, 196, 200]].max(1) < 60).all()
    assert (drawn[150, 110:190] == grey).all()
    assert not where(drawn, colour_of(1)).any()


@pytest.mark.parametrize("grey", GREYS)
def test_the_box_of_an_object_is_one_pixel_of_white_between_dark_lines(grey: int) -> None:
    drawn = pixels(detected((1, 0.9, 10, 10, 40, 40), objects=((100, 100, 200, 200),), grey=grey))
    assert where(drawn, OBJECT)[150, [100, 199]].all()
    assert (drawn[150, [99, 101, 198, 200]].max(1) < 60).all()
    assert (drawn[150, 110:190] == grey).all()


def test_an_object_is_seen_under_the_box_that_finds_it_exactly() -> None:
    drawn = pixels(detected((1, 0.9, 100, 100, 200, 200), objects=((100, 100, 200, 200),)))
    assert where(drawn, OBJECT)[150, 100]
    assert where(drawn, colour_of(1))[150, 102]


def test_classes_have_different_colours() -> None:
    colours = np.array([colour_of(label) for label in range(1, 9)])
    apart = np.abs(colours[:, None] - colours[None]).sum(2)
    assert apart[~np.eye(8, dtype=bool)].min() > 40


def label_of(label: int, score: float) -> NDArray[np.int64]:
    """Return the pixels of a label, cut out of a picture in which there is room above the box."""
    drawn = pixels(detected((label, score, 100, 150, 300, 300)))[:145]
    rows, columns = np.nonzero((drawn != 128).any(2))
    return drawn[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]


def has(drawn: NDArray[np.int64], part: NDArray[np.int64]) -> bool:
    """Return whether a picture has another one in it, pixel for pixel."""
    height, width = part.shape[:2]
    starts = np.argwhere(where(drawn[: SIDE - height + 1, : SIDE - width + 1], tuple(part[0, 0].tolist())))
    return any(np.array_equal(drawn[y : y + height, x : x + width], part) for y, x in starts)


CORNERS = [(0, 0, 60, 60), (300, 0, 336, 30), (0, 300, 30, 336), (300, 300, 336, 336), (0, 0, 336, 336)]


@pytest.mark.parametrize("box", [*CORNERS, (-50, -50, 10, 10), (330, 330, 400, 400)])
def test_a_label_is_whole_inside_the_picture(box: tuple[float, ...]) -> None:
    label = label_of(3, 0.87)
    assert label.shape[1] > 60
    assert has(pixels(detected((3, 0.87, *box))), label)
    assert not has(pixels(detected((3, 0.86, *box))), label)
    assert not has(pixels(detected((2, 0.87, *box))), label)


def test_labels_of_boxes_at_one_place_do_not_cover_each_other() -> None:
    place = (100, 100, 300, 200)
    drawn = pixels(detected((1, 0.9, *place), (2, 0.8, *place), (3, 0.7, *place)))
    assert all(has(drawn, label_of(label, score)) for label, score in ((1, 0.9), (2, 0.8), (3, 0.7)))


def test_a_label_that_is_wider_than_the_picture_goes_on_in_the_next_line() -> None:
    one = detected((1, 0.9, 2, 40, 28, 60), size=(SIDE, 56))
    drawn = np.asarray(draw_boxes(one, ["traffic light"])).astype(np.int64)
    assert drawn.shape == (SIDE, 56, 3)
    rows, columns = np.nonzero(where(drawn, colour_of(1))[:38])
    assert len(set(columns.tolist())) > 30
    assert columns.max() < 55
    assert len(set(rows.tolist())) > 25  # two lines


def test_weak_boxes_are_not_drawn_and_the_strongest_come_first() -> None:
    one = detected((1, 0.2, 0, 0, 9, 9), (2, 0.5, 0, 0, 9, 9), (3, 0.9, 0, 0, 9, 9), (1, 0.5, 0, 0, 9, 9))
    assert strongest(one.found) == [2, 1, 3]
    assert strongest(one.found, least_score=0.5, most=2) == [2, 1]
    assert strongest(one.found, least_score=0.0) == [2, 1, 3, 0]
    ties = detected(*[(1, 0.5 + 0.1 * (n % 3), 0, 0, 9, 9) for n in range(99)])
    assert strongest(ties.found, most=99) == [*range(2, 99, 3), *range(1, 99, 3), *range(0, 99, 3)]
    assert len(strongest(ties.found)) == 20
    assert not where(pixels(detected((1, 0.2, 50, 50, 90, 90))), colour_of(1)).any()
    assert where(pixels(detected((1, 0.2, 50, 50, 90, 90)), least_score=0.1), colour_of(1)).any()


def test_a_picture_without_boxes_says_so() -> None:
    shown = ((10, 10, 60, 60),)
    weak = (1, 0.1, 10, 10, 60, 60)
    said = [detected(), detected(objects=shown), detected(weak), detected(weak, objects=shown)]
    bands = [pixels(one)[300:] for one in said]
    assert all(where(band, (255, 255, 255)).sum() > 500 for band in bands)
    assert len({band.tobytes() for band in bands}) == 4
    assert (pixels(detected((1, 0.9, 10, 10, 60, 60)))[300:] == 128).all()


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (detected(), "no object, nothing found"),
        (detected(objects=((1, 1, 9, 9),)), "nothing found"),
        (detected((1, 0.1, 1, 1, 9, 9)), "no object, nothing found with a score of at least 0.30"),
    ],
    ids=["neither", "missed", "weak"],
)
def test_what_a_picture_without_boxes_says(one: Detected, words: str, written: list[str]) -> None:
    draw_boxes(one, NAMES)
    assert [" ".join(text.split()) for text in written] == [words]


def test_boxes_are_in_pixels_of_the_picture_whose_proportions_stay() -> None:
    drawn = pixels(detected((1, 0.9, 10, 10, 20, 30), size=(84, 42)))
    assert drawn.shape == (336, 168, 3)
    assert where(drawn, colour_of(1))[80, [40, 78]].all()


def test_a_box_of_zero_area_and_one_beyond_the_picture_are_drawn() -> None:
    drawn = pixels(detected((1, 0.9, 50, 50, 50, 50), (2, 0.8, -20, 200, 900, 900)))
    assert where(drawn, colour_of(1)).any()
    assert where(drawn, colour_of(2))[200:203].any()


def test_a_label_names_class_and_score_and_one_of_no_class_is_an_error(written: list[str]) -> None:
    draw_boxes(detected((0, 0.9, 0, 0, 9, 9), (1, 0.875, 0, 0, 9, 9), (3, 0.5, 0, 0, 9, 9)), NAMES)
    assert written == ["background 0.90", "circle 0.88", "triangle 0.50"]
    for label in (-1, 4):
        with pytest.raises(ValueError, match="none of the 3 classes"):
            draw_boxes(detected((label, 0.9, 0, 0, 9, 9)), NAMES)


def test_a_sheet_has_four_pictures_in_a_row_in_their_order() -> None:
    greys = (10, 60, 110, 160, 210)
    sheet = np.asarray(boxes_sheet([detected(grey=grey, name=str(grey)) for grey in greys], NAMES))
    one = boxes_sheet([detected()], NAMES)
    assert sheet.shape[1] > 4 * SIDE
    assert 2 * SIDE < sheet.shape[0] < 2.6 * SIDE
    assert SIDE < one.width < 1.2 * SIDE
    first, second = sheet[sheet.shape[0] // 2 - 150], sheet[-200]
    assert [(first == grey).all(1).sum() for grey in greys] == [SIDE] * 4 + [0]
    at = [int(np.argmax((first == grey).all(1))) for grey in greys[:4]]
    assert at == sorted(at)
    assert np.diff(at).min() > SIDE
    assert [(second == grey).all(1).sum() for grey in greys] == [0] * 4 + [SIDE]


def test_a_sheet_without_a_picture_is_an_error() -> None:
    with pytest.raises(ValueError, match="needs a picture"):
        boxes_sheet([], NAMES)


def test_a_sheet_is_written_as_the_same_png_again(tmp_path: Path) -> None:
    some = [detected((1, 0.9, 10, 10, 60, 60), objects=((12, 12, 60, 60),)), detected()]
    for name in ("one.png", "other.png"):
        save_boxes(some, NAMES, tmp_path / "new" / name)
    assert (tmp_path / "new" / "one.png").read_bytes() == (tmp_path / "new" / "other.png").read_bytes()
    with Image.open(tmp_path / "new" / "one.png") as image:
        assert image.format == "PNG"
        assert image.tobytes() == boxes_sheet(some, NAMES).tobytes()
