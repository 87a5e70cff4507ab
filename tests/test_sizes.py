"""Functions fit on a screen, modules are one noun, and a long list of arguments is given by name."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "dcasearch"
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent.name != "versions")
"""Without the migrations, which stay as they were when they were run first."""
FUNCTION_LINES, MODULE_LINES, POSITIONAL = 60, 400, 7


def shown(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def long_functions(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if (node.end_lineno or 0) - node.lineno + 1 > FUNCTION_LINES:
            yield f"{shown(path)}: {node.name}"


def positional(node: ast.ClassDef) -> int:
    """Return how many arguments the constructor that a class writes down takes by position."""
    for init in node.body:
        if isinstance(init, ast.FunctionDef) and init.name == "__init__":
            return len(init.args.posonlyargs) + len(init.args.args) - 1
    decorators = [ast.unparse(decorator) for decorator in node.decorator_list]
    if not any(d.startswith("dataclass") and "kw_only=True" not in d for d in decorators):
        return 0
    fields = 0
    for field in node.body:
        if isinstance(field, ast.AnnAssign):
            if ast.unparse(field.annotation) == "KW_ONLY":
                break
            fields += field.value is None or "init=False" not in ast.unparse(field.value)
    return fields


def many_positional(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ClassDef) and positional(node) > POSITIONAL:
            yield f"{shown(path)}: {node.name}"


@pytest.mark.parametrize("path", MODULES, ids=shown)
def test_no_function_is_longer_than_a_screen(path: Path) -> None:
    assert list(long_functions(path)) == []


@pytest.mark.parametrize("path", MODULES, ids=shown)
def test_no_module_is_long(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MODULE_LINES


@pytest.mark.parametrize("path", MODULES, ids=shown)
def test_a_constructor_of_eight_arguments_takes_them_by_name(path: Path) -> None:
    assert list(many_positional(path)) == []


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ("class A:\n    def __init__(self, a, b, *, c): ...", 2),
        ("@dataclass(frozen=True)\nclass A:\n    a: int\n    b: int = field(init=False)\n    c: int = 0", 2),
        ("@dataclass\nclass A:\n    a: int\n    _: KW_ONLY\n    b: int", 1),
        ("@dataclass(kw_only=True)\nclass A:\n    a: int", 0),
        ("class A:\n    a: int", 0),
    ],
)
def test_what_a_constructor_takes_by_position_is_counted(source: str, count: int) -> None:
    (node,) = ast.parse(source).body
    assert isinstance(node, ast.ClassDef)
    assert positional(node) == count
