"""What the parts of a data set are called: the folders of its root, and the cells of a list's split column."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal, TypeAlias

from dcasearch.data.ground_truth import is_flat_val
from dcasearch.data.listing import folders_in, holds_images
from dcasearch.data.reading import Reading
from dcasearch.errors import DataError
from dcasearch.wording import counted

PartName: TypeAlias = Literal["train", "val", "test"]
PARTS: Mapping[str, PartName] = MappingProxyType(
    {
        "train": "train",
        "training": "train",
        "val": "val",
        "valid": "val",
        "validation": "val",
        "dev": "val",
        "test": "test",
        "testing": "test",
    }
)
"""Usual names of a part, in lower case."""
ALL = "all"
"""The part of a data set in one piece."""
_SHOWN = 5
"""Folders that a message names."""


def part_named(name: str) -> PartName | None:
    """Return the part that a name means, in upper or lower case; None for any other name."""
    return PARTS.get(name.lower())


def exact_folders(root: Path) -> dict[str, Path]:
    """Return the folders `train`, `val` and `test` that are there, by part."""
    return {name: root / name for name in ("train", "val", "test") if (root / name).is_dir()}


def part_folders(root: Path, reading: Reading) -> dict[str, Path]:
    """Return the folder of each part, by part; none where the class folders lie in the root itself.

    Reading 1 knows the names `train`, `val` and `test` alone, later ones all usual names. A folder with such a name is
    a class, and no part, where it lies beside other folders and holds images but no folders.

    Raises:
        DataError: two folders are called like one part.
    """
    if not reading.nested:
        return exact_folders(root)
    names = folders_in(root, reading)
    named = [(part, name) for name in names if (part := part_named(name)) is not None]
    if not named or _are_classes(root, [name for _, name in named], names, reading):
        return {}
    found: dict[str, Path] = {}
    for part, name in named:
        if part in found:
            raise DataError(
                f"{root} has two folders for one part, `{found[part].name}` and `{name}`; keep one, and move the other "
                "one away"
            )
        found[part] = root / name
    return found


def is_in_one_piece(root: Path, reading: Reading) -> bool:
    """Return whether the class folders lie in a folder of images itself; reading 1 knows parts alone.

    Raises:
        DataError: two folders are called like one part.
    """
    return reading.nested and not part_folders(root, reading)


def _are_classes(root: Path, named: list[str], names: list[str], reading: Reading) -> bool:
    """Return whether folders that are called like parts are classes: they hold images alone, and lie beside others."""
    if len(named) == len(names):
        return False
    exact = [name for name in named if name == part_named(name)]
    if len(exact) > 1:
        return False
    decisive = {*exact, *(name for name in named if part_named(name) == "train")}
    return not any(folders_in(root / name, reading) or is_flat_val(root / name) for name in decisive)


def stray_folders(root: Path, folders: Mapping[str, Path], reading: Reading) -> list[str]:
    """Return the names of the folders beside the parts that hold an image themselves, as class folders do."""
    beside = [name for name in folders_in(root, reading) if root / name not in folders.values()]
    return [name for name in beside if holds_images(root / name, reading)]


def stray_note(stray: list[str]) -> str:
    """Return that folders with images beside the parts are passed over."""
    return f"{counted(stray, 'folder with images is', 'folders with images are')} passed over, beside the parts: " + (
        shown(stray)
    )


def shown(names: list[str]) -> str:
    """Return the first names of folders, and how many more there are."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
