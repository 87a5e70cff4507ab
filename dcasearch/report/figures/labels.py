"""Names beside points, where they cover no point, no line and no other name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dcasearch.report.figures.theme import GREY, PAPER

if TYPE_CHECKING:  # a second of imports, for those who draw
    from matplotlib.axes import Axes
    from matplotlib.transforms import Bbox

_CLEAR = 6.0
"""Points (1/72 inch) around a marker that stay free of labels."""
_LED = 11
"""Points of distance from which a line leads from a label to its point."""
_STEPS = 40
"""Places along a line that stay free."""

Place = tuple[float, float]


@dataclass(frozen=True)
class Label:
    """A name beside a point."""

    text: str
    x: float
    """In the axes' units, as is y."""
    y: float
    colour: str


class Labels:
    """Places labels on axes that move no more; a label without a free place is left out."""

    def __init__(
        self,
        axes: Axes,
        points: Iterable[Place],
        lines: Iterable[tuple[Place, Place]] = (),
        *,
        clear: float = _CLEAR,
        veiled: bool = False,
    ) -> None:
        """Say what no label may cover.

        Args:
            axes: With their final size: the layout engine is off.
            points: Markers.
            lines: Straight ones, from and to.
            clear: Points around a marker that stay free.
            veiled: Whether what lies behind a label is faded, where there are too many points to keep clear of.
        """
        from matplotlib.transforms import Bbox

        figure = axes.get_figure(root=True)
        if figure is None:
            raise ValueError("these axes are in no figure")
        self._axes = axes
        self._box: dict[str, Any] | None = None
        if veiled:
            self._box = {"boxstyle": "square,pad=0.1", "facecolor": PAPER, "alpha": 0.75, "linewidth": 0}
        half = clear * figure.dpi / 72
        at = map(self._at, points)
        self._taken: list[Bbox] = [Bbox.from_extents(x - half, y - half, x + half, y + half) for x, y in at]
        self._lines = [self._along(*map(self._at, line)) for line in lines]

    def place(self, labels: Sequence[Label]) -> None:
        """Write the labels, the first at the best places."""
        for label in labels:
            self._place(label)

    def _place(self, label: Label) -> None:
        for dx, dy, ha, va in _places():
            text = self._axes.annotate(
                label.text,
                (label.x, label.y),
                (dx, dy),
                textcoords="offset points",
                ha=ha,
                va=va,
                fontsize=9,
                color=label.colour,
                arrowprops={"arrowstyle": "-", "color": GREY, "linewidth": 0.7, "shrinkA": 0, "shrinkB": 4}
                if max(abs(dx), abs(dy)) > _LED
                else None,
                bbox=self._box,
                zorder=6,
            )
            box = _box(text)
            if self._free(box):
                self._taken.append(box)
                return
            text.remove()

    def _free(self, box: Bbox) -> bool:
        frame = self._axes.get_window_extent()
        inside = frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1
        clear = inside and not any(box.overlaps(other) for other in self._taken)
        return clear and not any(box.contains(x, y) for line in self._lines for x, y in line)

    def _at(self, point: Place) -> Place:
        x, y = self._axes.transData.transform(point)
        return float(x), float(y)

    def _along(self, start: Place, end: Place) -> list[Place]:
        (x0, y0), (x1, y1) = start, end
        shares = [n / _STEPS for n in range(_STEPS + 1)]
        return [(x0 + (x1 - x0) * share, y0 + (y1 - y0) * share) for share in shares]


def _box(text: Any) -> Bbox:
    from matplotlib.text import Text

    text.get_window_extent()  # puts the words where they will be drawn
    return Text.get_window_extent(text)  # of the words alone, without the line to the point


def _places() -> Iterator[tuple[float, float, str, str]]:
    """Yield offsets in points with alignments, the nearest first."""
    for distance in (7.0, 12.0, 20.0, 30.0, 42.0, 56.0):
        slanted = distance * 0.75
        yield distance, 0, "left", "center"
        yield 0, distance, "center", "bottom"
        yield 0, -distance, "center", "top"
        yield -distance, 0, "right", "center"
        yield slanted, slanted, "left", "bottom"
        yield slanted, -slanted, "left", "top"
        yield -slanted, slanted, "right", "bottom"
        yield -slanted, -slanted, "right", "top"
