"""What can be prepared: a folder of images, or the images that a study's `data` names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

from pydantic import ValidationError

from dcasearch.config.data_set import Data, ReadingVersion
from dcasearch.data import listed
from dcasearch.data.folders import (
    IMAGEFOLDER_LAYOUT,
    IMAGENET_LAYOUT,
    list_any,
    list_imagefolder,
    list_imagenet,
)
from dcasearch.data.originals import Originals
from dcasearch.data.prepared import is_prepared
from dcasearch.data.reading import READINGS, Reading
from dcasearch.data.sets import existing
from dcasearch.errors import DataError, mistakes_of
from dcasearch.files import expanded

Origin: TypeAlias = Path | Data
"""A folder of images in any layout, or a study's data, which says the layout."""
_FOLDERS: Mapping[str, tuple[str, Callable[[Path, Reading], Originals]]] = {
    "imagefolder": (IMAGEFOLDER_LAYOUT, list_imagefolder),
    "imagenet": (IMAGENET_LAYOUT, list_imagenet),
}


def originals_of(origin: Origin, version: ReadingVersion) -> Originals:
    """List the image files of an origin.

    Raises:
        DataError: it is prepared itself, its files are missing or of another layout, or the data set is none of image
            files.
    """
    root = _root_of(origin)
    if root is not None and is_prepared(root):
        raise DataError(f"{root} is a prepared data set itself; give the original images")
    if isinstance(origin, Path):
        return list_any(origin, READINGS[version])
    if origin.file is not None:
        return listed.list_rows(root, expanded(origin.file), origin.columns, READINGS[version])
    if origin.name not in _FOLDERS:
        known = ", ".join((*_FOLDERS, listed.NAME))
        raise DataError(f"data {origin.name} cannot be prepared, only data of image files: {known}", ("data", "name"))
    layout, list_files = _FOLDERS[origin.name]
    return list_files(existing(origin.name, root, layout), READINGS[version])


def noted(origin: Origin) -> str:
    """Return an origin as one line of text with absolute paths, for `noted_origin`."""
    if isinstance(origin, Path):
        return str(origin.absolute())
    root, file = (None if place is None else str(expanded(place).absolute()) for place in (origin.root, origin.file))
    where = Data(name=origin.name, root=root, file=file, columns=origin.columns)
    return where.model_dump_json(exclude_defaults=True)


def noted_origin(line: str) -> Origin:
    """Return the origin that a line names: a folder's path, or a study's data in JSON.

    Raises:
        DataError: it is neither.
    """
    try:
        return Data.model_validate_json(line) if line.startswith("{") else Path(line)
    except ValidationError as error:
        raise DataError(f"a prepared folder names its originals wrongly: {mistakes_of(error)[0]}") from None


def _root_of(origin: Origin) -> Path | None:
    if isinstance(origin, Path):
        return origin
    return None if origin.root is None else expanded(origin.root)
