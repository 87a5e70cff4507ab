"""scikit-learn's digits: 1,797 real 8x8 scans of handwritten digits (Alpaydin and Kaynak, 1998)."""

from __future__ import annotations

import gzip
import hashlib
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dcasearch.data.reading import OLDEST, Reading
from dcasearch.data.sets import DATASETS, DataSet, MemoryPart, Pixels
from dcasearch.data.split import Indices, stratified_order
from dcasearch.errors import DataError

_TEST_SHARE = 0.2
"""scikit-learn ships no split; this one is stratified and the same for every study."""
_TEST_SEED = 0
_INK = 16
"""Largest pixel value of the source."""
_MEAN, _STD = 0.305, 0.376
"""Of the training part, pixels in 0..1."""


@DATASETS.register("digits")
def open_digits(root: Path | None, reading: Reading = OLDEST) -> DataSet:
    """Return the digits; they come with scikit-learn, so the root is not looked at."""
    rows = _rows()  # 64 pixels and the digit
    gray = np.rint(rows[:, :-1].reshape(-1, 8, 8) * (255 / _INK)).astype(np.uint8)
    labels = rows[:, -1].astype(np.int64)
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
        classes=tuple(map(str, range(10))),
        train=part(np.sort(order[held_out:])),
        val=test,
        test=test,
        mean=(_MEAN,) * 3,
        std=(_STD,) * 3,
        size=gray.shape[-1],
    )


def _rows() -> NDArray[np.float64]:
    """Read the file that `sklearn.datasets.load_digits` reads, without the two seconds that importing sklearn takes."""
    spec = find_spec("sklearn")
    if spec is None or not spec.submodule_search_locations:
        raise DataError("digits come with scikit-learn, which is not installed: `pip install scikit-learn`")
    with gzip.open(Path(spec.submodule_search_locations[0]) / "datasets" / "data" / "digits.csv.gz", "rt") as file:
        return np.loadtxt(file, delimiter=",")
