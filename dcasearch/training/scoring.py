"""A zero-cost score in the place of a training: the same assignment, the same calls, and nothing is trained."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from itertools import islice

import torch

from dcasearch.artifacts import Place
from dcasearch.assignment import Assignment
from dcasearch.data import open_loaders
from dcasearch.errors import DataError, Preempted, TrialFailure
from dcasearch.evaluation import Epoch, Evaluation
from dcasearch.models import build_model
from dcasearch.scores import SCORES, Batches
from dcasearch.training.failures import at_work
from dcasearch.training.network import choose_device
from dcasearch.training.provenance import device_name, provenance
from dcasearch.training.session import check_data


class Scoring:
    """One score of one assignment: `next` once, then `evaluation`; see `Session`, which it stands in for.

    The network starts as in a training with the assignment's seed, and sees the batches that this training would see
    first. On the CPU equal assignments and threads give equal scores to the last bit. There is no checkpoint: a score
    that is interrupted is computed anew.
    """

    def __init__(
        self,
        assignment: Assignment,
        *,
        artifacts: Place,
        threads: int,
        device: str = "auto",
        interrupted: Callable[[], bool] = lambda: False,
    ) -> None:
        """Take an assignment of a zero-cost fidelity; nothing is opened yet.

        Args:
            assignment: what to score.
            artifacts: the artifact store; decoded images are kept under it.
            threads: of CPU computation.
            device: `auto`, `cpu`, `cuda`, `cuda:1` …
            interrupted: asked before the batches are read and before the score is computed.
        """
        self._assignment, self._artifacts, self._threads = assignment, artifacts, threads
        self._device, self._interrupted = choose_device(device), interrupted
        self._epoch: Epoch | None = None
        self._images = 0

    def next(self) -> Epoch:
        """Compute the score, and return the one entry of its history.

        Raises:
            TrialFailure: too little memory, a bug, or a score that is no finite number (`nan`).
            DataError: the data is missing, broken, too small, or not what the assignment was made for.
            Preempted: `interrupted` said so; the same call starts anew.
            ValueError: it was computed already.
        """
        if self._epoch is not None:
            raise ValueError("a score has one entry")
        started = time.perf_counter()
        with at_work(self._threads):
            score = self._score()
        if not math.isfinite(score):
            raise TrialFailure("nan", f"{self._assignment.fidelity.score} is {score}")
        self._epoch = Epoch.of_score(score, time.perf_counter() - started, device_name(self._device))
        return self._epoch

    def _score(self) -> float:
        self._give_way()
        check_data(self._assignment)
        batches, classes = self._batches()
        self._give_way()
        network = build_model(
            self._assignment.architecture,
            num_classes=classes,
            seed=self._assignment.seed,
            classifier_init=self._assignment.fidelity.recipe.classifier_init,
        )
        return SCORES[self._assignment.fidelity.score or ""](network.to(self._device), batches)

    def _batches(self) -> tuple[Batches, int]:
        """Return what is scored on, and the number of classes."""
        fidelity = self._assignment.fidelity
        loaders = open_loaders(
            self._assignment.data,
            self._assignment.protocol,
            resolution=fidelity.resolution,
            train_fraction=fidelity.train_fraction,
            recipe=fidelity.recipe,
            seed=self._assignment.seed,
            artifacts=self._artifacts,
            device=self._device,
        )
        if fidelity.score == "synflow":  # of the images it needs the size alone
            ones = torch.ones(1, 3, fidelity.resolution, fidelity.resolution, device=self._device)
            return [(ones, torch.zeros(1, dtype=torch.int64, device=self._device))], loaders.classes
        batches = [batch for batch in islice(loaders.train.epoch(1), fidelity.batches) if len(batch[1])]
        if len(batches) < fidelity.batches:
            raise DataError(
                f"fidelity '{fidelity.name}': {len(batches)} readable batches of {fidelity.recipe.batch_size} images, "
                f"{fidelity.batches} are wanted"
            )
        self._images = sum(len(labels) for _, labels in batches)
        return batches, loaders.classes

    def _give_way(self) -> None:
        if self._interrupted():
            raise Preempted("interrupted before the score was computed")

    def evaluation(self) -> Evaluation:
        """Return the record; it has no weights."""
        if self._epoch is None:
            raise ValueError("nothing was scored yet")
        return Evaluation(
            key=self._assignment.key,
            history=(self._epoch,),
            seconds=self._epoch.seconds,
            images=self._images,
            device=self._epoch.device,
            provenance=provenance(self._threads, self._assignment.architecture.network) | {"ranks": "1"},
        )
