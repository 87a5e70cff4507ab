"""Limits of what a stranger's file may ask for: they are far beyond any use, and what a database holds is exempt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, PydanticKnownError, core_schema

STORED = {"stored": True}
"""Context of a validation of what a database holds."""


@dataclass(frozen=True)
class Longest:
    """Limit of a text's or a tuple's length; as `Within`, not for what a database holds."""

    length: int

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Check the limit after the type."""
        return core_schema.with_info_after_validator_function(self._checked, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        found = handler(schema)
        return {**found, "maxLength" if found.get("type") == "string" else "maxItems": self.length}

    def _checked(self, value: Any, info: core_schema.ValidationInfo) -> Any:
        if info.context is STORED or len(value) <= self.length:
            return value
        what = "characters" if isinstance(value, str) else "entries"
        said = {"got": f"{len(value):,}", "what": what, "most": f"{self.length:,}"}
        raise PydanticCustomError("too_many", "has {got} {what}, at most {most} are allowed", said)


@dataclass(frozen=True)
class Within:
    """Limits that are far beyond what anybody uses: they keep a number from being a plan of a million years.

    What a database holds was allowed once, so it is read without them (`STORED`).
    """

    low: float | None = None
    high: float | None = None

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Check the limits after the type."""
        return core_schema.with_info_after_validator_function(self._checked, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        limits = {"minimum": self.low, "maximum": self.high}
        return {**handler(schema), **{name: limit for name, limit in limits.items() if limit is not None}}

    def _checked(self, value: Any, info: core_schema.ValidationInfo) -> Any:
        if info.context is STORED:
            return value
        if self.high is not None and value > self.high:
            raise PydanticKnownError("less_than_equal", {"le": self.high})
        if self.low is not None and value < self.low:
            raise PydanticKnownError("greater_than_equal", {"ge": self.low})
        return value
