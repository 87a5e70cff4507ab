from __future__ import annotations

import copy
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import pytest
import torch
from torch import Tensor, fx, nn

from dcasearch.models.traced.generated import function_of
from dcasearch.models.traced.libraries import build
from dcasearch.models.traced.tracing import Root, trace

CLASSES = 5
needs_timm = pytest.mark.skipif(
    find_spec("timm") is None, reason="timm is not installed: pip install 'dcasearch[timm]'"
)


def library_network(name: str, seed: int = 0, **arguments: Any) -> nn.Module:
    library, _, model = name.partition("/")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build(library, model, arguments, CLASSES)


class Generated(nn.Module):
    """A network under its generated forward pass, with nothing inserted."""

    def __init__(self, backbone: nn.Module, graph: fx.Graph) -> None:
        super().__init__()
        self.backbone = backbone
        self.code = function_of(graph, "test")

    def forward(self, images: Tensor) -> Tensor:
        answer: Tensor = self.code(self, images)
        return answer


def twins(name: str, **arguments: Any) -> tuple[nn.Module, Generated]:
    """Return the library's network and its generated twin, of equal parameters."""
    theirs = library_network(name, **arguments)
    ours = copy.deepcopy(theirs)
    graph = trace(ours, library=name.partition("/")[0])
    return theirs, Generated(ours, graph)


def course(network: nn.Module, modes: tuple[bool, ...], size: int) -> Iterator[Tensor]:
    """Yield what a network answers in some modes one after the other, its gradients and its buffers."""
    images = torch.randn(4, 3, size, size, generator=torch.Generator().manual_seed(1))
    with torch.random.fork_rng(devices=[]):
        for mode in modes:
            network.train(mode)
            torch.manual_seed(2)
            logits = network(images)
            yield logits.detach()
            if mode:
                network.zero_grad()
                logits.square().sum().backward()
                yield from (p.grad.clone() for p in network.parameters() if p.grad is not None)
        yield from (buffer.clone() for buffer in network.buffers())


def assert_equal_courses(theirs: nn.Module, ours: nn.Module, size: int) -> None:
    """Hold logits, gradients and buffers equal bit for bit, in training and evaluation mode in both orders."""
    for modes in ((True, False), (False, True)):
        for one, other in zip(course(theirs, modes, size), course(ours, modes, size), strict=True):
            assert torch.equal(one, other)


def root_of(name: str, **arguments: Any) -> Root:
    with torch.device("meta"):
        return Root(library_network(name, **arguments))
