"""Arguments that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

StudyFile = Annotated[Path, typer.Argument(help="The study's YAML.", show_default=False)]
StudyName = Annotated[str, typer.Argument(help="The study's name, or its YAML.", show_default=False)]
Exported = Annotated[Path, typer.Argument(help="A model spec that `export`, `train` or `paper import` wrote.")]
Storage = Annotated[
    str | None,
    typer.Option(help="Database URL; else the study's, else DCASEARCH_STORAGE, else sqlite:///dcasearch.db."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
