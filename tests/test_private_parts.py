"""Private parts of a dependency are touched in one module each, and bound the dependency's version."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import dcasearch
from tests.private_names import PACKAGE, WITH_LISTS, listed

MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path not in WITH_LISTS.values())
PUBLIC = {"_exit", "_version"}
"""Names with an underscore that nothing public stands for: os._exit, and Tensor._version, the count of changes in place
that torch's notes on autograd describe."""
LISTED = {name.rpartition(".")[2].rpartition(":")[2] for dependency in WITH_LISTS for name in listed(dependency)}


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def private_uses(source: str) -> Iterator[str]:
    """Yield what a source touches that is private and not its own."""
    tree = ast.parse(source)
    own = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
           and isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")}  # fmt: skip
    own |= {
        node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    }
    own |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr) and node.attr not in own | PUBLIC:
            yield ast.unparse(node)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if any(map(is_private, alias.name.split("."))))
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] != "dcasearch":
            names = [*node.module.split("."), *(alias.name for alias in node.names)]
            if any(map(is_private, names)):
                yield f"{node.module}: {', '.join(alias.name for alias in node.names)}"
        elif isinstance(node, ast.Constant) and node.value in LISTED and is_private(str(node.value)):
            yield repr(node.value)


@pytest.mark.parametrize(
    "source",
    [
        "study._storage",
        "self.optuna._storage.f()",
        "from optuna.storages._rdb import models",
        "from optuna.study._multi_objective import front",
        "import ray._private.services",
        "from ray.experimental.internal_kv import _internal_kv_get",
        "getattr(storage, '_get_trials')",
    ],
)
def test_the_search_for_private_parts_finds(source: str) -> None:
    assert list(private_uses(source))


@pytest.mark.parametrize("source", ["self._a = 1\nother._a", "def _f(): ...\nf._f()", "os._exit(1)", "x.__dict__"])
def test_the_search_for_private_parts_leaves_out(source: str) -> None:
    assert not list(private_uses(source))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_private_parts_are_touched_in_their_own_module_alone(path: Path) -> None:
    assert not list(private_uses(path.read_text()))


def test_no_class_replaces_a_private_method_of_a_dependency_elsewhere() -> None:
    found: set[tuple[str, str]] = set()
    for info in pkgutil.walk_packages(dcasearch.__path__, "dcasearch."):
        if ".migrations" in info.name or info.name.endswith("__main__"):
            continue
        module = importlib.import_module(info.name)
        if Path(module.__file__ or "") in WITH_LISTS.values():
            continue
        for thing in vars(module).values():
            if inspect.isclass(thing) and thing.__module__ == info.name:
                found |= {(info.name, name) for name in replaced(thing)}
    assert not found


def replaced(cls: type) -> set[str]:
    """Return the private names of a class that replace those of a base outside of the package."""
    bases = [
        base for base in cls.__mro__ if base.__module__.split(".")[0] not in ("dcasearch", *sys.stdlib_module_names)
    ]
    return {name for name, value in vars(cls).items() if inspect.isfunction(value) and is_private(name)} & {
        name for base in bases for name in vars(base)
    }


@pytest.mark.parametrize("dependency", WITH_LISTS)
def test_a_dependency_with_private_parts_has_an_upper_bound(dependency: str) -> None:
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())["project"]
    (bound,) = (line for line in project["dependencies"] if re.match(rf"{dependency}\b", line))
    assert re.search(r"<\d", bound), bound


@pytest.mark.parametrize("dependency", WITH_LISTS)
def test_everything_in_a_list_is_used_by_its_module(dependency: str) -> None:
    source = "".join(path.read_text() for path in WITH_LISTS[dependency].parent.glob("*.py"))
    for name, purpose in listed(dependency).items():
        assert purpose
        last = re.split(r"[.:]", name)[-1]
        assert len(re.findall(rf"\b{last}\b", source)) > 1, name
