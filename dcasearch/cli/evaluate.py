"""`dcasearch evaluate`: an exported network, measured on images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dcasearch.cli.arguments import Exported
from dcasearch.cli.console import make_console
from dcasearch.errors import UserError, nearest
from dcasearch.metrics import METRICS

if TYPE_CHECKING:
    from rich.console import Console

    from dcasearch.data import Split
    from dcasearch.measurement import Measurement

_SPLITS: tuple[Split, ...] = ("validation", "test")


def evaluate(
    spec: Exported,
    data: Annotated[
        str,
        typer.Option(
            help="Folder of the images: val/<class>/<image>, a prepared set, or that of the spec's own data set; "
            "or the name of a data set that needs no folder."
        ),
    ],
    split: Annotated[str, typer.Option(help="The data's own images: validation or test.")] = "validation",
    resolution: Annotated[int | None, typer.Option(min=1, help="Pixels per side; else the spec's.")] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Images of a batch.")] = 256,
    workers: Annotated[int, typer.Option(min=0, help="Processes that read image files.")] = 2,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 …")] = "auto",
    storage: Annotated[
        str | None, typer.Option(help="Database URL; else DCASEARCH_STORAGE, else sqlite:///dcasearch.db.")
    ] = None,
) -> None:
    """Measure an exported network on images, print top-1 and top-5, and store them. Trains nothing."""
    wanted = _split(split)
    from dcasearch.cli.referring import spec_file
    from dcasearch.export import evaluate as measure
    from dcasearch.export import load_spec
    from dcasearch.export.evaluating import check_storage, record
    from dcasearch.store import default_url, redact

    spec = spec_file(spec, storage)
    console, said = make_console(), load_spec(spec)
    url = storage or default_url()
    check_storage(url)
    if said.class_names is None:
        console.print("the spec does not name its classes: class n of the data, in alphabetical order, is output n")
    measured = measure(
        spec, data, split=wanted, resolution=resolution, batch_size=batch_size, workers=workers, device=device
    )
    if measured.key.split != wanted:
        console.print(f"{data} has no {wanted} images of its own; its {measured.key.split} images are measured")
    _print_measurement(console, spec, measured)
    stored = record(said, measured, url)
    if stored is measured:
        console.print(f"stored in {redact(url)}")
        return
    same = "with equal values" if stored.values == measured.values else f"with {_shown(stored)}"
    console.print(
        f"{redact(url)} has these weights on these images already, measured {stored.measured:%Y-%m-%d %H:%M} UTC on "
        f"{stored.device} {same}; nothing is replaced"
    )


def _print_measurement(console: Console, spec: Path, measured: Measurement) -> None:
    key = measured.key
    where = f"{measured.images:,} {key.split} images, {key.classes} classes, {key.resolution} pixels"
    console.print(f"{spec}: {where}, {measured.seconds:.1f} s on {measured.device}")
    for name, value in measured.values.items():
        interval = measured.interval(name)
        of_images = "" if interval is None else f", 95% interval {interval[0]:.2f} to {interval[1]:.2f}"
        console.print(f"  {METRICS[name].shown(value)}{of_images}")
    if any(measured.interval(name) is not None for name in measured.values):
        console.print("  (the intervals count the images alone; another training of the network would differ by more)")


def _shown(measured: Measurement) -> str:
    return ", ".join(METRICS[name].shown(value) for name, value in measured.values.items())


def _split(name: str) -> Split:
    """Return a split by its name.

    Raises:
        UserError: there is no such split.
    """
    for split in _SPLITS:
        if name == split:
            return split
    raise UserError(f"--split: '{name}' is not a split; {nearest(name, _SPLITS)}")
