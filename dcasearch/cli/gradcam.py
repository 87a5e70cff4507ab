"""`dcasearch gradcam`: what is parsed and printed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dcasearch.cli.arguments import AsJson, MaxParams, Specs, Storage
from dcasearch.cli.console import make_console
from dcasearch.errors import UserError

if TYPE_CHECKING:
    from rich.console import Console

    from dcasearch.interpretation.energy import Mean, StageEnergy
    from dcasearch.interpretation.looking import Look


def gradcam(
    images: Annotated[list[Path] | None, typer.Argument(help="Image files.", show_default=False)] = None,
    spec: Specs = [],  # noqa: B006 - typer takes no tuple; nothing changes it
    data: Annotated[
        str | None, typer.Option(help="In place of images: a data set with boxes (shapes); measures what is inside.")
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="With --data: how many of its test images.")] = 200,
    shown: Annotated[int, typer.Option(min=1, help="With --data: how many of them are drawn.")] = 4,
    class_: Annotated[
        str | None, typer.Option("--class", help="The class to explain, by name or number; else the predicted one.")
    ] = None,
    resolution: Annotated[int | None, typer.Option(min=1, help="Pixels per side; else each spec's.")] = None,
    out: Annotated[Path, typer.Option(help="Folder of the contact sheet and the overlays.")] = Path("gradcam"),
    storage: Storage = None,
    max_params: MaxParams = None,
    as_json: AsJson = False,
) -> None:
    """Draw where networks look, stage by stage (Grad-CAM, the paper's Figure 4): a row a network, a column a stage.

    With --data shapes it also measures the share of each map inside the box of the object. The box's share of the area
    stands beside it: an even map would get that.
    """
    if not spec:
        raise UserError("no network is named: --spec SPEC, once for each")
    if bool(images) == bool(data):
        raise UserError("give image files, or --data with the name of a data set that has boxes: one of the two")
    from dcasearch.cli.referring import spec_file
    from dcasearch.interpretation.contact_sheet import save_all
    from dcasearch.interpretation.energy import energies, pictures_with_boxes
    from dcasearch.interpretation.looking import look, read_pictures
    from dcasearch.interpretation.subjects import load_subjects

    console = make_console(stderr=as_json)
    subjects = load_subjects([spec_file(one, storage) for one in spec], resolution)
    pictures = pictures_with_boxes(data, count) if data else read_pictures(images or [])
    looks = [list(look(subject, pictures, class_)) for subject in subjects]
    files = save_all(looks, out, shown if data else len(pictures))
    measured = energies(looks) if data else []
    if as_json:
        print(json.dumps(_plain(looks, measured, files), indent=1))
        return
    if data:
        _print_energies(console, looks, measured)
    else:
        _print_looks(console, looks)
    console.print(f"{files[0]}: the contact sheet; {len(files) - 1} overlays beside it")


def _print_looks(console: Console, looks: Sequence[Sequence[Look]]) -> None:
    from dcasearch.cli.tables import make_table

    table = make_table("image", "spec", "attention", "predicted", "probability", "state")
    for group in zip(*looks, strict=True):
        for look in group:
            subject = look.subject
            said = "; ".join(f"{stage} is {why}" for stage, why in look.empty.items())
            table.add_row(
                look.picture.name,
                subject.name,
                subject.words,
                subject.class_name(look.predicted),
                f"{look.probability:.1%}",
                said,
            )
    console.print(table)


def _print_energies(console: Console, looks: Sequence[Sequence[Look]], measured: Sequence[StageEnergy]) -> None:
    from dcasearch.cli.tables import make_table

    words = {of_one[0].subject.name: of_one[0].subject.words for of_one in looks}
    table = make_table(
        "spec", "attention", "stage", "inside the boxes", "boxes' area", "zero maps", "against the first spec"
    )
    for found in measured:
        table.add_row(
            found.spec,
            words[found.spec],
            found.stage,
            _share(found.inside),
            "" if found.area is None else f"{found.area:.1%}",
            f"{found.zero} of {found.zero + found.images}",
            "" if found.ahead is None else _share(found.ahead, sign="+"),
        )
    console.print(table)
    for of_one in looks:
        correct = accuracy(of_one)
        if correct is not None:
            console.print(f"{of_one[0].subject.name}: {correct:.1%} of the {len(of_one)} images are classified rightly")
    console.print("means over images with their 95% intervals; an even map has the boxes' share of the area inside")


def _share(mean: Mean | None, sign: str = "") -> str:
    if mean is None:
        return "all maps are zero"
    return f"{mean.value:{sign}.1%}" + ("" if mean.margin is None else f" ± {mean.margin:.1%}")


def accuracy(looks: Sequence[Look]) -> float | None:
    """Return the share of pictures whose class is predicted; None where classes are not known."""
    if any(look.picture.label is None for look in looks):
        return None
    return sum(look.predicted == look.picture.label for look in looks) / len(looks)


def _plain(looks: Sequence[Sequence[Look]], measured: Sequence[StageEnergy], files: Sequence[Path]) -> dict[str, Any]:
    """Return everything as plain data for JSON."""
    subjects = [of_one[0].subject for of_one in looks]
    return {
        "specs": [
            {
                "name": subject.name,
                "file": str(subject.path),
                "id": subject.spec.id,
                "words": subject.words,
                "resolution": subject.resolution,
                "accuracy": accuracy(of_one),
                "stages": [asdict(stage) for stage in subject.model.stages],
            }
            for subject, of_one in zip(subjects, looks, strict=True)
        ],
        "images": [
            {
                "image": look.picture.name,
                "spec": look.subject.name,
                "predicted": look.subject.class_name(look.predicted),
                "probability": look.probability,
                "explained": look.subject.class_name(look.target),
                "empty": look.empty,
            }
            for of_one in looks
            for look in of_one
        ],
        "energy": [asdict(found) for found in measured],
        "files": [str(file) for file in files],
    }
