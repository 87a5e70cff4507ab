"""A data set with some of its classes alone."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from dcasearch.config.data_set import Data, DataPreprocessing
from dcasearch.data.boxes import BoxedPart
from dcasearch.data.dividing import part_of, renumbered
from dcasearch.data.seeds import frozen_generator
from dcasearch.data.sets import DataSet, FilePart, MemoryPart, Part, Pixels, PreparedPart, open_whole
from dcasearch.data.split import Indices
from dcasearch.errors import DataError, nearest


def open_set(data: Data) -> DataSet:
    """Return the data set that a study names, with the classes and the preprocessing that it wants.

    It is the same object in the whole process.

    Raises:
        UserError: no such data set.
        DataError: its files are missing or of another layout, or it has not those classes.
    """
    whole = open_whole(data)
    chosen = whole if data.classes is None else _restrict(whole, choose(whole.classes, data.classes, data.split_seed))
    return chosen if data.preprocessing is None else prepared_as(chosen, data.preprocessing)


@lru_cache(maxsize=4)
def prepared_as(dataset: DataSet, how: DataPreprocessing) -> DataSet:
    """Return a data set whose images are prepared in another way; the same one where that is its own way."""
    changed = replace(
        dataset,
        mean=how.mean or dataset.mean,
        std=how.std or dataset.std,
        interpolation=how.interpolation,
        crop=how.crop,
    )
    return dataset if changed.source == dataset.source else changed


def choose(known: tuple[str, ...], wanted: int | tuple[str, ...], seed: int) -> tuple[str, ...]:
    """Return the classes that are meant, in the data set's order.

    Args:
        known: all of them.
        wanted: names, or how many: those are drawn, so that neighbours in the alphabet, which often are neighbours in
            meaning, are not taken together; fewer classes are always among more.
        seed: of that draw.

    Raises:
        DataError: there are fewer, or none of a name.
    """
    if isinstance(wanted, int):
        if wanted > len(known):
            raise DataError(f"{wanted} classes are more than the {len(known)} there are", ("data", "classes"))
        order = frozen_generator(seed).random_sample(len(known)).argsort(kind="stable")
        return tuple(known[index] for index in sorted(order[:wanted]))
    for place, name in enumerate(wanted):
        if name not in known:
            raise DataError(f"'{name}' is no class; {_near(name, known)}", ("data", "classes", place))
    return tuple(name for name in known if name in set(wanted))


def _near(name: str, known: tuple[str, ...]) -> str:
    said = nearest(name, known)
    return said if len(said) <= _SAID else f"{said[:_SAID]}… ({len(known)} in all)"


_SAID = 300
"""Characters of an error that lists the classes."""


@lru_cache(maxsize=4)
def _restrict(dataset: DataSet, classes: tuple[str, ...]) -> DataSet:
    """Return the data set with some of its classes, numbered anew in its order."""
    if classes == dataset.classes:
        return dataset
    number = np.full(len(dataset.classes), -1)
    number[[dataset.classes.index(name) for name in classes]] = np.arange(len(classes))
    made: dict[int, Part] = {}
    for part in (dataset.train, dataset.val, dataset.test):
        if id(part) not in made:  # two names of one part stay one part
            made[id(part)] = _restricted(part, number[part.labels])
    train, val, test = (made[id(part)] for part in (dataset.train, dataset.val, dataset.test))
    return replace(dataset, classes=classes, train=train, val=val, test=test)


def _restricted(part: Part, numbers: Indices) -> Part:
    """Return the images of a part whose new class is not -1."""
    if isinstance(part, BoxedPart):
        raise DataError("classes are chosen among images with one label, not among boxes", ("data", "classes"))
    kept = np.flatnonzero(numbers >= 0)
    labels = numbers[kept]
    if isinstance(part, FilePart | PreparedPart):
        return replace(part_of(part, kept), labels=labels)
    groups = None if part.groups is None else part.groups[kept]

    def read(scratch: Path | None) -> Pixels:
        pixels = part.read(scratch)
        return Pixels(pixels.array[kept], renumbered(pixels.unreadable, kept))

    known = part.boxes
    return MemoryPart(labels, read, groups, None if known is None else lambda: known()[kept])
