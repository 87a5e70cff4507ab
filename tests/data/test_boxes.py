from __future__ import annotations

import numpy as np

from dcasearch.data.boxes import ShownObjects, sizes_of, strata
from dcasearch.data.shapes_boxes import DrawnPictures


class Areas(DrawnPictures):
    """Images with one object each, of some areas; the last of them is a crowd."""

    areas = (32.0**2, 32.0**2 + 1, 96.0**2, 1e6)

    def objects_of(self, index: int) -> ShownObjects:
        zeros = np.zeros((1, 4), np.float32)
        return ShownObjects(zeros, np.zeros(1, np.int64), np.array([self.areas[index]]), np.array([index == 3]))


def test_an_object_at_the_border_of_two_sizes_is_in_both_and_a_crowd_in_none() -> None:
    pictures = Areas("train")
    found = [sizes_of(pictures, np.array([index])) for index in range(4)]
    assert found == [{"small", "medium"}, {"medium"}, {"medium", "large"}, set()]
    assert sizes_of(pictures, np.array([], np.int64)) == set()


def test_the_stratum_of_an_image_is_its_most_frequent_category() -> None:
    labels = np.array([1, 2, 2, 0, 1], np.int64)
    first = np.array([0, 3, 3, 5])
    assert strata(labels, first, 3).tolist() == [2, 3, 0]
