"""One training, epoch by epoch; all of its state is in its checkpoint."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial

import safetensors.torch
import torch
from torch import Tensor, nn

from dcasearch.artifacts import Place
from dcasearch.assignment import Assignment
from dcasearch.data import Batch, Loader, describe, root_of, stage
from dcasearch.errors import DataError, Preempted, TrialFailure, UserError
from dcasearch.evaluation import Epoch, Evaluation
from dcasearch.metrics import METRICS
from dcasearch.models import DCANet, set_constants
from dcasearch.models.coefficients import coefficients_of
from dcasearch.models.controls import UNMEASURED
from dcasearch.training.binding import Fit
from dcasearch.training.checkpoint import (
    Checkpoint,
    MidEpoch,
    RankState,
    checkpoint_ids,
    checkpoint_of,
    checkpoint_path,
    parse_checkpoint,
    read_checkpoint,
    save_checkpoint,
)
from dcasearch.training.continuation import beginnings
from dcasearch.training.failures import at_work
from dcasearch.training.loop import (
    Progress,
    Trained,
    epoch_random_state,
    random_state,
    set_random_state,
    train_epoch,
)
from dcasearch.training.network import choose_device, make_network
from dcasearch.training.optimizer import load_optimizer, make_optimizer
from dcasearch.training.provenance import device_name, provenance
from dcasearch.training.ranks import ALONE, Ranks
from dcasearch.training.schedule import learning_rate
from dcasearch.training.starting import begin_with, said_of
from dcasearch.training.tasks import learning_task, metered
from dcasearch.training.weights import parent_weights, save_weights, start_weights, weights_name


class _Interruption(Exception):
    """Raised between two batches: the training has to give way."""


def check_data(assignment: Assignment) -> None:
    """Stage an assignment's data on this machine where it asks for that; raise DataError where it is other data."""
    stage(assignment.data)
    found = describe(assignment.data).fingerprint
    if found != assignment.data_fingerprint:
        raise DataError(
            f"{assignment.data.name} at {root_of(assignment.data)} is not the data of this study: fingerprint {found}, "
            f"not {assignment.data_fingerprint}"
        )


