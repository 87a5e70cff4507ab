"""Whole networks: a backbone, its attention, and the connections between (Eq. 3 and section 3.3 of the paper)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tests.reference.arithmetic import (
    Array,
    Weights,
    averaged,
    batch_norm,
    convolution,
    fully_connected,
    layer_norm,
    mean,
    nearest,
    pooled,
    relu,
)
from tests.reference.attention import KINDS, Call, Messages, Port, ports
from tests.reference.functions import fused


@dataclass(frozen=True)
class Block:
    """One block of a network as it is written, or what stands after a stage."""

    name: str
    """As parameters have it, e.g. `layer1_0`, or `stage1` after the first stage."""
    stage: int
    stride: int
    scale: int
    """Product of the strides up to its output."""
    kind: str
    options: Mapping[str, Any]
    after_stage: bool = False

    @property
    def ports(self) -> dict[str, Port]:
        return ports(self.kind, self.options)


@dataclass(frozen=True)
class Connections:
    """How blocks are connected."""

    function: str
    topology: str
    act: bool = False
    """Whether a ReLU follows the layers of a matching."""
    norm_at: str = "all"
    """Whether a matching's second layer has norm and activation too (`all`) or not (`inner`)."""
    resize: str = "average"
    message: str = "sender"
    """What is sent: the sender's message, or a control's."""


def backbone(name: str, kinds: Sequence[Mapping[str, Any]], ends: Sequence[Mapping[str, Any]]) -> list[Block]:
    """Return a backbone's blocks with their attention, and the ends of stages with theirs, in network order.

    All have the small stem, which keeps the resolution. `kinds` has an entry a block, `ends` one a stage.
    """
    settings = {
        "mobilenet_v2": [(1, 1), (2, 2), (3, 2), (4, 2), (3, 1), (3, 2), (1, 1)],
        "resnet18": [(2, 1), (2, 2), (2, 2), (2, 2)],
        "resnet34": [(3, 1), (4, 2), (6, 2), (3, 2)],
    }[name]
    """(blocks, stride of the first) of each stage."""
    blocks: list[Block] = []
    scale, number = 1, 0
    for stage, (count, first) in enumerate(settings):
        for n in range(count):
            stride = first if n == 0 else 1
            scale *= stride
            title = f"layer{stage + 1}_{n}" if name.startswith("resnet") else f"features_{number + 1}"
            options = dict(kinds[number])
            blocks.append(Block(title, stage, stride, scale, options.pop("name"), options))
            number += 1
        options = dict(ends[stage])
        if (kind := options.pop("name")) != "none":
            blocks.append(Block(f"stage{stage + 1}", stage, 1, scale, kind, options, after_stage=True))
    return blocks


def sources(topology: str, stages: Sequence[int], k: int) -> list[int]:
    """Return which of the blocks that have the dimension block k receives from; both counted from 0."""
    if k == 0:
        return []
    first = next(n for n, stage in enumerate(stages) if stage == stages[k])
    if topology == "chain" or k == first:
        return [k - 1]
    if topology == "dense":
        return list(range(first, k))
    index = k - first + 1
    steps = [2**i for i in range(10) if index % 2**i == 0 and index - 2**i >= 1]
    return sorted(k - step for step in steps)


