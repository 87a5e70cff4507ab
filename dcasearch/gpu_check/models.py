"""The models part: every kind of network on the device against the CPU in fp64, and what compiles and exports it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dcasearch.architecture import BACKBONES, KINDS, ConnectionFunction
from dcasearch.architecture.specification import MessageSource
from dcasearch.gpu_check.checks import Bench, Check, judged, relative_error
from dcasearch.gpu_check.findings import Finding
from dcasearch.gpu_check.networks import networks
from dcasearch.models import build_model
from dcasearch.models.controls import Constant
from dcasearch.models.layers import BatchNorm

LOGITS, GRADIENTS = 1e-4, 5e-2
"""Relative error allowed in fp32, without TF32, against fp64 on the CPU: of the logits, and of all gradients together.
Gradients jump where a rounding moves an activation to the other side of a ReLU's or a maximum's kink."""
BF16 = 2.0
"""In bf16 the device's error may be so many times the CPU's own error in bf16, which is large in a deep network."""
_BATCH, _RESOLUTION, _CLASSES = 8, 32, 10


def _specs(bench: Bench) -> dict[str, dict[str, Any]]:
    """Return the networks by name: backbones with attentions, connected where the attention can be."""
    smallest = {
        family: min(names, key=lambda name: len(BACKBONES[name](1.0, "small").blocks))
        for family, names in _families().items()
    }
    kinds = list(KINDS)
    pairs = [
        (backbone, kind)
        for place, backbone in enumerate(smallest.values())
        for number, kind in enumerate(kinds)
        if bench.sizes.every_network or number % len(smallest) == place
    ]
    specs = {f"{backbone} {kind}": _spec(backbone, kind, {}) for backbone, kind in pairs}
    first = next(kind for kind in kinds if KINDS[kind].dimensions)
    backbone = next(iter(smallest.values()))
    for key, choice in (("function", ConnectionFunction.model_fields["name"].annotation), ("message", MessageSource)):
        for word in get_args(choice):
            specs[f"{backbone} {first} {word}"] = _spec(backbone, first, {key: word})
    return specs


def _families() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, backbone in BACKBONES.items():
        found.setdefault(backbone.family, []).append(name)
    return found


def _spec(backbone: str, kind: str, connections: Mapping[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = {"backbone": {"name": backbone, "stem": "small"}, "attention": {"name": kind}}
    return {**spec, "connections": connections} if KINDS[kind].dimensions else spec


def _against_the_cpu(bench: Bench) -> Iterator[Finding]:
    """Compare logits and gradients of one step, in both precisions and both memory formats."""
    images, labels = _batch()
    for name, spec in _specs(bench).items():
        model = _model(spec)
        wanted = _step(model.double(), images.double(), labels)
        model.float()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            usual = _errors(_step(model, images, labels), wanted)
        limits = {"fp32": (LOGITS, GRADIENTS), "bf16": (BF16 * usual[0], BF16 * usual[1])}
        model.to(bench.device)
        for precision, (of_logits, of_gradients) in limits.items():
            for layout, memory in (("contiguous", torch.contiguous_format), ("channels_last", torch.channels_last)):
                if layout == "channels_last" and precision == "bf16" and bench.device.type == "cpu":
                    continue  # nothing trains so: see Recipe.in_channels_last
                inputs = images.to(bench.device).to(memory_format=memory)
                with _exact(), _autocast(bench, precision):
                    found = _step(model.to(memory_format=memory), inputs, labels.to(bench.device))
                logits, gradients = _errors(found, wanted)
                yield judged(
                    f"against the CPU: {name}, {precision}, {layout}",
                    logits <= of_logits and gradients <= of_gradients,
                    f"relative error of logits at most {of_logits:.2g}, of gradients {of_gradients:.2g}",
                    logits=logits,
                    gradients=gradients,
                )


def _errors(found: list[Tensor], wanted: list[Tensor]) -> tuple[float, float]:
    """Return the relative errors of the logits, and of all gradients together."""
    return relative_error(found[:1], wanted[:1]), relative_error(found[1:], wanted[1:])


def _model(spec: Mapping[str, Any]) -> nn.Module:
    """Return a network in which every parameter has a say, with BatchNorm's statistics of our batch.

    It is in evaluation mode: the gradient through the statistics of a small batch magnifies rounding a hundredfold, and
    would hide what is looked for.
    """
    model = build_model(spec, num_classes=_CLASSES, seed=0)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 0:
                parameter.fill_(0.5)
            elif not parameter.any():
                parameter.normal_(0, 0.1, generator=generator)
        for module in model.modules():
            if isinstance(module, Constant):
                module.set_to(torch.randn(module.values.shape, generator=generator))
            if isinstance(module, BatchNorm):
                module.momentum = 1.0
        model.train()(_batch()[0])
    return model.eval()


def _batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(_BATCH, 3, _RESOLUTION, _RESOLUTION, generator=generator)
    return images, torch.arange(_BATCH) % _CLASSES


def _step(model: Any, images: Tensor, labels: Tensor, parameters: nn.Module | None = None) -> list[Tensor]:
    """Return the logits and all gradients of one step; the model's are empty afterwards."""
    owner: nn.Module = parameters or model
    logits = model(images)
    F.cross_entropy(logits if logits.dtype == torch.float64 else logits.float(), labels).backward()  # type: ignore[no-untyped-call]  # torch has no types here
    gradients = [p.grad.clone() for p in owner.parameters() if p.grad is not None]
    owner.zero_grad(set_to_none=True)
    return [logits.detach().clone(), *gradients]