class Session:
    """One training of one assignment: `next` until it has as many epochs as are wanted, then `evaluation`.

    The session has checkpoints, resuming, interruption, ranks, seeds and reporting; its task has loaders, loss and
    metrics. On the CPU equal assignments, threads and ranks give equal values to the last bit, whatever ran before in
    the process and however often the training was interrupted. (With more than two ranks the order in which gradients
    are summed may differ after an interruption.)

    Several ranks make a session of the same assignment each and call `next` equally often. Rank 0 writes checkpoints
    and weights, and its record is the training's; the others get the state from it, not from their own files.
    """

    def __init__(
        self,
        assignment: Assignment,
        *,
        artifacts: Place,
        threads: int,
        device: str = "auto",
        ranks: Ranks | None = None,
        interrupted: Callable[[], bool] = lambda: False,
    ) -> None:
        """Open the data, build the network, and read the checkpoint if there is one.

        Args:
            assignment: what to train.
            artifacts: the artifact store.
            threads: of CPU computation, of this rank.
            device: `auto`, `cpu`, `cuda`, `cuda:1` …
            ranks: this process among those that train together; their process group is initialised by now.
            interrupted: asked after every optimiser step and every batch that is measured.

        Raises:
            TrialFailure: there is too little memory, or a bug.
            DataError: the data is missing, broken, or not what the assignment was made for.
            StorageError: the parent's weights, or those that the network begins with, are not there.
            UserError: those weights are another network's; or a message is constant, and the assignment names no
                parent to measure it in.
        """
        self._assignment, self._artifacts, self._threads = assignment, artifacts, threads
        self._ranks, self._interrupted = ranks or ALONE, interrupted
        self._history: list[Epoch] = []
        self._images: list[int] = []
        self._middle: MidEpoch | None = None
        self._returned = 0
        self._beginning: str | None = None
        """The key's id of the shorter training that this one has just gone on from."""
        self._continued = 0
        with at_work(self._threads):
            self._checkpoint = checkpoint_path(assignment.key, artifacts)
            self._open(choose_device(device))

    def _parent(self) -> Mapping[str, Tensor] | None:
        """Return the weights of the parent, read by the first rank."""
        if self._assignment.parent is None:
            return None
        read = parent_weights(self._assignment, self._artifacts) if self._ranks.first else None
        content = self._ranks.from_first(read)
        return None if content is None else safetensors.torch.load(content)

    def _open(self, device: torch.device) -> None:
        assignment, fidelity = self._assignment, self._assignment.fidelity
        check_data(assignment)
        self._device, self._recipe = device, fidelity.recipe
        self._learning = learning_task(assignment.task, self._recipe, assignment.detector, assignment.metrics)
        self._loaders = self._learning.open(
            assignment.data,
            assignment.protocol,
            resolution=fidelity.resolution,
            train_fraction=fidelity.train_fraction,
            seed=assignment.seed,
            artifacts=self._artifacts,
            device=device,
            share=self._ranks.share,
            mixed=assignment.architecture.network.mixes_images,
        )
        saved = self._ranks.from_first(self._saved() if self._ranks.first else None)
        parent = self._parent() if saved is None else None
        content = self._start() if saved is None else None
        measured = saved is None and assignment.architecture.network.has_constants
        self._network = make_network(
            self._started(content),
            self._learning,
            device=device,
            ranks=self._ranks,
            parent=parent if assignment.starts_from_parent else None,
            prepare=partial(self._measure_constants, parent or {}) if measured else None,
        )
        self._optimizer = make_optimizer(self._network.model, self._recipe)
        if saved is not None:
            self._resume(parse_checkpoint(saved, device))

    def _build(self, seed: int = 0, start: Mapping[str, Tensor] | None = None) -> nn.Module:
        assignment, classes = self._assignment, self._loaders.classes
        resolution = assignment.fidelity.resolution
        return self._learning.build(assignment.architecture, classes, resolution=resolution, seed=seed, start=start)

    def _start(self) -> bytes | None:
        """Return the file that the network begins with, read by the first rank."""
        start = self._assignment.start
        if start is None:
            return None
        return self._ranks.from_first(start_weights(start, self._artifacts) if self._ranks.first else None)

    def _started(self, content: bytes | None) -> nn.Module:
        """Return the network with the parameters that it begins with: drawn ones, and those of a file."""
        seed, start = self._assignment.seed, self._assignment.start
        if content is None or start is None:
            return self._build(seed=seed)
        if start.architecture_id is not None:
            return self._build(seed=seed, start=safetensors.torch.load(content))
        network = self._build(seed=seed)
        begin_with(network, content, start, self._loaders.class_names)
        return network

    def _measure_constants(self, parent: Mapping[str, Tensor], network: nn.Module) -> None:
        """Set a network's constant messages to the parent's mean ones over the training images of all ranks."""
        assignment, fidelity = self._assignment, self._assignment.fidelity
        if assignment.parent is None:
            raise UserError(UNMEASURED)
        loader = self._learning.open_unaugmented(
            assignment.data,
            assignment.protocol,
            resolution=fidelity.resolution,
            train_fraction=fidelity.train_fraction,
            artifacts=self._artifacts,
            device=self._device,
            share=self._ranks.share,
        )
        if not isinstance(network, DCANet):
            raise UserError("message: constant is for classifiers, not for detectors")
        set_constants(network, parent, (images for images, _ in loader.epoch(0)), total=self._ranks.sum)

    def _saved(self) -> bytes | None:
        """Return this training's checkpoint, or that of the longest one which is its beginning."""
        own = read_checkpoint(self._checkpoint, partial(self._check, self._assignment.fidelity.epochs))
        if own is not None:
            return own
        stored = checkpoint_ids(self._artifacts)
        shorter = beginnings(self._assignment) if stored else {}
        for id in sorted(stored & shorter.keys(), key=lambda id: -shorter[id]):
            path = checkpoint_of(id, self._artifacts)
            content = read_checkpoint(path, partial(self._check, shorter[id]))
            if content is not None:
                self._beginning = id
                return content
        return None

    def _check(self, epochs: int, checkpoint: Checkpoint) -> None:
        """Raise Unfit where a checkpoint is not of this training, or of its beginning of so many epochs."""
        Fit.of(self._build(), self._recipe, epochs=epochs, steps=len(self._loaders.train)).check(checkpoint)

    def _resume(self, checkpoint: Checkpoint) -> None:
        self._network.model.load_state_dict(checkpoint.model)
        load_optimizer(self._optimizer, checkpoint.optimizer)
        if self._network.ema is not None and checkpoint.ema is not None:
            self._network.ema.load_state_dict(checkpoint.ema)
        self._history, self._images = list(checkpoint.history), list(checkpoint.images)
        self._middle = checkpoint.middle
        self._continued = checkpoint.continued if self._beginning is None else len(self._history)

    def next(self) -> Epoch:
        """Train and measure the next epoch and write the checkpoint, or return the next one that it already holds.

        Raises:
            TrialFailure: the training ran out of memory, diverged, met a bug, or lost a loader process or a rank.
            DataError: too many images are unreadable.
            StorageError: the checkpoint cannot be written; the one before is still there.
            Preempted: `interrupted` said so, and the checkpoint holds the very step.
            ValueError: there is no further epoch.
        """
        if self._returned == self._assignment.fidelity.epochs:
            raise ValueError(f"the fidelity has {self._returned} epochs, all of them done")
        if self._returned == len(self._history):
            with at_work(self._threads):
                self._train_next()
        self._returned += 1
        return self._history[self._returned - 1]

    def _train_next(self) -> None:
        epoch = len(self._history) + 1
        before = 0.0 if self._middle is None else self._middle.seconds
        started = time.perf_counter() - before
        try:
            trained, metrics, of_classes = self._epoch(epoch, lambda: time.perf_counter() - started)
            self._share_unreadable()
        except TrialFailure as failure:
            raise TrialFailure(failure.kind, f"epoch {epoch}: {failure}") from failure
        self._history.append(
            Epoch(
                epoch=epoch,
                train_loss=trained.loss,
                values=metrics,
                seconds=time.perf_counter() - started,
                device=device_name(self._device),
                of_classes=of_classes,
                alphas=coefficients_of(self._network.evaluated),
            )
        )
        self._images.append(trained.images)
        self._middle = None
        self._save()

    def _epoch(self, epoch: int, seconds: Callable[[], float]) -> tuple[Trained, dict[str, float], Mapping[str, float]]:
        with epoch_random_state(self._assignment.seed, epoch, self._device, self._ranks.rank):
            progress = self._progress()
            try:
                return self._train(epoch, progress), *self._measure(epoch)
            except _Interruption:
                own = RankState(progress.loss.cpu(), progress.images, random_state(self._device))
                self._middle = MidEpoch(progress.batches, seconds(), tuple(self._ranks.gather(own)))
                self._save()
                raise Preempted(f"epoch {epoch}: interrupted after {progress.batches} batches") from None

    def _share_unreadable(self) -> None:
        """Let every rank know which images the others could not read, so that all of them stop where one does."""
        for found in self._ranks.gather(self._loaders.corrupt.reasons):
            for path, reason in found.items():
                self._loaders.corrupt.add(path, reason)

    def _progress(self) -> Progress:
        """Return how far the epoch has come, and put the random generators where they were then."""
        middle, rank = self._middle, self._ranks.rank
        if middle is None:
            return Progress(torch.zeros((), device=self._device))
        if rank < len(middle.ranks):
            set_random_state(middle.ranks[rank].random, self._device)
        # Their number may have changed; then the first rank carries what was summed up.
        mine = middle.ranks[rank : rank + 1] if len(middle.ranks) == self._ranks.world else ()
        if len(middle.ranks) != self._ranks.world and self._ranks.first:
            mine = middle.ranks
        loss = torch.zeros((), device=self._device)
        for state in mine:
            loss += state.loss.to(self._device)
        return Progress(loss, middle.batches, sum(state.images for state in mine))

    def _train(self, epoch: int, progress: Progress) -> Trained:
        steps = len(self._loaders.train)
        first = (epoch - 1) * steps

        def rate(step: int) -> float:
            return learning_rate(
                first + step,
                steps_per_epoch=steps,
                epochs=self._assignment.fidelity.epochs,
                peak=self._recipe.lr,
                schedule=self._recipe.schedule,
            )

        batches = self._until_interrupted(self._loaders.train.epoch(epoch, progress.batches))
        mix = self._learning.mix(epoch, self._loaders.classes, self._assignment.seed)
        return train_epoch(self._network, self._optimizer, batches, rate, self._learning, progress, self._ranks, mix)

    def _until_interrupted(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        for batch in batches:
            yield batch
            if self._ranks.any(self._interrupted()):
                raise _Interruption

    def _measure(self, epoch: int) -> tuple[dict[str, float], Mapping[str, float]]:
        """Return the metrics, and the headline metric of each class where the task has it."""
        self._ranks.share_buffers(self._network.evaluated)
        last = epoch == self._assignment.fidelity.epochs
        loader: Loader = self._loaders.final if last else self._loaders.each
        meter = metered(
            self._learning,
            self._network.evaluated,
            self._until_interrupted(loader.epoch(0)),
            classes=self._loaders.classes,
            device=self._device,
            forward=self._network.evaluated_forward,
            autocast=self._network.autocast(),
        )
        metrics = meter.compute()
        for name, value in metrics.items():
            if not math.isfinite(value):
                raise TrialFailure(
                    "nan",
                    f"the evaluation {METRICS[name].label} is {value} though the training loss is finite: BatchNorm's "
                    "running statistics may lag behind, which a larger recipe.bn_momentum cures",
                )
        return metrics, self._learning.of_classes(meter, self._loaders.class_names)

    def _save(self) -> None:
        if not self._ranks.first:
            return
        ema = self._network.ema
        checkpoint = Checkpoint(
            model=self._network.model.state_dict(),
            optimizer=self._optimizer.state_dict(),
            ema=None if ema is None else ema.state_dict(),
            history=tuple(self._history),
            images=tuple(self._images),
            middle=self._middle,
            continued=self._continued,
        )
        save_checkpoint(checkpoint, self._checkpoint)

    def evaluation(self) -> Evaluation:
        """Return the record of the epochs returned so far, with the weights where they are all; for rank 0 to call.

        Raises:
            TrialFailure: `bug`.
            StorageError: the weights cannot be written.
        """
        with at_work(self._threads):
            return self._evaluation(self._returned)

    def _evaluation(self, epochs: int) -> Evaluation:
        weights, digest = None, None
        if epochs == self._assignment.fidelity.epochs:
            weights = weights_name(self._assignment.key.id)
            digest = save_weights(self._network.evaluated, self._artifacts / weights)
        history = tuple(self._history[:epochs])
        network = self._assignment.architecture.network
        made_with = provenance(self._threads, network) | {"ranks": str(self._ranks.world)}
        if (start := self._assignment.start) is not None:
            made_with |= said_of(start, self._network.evaluated, self._artifacts, self._loaders.class_names)
        if len(self._loaders.corrupt):
            made_with["unreadable_images"] = str(len(self._loaders.corrupt))
        return Evaluation(
            key=self._assignment.key,
            history=history,
            seconds=sum(epoch.seconds for epoch in history),
            images=sum(self._images[:epochs]),
            device=device_name(self._device),
            provenance=made_with,
            weights=weights,
            weights_sha256=digest,
            reused_seconds=sum(epoch.seconds for epoch in history[: self._continued]),
        )
