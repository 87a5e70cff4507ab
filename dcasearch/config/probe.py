"""What a network answers to images that are made from a seed: how two machines, or two networks, are told apart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, ValidationError, model_validator

from dcasearch.architecture.specification import Frozen
from dcasearch.bounds import Longest
from dcasearch.config.data_set import DataPreprocessing
from dcasearch.config.document import read_text
from dcasearch.config.numbers import Pixels, Reading, Seed
from dcasearch.errors import UserError, mistakes_of

TOLERANCE = 1e-4
"""Largest difference that is still equal, as a share of the largest logit: processors add up in other orders."""
SUFFIX = ".probe.json"
"""Of a weights file's own probe: the file's name, then this."""


MAX_IMAGES = 64
MAX_LOGITS = 1_000
"""Of one image; more than are ever written out."""
_Row = Annotated[tuple[Reading, ...], Field(strict=False), Longest(MAX_LOGITS)]


class Probe(Frozen):
    """What the network answers, on the CPU in fp32 and evaluation mode, to images made from a seed (`models/probe.py`).

    Of a detector the logits are its raw outputs, before boxes are chosen.
    """

    seed: Seed
    images: int = Field(ge=1, le=MAX_IMAGES)
    logits: Annotated[tuple[_Row, ...], Field(strict=False), Longest(MAX_IMAGES)]
    """Per image the first 16 logits, or all where there are fewer."""
    norms: Annotated[tuple[Reading, ...], Field(strict=False), Longest(MAX_IMAGES)]
    """Per image the L2 norm of all logits."""

    @model_validator(mode="after")
    def _rectangular(self) -> Self:
        lengths = {len(row) for row in self.logits}
        if len(lengths) != 1 or not len(self.logits) == len(self.norms) == self.images:
            raise ValueError("needs one row of logits and one norm for each image, all rows of one length")
        return self


class FileProbe(Probe):
    """The probe of a weights file: what the trained network itself answers, with the classifier that it has."""

    resolution: Pixels
    """Pixels per side of the images."""
    tolerance: float = Field(default=TOLERANCE, gt=0, le=1)
    """Largest difference that is still equal, as a share of the largest logit."""
    network: str | None = None
    """Name of the network, e.g. `timm/tf_efficientnet_lite0`; only shown."""
    preprocessing: DataPreprocessing | None = None
    """How the network's images were prepared."""


def probe_beside(weights: Path) -> Path:
    """Return where the probe of a weights file lies."""
    return weights.with_name(weights.name + SUFFIX)


def read_probe(file: Path) -> FileProbe:
    """Return the probe of a weights file.

    Raises:
        UserError: it cannot be read, or is none.
    """
    try:
        return FileProbe.model_validate(json.loads(read_text(file)))
    except (ValueError, RecursionError) as error:  # also a number of too many digits, or lists in lists
        if isinstance(error, ValidationError):
            raise UserError(f"{file} is no probe: {mistakes_of(error)[0]}") from error
        raise UserError(f"{file} is no JSON: {error}") from error
