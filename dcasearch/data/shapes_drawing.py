"""Pictures of simple shapes, drawn from a seed: one or several objects of known class and box, before clutter.

A picture is drawn from back to front: a background of two smooth colours with noise, then distractors (shapes of no
class), then the objects, so no object is covered. Colour, size, place and angle are independent of the class: form
alone tells it. Every random number comes from NumPy's `RandomState`, whose stream never changes.

S pixels per side of a picture.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float32]
Inside: TypeAlias = Callable[[Floats, Floats], NDArray[np.bool_]]
"""(u, v) -> which points belong to a shape, in units of its radius around its centre, turned upright."""
DRAWING = 1
"""Version of the drawing: a change of it is a change of every picture, and of the fingerprints that name it."""
_SAMPLES = 3
"""Points per pixel along a side: the share of them inside a shape is the pixel's opacity."""
_RADII = (0.16, 0.32)
"""Of an object, as shares of the picture's side."""
_CONTRAST = 110.0
"""Least distance of a shape's colour from the background's, in RGB of 0..255."""
_TRIES = 50
"""Places that are tried for an object beside others, before there is no room."""


def _polygon(sides: int, inner: float) -> Inside:
    """Return a regular polygon with a corner upwards; `inner` is the distance of its sides from the centre."""
    angles = (np.arange(sides) + 0.5) * (2 * math.pi / sides) - math.pi / 2

    def inside(u: Floats, v: Floats) -> NDArray[np.bool_]:
        within = np.ones(u.shape, np.bool_)
        for angle in angles:
            within &= u * np.float32(math.cos(angle)) + v * np.float32(math.sin(angle)) <= np.float32(inner)
        return within

    return inside


def _star(u: Floats, v: Floats) -> NDArray[np.bool_]:
    """Return a star of five points: in each of ten equal sectors its edge is one straight line."""
    sector = 2 * math.pi / 5
    turned = np.abs((np.arctan2(u, -v) + math.pi / 5) % sector - math.pi / 5)
    radius = np.hypot(u, v)
    tip, notch = (1.0, 0.0), (0.4 * math.cos(sector / 2), 0.4 * math.sin(sector / 2))
    x, y = radius * np.cos(turned), radius * np.sin(turned)
    return (notch[0] - tip[0]) * y - notch[1] * (x - tip[0]) >= 0


def _cross(u: Floats, v: Floats) -> NDArray[np.bool_]:
    along, across = np.maximum(np.abs(u), np.abs(v)), np.minimum(np.abs(u), np.abs(v))
    return (along <= 0.95) & (across <= 0.3)


def _ring(u: Floats, v: Floats) -> NDArray[np.bool_]:
    squared = u * u + v * v
    return (squared <= 1) & (squared >= 0.36)


def _crescent(u: Floats, v: Floats) -> NDArray[np.bool_]:
    return (u * u + v * v <= 1) & ((u - 0.45) ** 2 + v * v >= 0.64)


def _arrow(u: Floats, v: Floats) -> NDArray[np.bool_]:
    head = (v <= 0) & (np.abs(u) <= 0.85 * (v + 1))
    return head | ((np.abs(u) <= 0.28) & (v > 0) & (v <= 0.95))


def _circle(u: Floats, v: Floats) -> NDArray[np.bool_]:
    return u * u + v * v <= 1


OBJECTS: Mapping[str, Inside] = {
    "arrow": _arrow,
    "circle": _circle,
    "crescent": _crescent,
    "cross": _cross,
    "ring": _ring,
    "square": _polygon(4, math.sqrt(0.5)),
    "star": _star,
    "triangle": _polygon(3, 0.5),
}
"""By class. Each is turned by any angle."""


def _bar(u: Floats, v: Floats) -> NDArray[np.bool_]:
    return (np.abs(u) <= 0.16) & (np.abs(v) <= 0.98)


def _half(u: Floats, v: Floats) -> NDArray[np.bool_]:
    return (u * u + v * v <= 1) & (v <= 0)


def _dots(u: Floats, v: Floats) -> NDArray[np.bool_]:
    return ((np.abs(u) - 0.55) ** 2 + v * v <= 0.09) | (u * u + (np.abs(v) - 0.55) ** 2 <= 0.09)


DISTRACTORS: Mapping[str, Inside] = {"bar": _bar, "half": _half, "dots": _dots}
"""Shapes of no class."""


@dataclass(frozen=True, eq=False)
class Drawing:
    """A picture with its objects."""

    pixels: NDArray[np.uint8]
    """Shape (S, S, 3): red, green, blue."""
    classes: tuple[str, ...]
    """Of the objects, keys of `OBJECTS`."""
    boxes: Floats
    """Shape (objects, 4): x1, y1, x2, y2 in pixels, the smallest box around every pixel that an object touches.

    x to the right, y down, from the picture's upper left corner; x2 and y2 are the first ones outside."""


