"""Train and test of a data set that comes in one piece."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np

from dcasearch.config.data_set import Shares
from dcasearch.data.sets import DataSet, FilePart, PreparedPart
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
    if not isinstance(whole, FilePart | PreparedPart):
        raise DataError("only image files, prepared or not, are divided")
    split = split_train(whole.labels, shares.test, (seed + _OF_TEST) % 2**32, whole.groups)
    train, test = part_of(whole, np.sort(split.train)), part_of(whole, np.sort(split.validation))
    identity = {"images": dataset.fingerprint, "test": shares.test, "seed": seed}
    return replace(dataset, fingerprint=fingerprint(identity), train=train, val=test, test=test, whole=False)


def part_of(part: FilePart | PreparedPart, kept: Indices) -> FilePart | PreparedPart:
    """Return some of the images of a part."""
    groups = None if part.groups is None else part.groups[kept]
    if isinstance(part, PreparedPart):
        unreadable = renumbered(part.unreadable, kept)
        return replace(part, labels=part.labels[kept], rows=part.rows[kept], unreadable=unreadable, groups=groups)
    return replace(part, labels=part.labels[kept], paths=tuple(part.paths[n] for n in kept), groups=groups)


def renumbered(unreadable: dict[int, tuple[str, str]], kept: Indices) -> dict[int, tuple[str, str]]:
    """Return what cannot be read among the images that are kept, by their new numbers."""
    place = {int(index): number for number, index in enumerate(kept)}
    return {place[index]: why for index, why in unreadable.items() if index in place}
