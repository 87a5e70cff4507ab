"""What `message: constant` holds: the mean of each message over images, measured in the trained vanilla parent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from dcasearch.architecture.kinds import Dimension
from dcasearch.models.attention.base import Messages, Sends
from dcasearch.models.build import DCANet, sends_of
from dcasearch.models.connections import Incoming
from dcasearch.models.initialization import initialize

_Sender: TypeAlias = tuple[str, Dimension]
_Sums: TypeAlias = dict[_Sender, list[Tensor]]
"""By sender and dimension one tensor (C',) per branch."""


def _alone(value: Tensor) -> Tensor:
    return value


@torch.no_grad()
def set_constants(
    model: DCANet,
    parent: Mapping[str, Tensor],
    batches: Iterable[Tensor],
    *,
    total: Callable[[Tensor], Tensor] = _alone,
) -> None:
    """Set every constant message of a network to that message's mean in the vanilla parent.

    The parent runs in evaluation mode and in fp32. The mean is over images, and over the positions of a map: one number
    per channel or plane, so that the network takes images of any size.

    Args:
        model: on the device where it will compute; other parameters and buffers stay as they are.
        parent: the state of the same network without connections, trained.
        batches: normalised images (B, 3, H, W) on that device, without augmentation; empty batches are passed over.
        total: sums a tensor over all processes that measure a share of the images.

    Raises:
        RuntimeError: the state is another network's.
        ValueError: there are no images.
    """
    vanilla = _vanilla(model, parent)
    sums, images = _Listening(), 0
    with _heard(vanilla, model, sums):
        for batch in batches:
            if len(batch):
                vanilla(batch)
                images += len(batch)
    device = next(model.parameters()).device
    seen = int(total(torch.tensor(images, device=device)))
    if not seen:
        raise ValueError("there are no images to measure the constant messages on")
    means = {key: tuple(total(one) / seen for one in parts) for key, parts in sorted(sums.by_sender.items())}
    for dimension, source, edge in _edges(model):
        edge.set_constant(means[source, dimension])


def is_measured(model: nn.Module) -> bool:
    """Return whether a network has every constant that it needs; one without such messages needs none."""
    return all(bool(value) for name, value in model.state_dict().items() if name.endswith(".control.measured"))


class _Listening:
    """Sums of messages over images, in fp64."""

    def __init__(self) -> None:
        self.by_sender: _Sums = {}

    def add(self, source: str, messages: Messages) -> None:
        for dimension, message in messages.items():
            parts = [_over_images(tensor) for tensor in message]
            known = self.by_sender.get((source, dimension), [torch.zeros_like(part) for part in parts])
            self.by_sender[source, dimension] = [one + other for one, other in zip(known, parts, strict=True)]


def _over_images(message: Tensor) -> Tensor:
    """Return the sum over images of the means over positions, shape (C',)."""
    values = message.double()
    return (values.flatten(2).mean(2) if values.dim() > 2 else values).sum(0)


def _vanilla(model: DCANet, parent: Mapping[str, Tensor]) -> DCANet:
    """Return the parent; its messages have the form that the connected network's have."""
    with torch.device("meta"):
        vanilla = DCANet(replace(model.network, edges=()), model.classes)
    vanilla.to_empty(device="cpu")
    initialize(vanilla, seed=0)
    vanilla.load_state_dict(parent)
    return vanilla.to(next(model.parameters()).device).eval()


@contextmanager
def _heard(vanilla: DCANet, model: DCANet, sums: _Listening) -> Iterator[None]:
    """Let the parent's blocks send what the connected network's do, and add it up; in the parent nobody receives it."""
    with ExitStack() as hooks:
        for n, name in enumerate(vanilla.names):
            sends = sends_of(model.network, n)
            if not sends:
                continue
            block = vanilla.attention[name]
            hooks.callback(block.register_forward_pre_hook(_asking(sends)).remove)
            hooks.callback(block.register_forward_hook(_taking(name, sums)).remove)
        yield


def _asking(sends: Sends) -> Callable[[nn.Module, tuple[Any, ...]], tuple[Any, ...]]:
    def ask(block: nn.Module, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        return *arguments[:-1], sends

    return ask


def _taking(name: str, sums: _Listening) -> Callable[[nn.Module, object, tuple[Tensor, Messages]], object]:
    def take(block: nn.Module, arguments: object, output: tuple[Tensor, Messages]) -> object:
        x, messages = output
        sums.add(name, messages)
        return x, {}

    return take


def _edges(model: DCANet) -> Iterator[tuple[Dimension, str, Incoming]]:
    """Yield every connection into every branch, with its dimension and its sender's name."""
    for receivers in model.connections.values():
        for dimension, receiver in receivers.items():  # type: ignore[operator]  # a ModuleDict's items are modules
            for branch in receiver.branches:
                yield from ((dimension, source, edge) for source, edge in branch.edges.items())
