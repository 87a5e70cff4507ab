"""Which image files a folder holds, by class, and what else lies there: nothing is passed over without a word."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path

from torchvision.datasets.folder import IMG_EXTENSIONS

from dcasearch.data.reading import OLDEST, READINGS, Reading
from dcasearch.errors import DataError
from dcasearch.wording import counted, is_utf8

_SHOWN = 3
"""Paths of a kind that a note names."""
_HIDDEN = (".", "__MACOSX")
_NESTED, _ENDING, _DANGLING = (
    "in folders below a class",
    f"with an ending that is not read ({' '.join(IMG_EXTENSIONS)} are)",
    "links that lead nowhere, pipes or devices",
)


@dataclass
class PassedOver:
    """What a folder holds beside its images, by why it was passed over: paths below the folder."""

    paths: dict[str, list[str]] = field(default_factory=dict)

    def add(self, why: str, path: str) -> None:
        """Count a file."""
        self.paths.setdefault(why, []).append(path)

    @property
    def notes(self) -> tuple[str, ...]:
        """A sentence for each reason, with the first paths."""
        return tuple(_note(why, paths) for why, paths in self.paths.items())


def _note(why: str, paths: list[str]) -> str:
    shown = ", ".join(sorted(paths)[:_SHOWN])
    more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
    return f"{counted(paths, 'file is', 'files are')} passed over, {why}: {shown}{more}"


@dataclass(frozen=True)
class Listing:
    """The image files of one part by class, in alphabetical order."""

    root: Path
    classes: tuple[str, ...]
    files: tuple[tuple[str, int], ...]
    """Path below `root` with forward slashes, and bytes."""
    labels: tuple[int, ...]
    flat: bool = False
    """All images lie in `root` itself; the class folders of `files` are thought."""
    passed: PassedOver = field(default_factory=PassedOver)
    reading: Reading = OLDEST
    _: KW_ONLY
    within: str = ""
    """What comes before the path of an image in messages: the part's folder below the data's root, e.g. `train/`."""
    groups: tuple[int, ...] | None = None
    """Group of each image, where a list names groups."""

    def name(self, index: int) -> str:
        """Return what an image is called in messages, wherever the data lies."""
        return f"{self.within}{self.files[index][0]}"

    def path(self, index: int) -> str:
        """Return where an image lies."""
        name = self.files[index][0]
        return str(self.root / (name.split("/", 1)[1] if self.flat else name))


def list_images(root: Path, reading: Reading = OLDEST) -> Listing:
    """List `root/<class>/<image>`, and what lies in folders below a class where the reading takes it.

    Raises:
        DataError: there are no class folders, one without images, names that are not UTF-8, or a folder that may not be
            read.
    """
    classes = folders_in(root, reading)
    if not classes:
        raise DataError(f"{root} holds no class folders; expected {root}/<class>/<image>")
    refuse_odd_names(root, classes)
    passed = PassedOver()
    files: list[tuple[str, int]] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        found = sorted(images_in(root / name, reading, passed, name))
        if not found:
            raise DataError(f"{root / name} holds no image; known: {', '.join(IMG_EXTENSIONS)}")
        refuse_odd_names(root / name, [file for file, _ in found])
        files += [(f"{name}/{file}", size) for file, size in found]
        labels += [label] * len(found)
    return Listing(root, tuple(classes), tuple(files), tuple(labels), passed=passed, reading=reading)


def folders_in(root: Path, reading: Reading = OLDEST) -> list[str]:
    """Return the names of the folders of a folder, without hidden ones, in alphabetical order.

    Raises:
        DataError: it cannot be listed.
    """
    return sorted(entry.name for entry in _entries(root) if _is_folder(entry) and not _is_hidden(entry, reading))


def holds_images(folder: Path, reading: Reading = OLDEST) -> bool:
    """Return whether an image file lies in a folder itself, not below; False for a folder that may not be read."""
    try:
        with os.scandir(folder) as entries:
            return any(
                entry.name.lower().endswith(IMG_EXTENSIONS) and not _is_hidden(entry, reading) and not _is_folder(entry)
                for entry in entries
            )
    except OSError:  # e.g. lost+found of a disk
        return False


def images_in(
    folder: Path, reading: Reading = OLDEST, passed: PassedOver | None = None, shown: str = ""
) -> Iterator[tuple[str, int]]:
    """Yield path below the folder and bytes of each image file.

    Args:
        folder: where they lie.
        reading: says whether folders below it are looked into.
        passed: counts what is no image.
        shown: what the folder is called there.
    """
    passed = PassedOver() if passed is None else passed
    yield from _below(folder, "", reading, passed, shown, {os.path.realpath(folder)})


def _below(
    folder: Path, prefix: str, reading: Reading, passed: PassedOver, shown: str, seen: set[str]
) -> Iterator[tuple[str, int]]:
    for entry in _entries(folder):
        name = f"{prefix}{entry.name}"
        path = f"{shown}/{name}" if shown else name
        if _is_hidden(entry, reading):
            continue
        if _is_folder(entry):
            real = os.path.realpath(entry.path)
            if not reading.nested:
                for file, _ in _below(Path(entry.path), f"{name}/", READINGS[2], PassedOver(), shown, {real}):
                    passed.add(_NESTED, f"{shown}/{file}" if shown else file)
            elif real not in seen:  # else a link leads back to a folder that it lies in
                yield from _below(Path(entry.path), f"{name}/", reading, passed, shown, {*seen, real})
        elif not entry.name.lower().endswith(IMG_EXTENSIONS):
            passed.add(_ENDING, path)
        elif (size := _size(entry)) is None:
            passed.add(_DANGLING, path)
        else:
            yield name, size


def refuse_odd_names(folder: Path, names: list[str]) -> None:
    """Look whether names can be written down.

    Raises:
        DataError: some are not UTF-8: neither a database nor a spec can hold them.
    """
    odd = [name for name in names if not is_utf8(name)]
    if odd:
        shown = ", ".join(ascii(name) for name in odd[:_SHOWN])
        raise DataError(
            f"{ascii(str(folder))[1:-1]} holds {counted(odd, 'name that is', 'names that are')} not UTF-8: {shown}; "
            f"rename {'it' if len(odd) == 1 else 'them'}, e.g. with `convmv -r --notest -f latin1 -t utf8`"
        )


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        raise DataError(f"{folder} cannot be listed: {error.strerror or error}") from error


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _is_hidden(entry: os.DirEntry[str], reading: Reading) -> bool:
    """Return whether an entry is none of the data: a dot file, or what macOS puts into archives."""
    if not reading.nested:
        return entry.name.startswith(".") and _is_folder(entry)
    return entry.name.startswith(_HIDDEN)


def _size(entry: os.DirEntry[str]) -> int | None:
    """Return the bytes of a file; None where a link leads nowhere or to itself, or where it is no regular file."""
    try:
        return entry.stat().st_size if entry.is_file() else None
    except OSError:
        return None
