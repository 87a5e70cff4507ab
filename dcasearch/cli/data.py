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
from dcasearch.cli.interruption import Signalled
from dcasearch.errors import Interrupted, StudyFailed

if TYPE_CHECKING:
    from dcasearch.data.shard_work import Observer, Step

data = typer.Typer(help="Image folders, prepared once and read without decoding.", no_args_is_help=True)
Workers = Annotated[int | None, typer.Option(min=0, help="Processes; else one a core.")]
_LINE_SECONDS = 30.0
"""Between two lines where the output is no terminal."""
_SHOWN = 20
"""Unreadable or damaged files that are spelt out."""


@data.command()
def prepare(
    root: Annotated[Path, typer.Argument(help="The folder of the original images.", show_default=False)],
    size: Annotated[int, typer.Option(min=8, help="Pixels per side; about 8/7 of the resolution.", show_default=False)],
    out: Annotated[Path, typer.Option(help="The folder to write.", show_default=False)],
    workers: Workers = None,
    max_corrupt: Annotated[
        float, typer.Option(min=0, max=1, help="Share of unreadable images over which it stops.")
    ] = 0.001,
) -> None:
    """Decode and resize a folder of images once, so that trainings read it without decoding.

    Give the result to a study as `data: {name: imagenet, root: OUT}` (or imagefolder). The same command goes on after
    any interruption, and mends files that `data verify` found damaged. The shorter side is resized to SIZE and the
    centre square cut out, so its values are not comparable with those of the original images.
    """
    from dcasearch.data import preparing

    console = make_console()
    root, out = root.expanduser(), out.expanduser()
    began = time.monotonic()
    kept = 0

    with _shown(console, "prepared") as show:

        def observe(step: Step) -> None:
            nonlocal kept
            kept += step.shard.kept * step.images
            show(step)

        try:
            index = preparing.prepare(
                root, out, size=size, workers=_workers(workers), max_corrupt=max_corrupt, observe=observe
            )
        except Signalled as signalled:
            raise Interrupted(
                "interrupted; what is done is kept, the same command goes on", signalled.exit_code
            ) from None
    for name, part in index.parts.items():
        gigabytes = part.images * 3 * size**2 / 1e9
        console.print(
            f"{name}: {part.images:,} images of {len(index.classes):,} classes, {len(part.shards):,} files, "
            f"{gigabytes:,.2f} GB, {len(part.unreadable):,} unreadable"
        )
    unreadable = [f"  {path}: {why}" for part in index.parts.values() for path, why in part.unreadable.values()]
    if unreadable:
        console.print("left out, since they cannot be read:")
        _print_some(console, unreadable)
    if kept:
        console.print(
            f"{kept:,} images were there before; their originals have the same names and sizes (`data verify --deep` "
            "looks at their content)"
        )
    for note in index.passed_over:
        console.print(f"note: {note}")
    console.print(
        f"{out} is prepared at {size} pixels in {time.monotonic() - began:,.0f} s, fingerprint {index.fingerprint}; "
        f"in a study: data: {{name: …, root: {out}}}"
    )


@data.command()
def verify(
    folder: Annotated[Path, typer.Argument(help="A prepared folder.", show_default=False)],
    deep: Annotated[
        bool,
        typer.Option("--deep", help="Also decode the original images again and compare every pixel."),
    ] = False,
    source: Annotated[
        Path | None, typer.Option(help="With --deep: the original images; else where they lay when they were prepared.")
    ] = None,
    workers: Workers = None,
) -> None:
    """Read a prepared folder and compare every file with its checksum.

    An original image whose content changed while its size did not is seen by --deep alone: `prepare` knows originals by
    name and size.
    """
    from dcasearch.data import verifying

    console = make_console()
    folder = folder.expanduser()
    with _shown(console, "compared") as show:
        problems = verifying.verify(folder, workers=_workers(workers), observe=show)
    if deep and not problems:
        with _shown(console, "decoded and compared") as show:
            changed = verifying.verify_source(folder, source, workers=_workers(workers), observe=show)
        _print_some(console, changed)
        if changed:
            raise StudyFailed(
                f"{len(changed)} original images are not what was prepared; prepare them anew into another folder"
            )
    if problems:
        _print_some(console, problems)
        raise StudyFailed(
            f"{len(problems)} files of {folder} are damaged; the `dcasearch data prepare` that made it mends them, or "
            "copy them again"
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
        console.print(line)
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
