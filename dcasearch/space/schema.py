"""JSON Schema of a space's YAML, made from the grammar that reads it."""

from __future__ import annotations

from typing import Any

from dcasearch.space.grammar import GRAINS, GRAMMAR, Values, keys


def space_schema() -> dict[str, Any]:
    """Return the schema of a search space."""
    grain = {"enum": list(GRAINS)}
    connections = keys("connections")
    dimensions = {key: _axis(GRAMMAR[connections.pop(key)]) for key in ("channel", "spatial")}
    alpha = _part("connections.alpha", {})
    parts = {"granularity": grain, "dimensions": _object(dimensions), "alpha": alpha, "edges": {"type": "object"}}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Search space",
        **_object(
            {
                "backbone": _part("backbone", {}),
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
    one = {"anyOf": _value(values)}
    several = {"type": "array", "items": one, "minItems": 1}
    condition = _object({"when": {"type": "object"}, "choose": {"anyOf": [one, several]}, "else": one})
    return {"anyOf": [*_value(values), several, {**condition, "required": ["when", "choose", "else"]}]}


def _value(values: Values) -> list[dict[str, Any]]:
    forms: list[dict[str, Any]] = [{"enum": list(values.words)}] if values.words else []
    types = {"integer": values.integer, "number": values.number, "boolean": values.flag, "null": values.null}
    forms += [{"type": name} for name, allowed in types.items() if allowed]
    for word, options in (values.named or {}).items():
        if options:
            nested = {
                key: {"anyOf": [*_value(v), {"type": "array", "items": {"anyOf": _value(v)}}]}
                for key, v in options.items()
            }
            forms.append({**_object({word: _object(nested)}), "required": [word]})
    return forms
