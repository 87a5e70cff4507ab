"""From an assignment to its evaluation: the one function that local workers, clusters and tests all call."""

from __future__ import annotations

from collections.abc import Callable

from dcasearch.artifacts import Place
from dcasearch.assignment import Assignment
from dcasearch.evaluation import Epoch, Evaluation
from dcasearch.training.ranks import Ranks
from dcasearch.training.scoring import Scoring
from dcasearch.training.session import Session


def begin(
    assignment: Assignment,
    *,
    artifacts: Place,
    threads: int,
    device: str = "auto",
    ranks: Ranks | None = None,
    interrupted: Callable[[], bool] = lambda: False,
) -> Session | Scoring:
    """Return what computes an assignment, epoch by epoch: its training, or its score; arguments as of `evaluate`."""
    if assignment.fidelity.kind == "zero_cost":
        return Scoring(assignment, artifacts=artifacts, threads=threads, device=device, interrupted=interrupted)
    return Session(
        assignment, artifacts=artifacts, threads=threads, device=device, ranks=ranks, interrupted=interrupted
    )


def evaluate(
    assignment: Assignment,
    *,
    artifacts: Place,
    report: Callable[[Epoch], bool],
    threads: int,
    device: str = "auto",
    ranks: Ranks | None = None,
    interrupted: Callable[[], bool] = lambda: False,
) -> Evaluation:
    """Train (or score) an assignment to its end, or until `report` stops it; go on from its checkpoint if there is one.

    Args:
        assignment: what to train.
        artifacts: the artifact store. The checkpoint stays there until `discard`, so that a process which dies
            between the end of the training and its record loses nothing.
        report: called once per epoch, in order, those before an interruption included; False stops. Several ranks
            must answer alike.
        threads: of CPU computation.
        device: `auto`, `cpu`, `cuda`, `cuda:1` …
        ranks: this process among those that train the assignment together; see `Session`.
        interrupted: asked after every step; True writes the state and raises Preempted.

    Returns:
        The record. It has weights where the training ran to its last epoch.

    Raises:
        TrialFailure: the training ran out of memory, diverged, met a bug, or lost a loader process or a rank.
        DataError: the data is missing, broken, or not what the assignment was made for.
        StorageError: the checkpoint cannot be written.
        Preempted: `interrupted` said so.
    """
    training = begin(
        assignment, artifacts=artifacts, threads=threads, device=device, ranks=ranks, interrupted=interrupted
    )
    for _ in range(assignment.fidelity.epochs):
        if not report(training.next()):
            break
    return training.evaluation()
