"""`dcasearch data`: prepare a data set, and look whether it is whole."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from dcasearch.cli.console import make_console
from dcasearch.cli.group import Commands
from dcasearch.cli.interruption import Signalled
from dcasearch.errors import DataError, Interrupted, StudyFailed, UserError
from dcasearch.files import expanded
from dcasearch.wording import counted, in_one_line

if TYPE_CHECKING:
    from dcasearch.data.prepared import Index
    from dcasearch.data.shard_work import Observer, Step
    from dcasearch.space import LoadedStudy

data = typer.Typer(cls=Commands, help="Images, prepared once and read without decoding.", no_args_is_help=True)
Workers = Annotated[int | None, typer.Option(min=0, help="Processes; else one a core.")]
_LINE_SECONDS = 30.0
"""Between two lines where the output is no terminal."""
_MAX_CORRUPT = 0.001
"""Share of unreadable images of a folder, as a study's by default."""
_SHOWN = 20
"""Unreadable or damaged files that are spelt out."""


@data.command()
def prepare(
    source: Annotated[
        Path,
        typer.Argument(help="A folder of images, or the YAML of a study whose data is meant.", show_default=False),
    ],
    out: Annotated[Path, typer.Option(help="The folder to write.", show_default=False)],
    size: Annotated[
        int | None,
        typer.Option(
            min=8,
            help="Pixels per side, about 8/7 of the resolution; of a study by default chosen.",
            show_default=False,
        ),
    ] = None,
    workers: Workers = None,
    max_corrupt: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Share of unreadable images over which it stops; else the study's or 0.001."),
    ] = None,
) -> None:
    """Decode and resize images once, so that trainings read them without decoding.

    A folder may hold train/CLASS/IMAGE with val or test, or CLASS/IMAGE alone. A list of images (CSV, Parquet) is
    prepared by its study. The last line says how a study names the result. The same command goes on after any
    interruption, and mends files that `data verify` found damaged. The shorter side is resized to SIZE and the centre
    square cut out, so its values are not comparable with those of the original images.
    """
    source, out = expanded(source), expanded(out)
    loaded = _study_of(source)  # before torch is imported, so that a mistake is told at once
    from dcasearch.analysis.data import prepared_data
    from dcasearch.data import preparing

    images, size = (source if loaded is None else loaded.study.data), _size(loaded, size)
    if max_corrupt is None:
        max_corrupt = _MAX_CORRUPT if loaded is None else loaded.study.data.max_corrupt
    console = make_console()
    began, kept = time.monotonic(), 0
    with _shown(console, "prepared") as show:

        def observe(step: Step) -> None:
            nonlocal kept
            kept += step.shard.kept * step.images
            show(step)

        try:
            index = preparing.prepare(
                images, out, size=size, workers=_workers(workers), max_corrupt=max_corrupt, observe=observe
            )
        except Signalled as signalled:
            raise Interrupted(
                "interrupted; what is done is kept, the same command goes on", signalled.exit_code
            ) from None
    _print_index(console, index, kept)
    console.print(
        f"{out} is prepared at {size} pixels in {time.monotonic() - began:,.0f} s, fingerprint {index.fingerprint}; "
        f"in a study: data: {_suggested(out, index) if loaded is None else prepared_data(loaded.study.data, str(out))}"
    )


def _study_of(source: Path) -> LoadedStudy | None:
    """Return the study whose YAML is given; None of a folder."""
    if source.is_dir():
        return None
    if not source.is_file():
        raise DataError(f"there is no folder and no study {source}")
    if source.suffix.lower() not in (".yaml", ".yml"):
        raise UserError(
            f"{source} is no folder and no study; a list of images is prepared by a study that names it: `data: "
            f"{{name: imagelist, file: {source}, …}}`"
        )
    from dcasearch.space import load_study

    return load_study(source)


def _size(loaded: LoadedStudy | None, size: int | None) -> int:
    """Return the pixels per side that are asked for, or that a study needs."""
    from dcasearch.analysis.data import size_for

    if size is not None:
        return size
    if loaded is None:
        raise UserError("--size is missing: about 8/7 of the resolution, e.g. 256 for 224 pixels; a study chooses it")
    return size_for(loaded.study)


