"""From pydantic's errors to mistakes that say what was got, what is allowed and what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from dcasearch.config.document import Path, Report
from dcasearch.errors import nearest

Model = TypeVar("Model", bound=BaseModel)


def validate(model: type[Model], data: Any, report: Report) -> Model | None:
    """Return the data as a model, or None after reporting everything that is wrong with it."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_context=True):
            report(tuple(detail["loc"]), _message(model, detail))
        return None


def _message(model: type[BaseModel], detail: Mapping[str, Any]) -> str:
    kind, got, loc = detail["type"], detail["input"], tuple(detail["loc"])
    if kind == "extra_forbidden":
        known = _fields(model, loc[:-1])
        return f"'{loc[-1]}' is not a known key; {nearest(loc[-1], known)}"
    if kind == "missing":
        return "is missing"
    if kind == "literal_error":
        words = re.findall(r"'([^']*)'", detail["ctx"]["expected"])
        return f"'{got}' is not allowed; {nearest(got, words)}"
    said = str(detail["msg"])
    return f"{said[:1].lower()}{said[1:]}; got {got!r}"


def _fields(model: type[BaseModel], path: Path) -> list[str]:
    """Return the known keys at a path into a model."""
    here: type[BaseModel] = model
    for part in path:
        field = here.model_fields.get(str(part))
        if field is not None:
            here = _model_in(field.annotation) or here
    return list(here.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Return the first model inside an annotation such as `tuple[Fidelity, ...]` or `Final | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for part in get_args(annotation):
        found = _model_in(part)
        if found is not None:
            return found
    return None
