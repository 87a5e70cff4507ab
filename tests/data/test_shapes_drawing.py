"""Pictures of shapes: equal for equal seeds, whose boxes hold the object and nothing else changes."""

from __future__ import annotations

import numpy as np
import pytest

from dcasearch.data.shapes_drawing import DISTRACTORS, OBJECTS, _paint, _Placed, draw_picture

NAMES = sorted(OBJECTS)


def test_equal_seeds_give_equal_pictures_and_other_seeds_others() -> None:
    first, again, other = (draw_picture(seed, 48, ("star", "ring")) for seed in (5, 5, 6))
    assert np.array_equal(first.pixels, again.pixels)
    assert np.array_equal(first.boxes, again.boxes)
    assert not np.array_equal(first.pixels, other.pixels)
    assert (first.pixels.shape, first.pixels.dtype) == ((48, 48, 3), np.uint8)


def test_the_drawing_of_this_version_is_known() -> None:
    """A change of the drawing must count `DRAWING` up, since fingerprints name it."""
    drawing = draw_picture(11, 64, ("arrow", "circle"))
    np.testing.assert_allclose(drawing.pixels.mean((0, 1)), (85.474, 45.767, 104.301), atol=0.01)
    assert drawing.boxes.tolist() == [[10, 17, 44, 48], [44, 42, 62, 60]]


@pytest.mark.parametrize("name", NAMES)
def test_an_object_changes_the_pixels_inside_its_box_alone(name: str) -> None:
    """The same seed without an object has the same background and distractors, and noise."""
    for seed in range(5):
        drawing = draw_picture(seed, 64, (name,))
        (box,) = drawing.boxes.astype(int)
        x1, y1, x2, y2 = box
        assert 0 <= x1 < x2 <= 64
        assert 0 <= y1 < y2 <= 64
        other = draw_picture(seed, 64, (NAMES[(NAMES.index(name) + 1) % len(NAMES)],))
        outside = np.ones((64, 64), bool)
        for a1, b1, a2, b2 in (box, other.boxes[0].astype(int)):
            outside[b1:b2, a1:a2] = False
        assert np.array_equal(drawing.pixels[outside], other.pixels[outside])
        changed = (drawing.pixels != other.pixels).any(2)
        assert changed.any()


def test_a_box_is_the_smallest_around_its_object() -> None:
    for seed, (name, inside) in enumerate(sorted((OBJECTS | DISTRACTORS).items())):
        random = np.random.RandomState(seed)
        shape = _Placed(inside, *random.uniform(25, 39, 2), radius=random.uniform(8, 18), angle=random.uniform(0, 6))
        canvas = np.zeros((64, 64, 3), np.float32)
        x1, y1, x2, y2 = _paint(canvas, shape, np.full(3, 255.0))
        rows, columns = (np.flatnonzero(canvas.any((axis, 2))) for axis in (1, 0))
        assert (x1, y1, x2, y2) == (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1), name
        assert 2 * shape.radius + 3 > max(x2 - x1, y2 - y1) > shape.radius
        assert canvas.max() <= 255


def test_several_objects_do_not_overlap_and_stay_inside() -> None:
    for seed in range(10):
        drawing = draw_picture(seed, 96, ("circle", "square", "cross", "circle"))
        assert len(drawing.boxes) == len(drawing.classes) >= 2
        assert drawing.boxes.min() >= 0
        assert drawing.boxes.max() <= 96
    with pytest.raises(KeyError):
        draw_picture(0, 64, ("hexagon",))


def test_no_distractor_has_a_class() -> None:
    assert not set(OBJECTS) & set(DISTRACTORS)
