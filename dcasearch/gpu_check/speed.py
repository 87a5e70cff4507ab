"""The speed part: our training step beside the bare loop of another library's network, and the device's throughput."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch

from dcasearch.architecture import Architecture
from dcasearch.config.recipe import Recipe
from dcasearch.gpu_check.checks import Bench, Check, judged, measured
from dcasearch.gpu_check.findings import RATES, Finding
from dcasearch.gpu_check.networks import Row, networks
from dcasearch.gpu_check.timing import Bare, Stepping, compared, images_per_second
from dcasearch.models import cost

_AIM, _CONNECTED_AIM = 0.98, 0.97
"""Of a bare loop's speed; of the vanilla network's."""


def _compared(bench: Bench, row: Row, *, compiled: bool) -> Finding:
    """Compare a network with its yardstick, or a connected one with its vanilla one."""
    recipe = Recipe(precision="bf16", compile=compiled and bench.gpus > 0)
    batch = bench.sizes.batch
    ours = Stepping(bench, row.ours, recipe, batch)
    if row.yardstick is not None:
        aim, of = _AIM, f"{row.yardstick['library']}'s {row.yardstick['name']} in a bare loop"
        ratio, speeds = compared(bench, (ours, Bare(bench, row.yardstick, recipe, batch)))
    else:
        aim, of = _CONNECTED_AIM, "the same network without connections"
        ratio, speeds = compared(bench, (ours, Stepping(bench, row.vanilla or {}, recipe, batch)))
    name = f"{row.name}, {'compiled' if recipe.compile else 'eager'}"
    says = f"speed relative to {of}, at least {aim}"
    values = {"ratio": ratio, "images_per_second": speeds[0], "their_images_per_second": speeds[1]}
    if not bench.gpus:
        return measured(name, f"{says} on a GPU", **values)
    return judged(name, ratio >= aim, says, **values)


def _row(row: Row, *, compiled: bool) -> Callable[[Bench], Iterator[Finding]]:
    def run(bench: Bench) -> Iterator[Finding]:
        yield _compared(bench, row, compiled=compiled)
        torch.compiler.reset()

    return run


def _rates(bench: Bench) -> Iterator[Finding]:
    """Measure the throughput that forecasts are made from: networks at several sizes of image, eager, bf16."""
    recipe = Recipe(precision="bf16")
    for spec in networks().rated:
        architecture = Architecture.parse(spec)
        for resolution in networks().resolutions if bench.gpus else networks().resolutions[-1:]:
            speed = images_per_second(bench, Stepping(bench, spec, recipe, bench.sizes.batch, resolution))
            backbone = architecture.backbone.name
            yield measured(
                f"{RATES}: {backbone}, {resolution} pixels",
                "training, bf16, eager",
                images_per_second=speed,
                macs_per_second=3 * speed * cost(architecture, resolution, 1000).macs,
                backbone=backbone,
                resolution=resolution,
                batch=bench.sizes.batch,
            )


def _autotuned(bench: Bench) -> Iterator[Finding]:
    """Measure what trying cuDNN's algorithms would bring; a training does not, so that it can be repeated."""
    recipe, spec = Recipe(precision="bf16"), networks().vanilla
    usual = images_per_second(bench, Stepping(bench, spec, recipe, bench.sizes.batch))
    torch.backends.cudnn.benchmark = True
    try:
        tuned = images_per_second(bench, Stepping(bench, spec, recipe, bench.sizes.batch))
    finally:
        torch.backends.cudnn.benchmark = False
    says = "speed with torch.backends.cudnn.benchmark relative to without"
    yield measured("cudnn.benchmark", says, ratio=tuned / usual, images_per_second=usual)


CHECKS = (
    *(Check(name=f"{row.name}, eager", run=_row(row, compiled=False)) for row in networks().rows),
    Check(name=RATES, run=_rates),
    Check(name="cudnn.benchmark", run=_autotuned, needs="a GPU"),
    *(Check(name=f"{row.name}, compiled", run=_row(row, compiled=True), needs="a GPU") for row in networks().rows),
)
