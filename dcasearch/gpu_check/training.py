"""The training part: nothing waits in secret, ranks agree, memory comes back, and a kill costs nothing."""

from __future__ import annotations

import copy
import gc
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.profiler import ProfilerActivity, profile

from dcasearch.architecture import Architecture
from dcasearch.config import load_recipe, recipe_names
from dcasearch.config.recipe import Recipe
from dcasearch.data import Batch
from dcasearch.errors import TrialFailure
from dcasearch.gpu_check.checks import Bench, Check, judged, measured, not_run, relative_error
from dcasearch.gpu_check.children import STEPS, Ended, assignment_of, started
from dcasearch.gpu_check.findings import Finding
from dcasearch.gpu_check.networks import Spec, networks
from dcasearch.gpu_check.ranks import two_ranks
from dcasearch.metrics import CLASSIFICATION
from dcasearch.training import Assignment, evaluate
from dcasearch.training.loop import train_epoch
from dcasearch.training.network import TrainedNetwork, make_network
from dcasearch.training.optimizer import make_optimizer
from dcasearch.training.ranks import init_ranks
from dcasearch.training.tasks import learning_task

_WARM, _WATCHED = 3, 10
"""Optimiser steps before the watched ones, and those; together fewer than lie between two looks at the loss."""
_CLASSES = 10
_TOLERANCE = 0.05
"""Difference of the final loss allowed where torch may choose its algorithms, relative to the loss."""
_PEAK = 1.03
"""Peak memory of a connected network allowed, relative to its vanilla one."""
_WAITS = ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize")


def _network(bench: Bench, recipe: Recipe, spec: Spec) -> tuple[TrainedNetwork, torch.optim.Optimizer]:
    task = learning_task(CLASSIFICATION.name, recipe)
    built = task.build(Architecture.parse(spec), _CLASSES, resolution=bench.sizes.resolution)
    network = make_network(built, task, device=bench.device)
    return network, make_optimizer(network.model, recipe)


def _batches(bench: Bench, count: int, images: int = 8, resolution: int = 32) -> list[Batch]:
    generator = torch.Generator().manual_seed(0)
    return [
        (
            torch.randn(images, 3, resolution, resolution, generator=generator).to(bench.device),
            torch.randint(0, _CLASSES, (images,), generator=generator).to(bench.device),
        )
        for _ in range(count)
    ]


def _train(
    network: TrainedNetwork, optimizer: torch.optim.Optimizer, recipe: Recipe, batches: Iterable[Batch]
) -> float:
    """Train an epoch and return its mean loss."""
    task = learning_task(CLASSIFICATION.name, recipe)
    mix = task.mix(1, _CLASSES, 0)
    return train_epoch(network, optimizer, batches, lambda step: 1e-3, task, mix=mix).loss


def _no_waiting(bench: Bench) -> Iterator[Finding]:
    """Train a few steps with every shipped recipe; on a GPU, a step that waits for it is an error."""
    for name in recipe_names():
        recipe = load_recipe(name).recipe
        network, optimizer = _network(bench, recipe, networks().small)
        waited = "on the CPU nothing can wait; the steps ran"
        try:
            _train(network, optimizer, recipe, _watched(_batches(bench, _WARM + _WATCHED)))
            if bench.gpus:
                waited = "no step waited for the GPU (torch.cuda.set_sync_debug_mode)"
            yield judged(f"no waiting in a step: {name}", True, waited)
        except RuntimeError as error:
            yield judged(f"no waiting in a step: {name}", False, str(error).splitlines()[0])


def _watched(batches: list[Batch]) -> Iterator[Batch]:
    """Yield batches; from the last warm one to the end, whatever waits for the GPU raises RuntimeError."""
    try:
        for number, batch in enumerate(batches):
            if number == _WARM and batch[0].is_cuda:
                torch.cuda.set_sync_debug_mode("error")
            yield batch
    finally:
        if batches[0][0].is_cuda:
            torch.cuda.set_sync_debug_mode("default")


def _profile(bench: Bench) -> Iterator[Finding]:
    """Count what a step calls, with the plainest and the fullest recipe."""
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if bench.gpus else [])]
    by_length = sorted(recipe_names(), key=lambda name: len(load_recipe(name).recipe.model_dump(exclude_defaults=True)))
    for name in (by_length[0], by_length[-1]):
        recipe = load_recipe(name).recipe
        network, optimizer = _network(bench, recipe, networks().small)
        _train(network, optimizer, recipe, _batches(bench, _WARM))
        batches = _batches(bench, _WATCHED)
        with profile(activities=activities) as seen:
            _train(network, optimizer, recipe, batches)
        events = {event.key: event for event in seen.key_averages()}
        waits = sum(events[key].count for key in _WAITS if key in events)
        yield measured(
            f"profile: {name}",
            f"{_WATCHED} steps, and one look at the loss, which waits for the GPU",
            cpu_ms_per_step=sum(e.self_cpu_time_total for e in events.values()) / 1000 / _WATCHED,
            gpu_ms_per_step=sum(e.self_device_time_total for e in events.values()) / 1000 / _WATCHED,
            launches_per_step=sum(e.count for k, e in events.items() if "LaunchKernel" in k) / _WATCHED,
            operators_per_step=sum(e.count for k, e in events.items() if k.startswith("aten::")) / _WATCHED,
            waits=waits,
        )


