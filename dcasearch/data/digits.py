"""scikit-learn's digits: 1,797 real 8x8 scans of handwritten digits (Alpaydin and Kaynak, 1998)."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

from dcasearch.data.sets import DATASETS, DataSet, MemoryPart, Pixels
from dcasearch.data.split import Indices, stratified_order

_TEST_SHARE = 0.2
"""scikit-learn ships no split; this one is stratified and the same for every study."""
_TEST_SEED = 0
_INK = 16
"""Largest pixel value of the source."""
_MEAN, _STD = 0.305, 0.376
"""Of the training part, pixels in 0..1."""


@DATASETS.register("digits")
def open_digits(root: Path | None) -> DataSet:
    """Return the digits; they come with scikit-learn, so the root is not looked at."""
    source = load_digits()
    gray = np.rint(source.images * (255 / _INK)).astype(np.uint8)
    labels = source.target.astype(np.int64)
    order = stratified_order(labels, _TEST_SEED)
    held_out = round(_TEST_SHARE * len(order))
    array = np.repeat(gray[:, None], 3, axis=1)

    def part(indices: Indices) -> MemoryPart:
        pixels = Pixels(array[indices], {})
        return MemoryPart(labels[indices], lambda scratch: pixels)

    test = part(np.sort(order[:held_out]))
    content = hashlib.sha256(gray.tobytes() + labels.tobytes() + order.tobytes())
    return DataSet(
        fingerprint=content.hexdigest()[:16],
        classes=tuple(map(str, source.target_names)),
        train=part(np.sort(order[held_out:])),
        val=test,
        test=test,
        mean=(_MEAN,) * 3,
        std=(_STD,) * 3,
    )