@dataclass
class Network:
    """A network with its parameters, run on one batch."""

    backbone: str
    blocks: list[Block]
    connections: Connections | None
    w: Weights
    training: bool = False
    sent: dict[str, Messages] = field(default_factory=dict)

    def logits(self, images: Array) -> Array:
        """Return the logits (B, classes)."""
        self.sent = {}
        w, light = self._part("backbone."), self.backbone == "mobilenet_v2"
        stem = ("features.0.0", "features.0.1") if light else ("conv1", "bn1")
        activation = _relu6 if light else relu
        x = activation(self._norm(w, stem[1], convolution(w, stem[0], images)))
        for n, block in enumerate(self.blocks):
            run = self._attend if block.after_stage else self._inverted if light else self._basic
            x = run(n, block, x)
        if light:
            last = sum(not block.after_stage for block in self.blocks) + 1
            x = _relu6(self._norm(w, f"features.{last}.1", fully_connected(w, f"features.{last}.0", x)))
        head = "classifier.1" if light else "fc"
        return fully_connected(w, head, mean(x))[:, :, 0, 0]

    def _part(self, prefix: str) -> Weights:
        return {name[len(prefix) :]: value for name, value in self.w.items() if name.startswith(prefix)}

    def _norm(self, w: Weights, name: str, x: Array) -> Array:
        return batch_norm(w, name, x, self.training)

    def _basic(self, n: int, block: Block, x: Array) -> Array:
        """Run ResNet's block of two 3x3 convolutions."""
        w = self._part(f"backbone.{block.name.replace('_', '.')}.")
        u = relu(self._norm(w, "bn1", convolution(w, "conv1", x, stride=block.stride)))
        v = self._norm(w, "bn2", convolution(w, "conv2", u))
        y = self._attend(n, block, (v, self._second(block, u, 1, None)) if block.kind == "sk" else v)
        if "downsample.0.weight" in w:
            x = self._norm(
                w, "downsample.1", fully_connected(w, "downsample.0", x[:, :, :: block.stride, :: block.stride])
            )
        return relu(x + y)

    def _inverted(self, n: int, block: Block, x: Array) -> Array:
        """Run MobileNetV2's inverted residual."""
        w = self._part(f"backbone.{block.name.replace('_', '.')}.conv.")
        depthwise, project = (0, 1) if n == 0 else (1, 2)
        u = x if n == 0 else _relu6(self._norm(w, "0.1", fully_connected(w, "0.0", x)))
        v = convolution(w, f"{depthwise}.0", u, stride=block.stride)
        v = _relu6(self._norm(w, f"{depthwise}.1", v))
        if block.kind == "sk":
            v = self._attend(n, block, (v, self._second(block, u, block.stride, _relu6)))
        y = self._norm(w, f"{project + 1}", fully_connected(w, f"{project}", v))
        if block.kind != "sk":
            y = self._attend(n, block, y)
        return x + y if block.stride == 1 and x.shape == y.shape else y

    def _second(self, block: Block, u: Array, stride: int, activation: Any) -> Array:
        """Run SK's second branch: a 3x3 convolution dilated by 2."""
        w = self._part(f"attention.{block.name}.branch.")
        v = self._norm(w, "1", convolution(w, "0", u, stride=stride, dilation=2))
        return v if activation is None else activation(v)

    def _attend(self, n: int, block: Block, x: Any) -> Array:
        """Run a block's attention, with what it hears of earlier blocks; keep what it sends."""

        def hear(dimension: str, g: list[Array]) -> list[Array]:
            return self._heard(n, dimension, g)

        w = self._part(f"attention.{block.name}.")
        y, self.sent[block.name] = KINDS[block.kind](Call(w, x, block.options, hear, self.training))
        return y

    def _heard(self, n: int, dimension: str, g: list[Array]) -> list[Array]:
        """Return f(G, Σ α_j P_j) for each tensor of G, or G itself where nothing arrives."""
        having = [block for block in self.blocks if dimension in block.ports]
        k = having.index(self.blocks[n])
        if self.connections is None or k == 0:
            return g
        earlier = [having[j] for j in sources(self.connections.topology, [block.stage for block in having], k)]
        port = self.blocks[n].ports[dimension]
        found = []
        for tensor, branch in zip(g, range(len(g)) if port.branches > 1 else [0] * len(g), strict=True):
            w = self._part(f"connections.{self.blocks[n].name}.{dimension}.branches.{branch}.")
            own = tensor if port.branches > 1 else g[0]
            arrived = [self._matched(w, dimension, block, self.blocks[n], branch, own) for block in earlier]
            found.append(
                fused(
                    self.connections.function,
                    {name[len("function.") :]: value for name, value in w.items() if name.startswith("function.")},
                    tensor,
                    arrived,
                    [_coefficient(w, block.name) for block in earlier],
                    planes=port.planes,
                    training=self.training,
                )
            )
        return found

    def _matched(self, w: Weights, dimension: str, sender: Block, receiver: Block, branch: int, like: Array) -> Array:
        """Return P: a message brought to its receiver's axes, resolution and channels (section 3.3)."""
        gives, takes = sender.ports[dimension], receiver.ports[dimension]
        message = self.sent[sender.name][dimension]
        p = message[branch] if takes.branches == gives.branches > 1 else sum(message[1:], start=message[0])
        p = self._controlled(p, like, w.get(f"edges.{sender.name}.control.values"))
        for axis, letter in ((2, "H"), (3, "W")):
            if letter in gives.axes and letter not in takes.axes:
                p = p.mean(axis, keepdims=True)
        shared = bool(set(gives.axes) & set(takes.axes))
        ratio = (receiver.scale * takes.scale) / (sender.scale * gives.scale)
        if shared and ratio > 1:
            assert self.connections is not None
            p = pooled(p, int(ratio), int(ratio), largest=self.connections.resize == "max")
        if takes.planes:
            p = p if p.shape[1] == like.shape[1] else p.mean(1, keepdims=True)
        else:
            p = self._channels({name.removeprefix(f"edges.{sender.name}.match."): v for name, v in w.items()}, p)
        if shared and ratio < 1:
            p = nearest(p, *like.shape[2:])
        return np.broadcast_to(p, like.shape)

    def _controlled(self, message: Array, own: Array, constant: Array | None) -> Array:
        """Return the message, or what a control has in its place, of the same shape."""
        assert self.connections is not None
        if self.connections.message == "own":
            for axis in (1, 2, 3):
                own = averaged(own, axis, message.shape[axis])
            return own
        if self.connections.message == "shuffled":
            return np.concatenate((message[1:], message[:1]))
        if self.connections.message == "constant":
            assert constant is not None
            return np.broadcast_to(constant.reshape(1, -1, 1, 1), message.shape)
        return message

    def _channels(self, w: Weights, p: Array) -> Array:
        """Apply one or two fully connected layers, each with the norm and the activation that are written."""
        assert self.connections is not None
        for number in ("", "1", "2"):
            if f"fc{number}.weight" in w:
                p = fully_connected(w, f"fc{number}", p)
                if f"norm{number}.running_mean" in w:
                    p = self._norm(w, f"norm{number}", p)
                elif f"norm{number}.weight" in w:
                    p = layer_norm(w, f"norm{number}", p)
                if self.connections.act and not (number == "2" and self.connections.norm_at == "inner"):
                    p = relu(p)
        return p


def _coefficient(w: Weights, sender: str) -> Array:
    """Return α of an edge, one number or one a channel, or the learned weight."""
    found = w.get(f"edges.{sender}.alpha", w.get(f"edges.{sender}.weight"))
    assert found is not None
    return found.reshape(-1, 1, 1)


def _relu6(x: Array) -> Array:
    return np.clip(x, 0, 6)