def _copies(bench: Bench) -> Iterator[Finding]:
    """Look at how batches come to the GPU: from pinned memory alone."""
    counts: list[Counter[str]] = []
    for epochs in (1, 2):
        assignment = assignment_of(bench, networks().small, epochs=epochs)
        with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as seen:
            _evaluated(bench, assignment, f"copies-{epochs}")
        events = [event for event in seen.key_averages() if "Memcpy HtoD" in event.key]
        kinds = ("Pinned", "Pageable")
        counts.append(Counter({kind: sum(e.count for e in events if kind in e.key) for kind in kinds}))
    # The network goes there once, from ordinary memory; what one more epoch adds is the batches.
    more = {kind: counts[1][kind] - counts[0][kind] for kind in ("Pinned", "Pageable")}
    yield judged(
        "pinned copies",
        more["Pinned"] >= STEPS and more["Pageable"] == 0,
        "what one more epoch copies to the GPU comes from pinned memory alone",
        pinned=more["Pinned"],
        pageable=more["Pageable"],
    )


def _evaluated(bench: Bench, assignment: Assignment, folder: str) -> float:
    """Train in this process and return the loss on the held-out images."""
    done = evaluate(
        assignment,
        artifacts=bench.folder / folder,
        report=lambda epoch: True,
        threads=1,
        device=str(bench.device),
    )
    return done.last.values["loss"]


def _fused(bench: Bench) -> Iterator[Finding]:
    """Compare the optimiser's fused step with torch's plain one."""
    recipe, batch = Recipe(batch_size=8), _batches(bench, 1)[0]
    network, optimizer = _network(bench, recipe, networks().small)
    torch.nn.functional.cross_entropy(network.model(batch[0]), batch[1]).backward()  # type: ignore[no-untyped-call]  # torch has no types here
    other = copy.deepcopy(network.model)
    for mine, theirs in zip(network.model.parameters(), other.parameters(), strict=True):
        theirs.grad = None if mine.grad is None else mine.grad.clone()
    plain = make_optimizer(other, recipe)
    for group in plain.param_groups:
        group["fused"], group["foreach"] = False, False
    optimizer.step()
    plain.step()
    error = relative_error(list(network.model.parameters()), list(other.parameters()))
    fused = all(group["fused"] for group in optimizer.param_groups)
    yield judged(
        "fused optimiser",
        error <= 1e-6 and (fused or not bench.gpus),
        "parameters after one step, relative error at most 1e-06" + ("" if fused else "; not fused on the CPU"),
        error=error,
    )


def _one_rank(bench: Bench) -> Iterator[Finding]:
    """Train one step inside a process group of one rank: DDP's gradients, and synchronised BatchNorm's outputs."""
    images, labels = _batches(bench, 1)[0]
    model = _network(bench, Recipe(), networks().small)[0].model
    alone = _gradients(model, images, labels)
    with init_ranks(f"file://{bench.folder / 'one-rank'}", 0, 1, bench.device):
        shared = DistributedDataParallel(model, device_ids=[bench.device] if bench.gpus else None)
        error = relative_error(_gradients(shared, images, labels), alone)
        backend = "NCCL" if bench.gpus else "gloo"
        says = f"DDP's gradients over {backend} against the model's own, relative error at most 1e-05"
        yield judged("one rank: gradients", error <= 1e-5, says, error=error)
        if bench.gpus:
            synchronized: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(copy.deepcopy(model))  # type: ignore[no-untyped-call]  # no types
            error = relative_error(_gradients(synchronized, images, labels), alone)
            says = "SyncBatchNorm's gradients against BatchNorm's, relative error at most 1e-03"
            yield judged("one rank: sync_batchnorm", error <= 1e-3, says, error=error)