@dataclass(frozen=True)
class _Placed:
    """A shape in a picture, in pixels."""

    inside: Inside
    x: float
    y: float
    radius: float
    angle: float

    def opacity(self, side: int) -> tuple[tuple[slice, slice], Floats]:
        """Return the rows and columns that the shape may touch, and its share of each of their pixels."""
        reach = math.ceil(self.radius) + 1
        top, left = max(0, int(self.y) - reach), max(0, int(self.x) - reach)
        rows, columns = slice(top, min(side, int(self.y) + reach + 1)), slice(left, min(side, int(self.x) + reach + 1))
        fine_y, fine_x = (
            (np.arange(span.start * _SAMPLES, span.stop * _SAMPLES, dtype=np.float32) + np.float32(0.5)) / _SAMPLES
            for span in (rows, columns)
        )
        dy, dx = (fine_y[:, None] - self.y) / self.radius, (fine_x[None] - self.x) / self.radius
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        within = self.inside((cos * dx + sin * dy).astype(np.float32), (cos * dy - sin * dx).astype(np.float32))
        height, width = rows.stop - rows.start, columns.stop - columns.start
        share = within.reshape(height, _SAMPLES, width, _SAMPLES).mean((1, 3), dtype=np.float32)
        return (rows, columns), share


def draw_picture(seed: int, side: int, classes: tuple[str, ...]) -> Drawing:
    """Return the picture of a seed.

    Args:
        seed: of everything but the classes.
        side: S.
        classes: of its objects, at least one. Objects never overlap; where there is no room, later ones are left out.

    Raises:
        KeyError: a class is none of `OBJECTS`.
    """
    random = np.random.RandomState(seed)
    canvas, base = _background(random, side)
    for _ in range(random.randint(1, 4)):
        inside = DISTRACTORS[sorted(DISTRACTORS)[random.randint(len(DISTRACTORS))]]
        radius = side * random.uniform(0.08, 0.2)
        x, y = random.uniform(0, side, 2)
        _paint(canvas, _Placed(inside, x, y, radius, random.uniform(0, 2 * math.pi)), _colour(random, base))
    placed: list[_Placed] = []
    drawn, boxes = [], []
    for name in classes:
        found = _place(random, side, OBJECTS[name], placed)
        if found is None:
            continue
        boxes.append(_paint(canvas, found, _colour(random, base)))
        placed.append(found)
        drawn.append(name)
    noise = (random.random_sample(canvas.shape) - 0.5) * random.uniform(8, 48)
    pixels = np.clip(canvas + noise + 0.5, 0, 255).astype(np.uint8)
    return Drawing(pixels, tuple(drawn), np.array(boxes, np.float32).reshape(-1, 4))


def _place(random: np.random.RandomState, side: int, inside: Inside, others: list[_Placed]) -> _Placed | None:
    """Return an object wholly inside the picture and clear of the others, or None where no place was found."""
    low, high = _RADII
    shrink = 1.0
    for _ in range(_TRIES):
        radius = side * random.uniform(low, high) * shrink
        margin = radius + 1
        x, y = random.uniform(margin, side - margin, 2)
        angle = random.uniform(0, 2 * math.pi)
        if all(math.hypot(x - o.x, y - o.y) > radius + o.radius + 1 for o in others):
            return _Placed(inside, x, y, radius, angle)
        shrink = max(0.5, shrink * 0.95)
    return None


def _background(random: np.random.RandomState, side: int) -> tuple[Floats, Floats]:
    """Return a background, shape (S, S, 3), and its mean colour: a mixture of two near colours in soft patches."""
    base = random.uniform(40, 215, 3)
    other = base + random.uniform(-45, 45, 3)
    cells = random.randint(2, 7)
    mixture = _smooth(random.uniform(0, 1, (cells + 1, cells + 1)), side)[..., None]
    canvas = (base + (other - base) * mixture).astype(np.float32)
    return canvas, canvas.mean((0, 1))


def _smooth(grid: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    """Return a small grid of values at S x S pixels, bilinear."""
    at = np.linspace(0, len(grid) - 1, side)
    below = np.minimum(at.astype(np.int64), len(grid) - 2)
    weight = np.zeros((side, len(grid)))
    weight[np.arange(side), below] = 1 - (at - below)
    weight[np.arange(side), below + 1] = at - below
    return weight @ grid @ weight.T


def _colour(random: np.random.RandomState, base: Floats) -> NDArray[np.float64]:
    """Return a colour that stands out from a background; one of its kind is always found, so it ends."""
    while True:
        colour = random.uniform(0, 255, 3)
        if np.linalg.norm(colour - base) >= _CONTRAST:
            return colour


def _paint(canvas: Floats, shape: _Placed, colour: NDArray[np.float64]) -> tuple[int, int, int, int]:
    """Paint a shape; return the box around the pixels that it touches (zeros where it touches none)."""
    (rows, columns), share = shape.opacity(len(canvas))
    window = canvas[rows, columns]
    window += share[..., None] * (colour.astype(np.float32) - window)
    touched_y, touched_x = np.flatnonzero(share.any(1)), np.flatnonzero(share.any(0))
    if not len(touched_y):
        return 0, 0, 0, 0
    left, top = columns.start, rows.start
    return left + touched_x[0], top + touched_y[0], left + touched_x[-1] + 1, top + touched_y[-1] + 1
