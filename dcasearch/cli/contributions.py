"""`dcasearch contributions`: what is parsed and printed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dcasearch.cli.arguments import MaxParams, Specs, Storage
from dcasearch.cli.console import make_console

if TYPE_CHECKING:
    from rich.console import Console

    from dcasearch.report.readings import Reading

Root = Annotated[str | None, typer.Option(help="The data's folder, where --data is a name or is left out.")]
Out = Annotated[Path | None, typer.Option(help="Folder of the files that are written.")]
OfStudy = Annotated[
    str | None,
    typer.Option("--study", help="Also keep the result beside this study's artifacts, for `dcasearch report`."),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 …")]


def contributions(
    spec: Specs,
    data: Annotated[
        str | None,
        typer.Option(help="Also read shares over images: a data set's name, or the folder of the specs' data set."),
    ] = None,
    root: Root = None,
    images: Annotated[int, typer.Option(min=2, help="How many images, of all classes in proportion.")] = 1024,
    out: Out = Path("contributions"),
    study: OfStudy = None,
    storage: Storage = None,
    max_params: MaxParams = None,
    device: Device = "auto",
) -> None:
    """Say how much of what each block transforms comes from earlier blocks (the paper's Figure 5).

    From the weights alone; with --data or --root also over images. Writes contributions.csv, .svg and .png.
    """
    from dcasearch.cli.referring import spec_file
    from dcasearch.errors import UserError
    from dcasearch.files import write_whole
    from dcasearch.interpretation.contribution_reading import Read, csv_of, draw_figure, reading_of
    from dcasearch.interpretation.contributions import contributions_of
    from dcasearch.interpretation.images import images_of, made_with, sample
    from dcasearch.interpretation.subjects import load_subjects
    from dcasearch.training.network import choose_device

    where = choose_device(device)
    subjects = load_subjects([spec_file(one, storage) for one in spec], device=where)
    shown = None if data is None and root is None else images_of(subjects, data, root)
    read = [
        Read(s, tuple(contributions_of(s.model, None if shown is None else sample(shown, s, images, where))))
        for s in subjects
    ]
    if not any(r.contributions for r in read):
        raise UserError("no network has a connection, so there is nothing to read")
    title = None if shown is None else f"{images:,} of {shown.title}"
    drawn = draw_figure(read, title)
    reading = reading_of(read, title, made_with(where), drawn.svg)
    console = make_console()
    print_reading(console, reading)
    if out is not None:
        write_whole(out / "contributions.csv", csv_of(read).encode())
        write_whole(out / "contributions.svg", drawn.svg.encode())
        write_whole(out / "contributions.png", drawn.png)
        console.print(f"{out}: contributions.csv, contributions.svg, contributions.png")
    keep_for(console, reading, study, storage)


def print_reading(console: Console, reading: Reading) -> None:
    """Print a reading's table and sentences."""
    from dcasearch.cli.tables import make_table

    table = make_table(*reading.columns)
    for row in reading.rows:
        table.add_row(*row)
    console.print(table)
    for sentence in reading.says:
        console.print(sentence)


def keep_for(console: Console, reading: Reading, study: str | None, storage: str | None) -> None:
    """Keep a reading beside the artifacts of a study, where one is named."""
    if study is None:
        return
    from dcasearch.analysis.standing import load_study_of
    from dcasearch.artifacts import open_artifacts
    from dcasearch.cli.storage import open_study
    from dcasearch.report.readings import keep

    name, store = open_study(study, storage, console)
    place = keep(reading, open_artifacts(load_study_of(store, name).artifacts), name)
    console.print(f"{place}; `dcasearch report {study}` shows it")