def _gradients(model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> list[torch.Tensor]:
    torch.nn.functional.cross_entropy(model(images), labels).backward()  # type: ignore[no-untyped-call]  # torch has no types here
    found = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    model.zero_grad(set_to_none=True)
    return found


def _two_ranks(bench: Bench) -> Iterator[Finding]:
    """Train with two ranks; on GPUs with synchronised BatchNorm, and then as one rank does."""
    if bench.gpus == 1:
        yield not_run("two ranks", "needs two GPUs, there is one")
        return
    found, alone = two_ranks(bench)
    difference = abs(found - alone) / alone
    synchronized = bench.gpus >= 2
    yield judged(
        "two ranks",
        difference <= _TOLERANCE or not synchronized,
        f"loss of two ranks against one's, relative difference at most {_TOLERANCE}"
        if synchronized
        else "two gloo ranks on the CPU trained to the end; their BatchNorm is not synchronised, so losses may differ",
        two=found,
        one=alone,
    )


def _out_of_memory(bench: Bench) -> Iterator[Finding]:
    """Let a training run out of memory, and train the next one on the same device."""
    small = assignment_of(bench, networks().small, epochs=1)
    _evaluated(bench, small, "before")
    held = _held(bench)
    kind, message = "none", ""
    with _little_memory(bench):
        try:
            large = assignment_of(bench, networks().connected, epochs=1, resolution=224)
            _evaluated(bench, large, "too-large")
        except TrialFailure as failure:
            kind, message = failure.kind, str(failure)
    again = _held(bench)
    loss = _evaluated(bench, assignment_of(bench, networks().small, epochs=1, seed=1), "after")
    yield judged(
        "out of memory",
        kind == "oom" and again <= held + (1 << 20),
        f"sorted as oom, its memory back within 1 MiB, and the next trial trains; it said: {message[:120]}",
        kind=kind,
        bytes_before=held,
        bytes_after=again,
        next_loss=loss,
    )


def _held(bench: Bench) -> int:
    gc.collect()
    torch.cuda.empty_cache()
    return torch.cuda.memory_allocated(bench.device)


@contextmanager
def _little_memory(bench: Bench) -> Iterator[None]:
    """Allow this process only a little more of the GPU's memory than it holds."""
    total = torch.cuda.get_device_properties(bench.device).total_memory
    torch.cuda.set_per_process_memory_fraction((_held(bench) + (300 << 20)) / total, bench.device)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, bench.device)


def _kills(bench: Bench) -> Iterator[Finding]:
    """Kill a training and let it go on; then run two side by side on the device."""
    assignment = assignment_of(bench, networks().small, epochs=3)
    for deterministic in (True, False):
        name = "deterministic" if deterministic else "as torch chooses"
        folder = bench.folder / f"kills-{int(deterministic)}"
        with started(assignment, folder / "alone", bench.device, deterministic=deterministic) as child:
            alone = child.ended()
        with started(assignment, folder / "killed", bench.device, deterministic=deterministic) as child:
            child.after(STEPS + 1)
            child.kill()
        with started(assignment, folder / "killed", bench.device, deterministic=deterministic) as child:
            resumed = child.ended()
        yield _equal(f"killed and resumed: {name}", resumed, alone, exact=deterministic)
        if deterministic:
            with (
                started(assignment, folder / "left", bench.device) as left,
                started(assignment, folder / "right", bench.device) as right,
            ):
                ended = left.ended(), right.ended()
            yield _equal("side by side: one of two on the device", ended[0], alone, exact=True)
            yield _equal("side by side: the other", ended[1], alone, exact=True)


def _equal(name: str, found: Ended, wanted: Ended, *, exact: bool) -> Finding:
    if exact:
        says = "weights equal to those of a training alone and undisturbed, bit for bit, with deterministic algorithms"
        return judged(name, found.weights == wanted.weights, says, loss=found.loss, undisturbed=wanted.loss)
    difference = abs(found.loss - wanted.loss) / wanted.loss
    says = f"loss against that of an undisturbed training, relative difference at most {_TOLERANCE}"
    return judged(name, difference <= _TOLERANCE, says, loss=found.loss, undisturbed=wanted.loss)


def _peak_memory(bench: Bench) -> Iterator[Finding]:
    """Compare the peak memory of a step, connected against vanilla."""
    recipe = Recipe(precision="bf16")
    peaks = []
    for spec in (networks().vanilla, networks().connected):
        network, optimizer = _network(bench, recipe, spec)
        batches = _batches(bench, 2, images=64, resolution=bench.sizes.resolution)
        torch.cuda.reset_peak_memory_stats(bench.device)
        _train(network, optimizer, recipe, batches)
        peaks.append(torch.cuda.max_memory_allocated(bench.device))
        del network, optimizer, batches
        _held(bench)
    ratio = peaks[1] / peaks[0]
    says = f"connected against vanilla, at most {_PEAK}"
    yield judged("peak memory", ratio <= _PEAK, says, ratio=ratio, vanilla_bytes=peaks[0], connected_bytes=peaks[1])


CHECKS = (
    Check(name="no waiting in a step", run=_no_waiting),
    Check(name="profile", run=_profile),
    Check(name="pinned copies", run=_copies, needs="a GPU"),
    Check(name="fused optimiser", run=_fused),
    Check(name="one rank", run=_one_rank),
    Check(name="peak memory", run=_peak_memory, needs="a GPU"),
    Check(name="out of memory", run=_out_of_memory, needs="a GPU"),
    Check(name="killed and resumed", run=_kills),
    Check(name="two ranks", run=_two_ranks),
)
