"""What is looked at in the end, and which of the two meanings of `whole` was tested."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from dcasearch.analysis.wholeness import (
    Rows,
    Seconds,
    broken_invariants,
    differences,
    ledger_of,
    trained_twice,
    trainings_of,
)
from dcasearch.config.study import Study
from dcasearch.store import Store

Meaning: TypeAlias = Literal["equal", "invariants"]


@dataclass(frozen=True)
class Check:
    """One thing that was looked at, and what was wrong with it."""

    name: str
    problems: tuple[str, ...]


@dataclass(frozen=True)
class Verdict:
    """What became of the study."""

    meaning: Meaning
    explanation: str
    """Of the meaning, in one sentence."""
    drivers: int
    """Kills of the driver."""
    workers: int
    """Kills of a worker."""
    seconds: float
    checks: tuple[Check, ...]

    @property
    def whole(self) -> bool:
        """Whether nothing was found."""
        return not any(check.problems for check in self.checks)


def explain(study: Study, meaning: Meaning, concurrent: int, sample: int) -> str:
    """Return what a meaning is, in one sentence."""
    if meaning == "equal":
        return "one worker: every row, curve and weight equals those of the undisturbed run, to the last bit"
    held = [
        f"{concurrent} workers, whose order decides what the sampler and the rungs see: every number once",
        "nothing left running",
        "both sets of tables agree",
        "no saved epoch trained again",
    ]
    if comparable_as_set(study):
        held.append("the trainings are those of the undisturbed run, as a set, to the last bit")
    if sample:
        held.append(f"{sample} trials at random come out again, to the last bit, when they are trained anew")
    return ", ".join(held)


def comparable_as_set(study: Study) -> bool:
    """Tell whether what is trained does not depend on the order in which trials end."""
    return (
        study.sampler.name in ("grid", "random")
        and all(fidelity.pruner.name == "none" for fidelity in study.fidelities)
        and not any(fidelity.promote and fidelity.promote.asynchronous for fidelity in study.fidelities)
        and study.stop.no_improvement is None
    )


def ledger_checks(store: Store, study: str, saved: Seconds) -> list[Check]:
    """Look at what must hold in any order of events; `saved` are the seconds that were found in checkpoints."""
    return [
        Check("every number once, none left running, tables agree", tuple(broken_invariants(store, study))),
        Check("no saved epoch was trained again", tuple(trained_twice(store, study, saved))),
    ]


def equality(store: Store, study: str, undisturbed: Rows) -> Check:
    """Compare the whole ledger."""
    found = differences(undisturbed, ledger_of(store, study))
    return Check("equal to the undisturbed run, bit for bit", tuple(found))


def equality_as_set(store: Store, study: str, undisturbed: Rows) -> Check:
    """Compare what was trained, whichever trial asked for it."""
    found = differences(undisturbed, trainings_of(store, study))
    return Check("the same trainings as undisturbed, bit for bit", tuple(found))


def merged(checks: Iterable[Check]) -> tuple[Check, ...]:
    """Return the checks of several copies as those of one."""
    problems: dict[str, Sequence[str]] = {}
    for check in checks:
        problems[check.name] = (*problems.get(check.name, ()), *check.problems)
    return tuple(Check(name, tuple(found)) for name, found in problems.items())
