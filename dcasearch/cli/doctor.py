"""`dcasearch doctor`: what is parsed and printed."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from dcasearch.cli.arguments import AsJson, Storage
from dcasearch.cli.console import make_console

_COLOURS = {"ok": "green", "note": "yellow", "problem": "red"}


def doctor(
    study: Annotated[
        Path | None,
        typer.Argument(help="A study's YAML: its data and executor are looked at too.", show_default=False),
    ] = None,
    storage: Storage = None,
    as_json: AsJson = False,
) -> None:
    """Look at this machine: versions, device, database, disk, shared memory, data. Each line says what to do."""
    from dcasearch.cli.storage import placed
    from dcasearch.cli.tables import make_table
    from dcasearch.doctor import examine
    from dcasearch.errors import StudyFailed
    from dcasearch.space import load_study
    from dcasearch.store import default_url, storage_of

    loaded = None if study is None else placed(load_study(study))
    url = storage or (default_url() if loaded is None or loaded.missing_variables else storage_of(loaded.study))
    findings = list(examine(loaded, url))
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings], indent=1))
    else:
        table = make_table("", "state", "what is there", "what to do")
        for finding in findings:
            table.add_row(finding.name, Text(finding.state, _COLOURS[finding.state]), finding.found, finding.todo)
        make_console().print(table)
    if any(finding.state == "problem" for finding in findings):
        raise StudyFailed("this machine lacks something; the table says what to do")