def _suggested(out: Path, index: Index) -> str:
    """Return how a study names a prepared folder."""
    split = ", split: {validation: 0.2, test: 0.2}" if index.whole else ""
    name = "imagefolder" if index.whole else "…"
    return f"{{name: {name}, root: {out}{split}}}"


def _print_index(console: Console, index: Index, kept: int) -> None:
    """Print what a prepared folder holds, and how many of its images were there before."""
    for name, part in index.parts.items():
        gigabytes = part.images * 3 * index.size**2 / 1e9
        console.print(
            f"{name}: {counted(part.images, 'image')} of {counted(index.classes, 'class', 'classes')}, "
            f"{counted(part.shards, 'file')}, {gigabytes:,.2f} GB, {len(part.unreadable):,} unreadable"
        )
    unreadable = [f"  {path}: {why}" for part in index.parts.values() for path, why in part.unreadable.values()]
    if unreadable:
        console.print("left out, since they cannot be read:")
        _print_some(console, unreadable)
    if kept:
        console.print(
            f"{counted(kept, 'image was', 'images were')} there before; the names and sizes of the originals did not "
            "change (`data verify --deep` looks at their content)"
        )
    for note in index.passed_over:
        console.print(f"note: {note}")


@data.command()
def verify(
    folder: Annotated[Path, typer.Argument(help="A prepared folder.", show_default=False)],
    deep: Annotated[
        bool,
        typer.Option("--deep", help="Also decode the original images again and compare every pixel."),
    ] = False,
    source: Annotated[
        Path | None,
        typer.Option(help="With --deep: folder or study of the original images; else where they lay when prepared."),
    ] = None,
    workers: Workers = None,
) -> None:
    """Read a prepared folder and compare every file with its checksum.

    An original image whose content changed while its size did not is seen by --deep alone: `prepare` knows originals by
    name and size.
    """
    from dcasearch.data import verifying

    console = make_console()
    folder = expanded(folder)
    loaded = None if source is None else _study_of(source)
    with _shown(console, "compared") as show:
        problems = verifying.verify(folder, workers=_workers(workers), observe=show)
    if deep and not problems:
        images = source if loaded is None else loaded.study.data
        with _shown(console, "decoded and compared") as show:
            changed = verifying.verify_source(folder, images, workers=_workers(workers), observe=show)
        _print_some(console, changed)
        if changed:
            raise StudyFailed(
                f"{counted(changed, 'original image is', 'original images are')} not what was prepared; prepare the "
                "images anew into another folder"
            )
    if problems:
        _print_some(console, problems)
        raise StudyFailed(
            f"{counted(problems, 'file')} of {folder} {'is' if len(problems) == 1 else 'are'} damaged; the "
            "`dcasearch data prepare` that made the folder mends this, or copy it again"
        )
    also = ", and of the original images as they are today" if deep else ""
    console.print(f"{folder}: every file is what was written{also}")


def _workers(wanted: int | None) -> int:
    from dcasearch.data.preparing import cores

    if wanted is not None:
        return wanted
    return 0 if cores() == 1 else cores()


def _print_some(console: Console, lines: list[str]) -> None:
    for line in lines[:_SHOWN]:
        console.print(in_one_line(line))  # a name of a file may have line ends
    if len(lines) > _SHOWN:
        console.print(f"  and {len(lines) - _SHOWN:,} more")


@contextmanager
def _shown(console: Console, done: str) -> Iterator[Observer]:
    """Yield what shows each step: a bar on a terminal, else a line now and then."""
    if console.is_terminal:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=console, transient=True) as progress:
            assignment = progress.add_task("images", total=None)
            yield lambda step: progress.update(assignment, advance=step.images, total=step.of)
        return
    images, told = 0, time.monotonic()

    def tell(step: Step) -> None:
        nonlocal images, told
        images += step.images
        if time.monotonic() - told >= _LINE_SECONDS:
            told = time.monotonic()
            console.print(f"{time.strftime('%H:%M:%S')} {done} {images:,} of {step.of:,} images")

    yield tell
