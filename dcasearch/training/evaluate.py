"""From a task to its evaluation: the one function that local workers, clusters and tests all call."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from dcasearch.data import Loader, describe, open_loaders
from dcasearch.errors import DataError, TrialFailure
from dcasearch.evaluation import Epoch, Evaluation
from dcasearch.training.checkpoint import Checkpoint, checkpoint_path, load_checkpoint, save_checkpoint
from dcasearch.training.failures import as_trial_failures
from dcasearch.training.loop import Trained, epoch_random_state, train_epoch
from dcasearch.training.metrics import Metrics, measure
from dcasearch.training.network import choose_device, make_network
from dcasearch.training.optimizer import make_optimizer
from dcasearch.training.provenance import device_name, provenance
from dcasearch.training.schedule import learning_rate
from dcasearch.training.task import Task
from dcasearch.training.weights import save_weights, weights_name


def evaluate(
    task: Task,
    *,
    artifacts: Path,
    report: Callable[[Epoch], bool],
    threads: int,
    device: str = "auto",
) -> Evaluation:
    """Train a task to its end, or until `report` stops it; go on from its checkpoint if there is one.

    On the CPU equal tasks and threads give equal values to the last bit, whatever ran before in the process and
    however often the training was interrupted.

    Args:
        task: what to train.
        artifacts: the artifact store. The checkpoint stays there until `discard`, so that a process which dies
            between the end of the training and its record loses nothing.
        report: called once per epoch, in order, those before an interruption included; False stops.
        threads: of CPU computation.
        device: `auto`, `cpu`, `cuda`, `cuda:1` …

    Returns:
        The record. It has weights where the training ran to its last epoch.

    Raises:
        TrialFailure: the training ran out of memory, diverged, met a bug or lost a loader process.
        DataError: the data is missing, broken, or not what the task was made for.
        StorageError: the checkpoint cannot be written.
    """
    with _threads(threads):
        with as_trial_failures():
            training = Training(task, artifacts, choose_device(device))
        for epoch in range(1, task.fidelity.epochs + 1):
            if epoch > len(training.history):
                with as_trial_failures():
                    training.train(epoch)
            if not report(training.history[epoch - 1]):
                break
        with as_trial_failures():
            return training.evaluation(epoch, threads)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class Training:
    """One training between two epochs: all of its state is in the checkpoint."""

    def __init__(self, task: Task, artifacts: Path, device: torch.device) -> None:
        found = describe(task.data, artifacts).fingerprint
        if found != task.data_fingerprint:
            raise DataError(
                f"{task.data.name} at {task.data.root} is not the data of this study: fingerprint {found}, "
                f"not {task.data_fingerprint}"
            )
        self._task, self._artifacts, self._device = task, artifacts, device
        fidelity = task.fidelity
        self._recipe = fidelity.recipe
        self._loaders = open_loaders(
            task.data,
            task.protocol,
            resolution=fidelity.resolution,
            train_fraction=fidelity.train_fraction,
            recipe=self._recipe,
            seed=task.seed,
            artifacts=artifacts,
            device=device,
        )
        self._network = make_network(
            task.architecture, self._recipe, classes=self._loaders.classes, seed=task.seed, device=device
        )
        self._optimizer = make_optimizer(self._network.model, self._recipe)
        self._checkpoint = checkpoint_path(task.key, artifacts)
        self.history: list[Epoch] = []
        self._images: list[int] = []
        self._resume()

    def _resume(self) -> None:
        checkpoint = load_checkpoint(self._checkpoint, self._device)
        if checkpoint is None:
            return
        self._network.model.load_state_dict(checkpoint.model)
        self._optimizer.load_state_dict(checkpoint.optimizer)
        if self._network.ema is not None and checkpoint.ema is not None:
            self._network.ema.load_state_dict(checkpoint.ema)
        self.history, self._images = list(checkpoint.history), list(checkpoint.images)

    def train(self, epoch: int) -> None:
        """Train and measure one epoch, numbered from 1, and write the checkpoint.

        Raises:
            TrialFailure: `nan`, the training has diverged.
        """
        started = time.perf_counter()
        try:
            with epoch_random_state(self._task.seed, epoch, self._device):
                trained = self._train(epoch)
            measured = self._measure(epoch)
        except TrialFailure as failure:
            raise TrialFailure(failure.kind, f"epoch {epoch}: {failure}") from failure
        self.history.append(
            Epoch(
                epoch=epoch,
                train_loss=trained.loss,
                loss=measured.loss,
                top1=measured.top1,
                top5=measured.top5,
                seconds=time.perf_counter() - started,
            )
        )
        self._images.append(trained.images)
        self._save()

    def _train(self, epoch: int) -> Trained:
        steps = len(self._loaders.train)
        first = (epoch - 1) * steps

        def rate(step: int) -> float:
            return learning_rate(
                first + step,
                steps_per_epoch=steps,
                epochs=self._task.fidelity.epochs,
                peak=self._recipe.lr,
                schedule=self._recipe.schedule,
            )

        return train_epoch(self._network, self._optimizer, self._loaders.train.epoch(epoch), rate, self._recipe)

    def _measure(self, epoch: int) -> Metrics:
        last = epoch == self._task.fidelity.epochs
        loader: Loader = self._loaders.final if last else self._loaders.each
        metrics = measure(
            self._network.evaluated,
            loader.epoch(0),
            classes=self._loaders.classes,
            device=self._device,
            forward=self._network.evaluated_forward,
            autocast=self._network.autocast(),
        )
        if not math.isfinite(metrics.loss):
            raise TrialFailure(
                "nan",
                f"the evaluation loss is {metrics.loss} though the training loss is finite: BatchNorm's running "
                "statistics may lag behind, which a larger recipe.bn_momentum cures",
            )
        return metrics

    def _save(self) -> None:
        ema = self._network.ema
        checkpoint = Checkpoint(
            model=self._network.model.state_dict(),
            optimizer=self._optimizer.state_dict(),
            ema=None if ema is None else ema.state_dict(),
            history=tuple(self.history),
            images=tuple(self._images),
        )
        save_checkpoint(checkpoint, self._checkpoint)

    def evaluation(self, epochs: int, threads: int) -> Evaluation:
        """Return the record of the first epochs, with the weights where they are all.

        Raises:
            StorageError: the weights cannot be written.
        """
        weights, digest = None, None
        if epochs == self._task.fidelity.epochs:
            weights = weights_name(self._task.key)
            digest = save_weights(self._network.evaluated, self._artifacts / weights)
        history = tuple(self.history[:epochs])
        made_with = provenance(threads)
        if len(self._loaders.corrupt):
            made_with["unreadable_images"] = str(len(self._loaders.corrupt))
        return Evaluation(
            key=self._task.key,
            history=history,
            seconds=sum(epoch.seconds for epoch in history),
            images=sum(self._images[:epochs]),
            device=device_name(self._device),
            provenance=made_with,
            weights=weights,
            weights_sha256=digest,
        )
