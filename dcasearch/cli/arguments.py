"""Arguments that several commands share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

StudyFile = Annotated[Path, typer.Argument(help="The study's YAML.", show_default=False)]
StudyName = Annotated[str, typer.Argument(help="The study's name, or its YAML.", show_default=False)]
_NETWORK = "A model spec; or, of a study's networks with weights, STUDY/FIDELITY/NUMBER, STUDY/FIDELITY/BASELINE, "
Exported = Annotated[
    Path, typer.Argument(help=f"{_NETWORK}STUDY/final/chosen or an id's beginning.", show_default=False)
]
Specs = Annotated[
    list[Path], typer.Option("--spec", help=f"{_NETWORK}STUDY/final/chosen or an id's beginning; repeatable.")
]


def _unmasked(url: str | None) -> str | None:
    if url is None:
        return None
    from dcasearch.store import unmasked

    return unmasked(url)


Storage = Annotated[
    str | None,
    typer.Option(
        callback=_unmasked, help="Database URL; else the study's, else DCASEARCH_STORAGE, else sqlite:///dcasearch.db."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def _limited(most: str | None) -> str | None:
    """Let this process and its children build networks up to so many parameters."""
    if most is not None:
        from dcasearch.models.max_params import VARIABLE, max_params

        os.environ[VARIABLE] = most
        max_params()
    return most


MaxParams = Annotated[
    str | None,
    typer.Option(
        "--max-params",
        callback=_limited,
        help="Refuse a network of more parameters, before it is built, e.g. 500M; else 2G, or DCASEARCH_MAX_PARAMS.",
        show_default=False,
    ),
]
"""The callback does it all: the command need not look at the value."""
