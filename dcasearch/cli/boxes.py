"""`dcasearch boxes`: what is parsed and printed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dcasearch.cli.arguments import Exported, MaxParams, Storage
from dcasearch.cli.console import make_console


def boxes(
    spec: Exported,
    data: Annotated[
        str | None, typer.Option(help="Folder of the data that the detector was trained on; not needed for shapes.")
    ] = None,
    images: Annotated[int, typer.Option(min=1, help="How many validation images, each class in proportion.")] = 12,
    score: Annotated[float, typer.Option(min=0, max=1, help="A box of a lower score is not drawn.")] = 0.3,
    out: Annotated[Path, typer.Option(help="The PNG to write.")] = Path("boxes.png"),
    storage: Storage = None,
    max_params: MaxParams = None,
) -> None:
    """Draw what a detector finds in validation images, beside the boxes of the objects: one contact sheet.

    Every detector of one data set gets the same images.
    """
    from dcasearch.cli.referring import spec_file
    from dcasearch.interpretation.boxes import save_boxes
    from dcasearch.interpretation.finding import sighting_of

    seen = sighting_of(spec_file(spec, storage), root=data, count=images)
    save_boxes(seen.detected, seen.class_names, out, score)
    make_console().print(
        f"{out}: {seen.network} on {len(seen.detected)} images of {seen.images.title}; {seen.objects} objects, "
        f"{seen.drawn(score)} boxes of a score of at least {score:.2f}"
    )
