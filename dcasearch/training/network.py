"""The network of a training with every technique applied from outside, in one fixed order.

Once, when it is made: build, initialise, parameters of the vanilla parent (warm start), overrides of the recipe
(BatchNorm momentum, gradient checkpointing, dropout), frozen parts and kept statistics, device, constant messages,
synchronised BatchNorm, memory format, moving average, exchange of gradients between ranks (DDP), compile. In every
step (`loop.py`): learning rate, mixing, micro-batches, autocast, exchange with the last of them, clipping, optimiser,
moving average. The model knows of gradient checkpointing and of modules that are held in evaluation mode.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from dcasearch.config.recipe import Recipe
from dcasearch.errors import UserError
from dcasearch.models.build import DCANet
from dcasearch.models.layers import BatchNorm, synchronized
from dcasearch.models.transfer import transfer
from dcasearch.training.average import MovingAverage
from dcasearch.training.parts import settle_parts
from dcasearch.training.ranks import ALONE, Ranks
from dcasearch.training.tasks import LearningTask


@dataclass(frozen=True, eq=False, kw_only=True)
class TrainedNetwork:
    """A model with what the recipe wraps around it; all of them share the model's parameters."""

    model: nn.Module
    forward: Callable[..., Any]
    """What training calls: the model or its compiled form, with gradients that are those of all ranks."""
    ema: MovingAverage | None
    """Moving average of parameters and buffers."""
    device: torch.device
    precision: str
    local: Callable[..., Any] | None = None
    """What measuring calls where it is not `forward`: no gradients, nothing to exchange."""
    shared: DistributedDataParallel | None = None
    """What exchanges gradients with the other ranks, where there are any."""
    cuda_graphs: bool = False

    def autocast(self) -> AbstractContextManager[object]:
        """Return what the forward pass runs under."""
        if self.precision == "bf16":
            return torch.autocast(self.device.type, dtype=torch.bfloat16)
        return nullcontext()

    def keeping_gradients(self) -> AbstractContextManager[object]:
        """Return what a micro-batch runs under that is not its batch's last: its gradients stay on this rank."""
        return nullcontext() if self.shared is None else self.shared.no_sync()

    @property
    def evaluated(self) -> nn.Module:
        """The weights that are measured and kept: the average where there is one."""
        return self.model if self.ema is None else self.ema.module

    @property
    def evaluated_forward(self) -> Callable[..., Any]:
        """What measuring calls."""
        if self.ema is not None:
            return self.ema.module
        return self.forward if self.local is None else self.local


def make_network(
    network: nn.Module,
    task: LearningTask,
    *,
    device: torch.device,
    ranks: Ranks = ALONE,
    parent: Mapping[str, Tensor] | None = None,
    prepare: Callable[[nn.Module], None] | None = None,
) -> TrainedNetwork:
    """Return a network with the techniques of the task's recipe applied.

    Args:
        network: from the task's `build`; is changed.
        task: its recipe says what to apply.
        device: where it computes.
        ranks: this process among those that train together.
        parent: parameters and buffers of the same network without connections, which take the place of the drawn ones.
        prepare: called with the network on its device, before anything is wrapped around it.

    Raises:
        UserError: the parent is another network; the recipe asks for dropout and the backbone has no such layer, or for
            synchronised BatchNorm on the CPU; or it freezes more stages than there are, or everything.
    """
    recipe = task.recipe
    if parent is not None:
        transfer(network, parent, drawn=_of_connections, words="the parent")
    _override(network, recipe)
    settle_parts(network, recipe)
    network.to(device)
    if prepare is not None:
        prepare(network)
    model = _synchronized(network, device, ranks) if task.synchronizes else network
    if recipe.in_channels_last(device.type):
        model = model.to(memory_format=torch.channels_last)
    ema = None if recipe.ema is None else MovingAverage(model, recipe.ema)
    shared = _shared(model, device) if ranks.world > 1 else None
    return TrainedNetwork(
        model=model,
        forward=_fed(_compiled(model if shared is None else shared, recipe), recipe, device),
        local=None if shared is None else _compiled(model, recipe),
        shared=shared,
        cuda_graphs=recipe.cuda_graphs,
        ema=ema,
        device=device,
        precision=recipe.precision if _has_bf16(device) else "fp32",
    )


def _of_connections(name: str) -> bool:
    return "connections" in name.split(".")


def _override(model: nn.Module, recipe: Recipe) -> None:
    if recipe.bn_momentum is not None:
        for module in model.modules():
            if isinstance(module, BatchNorm):
                module.momentum = recipe.bn_momentum
    if recipe.gradient_checkpointing:
        for module in model.modules():
            if isinstance(module, DCANet):
                module.recomputes = True
    if recipe.dropout is not None:
        layers = [module for module in model.modules() if isinstance(module, nn.Dropout)]
        if recipe.dropout > 0 and not layers:
            raise UserError(f"recipe.dropout: {recipe.dropout} cannot be applied, the backbone has no dropout layer")
        for layer in layers:
            layer.p = recipe.dropout


def _synchronized(model: nn.Module, device: torch.device, ranks: Ranks) -> nn.Module:
    if device.type == "cpu":
        raise UserError(
            "BatchNorm over ranks (recipe.sync_batchnorm, detector.bn: sync) needs GPUs, PyTorch has it for no CPU"
        )
    if ranks.world == 1:
        return model
    return synchronized(model)


def _compiled(model: nn.Module, recipe: Recipe) -> Callable[..., Any]:
    if not recipe.compile:
        return model
    # PyTorch's name for CUDA graphs; on the CPU this mode is the default one.
    return torch.compile(model, mode="reduce-overhead") if recipe.cuda_graphs else torch.compile(model)


def _fed(forward: Callable[..., Any], recipe: Recipe, device: torch.device) -> Callable[..., Any]:
    """Return what gives a network its images in the memory format of its weights where the format matters."""
    if recipe.channels_last == recipe.in_channels_last(device.type):
        return forward

    def fed(images: Any, *targets: Any) -> Any:
        # A loader's crop may have left a batch channels_last; a list of images has no such format.
        return forward(images.contiguous() if isinstance(images, Tensor) else images, *targets)

    return fed


def _shared(model: nn.Module, device: torch.device) -> DistributedDataParallel:
    devices = [device] if device.type == "cuda" else None
    return DistributedDataParallel(model, device_ids=devices, gradient_as_bucket_view=True)


def _has_bf16(device: torch.device) -> bool:
    """Return whether the device computes in bf16; every CPU does."""
    return device.type == "cpu" or (device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False))


def choose_device(name: str) -> torch.device:
    """Return the device of that name; `auto` is the GPU where there is one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)
