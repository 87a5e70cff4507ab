"""Numbers as people write them: 5.0M, 300M, 4G, 10k."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, GetCoreSchemaHandler, GetJsonSchemaHandler, NonNegativeInt, PositiveInt
from pydantic_core import CoreSchema, PydanticCustomError, PydanticKnownError, core_schema

_UNITS = {"k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
PATTERN = r"^(\d+\.?\d*) *([kMGT])$"


def parse_number(value: object) -> object:
    """Return the number that a text such as `5.0M` stands for; anything else as it is."""
    match = re.match(PATTERN, value) if isinstance(value, str) else None
    return float(match[1]) * _UNITS[match[2]] if match else value


def number_in(text: str) -> float | None:
    """Return the number that a text stands for, with or without a unit; None where it is none."""
    value = parse_number(text)
    try:
        return value if isinstance(value, float) else float(text)
    except ValueError:
        return None


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


STORED = {"stored": True}
"""Context of a validation of what a database holds."""
MAX_SEEDS = 1_000
"""Of one candidate; also splits of the data."""
MAX_EPOCHS = 1_000_000
MAX_RESOLUTION = 4_096
MAX_NAME = 255
"""Characters, as file systems allow."""
MAX_COST = 1e18
"""Parameters, multiply-adds, bytes, seconds."""
MAX_TRIALS = 10_000_000
Seed = Annotated[NonNegativeInt, Within(high=2**63 - 1 - MAX_TRIALS)]
"""Databases hold signed integers of 64 bits; `on_duplicate: new_seed`, a race and `final.splits` take the next ones."""
Trials = Annotated[PositiveInt, Within(high=MAX_TRIALS)]
TrialsOrNone = Annotated[NonNegativeInt, Within(high=MAX_TRIALS)]
"""As `Trials`, or 0."""
Epochs = Annotated[PositiveInt, Within(high=MAX_EPOCHS)]
Pixels = Annotated[PositiveInt, Within(high=MAX_RESOLUTION)]
Size = Annotated[PositiveInt, Within(high=1_000_000)]
"""Images of a batch, channels, boxes, processes."""
SizeOrNone = Annotated[NonNegativeInt, Within(high=1_000_000)]
"""As `Size`, or 0."""
Rate = Annotated[float, Field(ge=0, strict=False), Within(high=1e6)]
"""A learning rate, a decay, a factor."""
PositiveRate = Annotated[float, Field(gt=0, strict=False), Within(high=1e6)]
"""As `Rate`, never 0."""
Seconds = Annotated[float, Field(gt=0, strict=False), Within(high=1e9)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$"), Longest(MAX_NAME)]


Human = Annotated[float, BeforeValidator(parse_number)]
"""A float that may be written with a unit: k, M, G, T."""
Amount = Annotated[float, Field(gt=0, strict=False), Within(high=MAX_COST), BeforeValidator(parse_number)]
"""Parameters, multiply-adds or bytes."""
