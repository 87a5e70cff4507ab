"""No kind of attention and no backbone is known by name outside its own room, and no option of a kind either."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from dcasearch.architecture import BACKBONES, KINDS

PACKAGE = Path(__file__).parents[1] / "dcasearch"
ROOMS = {"kinds": ("architecture/kinds", "models/attention"), "backbones": ("architecture/layouts", "models/backbones")}
"""Where declarations and modules are, in files of equal names."""
SHARED = {"__init__.py", "base.py", "declaration.py", "layout.py"}
"""Files of those folders that are no kind's and no backbone's own; `bottleneck.py` is several kinds' own."""
FAMILIES = {family.family for family in BACKBONES.values()}
OTHERS_OPTION = {("space/grammar.py", "reduction")}
"""A matching by fc2 has an option of its own that is called as one of the kinds'."""
RELEASED = "paper/released/"
"""The authors' released networks and the names in their files: they are fixed, no new kind changes a word there."""
SOURCES = {
    name: ast.parse(path.read_text())
    for path in sorted(PACKAGE.rglob("*.py"))
    if not (name := path.relative_to(PACKAGE).as_posix()).startswith(RELEASED)
}


def strings(tree: ast.AST) -> Iterator[str]:
    """Yield every string constant that is no docstring: neither a module's, a function's nor an attribute's."""
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value


def identifiers(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.alias):
            yield node.name.rpartition(".")[2]


def says(text: str, name: str) -> bool:
    return re.search(rf"(?<![a-z0-9_]){re.escape(name)}(?![a-z0-9_])", text.lower()) is not None


def own_files(name: str, room: str) -> set[str]:
    """Return the one file that declares a name, and the one that builds it."""
    declaring, building = ROOMS[room]
    homes = [
        Path(path).name
        for path, tree in SOURCES.items()
        if path.startswith(f"{declaring}/") and name in strings(tree) and Path(path).name not in SHARED
    ]
    assert len(homes) == 1, f"{name} is declared in {homes or 'no file'}"
    return {f"{declaring}/{homes[0]}", f"{building}/{homes[0]}"}


def own_classes() -> dict[str, set[str]]:
    """Return the classes that kinds and backbones define, each with the names of its files."""
    folders = tuple(folder + "/" for pair in ROOMS.values() for folder in pair)
    own: dict[str, set[str]] = {}
    for path, tree in SOURCES.items():
        if path.startswith(folders) and Path(path).name not in SHARED:
            for node in ast.walk(tree):
                if isinstance(node, ast.ClassDef):
                    own.setdefault(node.name, set()).add(Path(path).name)
    return own


NAMES = [(name, "kinds") for name in KINDS if name != "none"] + [(name, "backbones") for name in BACKBONES]


@pytest.mark.parametrize(("name", "room"), NAMES)
def test_a_kind_or_a_backbone_is_named_in_its_own_files_alone(name: str, room: str) -> None:
    home = own_files(name, room)
    assert {path for path, tree in SOURCES.items() if any(says(text, name) for text in strings(tree))} <= home


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_a_backbones_family_is_named_in_its_own_files_alone(family: str) -> None:
    naming = {path for path, tree in SOURCES.items() if any(family in text.lower() for text in strings(tree))}
    assert naming
    assert all(path.startswith(ROOMS["backbones"]) for path in naming)
    assert len({Path(path).name for path in naming}) == 1


def test_a_class_of_a_kind_or_a_backbone_is_named_in_its_own_files_alone() -> None:
    classes = own_classes()
    assert len(classes) > 10
    for path, tree in SOURCES.items():
        foreign = {name for name, homes in classes.items() if Path(path).name not in homes}
        assert not foreign & {*identifiers(tree), *strings(tree)}, path


@pytest.mark.parametrize("option", sorted({option.name for kind in KINDS.values() for option in kind.options}))
def test_an_option_of_a_kind_is_named_in_the_kinds_room_alone(option: str) -> None:
    naming = {path for path, tree in SOURCES.items() if option in strings(tree)}
    assert naming
    assert {path for path in naming if (path, option) not in OTHERS_OPTION} <= {
        path for path in naming if path.startswith(ROOMS["kinds"])
    }
