"""The shape of every value in a graph, and which of its axes counts channels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import torch
from torch import Tensor, fx, nn

from dcasearch.errors import ArchitectureError

Shape: TypeAlias = tuple[int, ...]
SIZE, OTHER = 256, 2304
"""Pixels of the two images that a network is looked at with. They are far apart, so that rounding and padding do not
hide a scale of up to 32; on the meta device their size costs nothing."""


class _Recorder(fx.Interpreter):
    def __init__(self, root: nn.Module, graph: fx.Graph) -> None:
        super().__init__(root, graph=graph)
        self.shapes: dict[fx.Node, Shape] = {}

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        if isinstance(value, Tensor):
            self.shapes[n] = tuple(value.shape)
        return value


def shapes_of(root: nn.Module, graph: fx.Graph, size: int) -> Mapping[fx.Node, Shape]:
    """Return the shapes of a graph's tensors for a batch of two square images.

    Args:
        root: holds the graph's modules, on the meta device.
        graph: of images alone.
        size: pixels of a side.

    Raises:
        ArchitectureError: the network takes no images of that size.
    """
    recorder = _Recorder(root, graph)
    try:
        with torch.no_grad():
            recorder.run(torch.empty((2, 3, size, size), device="meta"))
    except Exception as error:  # whatever a layer raises for shapes that do not fit
        why = str(error).partition("\n")[0]
        raise ArchitectureError(f"the network takes no images of {size} pixels: {why}", ("backbone", "name")) from error
    return recorder.shapes


class Maps:
    """Which values of a graph are maps, with their channels and sides.

    A map has four axes. Its channel axis is the one whose size does not follow the image's: 1, or 3 in (B, H, W, C).
    """

    def __init__(self, root: nn.Module, graph: fx.Graph) -> None:
        self.shapes = shapes_of(root, graph, SIZE)
        self._others = shapes_of(root, graph, OTHER)
        self.axes = {n: _channel_axis(s, self._others[n]) for n, s in self.shapes.items() if len(s) == 4}

    def is_map(self, node: fx.Node) -> bool:
        """Tell whether a value is a map."""
        return node in self.axes

    def channels(self, node: fx.Node) -> int:
        """Return a map's channels."""
        return self.shapes[node][self.axes[node]]

    def side(self, node: fx.Node) -> int:
        """Return a map's height for an image of `SIZE` pixels."""
        return self.shapes[node][self._first(node)]

    def scale(self, node: fx.Node) -> int:
        """Return the pixels of the image for one pixel of a map, along a side: what a larger image adds says it."""
        added = self._others[node][self._first(node)] - self.side(node)
        return max(1, round((OTHER - SIZE) / added)) if added else SIZE

    def divides(self, source: fx.Node, node: fx.Node, strides: tuple[int, ...]) -> bool:
        """Tell whether a convolution's output has the sides of its input divided by its strides, rounded up."""
        pairs = [(shapes[source][2:], shapes[node][2:]) for shapes in (self.shapes, self._others)]
        return all(
            out == -(-side // stride)
            for before, after in pairs
            for side, out, stride in zip(before, after, strides, strict=True)
        )

    def _first(self, node: fx.Node) -> int:
        return 2 if self.axes[node] == 1 else 1


def _channel_axis(shape: Shape, other: Shape) -> int:
    return 3 if shape[3] == other[3] and shape[1] != other[1] else 1
