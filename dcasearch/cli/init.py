"""`dcasearch init`: the shipped studies, or a study for images of one's own."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dcasearch.cli.console import make_console
from dcasearch.errors import UserError
from dcasearch.wording import in_one_line

if TYPE_CHECKING:
    from rich.console import Console

    from dcasearch.proposal import Proposal
    from dcasearch.proposal.looking import Observer

_HOURS = 0.5
_SHOWN, _CLASSES = 5, 12
"""Files of a kind, and classes, that are named."""
_FEW = 10
"""Images of a class below which its result is chance."""


def init(
    name: Annotated[
        Path,
        typer.Argument(
            help="A new folder for the shipped studies; with --data the new study's name.", show_default=False
        ),
    ],
    data: Annotated[
        Path | None,
        typer.Option(
            help="Your images: a folder of class folders, with or without train and test; or a CSV or Parquet."
        ),
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option(help="With --data: the network, also of a library (`dcasearch backbones`); else one is chosen."),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            help="With --data: trained weights to start from: a file, an exported spec, or timm/MODEL.TAG or "
            "torchvision/MODEL.TAG, or scratch for none; else those of the network that are on this machine already."
        ),
    ] = None,
    hours: Annotated[
        float | None, typer.Option(min=0.01, help=f"With --data: how long the study may take here, else {_HOURS:g}.")
    ] = None,
) -> None:
    """Write a study to start from. Overwrites nothing.

    With --data it looks at your images and at this machine, and writes NAME.yaml and NAME_space.yaml that fit both.
    Without it the shipped studies and search spaces are copied into the folder NAME.
    """
    console = make_console()
    if data is None:
        if backbone is not None or hours is not None or weights is not None:
            raise UserError("--backbone, --weights and --hours belong to --data DIR")
        _copy(console, name)
        return
    from dcasearch.proposal import propose

    with _bar(console) as observe:
        proposal = propose(data, name, hours=hours or _HOURS, backbone=backbone, weights=weights, observe=observe)
    _print(console, proposal, data)


def _copy(console: Console, folder: Path) -> None:
    from dcasearch.cli.shipped import copy_shipped

    for file in copy_shipped(folder):
        console.print(str(file))
    console.print(f"try: dcasearch run {folder / 'studies' / 'quickstart.yaml'}")


@contextmanager
def _bar(console: Console) -> Iterator[Observer]:
    """Yield what shows how many images were looked at; nothing where the output is no terminal."""
    if not console.is_terminal:
        yield lambda done, total: None
        return
    from rich.progress import Progress

    with Progress(console=console, transient=True) as progress:
        bar = progress.add_task("looking at the images", total=None)
        yield lambda done, total: progress.update(bar, completed=done, total=total)


def _print(console: Console, proposal: Proposal, place: Path) -> None:
    from dcasearch.analysis.answers import duration

    looked, plan = proposal.looked, proposal.plan
    most = sorted(looked.counts.items(), key=lambda item: -item[1])
    counts = ", ".join(f"{in_one_line(name)} {count:,}" for name, count in most[:_CLASSES])
    more = f" and {len(most) - _CLASSES} more" if len(most) > _CLASSES else ""
    console.print(f"{looked.images:,} images of {len(most)} classes: {counts}{more}")
    if looked.sides is not None:
        least, median, greatest = looked.sides
        console.print(f"shorter side {least} to {greatest} pixels, {median} at the median")
    for line in _concerns(proposal):
        console.print(f"note: {line}", style="yellow")
    rung = plan.rung
    width = "" if rung.width == 1 else f" × {rung.width:g}"
    console.print(
        f"{proposal.machine.words}: {rung.backbone}{width} at {rung.resolution} pixels, {plan.trials} trials, "
        f"about {duration(3600 * plan.hours)} in all"
    )
    for line in proposal.start:
        console.print(f"start: {line}", highlight=False)
    if not plan.fits:
        console.print("note: that is longer than was asked for, but no smaller study is worth it", style="yellow")
    written = (proposal.study, proposal.space, proposal.groups)
    console.print(f"written: {', '.join(in_one_line(file) for file in written if file is not None)}")
    study, images = (shlex.quote(in_one_line(path)) for path in (proposal.study, _images(place)))
    console.print(f"next: dcasearch check {study}    # what it will cost", highlight=False)
    console.print(f"      dcasearch run {study}", highlight=False)
    console.print(f"      dcasearch predict {proposal.study.stem} {images} --csv predictions.csv", highlight=False)


def _images(place: Path) -> Path:
    """Return where new images would be looked for: the folder, or that of a list."""
    return place if place.is_dir() else place.parent


def _concerns(proposal: Proposal) -> Iterator[str]:
    """Yield what is odd about the images, a sentence each."""
    looked = proposal.looked
    yield from looked.notes
    if looked.decoded and looked.decoded < looked.images:
        yield f"{looked.decoded:,} of {looked.images:,} images were looked at, drawn at random"
    if looked.unreadable:
        first = list(looked.unreadable.items())[:_SHOWN]
        listed = "".join(f"\n  {in_one_line(path)}: {in_one_line(why)}" for path, why in first)
        more = f"\n  and {len(looked.unreadable) - _SHOWN} more" if len(looked.unreadable) > _SHOWN else ""
        yield f"{len(looked.unreadable)} of {looked.decoded:,} images cannot be read and are left out:{listed}{more}"
    if looked.copies:
        example = " and ".join(map(in_one_line, looked.copies[0][:2]))
        yield f"{sum(map(len, looked.copies))} images show {len(looked.copies)} pictures (near copies), e.g. {example}"
    if looked.contradicting:
        example = " and ".join(map(in_one_line, looked.contradicting[0][:2]))
        yield f"of these pictures {len(looked.contradicting)} are in several classes (a wrong label), e.g. {example}"
    if proposal.groups is not None:
        yield f"{proposal.groups} keeps the copies of a picture on one side of every split; add new images there"
    if looked.torn:
        yield f"of these pictures {looked.torn} are in several parts, so the test knows some of what is trained on"
    few = [name for name, count in looked.counts.items() if count < _FEW]
    if few:
        shown = ", ".join(map(in_one_line, few[:_SHOWN])) + (" …" if len(few) > _SHOWN else "")
        yield f"fewer than {_FEW} images: {shown}; a result for such a class is chance"
