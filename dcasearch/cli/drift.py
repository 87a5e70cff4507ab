"""`dcasearch drift`: what is parsed and printed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dcasearch.cli.arguments import MaxParams, Specs, Storage
from dcasearch.cli.console import make_console
from dcasearch.cli.contributions import Device, OfStudy, Out, Root, keep_for, print_reading

if TYPE_CHECKING:
    import torch
    from rich.console import Console

    from dcasearch.interpretation.drift_comparison import Watched
    from dcasearch.interpretation.images import Images
    from dcasearch.interpretation.subjects import Subject


def drift(
    spec: Specs,
    data: Annotated[
        str | None,
        typer.Option(help="A data set's name, or the folder of the specs' data set; else the specs' data set."),
    ] = None,
    root: Root = None,
    images: Annotated[int, typer.Option(min=2, help="How many images, of all classes in proportion.")] = 256,
    seed: Annotated[int, typer.Option(help="Of the untrained networks.")] = 0,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write every number into this file.")] = None,
    out: Out = Path("drift"),
    study: OfStudy = None,
    storage: Storage = None,
    max_params: MaxParams = None,
    device: Device = "auto",
) -> None:
    """Measure how far the focus moves between stages: Grad-CAM, spatial attention, CKA of attention.

    Each network is compared with an untrained one of its architecture, and the first with each other. Give the
    vanilla network and the controls as further --spec. Writes drift.svg and drift.png. Needs captum.
    """
    from dcasearch.cli.referring import spec_file
    from dcasearch.files import write_whole
    from dcasearch.interpretation.drift_reading import draw_figure, reading_of
    from dcasearch.interpretation.images import images_of, made_with
    from dcasearch.interpretation.subjects import load_subjects
    from dcasearch.report.readings import to_json
    from dcasearch.training.network import choose_device

    console = make_console()
    where = choose_device(device)
    subjects = load_subjects([spec_file(one, storage) for one in spec], device=where)
    shown = images_of(subjects, data, root)
    watched = [
        each for subject in subjects for each in _watched(console, subject, shown, count=images, seed=seed, where=where)
    ]
    drawn = draw_figure(watched)
    count = watched[0].tracks[0].images
    made = {**made_with(where), "seed of the untrained networks": str(seed)}
    reading = reading_of(watched, f"{count:,} of {shown.title}", made, drawn.svg)
    print_reading(console, reading)
    if json_file is not None:
        write_whole(json_file, to_json(reading).encode())
        console.print(f"{json_file}")
    if out is not None:
        write_whole(out / "drift.svg", drawn.svg.encode())
        write_whole(out / "drift.png", drawn.png)
        console.print(f"{out}: drift.svg, drift.png")
    keep_for(console, reading, study, storage)


def _watched(
    console: Console, subject: Subject, shown: Images, *, count: int, seed: int, where: torch.device
) -> Iterator[Watched]:
    """Look at a network, then at its untrained ones; only a connected network has coefficients to keep."""
    from dcasearch.interpretation.drift import tracks_of
    from dcasearch.interpretation.drift_comparison import VARIANTS, Watched
    from dcasearch.interpretation.images import sample
    from dcasearch.interpretation.untrained import untrained

    model = subject.model.to(where)
    loader = sample(shown, subject, count, where)
    for variant in VARIANTS if model.network.edges else VARIANTS[:2]:
        console.print(f"looking at {subject.name}, {variant}")
        if variant != "trained":
            model = untrained(subject, loader, seed=seed, with_coefficients=variant != "untrained")
        yield Watched(name=subject.name, variant=variant, tracks=tuple(tracks_of(model, loader)))
