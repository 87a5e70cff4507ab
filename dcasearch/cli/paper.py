"""`dcasearch paper`: the paper's tables and figures, each from one command."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dcasearch.cli.console import make_console
from dcasearch.cli.group import Commands

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from dcasearch.paper.accuracy import Reached
    from dcasearch.paper.tables import DetectionLine, FilledDetection, FilledTable, Line
    from dcasearch.store import Store

paper = typer.Typer(
    cls=Commands, help="The paper's tables and figures, beside what is built and trained here.", no_args_is_help=True
)
Database = Annotated[
    str | None, typer.Option(help="Database URL; else DCASEARCH_STORAGE, else sqlite:///dcasearch.db where it exists.")
]
_WIDE = 110
"""Columns from which a row's accuracies stand on one line."""
_NARROW_NAME = 12
"""Characters of a name; a longer one stands on two lines where a terminal is narrower."""


_PARAMS = "params: as printed, in millions; ours are exact"
_ACCURACY = "accuracy: top-1 and top-5 in percent, on ImageNet-1k's validation images at 224 pixels"
_UNUSED = (
    "unused: parameters of the connection that the authors' first block owns. Nothing sends to it. They are in the "
    "printed count and are not built here"
)
_PRECISION = (
    "AP: COCO's average precision in percent, the mean over IoU 0.5 to 0.95; AP50 and AP75: at IoU 0.5 and 0.75; "
    "small, medium, large: of objects below 32², from 32² to 96² and above 96² pixels. Measured on COCO's validation "
    "images, whose shorter side is resized to 800 pixels"
)
_DETECTORS = {"retinanet": "RetinaNet", "cascade_rcnn": "Cascade R-CNN"}
_PRECISION_HEADS = ("AP", "AP50", "AP75", "AP\nsmall", "AP\nmedium", "AP\nlarge")


@paper.callback()
def _paper() -> None:
    """The paper's tables and figures, beside what is built and trained here."""


@paper.command()
def tables(
    table: Annotated[int | None, typer.Option(min=1, max=7, help="One table; else all.")] = None,
    storage: Database = None,
    csv: Annotated[Path | None, typer.Option(help="Also write the tables to this CSV file.")] = None,
) -> None:
    """Print tables 1 to 7: the paper's parameters, GFLOPs, accuracies and average precisions, with ours beside them.

    Parameters and GFLOPs of ours are counted on the network that is built. Accuracies and average precisions of ours
    are those of the database.
    """
    from dcasearch.paper.rows import detection_table, paper_tables

    console = make_console()
    store = _read(storage, console)
    from dcasearch.paper.accuracy import detected, reached
    from dcasearch.paper.tables import fill, fill_detection, write_csv

    filled: list[FilledTable | FilledDetection] = []
    known = {} if store is None else reached(store)
    for one in paper_tables():
        if table in (None, one.number):
            of_networks = fill(one, known)
            print_table(console, of_networks)
            filled.append(of_networks)
    if table in (None, detection_table().number):
        of_detectors = fill_detection(detection_table(), {} if store is None else detected(store))
        print_detection(console, of_detectors)
        filled.append(of_detectors)
    if csv is not None:
        write_csv(filled, csv)
        console.print(f"{csv}")


@paper.command()
def figure1(
    out: Annotated[Path, typer.Option(help="The file to write: .svg or .png.", show_default=False)],
    storage: Database = None,
    study: Annotated[list[str] | None, typer.Option(help="A study of the database, and again; else all.")] = None,
    fidelity: Annotated[
        str | None, typer.Option(help="Of which fidelity, or `final`; else each study's last fidelity.")
    ] = None,
    printed: Annotated[
        bool, typer.Option("--printed", help="Draw the paper's own table 1 in place of a database.")
    ] = False,
) -> None:
    """Draw accuracy against parameters: plain, vanilla and connected networks of any studies.

    A vanilla network and the same network with connections are joined by an arrow. Values are means over seeds.
    Trainings that were not measured alike stand in panels of their own.
    """
    from dcasearch.errors import UserError

    console = make_console()
    if printed and (storage or study or fidelity):
        raise UserError("--printed draws the paper's figures; it takes no --storage, --study and --fidelity")
    from dcasearch.paper.figure1 import draw
    from dcasearch.paper.points import panels_of, printed_panels

    if printed:
        panels = printed_panels()
    else:
        store = _read(storage, console)
        panels = [] if store is None else panels_of(store, study or (), fidelity)
    draw(panels, out)
    networks = sum(len(panel.points) for panel in panels)
    console.print(f"{out}: {networks} networks, {', '.join(panel.title for panel in panels)}")


