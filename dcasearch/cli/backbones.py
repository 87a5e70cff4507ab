"""`dcasearch backbones`: what is parsed and printed."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from dcasearch.cli.arguments import AsJson
from dcasearch.cli.console import make_console


def backbones(
    family: Annotated[
        str | None, typer.Option(help="Only networks of this file of the library, e.g. regnet.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the networks of timm and torchvision that were tried, and why some do not work or work in part."""
    from dcasearch.architecture import BACKBONES
    from dcasearch.architecture.measured import CHECKS, NO, YES, measured
    from dcasearch.cli.tables import make_table
    from dcasearch.errors import UserError, nearest

    rows = [row for row in measured() if family in (None, row.family)]
    if not rows:
        raise UserError(f"'{family}' is no family of networks; {nearest(family, {row.family for row in measured()})}")
    if as_json:
        print(json.dumps([asdict(row) for row in rows], indent=1))
        return
    console = make_console()
    table = make_table("network", "parameters", "blocks", "stages", "on branch", "own attention", "what it is")
    for row in rows:
        missing = [word for word in CHECKS if getattr(row, word) == NO]
        said = "; ".join(filter(None, [f"fails: {', '.join(missing)}" if missing else "works", row.note]))
        blocks = (str(row.blocks), str(row.stages), str(row.on_branch)) if row.built == YES else ("", "", "")
        table.add_row(row.name, f"{row.parameters / 1e6:.1f}M", *blocks, row.own_attention, said)
    console.print(table)
    console.print(f"{sum(row.works for row in rows)} of {len(rows)} pass every check:")
    for key, said in CHECKS.items():
        console.print(f"  {key}: {said}", highlight=False)
    versions = ", ".join(sorted({f"{row.name.partition('/')[0]} {row.version}" for row in rows}))
    console.print(f"Measured with {versions}. Other networks of both may be written too: `check` traces them.")
    if family is None:
        console.print(f"Prepared by this package: {', '.join(sorted(BACKBONES))}.")
