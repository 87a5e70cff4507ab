"""One row of a study's ledger: what became of one trial, or of one training that is no trial. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, TypeAlias

from dcasearch.errors import FailureKind

Value: TypeAlias = str | int | float | bool | None
"""A value of a search-space parameter."""
Origin: TypeAlias = Literal["sampled", "enqueued", "random", "promoted", "promoted_random"]
"""`random`: drawn because the sampler only suggested what cannot be trained; `promoted_random`: the proxy's check."""


LABELLED = "architecture"
"""The one parameter of a space that is a list: its value is the label of a row."""
RETRY_OF = "retry_of"
"""Attribute of a trial that takes up a failed one again: the number of that one."""


class State(StrEnum):
    """The truthful states; in Optuna's own tables see `dcasearch.search.ledger`."""

    RUNNING = "running"
    WAITING = "waiting"
    """A duplicate of a trial that still runs; holds no slot."""
    COMPLETE = "complete"
    PRUNED = "pruned"
    INFEASIBLE = "infeasible"
    """A constraint forbids it; never trained."""
    DUPLICATE = "duplicate"
    """The same network was trained before; its state, values and curve are replayed."""
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One trial of one fidelity."""

    study: str
    fidelity: str
    number: int
    """Optuna's number in the study `<study>.<fidelity>`."""
    state: State
    origin: Origin
    params: Mapping[str, Value]
    architecture_id: str
    seed: int
    evaluation: str | None = None
    """`EvaluationKey.id` of its record (its original's, for a duplicate)."""
    values: tuple[float, ...] | None = None
    """One per objective; None unless complete (or a duplicate of a complete one)."""
    epochs: int = 0
    """Epochs reached."""
    constraint: str | None = None
    """INFEASIBLE: e.g. `params 5210040 > 5000000`."""
    duplicate_of: int | None = None
    failure: FailureKind | None = None
    message: str = ""
    """FAILED: the reason in one line."""
    retries: int = 0
    """Times it went on after its worker was lost."""
    attributes: Mapping[str, Value] = field(default_factory=dict)
    """Whatever a view wants to show, e.g. the quantile it was promoted from."""

    @property
    def label(self) -> str | None:
        """What a list of architectures calls its network; None of a space of choices."""
        label = self.params.get(LABELLED)
        return None if label is None else str(label)


@dataclass(frozen=True, kw_only=True)
class Role:
    """One training that no sampler asked for: a baseline, the last one of a winner or baseline with a fresh seed, or
    the vanilla parent that others start from."""

    study: str
    fidelity: str
    role: Literal["baseline", "final", "parent"]
    name: str
    """Who it is in reports, e.g. `vanilla se`."""
    architecture_id: str
    seed: int
    evaluation: str | None = None
    """`EvaluationKey.id` of its record; None while it is to come, or failed."""
    failure: FailureKind | None = None
    message: str = ""
    """The failure's reason in one line."""


WINNER = "winner"
"""Name of the role of the network that a selection has put first."""


def shown_as(name: str) -> str:
    """Return how views name whom a role is for: the first of a selection is `chosen`, which is no win."""
    return "chosen" if name == WINNER else name
