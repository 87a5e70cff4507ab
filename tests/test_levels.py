"""Each room imports only from rooms above it in this list; study.py's reader meets no cycle."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "dcasearch"
LEVELS = [
    {
        "bounds",
        "errors",
        "registry",
        "metrics",
        "files",
        "masking",
        "processes",
        "architecture",
        "drawing",
        "artifacts",
        "evaluation",
        "measurement",
        "trial",
        "typos",
        "wording",
    },
    {"config", "assignment"},
    {"space"},
    {"models"},
    {"scores", "data", "training"},
    {"store", "executors", "search"},
    {
        "meaning",
        "study",
        "analysis",
        "report",
        "dashboard",
        "export",
        "ablation",
        "interpretation",
        "paper",
        "full_training",
        "chaos",
        "gpu_check",
        "replay",
        "results",
        "doctor",
        "smoke",
        "proposal",
        "schemas",
    },
    {"cli", "__main__"},
]
LEVEL_OF = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE or path.stem != "__init__")
WITHOUT_TORCH = {
    "bounds",
    "errors",
    "registry",
    "metrics",
    "files",
    "architecture",
    "drawing",
    "artifacts",
    "evaluation",
    "measurement",
    "trial",
    "typos",
    "wording",
    "config",
    "assignment",
    "space",
    "store",
}


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    """Every module that a file imports, wherever in the file."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_room_imports_only_from_its_own_and_higher_levels(path: Path) -> None:
    level = LEVEL_OF[room_of(path)]
    for name in imported(path):
        parts = name.split(".")
        if parts[0] == "dcasearch" and len(parts) > 1:
            assert LEVEL_OF[parts[1]] <= level, f"{path} imports {name} from a lower level"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_what_describes_an_architecture_or_stores_it_needs_no_torch(path: Path) -> None:
    if room_of(path) in WITHOUT_TORCH:
        assert not {name for name in imported(path) if name.split(".")[0] in ("torch", "torchvision")}


def test_only_one_room_knows_ray() -> None:
    users = {path for path in MODULES if any(name.split(".")[0] == "ray" for name in imported(path))}
    assert users
    assert all(path.parent == PACKAGE / "executors" / "ray" for path in users)


def test_ray_is_imported_only_once_it_is_used() -> None:
    code = "import sys, dcasearch, dcasearch.cli, dcasearch.study; sys.exit('ray' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


HARNESSES = {"chaos", "replay"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_harness_is_imported_by_the_command_line_alone(path: Path) -> None:
    used = {parts[1] for name in imported(path) if (parts := name.split("."))[0] == "dcasearch" and len(parts) > 1}
    if room_of(path) != "cli":
        assert used & HARNESSES <= {room_of(path)}
