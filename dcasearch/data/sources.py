"""What can be prepared: a folder of images, or the images that a study's `data` names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

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
from dcasearch.errors import DataError

Source: TypeAlias = Path | Data
"""A folder of images in any layout, or a study's data, which says the layout."""
_FOLDERS: Mapping[str, tuple[str, Callable[[Path, Reading], Originals]]] = {
    "imagefolder": (IMAGEFOLDER_LAYOUT, list_imagefolder),
    "imagenet": (IMAGENET_LAYOUT, list_imagenet),
}


def originals_of(source: Source, version: ReadingVersion) -> Originals:
    """List the image files of a source.

    Raises:
        DataError: it is prepared itself, its files are missing or of another layout, or the data set is none of image
            files.
    """
    root = _root_of(source)
    if root is not None and is_prepared(root):
        raise DataError(f"{root} is a prepared data set itself; give the original images")
    if isinstance(source, Path):
        return list_any(source, READINGS[version])
    if source.file is not None:
        return listed.list_rows(root, Path(source.file).expanduser(), source.columns, READINGS[version])
    if source.name not in _FOLDERS:
        known = ", ".join((*_FOLDERS, listed.NAME))
        raise DataError(f"data {source.name} cannot be prepared, only data of image files: {known}", ("data", "name"))
    layout, list_files = _FOLDERS[source.name]
    return list_files(existing(source.name, root, layout), READINGS[version])


def noted(source: Source) -> str:
    """Return a source as one line of text with absolute paths, for `noted_source`."""
    if isinstance(source, Path):
        return str(source.absolute())
    root, file = (
        None if place is None else str(Path(place).expanduser().absolute()) for place in (source.root, source.file)
    )
    where = Data(name=source.name, root=root, file=file, columns=source.columns)
    return where.model_dump_json(exclude_defaults=True)


def noted_source(line: str) -> Source:
    """Return the source that a line names: a folder's path, or a study's data in JSON."""
    return Data.model_validate_json(line) if line.startswith("{") else Path(line)


def _root_of(source: Source) -> Path | None:
    if isinstance(source, Path):
        return source
    return None if source.root is None else Path(source.root).expanduser()
