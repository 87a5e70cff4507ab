"""An epoch of a proxy beside a bare loop of the same model on the same tensors, and how soon a trial's first step is.

One epoch of ours (loader, augmentation, training, measuring, checkpoint) and one of the bare loop (forward, backward,
optimizer; forward alone on the held-out images) in turn; the ratio is the median over the turns of bare / ours seconds
(aim >= 0.95), followed by where our epoch's time went. Start-up is the time from an assignment to the end of its first
optimizer step, of a second trial in the same process (aim <= 1 s), and without a usual step's own time, which may be a
second on few cores. Digits, resized to each proxy's resolution; an epoch is a few hundred images, so that what is done
once an epoch weighs more than in a study.

    python benchmarks/training_speed.py [--turns 5] [--threads 1] [--only quickstart]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import torch
import torch.nn.functional as F

from dcasearch.architecture import Architecture
from dcasearch.config import load_recipe
from dcasearch.config.data_set import Data
from dcasearch.config.study import Fidelity
from dcasearch.data import Batch, describe
from dcasearch.errors import Preempted
from dcasearch.training import Assignment, Session
from dcasearch.training import session as room
from dcasearch.training.network import TrainedNetwork, make_network
from dcasearch.training.optimizer import make_optimizer
from dcasearch.training.tasks import learning_task


@dataclass(frozen=True)
class Proxy:
    """A shipped proxy; `images` are those of one epoch, `batch` the study's where two cores can bear it."""

    backbone: dict[str, Any]
    attention: str
    recipe: str
    resolution: int
    batch: int
    images: int


SMALL = {"stem": "small"}
PROXIES = {
    "quickstart": Proxy({"name": "mobilenet_v2", "width": 0.25, **SMALL}, "se", "small", 16, 32, 1280),
    "cifar10": Proxy({"name": "mnasnet0_5", **SMALL}, "se", "small", 32, 32, 640),
    "mnasnet_attention": Proxy({"name": "mnasnet1_0"}, "se", "light", 128, 32, 320),
    "resnet50_attention": Proxy({"name": "resnet50"}, "se", "resnet", 112, 16, 160),
}


def assignment_of(proxy: Proxy, epochs: int, connections: dict[str, Any] | None = None) -> Assignment:
    changes = {"batch_size": proxy.batch, "lr": 1e-3}
    data = Data(name="digits", validation_fraction=0.1)
    info = describe(data)
    level = {"name": "proxy", "resolution": proxy.resolution, "epochs": epochs}
    return Assignment(
        architecture=Architecture.parse(
            {"backbone": proxy.backbone, "attention": {"name": proxy.attention}, "connections": connections or {}}
        ),
        fidelity=Fidelity.model_validate(
            {
                **level,
                "train_fraction": proxy.images / info.train_images,
                "recipe": load_recipe(proxy.recipe).recipe.model_copy(update=changes),
            }
        ),
        data=data,
        data_fingerprint=info.fingerprint,
        protocol="search",
        seed=0,
    )


class Clock:
    """Seconds by what they were spent on, since it was last read."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = defaultdict(float)

    def timed(self, what: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            began = time.perf_counter()
            try:
                return function(*arguments, **options)
            finally:
                self.spent[what] += time.perf_counter() - began

        return call

    def batches(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        following = self.timed("loader", lambda: next(batches, None))
        while (batch := following()) is not None:
            yield batch


def bare_epoch(
    network: TrainedNetwork, optimizer: torch.optim.Optimizer, train: list[Batch], held: list[Batch], smoothing: float
) -> float:
    """Train and measure; return the seconds of one training step."""
    began = time.perf_counter()
    network.model.train()
    for images, labels in train:
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(network.model(images), labels, label_smoothing=smoothing).backward()
        optimizer.step()
    step = (time.perf_counter() - began) / len(train)
    network.model.eval()
    with torch.no_grad():
        for images, _ in held:
            network.model(images)
    return step


def start_up(assignment: Assignment, artifacts: Path, threads: int) -> float:
    """Return the seconds to the end of the first step of a training that is then interrupted."""
    began, first = time.perf_counter(), list[float]()

    def interrupted() -> bool:
        first.append(time.perf_counter())
        return True

    try:
        Session(assignment, artifacts=artifacts, threads=threads, device="cpu", interrupted=interrupted).next()
    except Preempted:
        return first[0] - began
    raise RuntimeError("the training was not interrupted")


def compare(name: str, proxy: Proxy, turns: int, threads: int, artifacts: Path) -> None:
    assignment = assignment_of(proxy, turns + 1)
    training = Session(assignment, artifacts=artifacts, threads=threads, device="cpu")
    # Where the first trial has been, e.g. in whatever is imported on first use, no second one is slow again.
    startup = start_up(assignment_of(proxy, 2, {"function": "weighted"}), artifacts, threads)
    recipe, loaders, clock = assignment.fidelity.recipe, training._loaders, Clock()
    task = learning_task(assignment.task, recipe)
    built = task.build(assignment.architecture, loaders.classes, resolution=assignment.fidelity.resolution)
    network = make_network(built, task, device=torch.device("cpu"))
    optimizer = make_optimizer(network.model, recipe)
    train, held = list(loaders.train.epoch(1)), list(loaders.each.epoch(0))
    original, measuring = Session._until_interrupted, room.metered
    seconds: list[tuple[float, float]] = []
    steps: list[float] = []
    with (
        mock.patch.object(Session, "_until_interrupted", lambda self, batches: clock.batches(original(self, batches))),
        mock.patch.object(room, "train_epoch", clock.timed("training", room.train_epoch)),
        mock.patch.object(room, "metered", clock.timed("measuring", measuring)),
        mock.patch.object(room, "save_checkpoint", clock.timed("checkpoint", room.save_checkpoint)),
    ):
        training.next()
        bare_epoch(network, optimizer, train, held, recipe.label_smoothing)
        clock.spent.clear()
        for _ in range(turns):
            began = time.perf_counter()
            training.next()
            between = time.perf_counter()
            steps.append(bare_epoch(network, optimizer, train, held, recipe.label_smoothing))
            seconds.append((between - began, time.perf_counter() - between))
    ours = sum(mine for mine, _ in seconds)
    ratio = statistics.median(bare / mine for mine, bare in seconds)
    shares = "  ".join(f"{what} {spent / ours:.1%}" for what, spent in clock.spent.items())
    images = len(train) * proxy.batch
    print(
        f"{name} ({proxy.resolution} px, batch {proxy.batch}): {ratio:.3f} (aim >= 0.95); "
        f"{images * turns / ours:,.0f} images/s; second trial's first step after {startup:.2f} s (aim <= 1), "
        f"{startup - statistics.median(steps):.2f} s without the step"
    )
    print(f"  of our epoch, the loader's part within training and measuring: {shares}")
    print("  seconds: " + "  ".join(f"{mine:.2f}/{bare:.2f}" for mine, bare in seconds))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", choices=sorted(PROXIES))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    for name, proxy in PROXIES.items():
        if options.only in (None, name):
            with tempfile.TemporaryDirectory() as folder:
                compare(name, proxy, options.turns, options.threads, Path(folder))


if __name__ == "__main__":
    main()
