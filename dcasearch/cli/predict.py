"""`dcasearch predict`: what is parsed, how far it is, what is printed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import track

from dcasearch.cli.arguments import MaxParams, Storage
from dcasearch.cli.console import make_console
from dcasearch.wording import share

if TYPE_CHECKING:
    from rich.console import Console

    from dcasearch.export.prediction import Prediction

_CLASSES, _MOST_BOXES = 5, 100
_SHOWN = 20
"""Images whose predictions are printed where a CSV holds all of them."""


def predict(
    network: Annotated[
        Path,
        typer.Argument(
            help="A model spec; a study's name for its chosen network; STUDY/FIDELITY/NUMBER or an id's beginning.",
            show_default=False,
        ),
    ],
    images: Annotated[list[Path], typer.Argument(help="Image files, and folders of them.", show_default=False)],
    out: Annotated[Path | None, typer.Option("--csv", help="Write every prediction into this file.")] = None,
    top: Annotated[
        int | None, typer.Option(min=1, help="Classes of each image, else 5; of a detector boxes at most, else 100.")
    ] = None,
    score: Annotated[float, typer.Option(min=0, max=1, help="A detector's box of a lower score is left out.")] = 0.3,
    draw: Annotated[
        Path | None, typer.Option(help="Of a detector: the folder for the images with their boxes.")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Images at a time.")] = 32,
    workers: Annotated[int, typer.Option(min=0, help="Processes that read image files.")] = 2,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 …")] = "auto",
    storage: Storage = None,
    max_params: MaxParams = None,
) -> None:
    """Say what an exported network sees in your own images: classes with probabilities, or boxes."""
    from dcasearch.cli.referring import spec_or_study
    from dcasearch.errors import DataError
    from dcasearch.export.prediction import csv_of, images_of
    from dcasearch.export.prediction import predict as look
    from dcasearch.export.spec import load_spec
    from dcasearch.files import write_whole
    from dcasearch.metrics import TASKS

    console = make_console()
    spec = spec_or_study(network, storage)
    found = images_of(images)
    boxes = TASKS[load_spec(spec).task].finds_boxes
    seen = look(
        spec,
        found.paths,
        top=top or (_MOST_BOXES if boxes else _CLASSES),
        score=score,
        batch_size=batch_size,
        workers=workers if len(found.paths) > batch_size else 0,
        device=device,
    )
    predictions = list(_followed(console, seen, len(found.paths)))
    _print(console, predictions if out is None else predictions[:_SHOWN])
    if out is not None:
        write_whole(out, csv_of(predictions, boxes=boxes).encode())
        console.print(f"{out}: {len(predictions):,} images")
    if draw is not None:
        from dcasearch.interpretation.predicted import draw_predictions

        written = draw_predictions(predictions, draw)
        console.print(f"{draw}: {len(written):,} images with their boxes")
    _print_unreadable(console, predictions, found.passed.notes)
    if all(prediction.unreadable is not None for prediction in predictions):
        raise DataError("no image could be read")


def _followed(console: Console, seen: Iterator[Prediction], total: int) -> Iterator[Prediction]:
    if not console.is_terminal:
        yield from seen
        return
    yield from track(seen, "images", total=total, console=console, transient=True)


def _print(console: Console, predictions: list[Prediction]) -> None:
    from dcasearch.cli.tables import print_long

    rows = [
        [prediction.path, ", ".join(f"{guess.label} {guess.score:.1%}" for guess in prediction.guesses) or "nothing"]
        for prediction in predictions
        if prediction.unreadable is None
    ]
    if rows:
        print_long(console, ["image", "what it is"], rows)


def _print_unreadable(console: Console, predictions: list[Prediction], notes: tuple[str, ...]) -> None:
    for note in notes:
        console.print(f"note: {note}", style="yellow")
    broken = [prediction for prediction in predictions if prediction.unreadable is not None]
    if broken:
        console.print(f"{share(broken, len(predictions), 'images')} unreadable:", style="yellow")
        for prediction in broken[:_SHOWN]:
            console.print(f"  {prediction.path}: {prediction.unreadable}", style="yellow")
        if len(broken) > _SHOWN:
            console.print(f"  and {len(broken) - _SHOWN} more", style="yellow")
