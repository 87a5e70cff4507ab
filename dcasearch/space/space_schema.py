"""JSON Schema of a space's YAML, made from the grammar that reads it."""

from __future__ import annotations

import math
from typing import Any

from dcasearch.architecture import dimensions
from dcasearch.space.grammar import GRAINS, STAGE_GRAINS, Grammar, Values, dimension_axis, grammar, keys


def space_schema() -> dict[str, Any]:
    """Return the schema of a search space."""
    axes = grammar()
    grain = {"enum": list(GRAINS)}
    receives = _object({dimension: _axis(axes[dimension_axis(dimension)]) for dimension in dimensions()})
    alpha = _part(axes, "connections.alpha", {})
    edge = {"type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 2, "maxItems": 2}
    edges = _object({dimension: {"type": "array", "items": edge} for dimension in dimensions()})
    parts = {"granularity": grain, "dimensions": receives, "alpha": alpha, "edges": edges}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Search space",
        **_object(
            {
                "backbone": _part(axes, "backbone", {}) | {"required": ["name"]},
                "attention": _part(axes, "attention", {"granularity": grain}),
                "stage_attention": _part(axes, "stage_attention", {"granularity": {"enum": list(STAGE_GRAINS)}}),
                "connections": {
                    "anyOf": [
                        {"enum": ["none", None]},
                        _part(axes, "connections", parts),
                    ]
                },
            }
        ),
        "required": ["backbone"],
    }


def _part(axes: Grammar, prefix: str, more: dict[str, Any]) -> dict[str, Any]:
    return _object({key: _axis(axes[name]) for key, name in keys(axes, prefix).items()} | more)


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
    bounds = {} if values.low == -math.inf else {"minimum" if values.from_low else "exclusiveMinimum": values.low}
    bounds |= {} if values.high == math.inf else {"maximum": values.high}
    forms += [{"type": "integer", **bounds}] if values.integer else []
    forms += [{"type": "number", **bounds}] if values.number else []
    for word, options in (values.named or {}).items():
        nested = {key: {"anyOf": [*_value(v), _several(v)]} for key, v in options.items()}
        forms.append({**_object({word: _object(nested)}), "required": [word]})
    return forms
