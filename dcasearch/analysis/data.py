"""What a study's data allows, said where its YAML asks for more; and what would make it faster."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator
from itertools import islice

import yaml

from dcasearch.analysis.paired import Z
from dcasearch.analysis.resampling import half_width, splits_of
from dcasearch.bounds import STORED
from dcasearch.config.data_set import Data
from dcasearch.config.document import KeyPath
from dcasearch.config.starts import read_start
from dcasearch.config.study import Fidelity, Final, Resources, Study
from dcasearch.data import DataInfo, describe
from dcasearch.data.sets import open_whole
from dcasearch.errors import ConfigError, DataError, Problem, UserError
from dcasearch.files import expanded
from dcasearch.space import LoadedStudy
from dcasearch.store import Store

_MULTIPLE = 8
"""Sizes are proposed in such steps."""
_WIDE = 5.0
"""Points: two good networks seldom differ by more, so a wider interval says little of any network."""
_PROPOSED_SPLITS = 10
"""More make an interval little narrower: the splits share images."""
_SQUARE = 256 / 224
"""Of the prepared size to the resolution, at which evaluation reads about as many pixels as it shows."""


def as_begun(loaded: LoadedStudy, store: Store | None) -> LoadedStudy:
    """Return a study that reads its image files as it did when it began, unless its YAML names another version."""
    record = None if store is None else store.get_study(loaded.study.name)
    return (
        loaded
        if record is None
        else loaded.reading_as(Study.model_validate_json(record.resolved, context=STORED).data.reading)
    )


def described(loaded: LoadedStudy) -> DataInfo:
    """Return what a study needs to know of its data.

    Raises:
        ConfigError: the YAML asks for what the data has not, by file:line:column.
        DataError: the data is missing or of another layout.
    """
    if problems := [_problem(loaded, path, message) for path, message in _homeless(loaded.study.data)]:
        raise ConfigError(problems)
    try:
        with loaded.telling_place(("data", "root")):
            info = describe(loaded.study.data)
    except DataError as error:
        if not error.path:
            raise
        raise ConfigError([_problem(loaded, error.path, str(error))]) from None
    problems = [
        _problem(
            loaded,
            ("fidelities", number, "resolution"),
            f"{fidelity.resolution} is above the {info.prepared} pixels that the data was prepared at; prepare it with "
            f"--size {proposed_size(fidelity.resolution)}, or give data.root the original images",
        )
        for number, fidelity in enumerate(loaded.study.fidelities)
        if info.prepared is not None and fidelity.resolution > info.prepared
    ]
    problems += [_problem(loaded, path, message) for path, message in (*_boxes(loaded.study, info), *_starts(loaded))]
    if problems:
        raise ConfigError(problems)
    return info


def split_fingerprints(study: Study, info: DataInfo) -> dict[int, str]:
    """Return by seed the fingerprint of the data of the final trainings; lists files where there are several splits.

    Args:
        study: The study.
        info: Of its data, which is the first split.

    Raises:
        DataError: a split has an empty part.
    """
    if study.final is None:
        return {}
    known = {study.data.split_seed: info.fingerprint}
    found: dict[int, str] = {}
    for seed in study.final.seeds:
        data = study.data_of_final(seed)
        if data.split_seed not in known:
            known[data.split_seed] = describe(data).fingerprint
        found[seed] = known[data.split_seed]
    return found


def _homeless(data: Data) -> Iterator[tuple[KeyPath, str]]:
    """Yield the paths of `data` that begin with `~user`, where this machine knows no home folder of that user."""
    for field, written in (("root", data.root), ("file", data.file), ("stage", data.stage), ("scratch", data.scratch)):
        try:
            expanded(written or "")
        except UserError as error:
            yield ("data", field), str(error)


def _boxes(study: Study, info: DataInfo) -> Iterator[tuple[KeyPath, str]]:
    """Yield what cannot be measured since no image shows it."""
    wanted: dict[KeyPath, str] = {("objectives", name): name for name in study.objectives}
    for n, fidelity in enumerate(study.fidelities):
        if fidelity.pruner.name != "none":
            wanted["fidelities", n, "pruner", "metric"] = fidelity.pruner.metric
    for part, sizes in info.sizes.items():
        if part == "test" and study.final is None:
            continue
        if not sizes:
            yield ("data",), f"no {part} image has a box, so nothing can be measured"
            continue
        for path, name in wanted.items():
            size = name.rpartition("_")[2]
            if size in ("small", "medium", "large") and size not in sizes:
                has = " and ".join(other for other in ("small", "medium", "large") if other in sizes)
                yield path, f"{name} cannot be measured: the {part} images show no {size} objects, only {has} ones"


def _starts(loaded: LoadedStudy) -> Iterator[tuple[KeyPath, str]]:
    """Yield the exported specs that are missing, and networks that have none."""
    for n, fidelity in enumerate(loaded.study.fidelities):
        if not fidelity.initialize.specs:
            continue
        path, found = ("fidelities", n, "initialize", "specs"), set[str]()
        for k, spec in enumerate(fidelity.initialize.specs):
            try:
                found.add(str(read_start(spec).architecture_id))
            except UserError as error:
                yield (*path, k), str(error)
                return
        for point in islice(loaded.space.walk(), len(found) + 1):
            if point.architecture.id not in found:
                known = ", ".join(sorted(found))
                yield path, f"no spec is of the network {point.architecture.id} of the space, only of {known}"
                return


def advice(loaded: LoadedStudy, info: DataInfo) -> str | None:
    """Return what to do for faster data, or None where it is fast."""
    if not info.encoded:
        return None
    study = loaded.study
    size = size_for(study)
    images = sum(len(part.labels) for part in open_whole(study.data).parts)  # all classes are prepared
    gigabytes = images * 3 * size**2 / 1e9
    command = f"dcasearch data prepare {shlex.quote(str(loaded.path))} --out DIR"
    return (
        f"the images are decoded anew in every epoch; `{command}` decodes them once, at {size} pixels "
        f"({gigabytes:,.1f} GB). Then `data: {prepared_data(study.data, 'DIR')}` reads them several times as fast; the "
        "values do not compare with those of the original images"
    )


def prepared_data(data: Data, folder: str) -> str:
    """Return what a study says of its data once they are prepared: YAML on one line.

    Args:
        data: what it says of the original images.
        folder: where the prepared ones lie.
    """
    elsewhere = {"name", "root", "file", "columns", "reading"}
    kept = data.model_dump(mode="json", exclude_defaults=True, exclude=elsewhere)
    if data.split is not None:
        kept["split"] = data.split.model_dump()
        kept.pop("validation_fraction", None)  # it follows from the split
    said = {"name": "imagenet" if data.name == "imagenet" else "imagefolder", "root": folder, **kept}
    return yaml.safe_dump(said, default_flow_style=True, sort_keys=False, width=math.inf).strip()


def size_for(study: Study) -> int:
    """Return the size to prepare at for all fidelities of a study."""
    return proposed_size(max(fidelity.resolution for fidelity in study.fidelities))


def sharper(study: Study, info: DataInfo) -> str | None:
    """Return how repeated splits make the last number of few images sharper; None where they cannot, or need not.

    The half-width is of an accuracy of 50%, where it is widest, by the test images alone.
    """
    final, shares = study.final, study.data.split
    if final is None or final.splits > 1 or shares is None or isinstance(study.data.classes, int):
        return None
    if not study.headline.share:
        return None
    variance = 100**2 / 4 / info.test_images
    once = Z * math.sqrt(variance)
    if once <= _WIDE:
        return None
    repeated = splits_of(study.model_copy(update={"final": Final(splits=_PROPOSED_SPLITS)}))
    if repeated is None:
        raise RuntimeError("data that is divided can be divided again")
    often = half_width(variance, repeated.number, repeated.ratio)
    return (
        f"the last number is of {info.test_images:,} test images, so these alone make it uncertain by up to "
        f"±{once:.0f} points (95%). `final: {{splits: {_PROPOSED_SPLITS}}}` divides the images {_PROPOSED_SPLITS} "
        f"times, trains and measures on each division, and makes that about ±{often:.0f} points (docs/trust.md)"
    )


def dangers(study: Study, info: DataInfo) -> list[str]:
    """Return what may end trainings though the YAML has no mistake, one sentence each."""
    return [_single(fidelity) for fidelity in study.fidelities if _smallest_batch(study, fidelity, info) == 1]


def _smallest_batch(study: Study, fidelity: Fidelity, info: DataInfo) -> int:
    """Return the images of the smallest batch that BatchNorm sees in training: one rank's, one micro-batch's."""
    images = min(fidelity.recipe.batch_size, round(info.train_images * fidelity.train_fraction))
    share = images // study.executor.resources.get(fidelity.name, Resources()).world
    return share // max(1, min(fidelity.recipe.accumulate, share))


def _single(fidelity: Fidelity) -> str:
    return (
        f"{fidelity.name}: a training batch of one image on a rank fails in BatchNorm wherever a map has one pixel; "
        "raise recipe.batch_size, or lower its accumulate or the ranks"
    )


def proposed_size(resolution: int) -> int:
    """Return the size to prepare at for a resolution."""
    return max(resolution, round(resolution * _SQUARE / _MULTIPLE) * _MULTIPLE)


def _problem(loaded: LoadedStudy, path: tuple[str | int, ...], message: str) -> Problem:
    line, column = loaded.place(path)
    return Problem(str(loaded.path), line, column, f"{'.'.join(map(str, path))}: {message}")
