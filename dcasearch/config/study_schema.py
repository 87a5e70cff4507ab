"""JSON Schema of a study's YAML, so that editors complete and check it."""

from __future__ import annotations

from typing import Any

from dcasearch.config.numbers import PATTERN
from dcasearch.config.study import Study
from dcasearch.config.study_files import recipe_names

_HUMAN = {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "string", "pattern": PATTERN}]}


def study_schema() -> dict[str, Any]:
    """Return the schema of a study: what pydantic checks, and the short forms that the loader accepts."""
    schema = Study.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    definitions = schema["$defs"]
    names = {"enum": recipe_names()}
    based = {
        "type": "object",
        "properties": {"base": names, **definitions["Recipe"]["properties"]},
        "additionalProperties": False,
    }
    definitions["Fidelity"]["properties"]["recipe"] = {"anyOf": [names, based]}
    # A score has no epochs.
    definitions["Fidelity"]["required"].remove("epochs")
    definitions["Fidelity"]["anyOf"] = [
        {"required": ["epochs"]},
        {"required": ["kind", "score"], "properties": {"kind": {"const": "zero_cost"}}},
    ]
    schema["properties"]["space"] = {
        "anyOf": [{"type": "string", "description": "A file, from this one."}, {"type": "object"}]
    }
    for bound in ("min", "max"):
        definitions["Bound"]["properties"][bound] = _HUMAN
    schema["properties"]["throughput"] = _HUMAN
    return schema
