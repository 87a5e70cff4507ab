"""The JSON Schemas of our YAML as files, and the comment by which an editor finds one without a network."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dcasearch.config import study_schema
from dcasearch.space import space_schema

SCHEMAS: Mapping[str, Callable[[], dict[str, Any]]] = {"study": study_schema, "space": space_schema}
FOLDER = "schemas"
"""Beside the YAML that `dcasearch init --data` writes, and beside the shipped `studies` and `search_spaces`."""


def schema_text(kind: str) -> str:
    """Return a schema as a file holds it; `kind` is a key of `SCHEMAS`."""
    return json.dumps(SCHEMAS[kind](), indent=1) + "\n"


def write_schemas(beside: Path) -> None:
    """Write the schemas into a folder beside some YAML; those that are there stay as they are."""
    (beside / FOLDER).mkdir(exist_ok=True)
    for kind in SCHEMAS:
        file = beside / FOLDER / f"{kind}.json"
        if not file.exists():
            file.write_text(schema_text(kind), encoding="utf-8")


def schema_comment(kind: str) -> str:
    """Return the first line of a YAML whose schema lies beside it; editors with the YAML language server read it."""
    return f"# yaml-language-server: $schema={FOLDER}/{kind}.json"
