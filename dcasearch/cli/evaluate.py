"""`dcasearch evaluate`: an exported network, measured on images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from dcasearch.cli.arguments import Exported, MaxParams
from dcasearch.cli.console import make_console
from dcasearch.errors import UserError, nearest
from dcasearch.metrics import METRICS
from dcasearch.wording import counted

if TYPE_CHECKING:
    from PIL.Image import Image
    from rich.console import Console

    from dcasearch.data import Split
    from dcasearch.export.evaluating import Examined
    from dcasearch.measurement import Measurement

_Row = TypeVar("_Row")
_SPLITS: tuple[Split, ...] = ("validation", "test")
_ALL, _WORST = 20, 10
"""Classes, or unreadable images, that are printed in full; classes that are printed where there are more."""


def evaluate(
    spec: Exported,
    data: Annotated[
        str,
        typer.Option(
            help="Folder of the images: val/<class>/<image>, a prepared set, or that of the spec's own data set; "
            "the CSV or Parquet file of a list; or the name of a data set that needs no folder."
        ),
    ],
    split: Annotated[str, typer.Option(help="The data's own images: validation or test.")] = "validation",
    resolution: Annotated[int | None, typer.Option(min=1, help="Pixels per side; else the spec's.")] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Images of a batch.")] = 256,
    workers: Annotated[int, typer.Option(min=0, help="Processes that read image files.")] = 2,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 …")] = "auto",
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for tables and pictures: classes.csv, and predictions.csv, confusion.png, confusion.svg and "
            "mistakes.png of a classifier, or boxes.png of a detector."
        ),
    ] = None,
    storage: Annotated[
        str | None, typer.Option(help="Database URL; else DCASEARCH_STORAGE, else sqlite:///dcasearch.db.")
    ] = None,
    max_params: MaxParams = None,
) -> None:
    """Measure an exported network on images, print its metrics and those of each class, and store them.

    Trains nothing.
    """
    wanted = _split(split)
    from dcasearch.cli.referring import spec_file
    from dcasearch.export import load_spec
    from dcasearch.export.evaluating import check_storage, examine, record
    from dcasearch.store import default_url, redact

    spec = spec_file(spec, storage)
    console, said = make_console(), load_spec(spec)
    url = storage or default_url()
    check_storage(url)
    if said.class_names is None:
        console.print("the spec does not name its classes: class n of the data, in alphabetical order, is output n")
    seen = examine(
        spec, data, split=wanted, resolution=resolution, batch_size=batch_size, workers=workers, device=device
    )
    measured = seen.measurement
    if measured.key.split != wanted:
        console.print(f"{data} has no {wanted} images of its own; its {measured.key.split} images are measured")
    _print_measurement(console, spec, seen)
    _print_classes(console, seen)
    _print_unreadable(console, seen)
    if out is not None:
        _write(seen, out)
        console.print(f"{out}: {', '.join(sorted(path.name for path in out.iterdir()))}")
    _print_stored(console, measured, record(said, measured, url), redact(url))


def _print_stored(console: Console, measured: Measurement, stored: Measurement, url: str) -> None:
    if stored is measured:
        console.print(f"stored in {url}")
        return
    both = all(measured.values.get(name) == value for name, value in stored.values.items())
    same = "with equal values" if both else f"with {_shown(stored)}"
    console.print(
        f"{url} has these weights on these images already, measured {stored.measured:%Y-%m-%d %H:%M} UTC on "
        f"{stored.device} {same}; nothing is replaced"
    )


def _print_measurement(console: Console, spec: Path, seen: Examined) -> None:
    from dcasearch.export.answers import intervals_of

    measured = seen.measurement
    key = measured.key
    where = f"{measured.images:,} {key.split} images, {key.classes} classes, {key.resolution} pixels"
    console.print(f"{spec}: {where}, {measured.seconds:.1f} s on {measured.device}")
    drawn = {} if seen.answers is None else intervals_of(seen.answers)
    intervals = {name: measured.interval(name) or drawn.get(name) for name in measured.values}
    for name, value in measured.values.items():
        interval = intervals[name]
        of_images = "" if interval is None else f", 95% interval {interval[0]:.2f} to {interval[1]:.2f}"
        console.print(f"  {METRICS[name].shown(value)}{of_images}")
    if any(intervals.values()):
        console.print("  (the intervals count the images alone; another training of the network would differ by more)")


def _print_classes(console: Console, seen: Examined) -> None:
    """Print a row for each class, or those of the worst classes where there are many."""
    from dcasearch.cli.tables import print_long
    from dcasearch.export.answers import classes_of

    if seen.answers is None:
        rows = sorted(seen.of_classes.items(), key=lambda one: one[1])
        head = ["class", "AP %"]
        cells = [[name, f"{value:.2f}"] for name, value in _some(console, rows, list(seen.of_classes.items()), "AP")]
    else:
        known = classes_of(seen.answers)
        worst = sorted((row for row in known if row.recall is not None), key=lambda row: row.recall or 0.0)
        head = ["class", "images", "recall %", "95% interval", "precision %", "F1 %"]
        cells = [
            [
                row.name,
                f"{row.images:,}",
                _percent(row.recall),
                "" if row.interval is None else f"{row.interval[0]:.1f} to {row.interval[1]:.1f}",
                _percent(row.precision),
                _percent(row.f1),
            ]
            for row in _some(console, worst, list(known), "recall")
        ]
    if cells:
        print_long(console, head, cells)


def _some(console: Console, worst: list[_Row], rows: list[_Row], by: str) -> list[_Row]:
    """Return all rows where they are few, else the worst ones, and say so."""
    if len(rows) <= _ALL:
        return rows
    console.print(f"the {_WORST} classes of the lowest {by}, of {len(rows)}; --out writes all into classes.csv")
    return worst[:_WORST]


def _print_unreadable(console: Console, seen: Examined) -> None:
    if not seen.unreadable:
        return
    console.print(f"{counted(seen.unreadable, 'image is', 'images are')} unreadable and left out:", style="yellow")
    for name, why in list(seen.unreadable.items())[:_ALL]:
        console.print(f"  {name}: {why}", style="yellow")
    if len(seen.unreadable) > _ALL:
        console.print(f"  and {len(seen.unreadable) - _ALL} more", style="yellow")


def _write(seen: Examined, out: Path) -> None:
    from dcasearch.export.answers import classes_csv, classes_of, precision_csv, predictions_csv
    from dcasearch.files import write_whole
    from dcasearch.interpretation.measured import detections_sheet, mistakes_sheet

    if seen.answers is None:
        write_whole(out / "classes.csv", precision_csv(seen.of_classes.items()).encode())
        _write_sheet(detections_sheet(seen), out / "boxes.png")
        return
    from dcasearch.interpretation.confusion import confusion_figure

    write_whole(out / "predictions.csv", predictions_csv(seen.answers).encode())
    write_whole(out / "classes.csv", classes_csv(classes_of(seen.answers)).encode())
    drawn = confusion_figure(seen.answers)
    write_whole(out / "confusion.svg", drawn.svg.encode())
    write_whole(out / "confusion.png", drawn.png)
    _write_sheet(mistakes_sheet(seen), out / "mistakes.png")


def _write_sheet(sheet: Image | None, path: Path) -> None:
    """Write a contact sheet; where there is none, that of an earlier measurement goes."""
    if sheet is None:
        path.unlink(missing_ok=True)
        return
    from dcasearch.files import replacing

    with replacing(path) as unfinished:
        sheet.save(unfinished, "PNG")


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


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
