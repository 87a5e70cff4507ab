"""Numbers as people write them: 5.0M, 300M, 4G, 10k."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, Field, NonNegativeInt, PositiveInt

from dcasearch.bounds import Longest, Within

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


MAX_SEEDS = 1_000
"""Of one candidate; also splits of the data."""
MAX_EPOCHS = 1_000_000
MAX_RESOLUTION = 4_096
MAX_NAME = 255
"""Characters, as file systems allow."""
MAX_CLASSES = 1_000_000
MAX_PATHS = 10_000
"""Files that one document names."""
MAX_STEPS = 1_000
"""Entries of a list that a person writes by hand: metrics, drops of a rate, stages."""
MAX_READING = 1e50
"""What a network answers or is measured by: fp32 ends at 3.4e38, and a norm adds up squares."""
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
Reading = Annotated[float, Within(-MAX_READING, MAX_READING)]
"""A measured value, a difference of two, an output of a network."""
Fraction = Annotated[float, Field(gt=0, le=1, strict=False)]
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
