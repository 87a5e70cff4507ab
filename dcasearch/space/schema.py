"""JSON Schema of a space's YAML, made from the grammar that reads it."""

from __future__ import annotations

from typing import Any

from dcasearch.architecture.kinds import DIMENSIONS
from dcasearch.space.grammar import GRAINS, GRAMMAR, Values, keys


def space_schema() -> dict[str, Any]:
    """Return the schema of a search space."""
    grain = {"enum": list(GRAINS)}
    connections = keys("connections")
    dimensions: dict[str, Any] = {key: _axis(GRAMMAR[connections.pop(key)]) for key in DIMENSIONS}
    alpha = _part("connections.alpha", {})
    edge = {"type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 2, "maxItems": 2}
    edges = _object({str(dimension): {"type": "array", "items": edge} for dimension in DIMENSIONS})
    parts = {"granularity": grain, "dimensions": _object(dimensions), "alpha": alpha, "edges": edges}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Search space",
        **_object(
            {
                "backbone": _part("backbone", {}) | {"required": ["name"]},
                "attention": _part("attention", {"granularity": grain}),
                "connections": {
                    "anyOf": [
                        {"enum": ["none", None]},
                        _object({key: _axis(GRAMMAR[name]) for key, name in connections.items()} | parts),
                    ]
                },
            }
        ),
        "required": ["backbone"],
    }


def _part(prefix: str, more: dict[str, Any]) -> dict[str, Any]:
    return _object({key: _axis(GRAMMAR[name]) for key, name in keys(prefix).items()} | more)


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _axis(values: Values) -> dict[str, Any]:
    """A scalar, a list of them, or a condition."""
    one, several = {"anyOf": _value(values)}, _several(values)
    condition = _object(
        {"when": {"type": "object", "minProperties": 1}, "choose": {"anyOf": [one, several]}, "else": one}
    )
    return {"anyOf": [*_value(values), several, {**condition, "required": ["when", "choose", "else"]}]}


def _several(values: Values) -> dict[str, Any]:
    return {"type": "array", "items": {"anyOf": _value(values)}, "minItems": 1}


def _value(values: Values) -> list[dict[str, Any]]:
    forms: list[dict[str, Any]] = [{"enum": list(values.words)}] if values.words else []
    types = {"boolean": values.flag, "null": values.null}
    forms += [{"type": name} for name, allowed in types.items() if allowed]
    least = {"minimum": 0} if values.zero else {"exclusiveMinimum": 0}
    forms += [{"type": "integer", **least}] if values.integer else []
    forms += [{"type": "number", **least}] if values.number else []
    for word, options in (values.named or {}).items():
        nested = {key: {"anyOf": [*_value(v), _several(v)]} for key, v in options.items()}
        forms.append({**_object({word: _object(nested)}), "required": [word]})
    return forms
