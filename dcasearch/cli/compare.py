"""`dcasearch compare`: several networks side by side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dcasearch.cli.arguments import AsJson, Storage
from dcasearch.cli.console import make_console

if TYPE_CHECKING:
    from rich.console import Console

    from dcasearch.analysis.comparison import ComparedNetwork


def compare(
    networks: Annotated[
        list[str],
        typer.Argument(
            help="Two or more: STUDY/FIDELITY/NUMBER, STUDY/FIDELITY/BASELINE, the beginning of an id, or a YAML file.",
            show_default=False,
        ),
    ],
    svg: Annotated[Path | None, typer.Option(help="Write a drawing of what differs.")] = None,
    png: Annotated[Path | None, typer.Option(help="Write the drawing as PNG.")] = None,
    storage: Storage = None,
    as_json: AsJson = False,
) -> None:
    """Set networks side by side: what differs, what was measured, and whether the difference counts."""
    from dcasearch.analysis.comparison import compare_networks
    from dcasearch.cli.networks import write_drawing
    from dcasearch.cli.referring import opened, referred
    from dcasearch.drawing import draw_comparison
    from dcasearch.errors import UserError

    if len(networks) < 2:
        raise UserError("name two networks or more")
    console = make_console(stderr=as_json)
    store = opened(networks, storage)
    if store is not None:
        console.print(f"database {store.url}")
    named = [referred(store, name) for name in networks]
    found = compare_networks(store, named)
    if svg is not None or png is not None:
        drawing = draw_comparison([one.architecture.network for one in named], [one.name for one in named])
        write_drawing(console, drawing, svg, png)
    if as_json:
        print(json.dumps([_plain(one) for one in found], indent=1))
        return
    _print(console, found)


def _print(console: Console, found: list[ComparedNetwork]) -> None:
    from dcasearch.analysis.power import legend
    from dcasearch.analysis.words import counts, in_numbers
    from dcasearch.cli.tables import make_table

    headline = next((one.headline for one in found if one.headline is not None), None)
    if headline is not None:
        table = make_table("", headline.heading, "seeds", "first − this", "does it count?", "architecture")
        for one in found:
            mean = "" if one.mean is None else f"{one.mean:{headline.digits}}"
            seeds = ", ".join(map(str, one.values))
            table.add_row(
                one.name, mean, seeds, in_numbers(one.difference), counts(one.difference), one.architecture_id
            )
        console.print(table)
    first, *others = found
    console.print(f"{first.name}: {first.sentence}")
    for one in others:
        same = one.architecture_id == first.architecture_id
        console.print(f"{one.name}: {'the same network' if same else one.against_first or one.sentence}")
    if lines := legend([one.difference for one in found if one.difference is not None]):
        console.print("\n" + "\n".join(lines), style="dim")


def _plain(one: ComparedNetwork) -> dict[str, Any]:
    """Return a network as plain data."""
    told = one.difference
    return {
        "name": one.name,
        "architecture_id": one.architecture_id,
        "in_words": one.sentence,
        "against_first": one.against_first,
        "metric": None if one.headline is None else one.headline.name,
        "values": {str(seed): value for seed, value in one.values.items()},
        "first_minus_this": None if told is None else told.value,
        "margin": None if told is None else told.margin,
        "resolved": None if told is None else told.resolved,
    }
