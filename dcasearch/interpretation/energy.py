"""How much of a Grad-CAM map lies on the object: the share of its sum inside a box, beside the box's share of the area.

The sum is that of the map after ReLU, bilinear at the picture's size, before any min-max. An even map gets the box's
share of the area. A map that is zero everywhere has no share; it is counted, not averaged.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from dcasearch.config.checks import WITHOUT_ROOT
from dcasearch.config.data_set import Data
from dcasearch.data import open_set
from dcasearch.data.sets import DATASETS, MemoryPart
from dcasearch.errors import UserError, nearest
from dcasearch.interpretation.gradcam import enlarge
from dcasearch.interpretation.looking import Look, Picture

_TAIL = 0.975


@dataclass(frozen=True)
class Mean:
    """A mean over images with its interval."""

    value: float
    margin: float | None
    """Half-width of the 95% interval (Student's t); None with one image."""

    @classmethod
    def of(cls, values: Sequence[float]) -> Mean | None:
        """Return the mean of some values; None where there is none."""
        if not values:
            return None
        if len(values) == 1:
            return cls(values[0], None)
        from scipy import special  # takes a fifth of a second to import

        error = statistics.stdev(values) / math.sqrt(len(values))
        return cls(statistics.fmean(values), float(special.stdtrit(len(values) - 1, _TAIL)) * error)


@dataclass(frozen=True)
class StageEnergy:
    """One network's maps of one stage over all pictures."""

    spec: str
    """Name of the network."""
    stage: str
    images: int
    """Pictures whose map is not zero everywhere."""
    zero: int
    """Pictures whose map is zero everywhere."""
    inside: Mean | None
    """Share of the map inside the box."""
    area: float | None
    """The box's share of the picture, over the same pictures: what an even map gets."""
    ahead: Mean | None
    """`inside` minus that of the first network at a stage of the same name, paired by picture; None for the first."""


def pictures_with_boxes(name: str, count: int) -> list[Picture]:
    """Return the first images of a data set's test part, with the boxes of their objects.

    Raises:
        UserError: no such data set, or it has no boxes.
    """
    if name not in DATASETS:
        raise UserError(f"'{name}' is not a data set; {nearest(name, DATASETS)}")
    tests = {other: open_set(Data(name=other)).test for other in WITHOUT_ROOT}
    known = [other for other, test in tests.items() if isinstance(test, MemoryPart) and test.boxes is not None]
    part = tests.get(name)
    if not isinstance(part, MemoryPart) or part.boxes is None:
        raise UserError(f"{name} has no boxes; {', '.join(known)} has. Give other images as files")
    pixels, boxes = part.read(None).array[:count], part.boxes()[:count].tolist()
    return [
        Picture(f"{name}-{n:04}", image.transpose(1, 2, 0), int(label), (x1, y1, x2, y2))
        for n, (image, label, (x1, y1, x2, y2)) in enumerate(zip(pixels, part.labels, boxes, strict=False))
    ]


def share_inside(map_hw: Tensor, picture: Picture) -> float | None:
    """Return the share of a map's sum inside the picture's box; None where the map is zero everywhere.

    Args:
        map_hw: not negative, at any resolution; is brought to the picture's.
        picture: with a box of whole pixels.

    Raises:
        ValueError: the picture has no box.
    """
    if picture.box is None:
        raise ValueError(f"{picture.name} has no box")
    x1, y1, x2, y2 = map(int, picture.box)
    whole = enlarge(map_hw[None].double(), picture.size)[0]
    total = float(whole.sum())
    return float(whole[y1:y2, x1:x2].sum()) / total if total > 0 else None


def area_share(picture: Picture) -> float:
    """Return the box's share of the picture's pixels; ValueError where the picture has no box."""
    if picture.box is None:
        raise ValueError(f"{picture.name} has no box")
    x1, y1, x2, y2 = picture.box
    return (x2 - x1) * (y2 - y1) / math.prod(picture.size)


def energies(looks: Sequence[Sequence[Look]]) -> list[StageEnergy]:
    """Return the share of energy inside the boxes, per network and stage.

    Args:
        looks: per network the looks at the same pictures, in the same order.
    """
    first: dict[str, list[float | None]] = {}
    found = []
    for n, of_one in enumerate(looks):
        for stage in of_one[0].maps:
            shares = [share_inside(look.maps[stage], look.picture) for look in of_one]
            if n == 0:
                first[stage] = shares
            known = [share for share in shares if share is not None]
            areas = [area_share(look.picture) for look, share in zip(of_one, shares, strict=True) if share is not None]
            pairs = zip(shares, first.get(stage, []), strict=False)
            found.append(
                StageEnergy(
                    spec=of_one[0].subject.name,
                    stage=stage,
                    images=len(known),
                    zero=len(shares) - len(known),
                    inside=Mean.of(known),
                    area=statistics.fmean(areas) if areas else None,
                    ahead=Mean.of([a - b for a, b in pairs if a is not None and b is not None]) if n else None,
                )
            )
    return found
