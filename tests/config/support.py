"""A study that has nothing wrong, to be spoilt."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dcasearch.config import Document
from dcasearch.config.study import Study
from dcasearch.config.study_files import read_study
from dcasearch.errors import ConfigError

FIRST: dict[str, Any] = {"name": "proxy", "trials": 5, "resolution": 16, "epochs": 4}
LATER: dict[str, Any] = {"name": "full", "promote": {"top": 2}, "resolution": 16, "epochs": 8}


def written(**changes: Any) -> dict[str, Any]:
    """A study as parsed from YAML."""
    return {"name": "tiny", "space": {}, "data": {"name": "digits"}, "fidelities": [FIRST], **changes}


def read(data: Mapping[str, Any]) -> tuple[Study | None, list[str]]:
    """The study, and what is wrong with it."""
    document = Document("study.yaml", dict(data))
    study = read_study(document)
    return study, [problem.message for problem in document.problems]


def good(**changes: Any) -> Study:
    study, problems = read(written(**changes))
    assert study is not None
    assert problems == []
    return study


def mistakes(**changes: Any) -> list[str]:
    return read(written(**changes))[1]


def write(folder: Path, text: str, name: str = "file.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def places(error: ConfigError) -> list[tuple[int, int, str]]:
    return [(p.line, p.column, p.message) for p in error.problems]


def undescribed(node: Any, path: str = "") -> list[str]:
    """Return the keys of a JSON Schema that say nothing to whoever writes them."""
    if isinstance(node, list):
        return [found for one in node for found in undescribed(one, path)]
    if not isinstance(node, dict):
        return []
    found = []
    for key, value in node.items():
        if key != "properties":
            found += undescribed(value, f"{path}/{key}")
            continue
        for name, one in value.items():
            words = one.get("description", "")
            found += [] if words[:1].strip() and words.endswith((".", ")")) else [f"{path}.{name}"]
            found += undescribed(one, f"{path}.{name}")
    return found
