"""From a task to its evaluation: the one function that local workers, clusters and tests all call."""

from __future__ import annotations

from collections.abc import Callable

from dcasearch.artifacts import Place
from dcasearch.evaluation import Epoch, Evaluation
from dcasearch.task import Task
from dcasearch.training.ranks import Ranks
from dcasearch.training.scoring import Scoring
from dcasearch.training.training import Training


def begin(
    task: Task,
    *,
    artifacts: Place,
    threads: int,
    device: str = "auto",
    ranks: Ranks | None = None,
    interrupted: Callable[[], bool] = lambda: False,
) -> Training | Scoring:
    """Return what computes a task, epoch by epoch: its training, or its score; arguments as of `evaluate`."""
    if task.fidelity.kind == "zero_cost":
        return Scoring(task, artifacts=artifacts, threads=threads, device=device, interrupted=interrupted)
    return Training(task, artifacts=artifacts, threads=threads, device=device, ranks=ranks, interrupted=interrupted)


def evaluate(
    task: Task,
    *,
    artifacts: Place,
    report: Callable[[Epoch], bool],
    threads: int,
    device: str = "auto",
    ranks: Ranks | None = None,
    interrupted: Callable[[], bool] = lambda: False,
) -> Evaluation:
    """Train (or score) a task to its end, or until `report` stops it; go on from its checkpoint if there is one.

    Args:
        task: what to train.
        artifacts: the artifact store. The checkpoint stays there until `discard`, so that a process which dies
            between the end of the training and its record loses nothing.
        report: called once per epoch, in order, those before an interruption included; False stops. Several ranks
            must answer alike.
        threads: of CPU computation.
        device: `auto`, `cpu`, `cuda`, `cuda:1` …
        ranks: this process among those that train the task together; see `Training`.
        interrupted: asked after every step; True writes the state and raises Preempted.

    Returns:
        The record. It has weights where the training ran to its last epoch.

    Raises:
        TrialFailure: the training ran out of memory, diverged, met a bug, or lost a loader process or a rank.
        DataError: the data is missing, broken, or not what the task was made for.
        StorageError: the checkpoint cannot be written.
        Preempted: `interrupted` said so.
    """
    training = begin(task, artifacts=artifacts, threads=threads, device=device, ranks=ranks, interrupted=interrupted)
    for _ in range(task.fidelity.epochs):
        if not report(training.next()):
            break
    return training.evaluation()