def _read(storage: str | None, console: Console) -> Store | None:
    """Open the database, and say which one it is; None where none was named and there is none."""
    from dcasearch.store import Store, default_url, exists

    if storage is None and not exists(default_url()):
        console.print("no database: accuracies of ours are unknown")
        return None
    store = Store.open(storage or default_url())
    console.print(f"database {store.url}")
    return store


def print_table(console: Console, table: FilledTable) -> None:
    """Print one table with its footnotes."""
    console.print(f"\nTable {table.number}. {table.title}")
    console.print(_shown(table, wide=console.width >= _WIDE))
    legend = [_PARAMS, _ACCURACY]
    if any(line.counts.unused for line in table.lines):
        legend.append(_UNUSED)
    if not all(line.same_params and line.same_gflops for line in table.lines):
        legend.append("≠: ours does not round to the printed figure")
    _print_below(console, legend, table.notes)


def print_detection(console: Console, table: FilledDetection) -> None:
    """Print table 7 with its footnotes: two lines a row, as printed and ours."""
    from rich.table import Table

    console.print(f"\nTable {table.number}. {table.title}")
    shown = Table(box=None, padding=(0, 2 if console.width >= _WIDE else 1, 0, 0), header_style="dim")
    shown.add_column("\nbackbone", no_wrap=True)
    shown.add_column("", no_wrap=True)
    for head in _PRECISION_HEADS:
        shown.add_column(head if "\n" in head else f"\n{head}", justify="right", no_wrap=True)
    shown.add_column("\nnotes")
    for detector, lines in groupby(table.lines, lambda line: line.row.detector):
        shown.add_row(_DETECTORS[detector])
        for line in lines:
            shown.add_row(*_as_printed(line))
            shown.add_row(*_ours(line))
    console.print(shown)
    _print_below(console, [_PRECISION, *table.remarks], table.notes)


def _as_printed(line: DetectionLine) -> tuple[str, ...]:
    from dcasearch.paper.rows import PRECISIONS

    values = (f"{line.row.printed[metric]:.1f}" for metric in PRECISIONS)
    return (f"  {line.row.name}", "paper", *values, ", ".join(map(str, line.notes)))


def _ours(line: DetectionLine) -> tuple[str, ...]:
    from dcasearch.paper.rows import PRECISIONS
    from dcasearch.paper.tables import NOT_TRAINED

    if not line.reached:
        return "", NOT_TRAINED
    return ("", "ours", *(line.reached[0].shown(metric, digits=1) for metric in PRECISIONS))


def _print_below(console: Console, legend: Sequence[str], notes: Sequence[str]) -> None:
    """Print what stands below a table."""
    width = min(console.width, 120)
    for text in legend:
        console.print(textwrap.fill(text, width))
    for number, note in enumerate(notes, 1):
        console.print(textwrap.fill(f"{number}. {note}", width, subsequent_indent=" " * len(f"{number}. ")))


def _shown(table: FilledTable, *, wide: bool) -> Table:
    from rich.table import Table

    shown = Table(box=None, padding=(0, 2 if wide else 1, 0, 0), header_style="dim")
    shown.add_column("\nnetwork", no_wrap=True)
    for column in ("params\npaper", "\nours", "\nunused", "GFLOPs\npaper", "\nours"):
        shown.add_column(column, justify="right", no_wrap=True)
    for column in ("accuracy\npaper", "\nours"):
        shown.add_column(column, no_wrap=True)
    shown.add_column("\nnotes")
    for line in table.lines:
        shown.add_row(*_cells(line, wide=wide))
    return shown


def _cells(line: Line, *, wide: bool) -> tuple[str, ...]:
    from dcasearch.paper.tables import NOT_TRAINED

    printed, counts = line.row.printed, line.counts
    name, accuracy = line.row.name, f"{printed.top1:.2f} / {printed.top5:.2f}"
    ours = _accuracy(line.reached[0]) if line.reached else NOT_TRAINED
    if not wide:
        name = _broken(name) if len(name) > _NARROW_NAME else name
        accuracy, ours = (cell.replace(" / ", "\n").replace("trained ", "trained\n") for cell in (accuracy, ours))
    return (
        name,
        f"{printed.params:.2f}",
        f"{counts.params:,}{'' if line.same_params else '≠'}",
        f"{counts.unused:,}" if counts.unused else "",
        f"{printed.gflops:.3f}",
        f"{counts.operations / 1e9:.3f}{'' if line.same_gflops else '≠'}",
        accuracy,
        ours,
        ", ".join(map(str, line.notes)),
    )


def _accuracy(ours: Reached) -> str:
    """Return the means over the seeds, top-1 before top-5."""
    return " / ".join(ours.shown(metric, digits=2) for metric in ("top1", "top5"))


def _broken(name: str) -> str:
    """Break a name at its last hyphen, or at its space."""
    return "-\n".join(name.rsplit("-", 1)) if "-" in name else name.replace(" ", "\n")
