"""Words beside the keys of a JSON Schema: the strings below the fields of the models, read from their source.

Pydantic can read them too (`use_attribute_docstrings`), but does so whenever the models are imported, and every command
would wait for that; only `dcasearch schema` needs them.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterable, Mapping
from functools import cache
from itertools import pairwise
from typing import Any

from pydantic import BaseModel

from dcasearch.config.validation import models_in


def describe_fields(schema: dict[str, Any], model: type[BaseModel]) -> None:
    """Put words beside each property of a model's schema and of the models inside it; changes the schema.

    Args:
        schema: from `model.model_json_schema()`.
        model: whose fields have strings below them.
    """
    definitions: Mapping[str, dict[str, Any]] = schema.get("$defs", {})
    for one in _within(model, {}):
        properties = (schema if one is model else definitions.get(one.__name__, {})).get("properties", {})
        words = words_below(one)
        for name, value in properties.items():
            if name in words:
                properties[name] = {"description": words[name], **value}


def _within(model: type[BaseModel], seen: dict[type[BaseModel], None]) -> Iterable[type[BaseModel]]:
    """Return a model and all models inside its fields."""
    if model not in seen:
        seen[model] = None
        for field in model.model_fields.values():
            for inner in models_in(field.annotation):
                _within(inner, seen)
    return seen


def words_below(model: type[BaseModel]) -> dict[str, str]:
    """Return the strings below the fields of a model and of its bases, by field."""
    return {name: words for one in reversed(model.__mro__) for name, words in _in_source(one).items()}


@cache
def _in_source(cls: type) -> Mapping[str, str]:
    if not issubclass(cls, BaseModel) or cls is BaseModel:
        return {}
    tree = ast.parse(inspect.getsource(inspect.getmodule(cls)))  # type: ignore[arg-type]  # a model has a module
    body = next(node.body for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.name == cls.__name__)
    found = {}
    for field, below in pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(below, ast.Expr):
            words = ast.literal_eval(below.value) if isinstance(below.value, ast.Constant) else None
            if isinstance(words, str):
                found[field.target.id] = " ".join(words.split())
    return found
