"""Train and test of a data set that comes in one piece."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np

from dcasearch.config.data_set import Shares
from dcasearch.data.sets import DataSet, FilePart
from dcasearch.data.split import Indices, split_train
from dcasearch.errors import DataError
from dcasearch.evaluation import fingerprint

_OF_TEST = 0x7E57
"""Added to the split's seed, so that test and validation are drawn apart."""


@lru_cache(maxsize=4)
def divide(dataset: DataSet, shares: Shares, seed: int) -> DataSet:
    """Return a data set without parts of its own with a stratified share of it as the test part.

    The validation images are drawn from the rest, as of every data set.

    Args:
        dataset: all of its images are in `train`.
        shares: how much is held out.
        seed: of the draw. Images of one group stay together.

    Raises:
        DataError: a part would be empty.
    """
    whole = dataset.train
    if not isinstance(whole, FilePart):
        raise DataError("only image files are divided")
    split = split_train(whole.labels, shares.test, (seed + _OF_TEST) % 2**32, whole.groups)
    train, test = part_of(whole, np.sort(split.train)), part_of(whole, np.sort(split.validation))
    identity = {"images": dataset.fingerprint, "test": shares.test, "seed": seed}
    return replace(dataset, fingerprint=fingerprint(identity), train=train, val=test, test=test, whole=False)


def part_of(part: FilePart, kept: Indices) -> FilePart:
    """Return some of the images of a part."""
    groups = None if part.groups is None else part.groups[kept]
    return FilePart(part.labels[kept], tuple(part.paths[n] for n in kept), groups, part.reading)