@contextmanager
def _exact() -> Iterator[None]:
    """Switch off TF32, which has bf16's neighbour's precision and is on for convolutions."""
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


def _autocast(bench: Bench, precision: str) -> AbstractContextManager[object]:
    return torch.autocast(bench.device.type, dtype=torch.bfloat16) if precision == "bf16" else nullcontext()


def _compiled(bench: Bench) -> Iterator[Finding]:
    """Compare the compiled network with the eager one; on the CPU without making kernels, which takes minutes."""
    backend = "aot_eager" if bench.device.type == "cpu" else "inductor"
    yield _like_eager(bench, f"compile: {backend}", lambda model: torch.compile(model, backend=backend))


def _graphed(bench: Bench) -> Iterator[Finding]:
    """Compare the network whose kernels are launched as one CUDA graph with the eager one."""
    yield _like_eager(bench, "CUDA graphs", lambda model: torch.compile(model, mode="reduce-overhead"))


def _like_eager(bench: Bench, name: str, compiled: Callable[[nn.Module], Any]) -> Finding:
    images, labels = (tensor.to(bench.device) for tensor in _batch())
    model = _model(networks().small).to(bench.device)
    faster = compiled(model)
    with _exact():
        wanted = _step(model, images, labels)
        for _ in range(3):  # a graph is recorded at the second call
            torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]  # torch has no types here
            found = _step(faster, images, labels, model)
    logits, gradients = _errors(found, wanted)
    return judged(
        name,
        logits <= LOGITS and gradients <= GRADIENTS,
        f"against eager, relative error of logits at most {LOGITS:g}, of gradients {GRADIENTS:g}",
        logits=logits,
        gradients=gradients,
    )


def _exported(bench: Bench) -> Iterator[Finding]:
    """Compare the network that `torch.export` makes with the eager one."""
    model = _model(networks().small).to(bench.device).eval()
    images = _batch()[0].to(bench.device)
    with torch.no_grad(), _exact():
        exported = torch.export.export(model, (images,)).module()
        error = relative_error([exported(images)], [model(images)])
    yield judged("export", error <= 1e-5, "torch.export against eager, relative error at most 1e-05", logits=error)


CHECKS = (
    Check(name="against the CPU", run=_against_the_cpu),
    Check(name="compile", run=_compiled),
    Check(name="CUDA graphs", run=_graphed, needs="a GPU"),
    Check(name="export", run=_exported),
)
