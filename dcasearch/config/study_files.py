"""Reads studies, recipes and written-out architectures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path as File
from typing import Any

import yaml

from dcasearch.architecture import Architecture
from dcasearch.config.checks import check_study
from dcasearch.config.document import Document, KeyPath, Report, load_yaml
from dcasearch.config.recipe import Recipe
from dcasearch.config.study import Study
from dcasearch.config.validation import validate
from dcasearch.errors import ArchitectureError, ConfigError, UserError, nearest

_EPOCHS = "epochs"
"""A recipe file's one key that is no part of the recipe: a fidelity has its own."""


@dataclass(frozen=True)
class RecipeFile:
    """A recipe, and the length of the full training that it is meant for."""

    recipe: Recipe
    epochs: int | None
    """None where the file says none."""


@cache
def _shipped_files() -> Mapping[str, Mapping[str, Any]]:
    folder = files("dcasearch.config") / "recipes"
    return {
        file.name.removesuffix(".yaml"): yaml.safe_load(file.read_text(encoding="utf-8"))
        for file in folder.iterdir()
        if file.name.endswith(".yaml")
    }


@cache
def shipped_recipes() -> Mapping[str, Mapping[str, Any]]:
    """Return the recipes that come with the package, by name, without their epochs."""
    return {
        name: {key: value for key, value in content.items() if key != _EPOCHS}
        for name, content in _shipped_files().items()
    }


def recipe_names() -> list[str]:
    """Return the names of the shipped recipes."""
    return sorted(shipped_recipes())


def load_recipe(name: str) -> RecipeFile:
    """Return a shipped recipe by its name, or a YAML file's; the file may start from a shipped one (`base: light`).

    Raises:
        UserError: it is neither.
        ConfigError: with every mistake, by file:line:column.
    """
    if name in _shipped_files():
        return RecipeFile(Recipe.model_validate(shipped_recipes()[name]), _shipped_files()[name].get(_EPOCHS))
    if not File(name).suffix:
        raise UserError(f"'{name}' is not a recipe; {nearest(name, recipe_names())} A file ends in .yaml.")
    document = load_yaml(File(name))
    written = dict(document.data)
    epochs = written.pop(_EPOCHS, None)
    if epochs is None and written.get("base") in _shipped_files():
        epochs = _shipped_files()[written["base"]].get(_EPOCHS)
    if epochs is not None and (type(epochs) is not int or epochs < 1):
        document.report((_EPOCHS,), f"must be a number of epochs, at least 1; got {epochs}")
    recipe = validate(Recipe, _recipe(written, (), document.report), document.report)
    if document.problems or recipe is None:
        raise ConfigError(document.problems)
    return RecipeFile(recipe, epochs)


def read_study(document: Document) -> Study | None:
    """Return a document's study with its recipes filled in, or None after noting what is wrong.

    `space` must be a mapping here already; whoever loads the study has read it from its file.
    """
    data = dict(document.data)
    fidelities = data.get("fidelities")
    if isinstance(fidelities, list):
        data["fidelities"] = [_with_recipes(f, ("fidelities", n), document.report) for n, f in enumerate(fidelities)]
    study = validate(Study, data, document.report)
    if study is not None:
        check_study(study, document.report)
    return study


def _with_recipes(fidelity: Any, path: KeyPath, report: Report) -> Any:
    """Fill in the recipe of a fidelity, and that of the parents it starts from."""
    if not isinstance(fidelity, dict):
        return fidelity
    filled = dict(fidelity)
    if "recipe" in filled:
        filled["recipe"] = _recipe(filled["recipe"], (*path, "recipe"), report)
    if isinstance(filled.get("initialize"), dict):
        filled["initialize"] = _with_recipes(filled["initialize"], (*path, "initialize"), report)
    return filled


def _recipe(written: Any, path: KeyPath, report: Report) -> Any:
    """Return a whole recipe from a name, from `{base: name, …}`, or as it is."""
    changes: dict[str, Any] = {}
    name = written
    if isinstance(written, dict):
        changes = {key: value for key, value in written.items() if key != "base"}
        name = written.get("base")
    if name is None:
        return changes
    if not isinstance(name, str) or name not in shipped_recipes():
        report(
            (*path, "base") if isinstance(written, dict) else path,
            f"'{name}' is not a recipe; {nearest(name, recipe_names())}",
        )
        return changes
    return _merged(shipped_recipes()[name], changes)


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with `changes`, part by part where both are mappings."""
    return {
        **base,
        **{
            key: _merged(base[key], value) if isinstance(value, dict) and isinstance(base.get(key), dict) else value
            for key, value in changes.items()
        },
    }


def load_architecture(path: File | str) -> Architecture:
    """Return the architecture that a YAML file writes out; an exported spec holds it under `architecture`.

    Raises:
        ConfigError: with every mistake, by file:line:column.
    """
    document = load_yaml(File(path))
    prefix = ("architecture",) if "architecture" in document.data else ()
    written = document.data["architecture"] if prefix else document.data
    architecture = read_architecture(written, document.under(prefix))
    if document.problems or architecture is None:
        raise ConfigError(document.problems)
    return architecture


def read_architecture(written: Any, report: Report) -> Architecture | None:
    """Return the architecture that plain data writes out, or None after reporting what is wrong with it."""
    try:
        return validate(Architecture, written, report)
    except ArchitectureError as error:
        report(error.path, str(error))
        return None
