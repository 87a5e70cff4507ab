from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from dcasearch.data import shapes
from dcasearch.errors import UserError
from dcasearch.interpretation.energy import Mean, area_share, energies, pictures_with_boxes, share_inside
from dcasearch.interpretation.looking import Look, Picture

PICTURE = Picture("x", np.zeros((8, 10, 3), np.uint8), 0, (2, 1, 6, 5))


class Named:
    """Stands for a network: energies need its name alone."""

    def __init__(self, name: str) -> None:
        self.name = name


def seen(name: str, maps: Mapping[str, Tensor]) -> Look:
    return Look(subject=cast(Any, Named(name)), picture=PICTURE, predicted=0, probability=1.0, target=0, maps=maps)


def test_an_even_map_has_the_boxs_share_of_the_area_inside() -> None:
    assert area_share(PICTURE) == 16 / 80
    for size in ((8, 10), (4, 5), (1, 1)):
        assert share_inside(torch.full(size, 0.3), PICTURE) == pytest.approx(0.2)


def test_the_share_is_that_of_the_sum_inside() -> None:
    map_ = torch.zeros(8, 10)
    map_[1, 2], map_[4, 5], map_[5, 5], map_[4, 6], map_[0, 2] = 1, 2, 4, 8, 16  # the first two are inside
    assert share_inside(map_, PICTURE) == pytest.approx(3 / 31)


def test_a_map_that_is_zero_has_no_share() -> None:
    assert share_inside(torch.zeros(4, 4), PICTURE) is None
    with pytest.raises(ValueError, match="has no box"):
        share_inside(torch.ones(4, 4), Picture("y", PICTURE.pixels))


def test_a_mean_has_the_interval_of_student() -> None:
    values = [0.2, 0.5, 0.4, 0.9]
    mean = Mean.of(values)
    assert mean is not None
    low, high = stats.t.interval(0.95, 3, np.mean(values), stats.sem(values))
    assert (mean.value - (mean.margin or 0), mean.value + (mean.margin or 0)) == pytest.approx((low, high))
    assert Mean.of([0.3]) == Mean(0.3, None)
    assert Mean.of([]) is None


def test_energies_are_per_network_and_stage_and_paired_with_the_first() -> None:
    even, inside = torch.ones(8, 10), torch.zeros(8, 10)
    inside[1:5, 2:6] = 1
    first = [seen("a", {"stage1": even}), seen("a", {"stage1": even}), seen("a", {"stage1": torch.zeros(8, 10)})]
    second = [seen("b", {"stage1": inside}), seen("b", {"stage1": even}), seen("b", {"stage1": inside})]
    one, other = energies([first, second])
    assert (one.spec, one.stage, one.images, one.zero, one.ahead) == ("a", "stage1", 2, 1, None)
    assert one.inside is not None
    assert one.inside.value == pytest.approx(0.2)
    assert one.area == pytest.approx(0.2)
    assert (other.images, other.zero) == (3, 0)
    assert other.inside is not None
    assert other.ahead is not None
    assert other.inside.value == pytest.approx((1 + 0.2 + 1) / 3)
    assert other.ahead.value == pytest.approx((0.8 + 0) / 2)  # of the two that both have


def test_pictures_come_with_their_boxes(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.arange(2 * 3 * 4 * 4, dtype=np.uint8).reshape(2, 3, 4, 4)
    boxes = np.array([[0, 1, 2, 3], [1, 1, 4, 4]], np.float32)
    monkeypatch.setattr(shapes, "_drawn", lambda part: (pixels, boxes))
    first, second = pictures_with_boxes("shapes", 2)
    assert (first.label, first.box, second.label, second.box) == (0, (0, 1, 2, 3), 1, (1, 1, 4, 4))
    assert np.array_equal(second.pixels, pixels[1].transpose(1, 2, 0))


def test_a_data_set_without_boxes_is_refused(specs: dict[str, Path]) -> None:
    for name, said in (("digits", "digits has no boxes; shapes has"), ("shape", "did you mean 'shapes'")):
        with pytest.raises(UserError, match=said):
            pictures_with_boxes(name, 2)
