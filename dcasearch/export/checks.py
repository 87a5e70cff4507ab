"""What a rebuilt network is held to: single numbers of a spec, each beside its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn

from dcasearch.architecture import Architecture
from dcasearch.config.probe import TOLERANCE
from dcasearch.errors import UserError
from dcasearch.export.model_files import task_of
from dcasearch.export.spec import Spec
from dcasearch.models import cost
from dcasearch.models.probe import ask, difference


@dataclass(frozen=True)
class Check:
    """One thing that was held against the spec."""

    name: str
    expected: str
    got: str
    ok: bool | None
    """None: could not be checked; `got` says why."""


def equal(name: str, expected: object, got: object) -> Check:
    """Hold two values against each other, which must be equal."""
    return Check(name, str(expected), str(got), expected == got)


def digest(expected: str, got: str) -> Check:
    """Compare all 64 digits of the weights' sha256; show the first 16 of them, which fit into a line."""
    return Check("sha256 of the weights", f"{expected[:16]}…", f"{got[:16]}…", expected == got)


def sizes(spec: Spec, architecture: Architecture) -> Iterator[Check]:
    """Count the parameters and multiply-adds of what the spec builds."""
    counted = cost(architecture, spec.resolution, spec.num_classes)
    yield equal("parameters", spec.parameters, counted.params)
    yield equal("multiply-adds", spec.macs, counted.macs)


def logits(spec: Spec, model: nn.Module) -> Check:
    """Ask a network on the CPU what the exported one was asked. Answers that are no numbers are wrong too."""
    expected = f"within {TOLERANCE:g} of the largest"
    try:
        got = ask(model, spec.resolution, spec.probe.seed, spec.probe.images, task_of(spec).answers)
    except UserError as error:
        return Check("logits", expected, str(error), False)
    off = difference(spec.probe, got)
    return Check("logits", expected, f"{off:.1e} off", off <= TOLERANCE)
