"""What the tests of a room's list of private parts share."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parents[1] / "dcasearch"
WITH_LISTS = {
    "optuna": PACKAGE / "store" / "optuna_private.py",
    "ray": PACKAGE / "executors" / "ray" / "ray_private.py",
}
"""Dependency -> the one module that may touch its private parts."""


def listed(dependency: str) -> dict[str, str]:
    """Return the list `PRIVATE` of a dependency's module, without importing what may have moved."""
    for node in ast.parse(WITH_LISTS[dependency].read_text()).body:
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "PRIVATE" and node.value is not None:
            found: dict[str, str] = ast.literal_eval(node.value)
            return found
    raise AssertionError(f"{WITH_LISTS[dependency]} has no PRIVATE")


def look_up(name: str, instances: Mapping[str, Any]) -> Any:
    """Return what stands behind `module:name`; `instances` are of the classes whose attributes are an instance's."""
    module, _, path = name.partition(":")
    found: Any = importlib.import_module(module)
    parts = path.split(".")
    for n, part in enumerate(parts):
        owner = f"{module}:{'.'.join(parts[:n])}"
        found = getattr(found if hasattr(found, part) else instances.get(owner, found), part)
    return found
