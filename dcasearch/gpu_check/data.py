"""The data part: what the loaders give, and what the device eats."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import torch

from dcasearch.config.data_set import Data
from dcasearch.config.recipe import Recipe
from dcasearch.data import Loader, open_loaders
from dcasearch.data.preparing import prepare
from dcasearch.gpu_check.checks import Bench, Check, measured
from dcasearch.gpu_check.findings import LOADERS, Finding
from dcasearch.gpu_check.networks import networks
from dcasearch.gpu_check.timing import Stepping, images_per_second

_MARGIN = 32
"""Pixels that a prepared image is larger than what the network gets, as usual: 256 for 224."""
_SECONDS = 8.0
"""Of loading, for each side."""


def _workers() -> int:
    return max(1, (os.cpu_count() or 2) - 1)


def _loader(bench: Bench, root: Path, workers: int) -> Loader:
    recipe = Recipe.model_validate({"batch_size": min(bench.sizes.batch, bench.sizes.images // 2)})
    return open_loaders(
        Data(name="imagefolder", root=str(root), workers=workers, protocol="paper"),
        "paper",
        resolution=bench.sizes.resolution,
        train_fraction=1.0,
        recipe=recipe,
        seed=0,
        artifacts=None,
        device=bench.device,
    ).train


def _loaded_per_second(bench: Bench, loader: Loader) -> float:
    """Return the images per second that arrive on the device, after the first batches, which wait for processes."""
    images, epoch, warm = 0, 0, 2
    began = time.perf_counter()
    while time.perf_counter() - began < (_SECONDS if bench.gpus else 1.0) or not images:
        epoch += 1
        for batch in loader.epoch(epoch):
            if warm:
                warm -= 1
                began = time.perf_counter()
                continue
            images += len(batch[1])
            bench.synchronize()
    return images / (time.perf_counter() - began)


def _loaders(bench: Bench) -> Iterator[Finding]:
    """Measure the loaders, from files and from prepared shards, beside what a network eats at the same size."""
    workers, resolution = _workers(), bench.sizes.resolution
    files, prepared = bench.pictures(bench.sizes.images), bench.folder / "prepared"
    prepare(files, prepared, size=resolution + _MARGIN, workers=workers, max_corrupt=0.0)
    eaten = images_per_second(bench, Stepping(bench, networks().connected, Recipe(precision="bf16"), bench.sizes.batch))
    for name, root in (("prepared", prepared), ("files", files)):
        given = _loaded_per_second(bench, _loader(bench, root, workers))
        limit = "the device" if given > eaten else "the loaders"
        yield measured(
            f"{LOADERS}: {name}",
            f"{limit} are the limit" if limit == "the loaders" else f"{limit} is the limit",
            images_per_second=given,
            images_per_second_of_a_worker=given / workers,
            workers=workers,
            resolution=resolution,
            eaten_per_second=eaten,
        )


def _normalised(bench: Bench) -> Iterator[Finding]:
    """Measure the copy to the device and the normalisation there, without any loading."""
    from dcasearch.data.batches import Normalize, to_device

    normalize = Normalize((0.5, 0.5, 0.5), (0.25, 0.25, 0.25), bench.device)
    size = (bench.sizes.batch, 3, bench.sizes.resolution, bench.sizes.resolution)
    images = torch.randint(0, 256, size, dtype=torch.uint8)
    rounds = 20 if bench.gpus else 2
    normalize(to_device(images, bench.device))
    bench.synchronize()
    began = time.perf_counter()
    for _ in range(rounds):
        normalize(to_device(images, bench.device))
    bench.synchronize()
    speed = rounds * bench.sizes.batch / (time.perf_counter() - began)
    yield measured("copy and normalise", "bytes to the device, floats there", images_per_second=speed)


CHECKS = (Check(name=LOADERS, run=_loaders), Check(name="copy and normalise", run=_normalised))
