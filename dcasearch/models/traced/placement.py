"""Where attention stands in a traced network: on a block's residual branch, or at its output.

On the branch it stands before what only drops the branch (stochastic depth, dropout) and after layer scale, so that it
gates what would be added. Where a block has no addition, several of different origin, or is re-parametrised, it stands
at the output. The library's own attention has a place of its own, which the architecture's takes over under
`own_attention: replace`.
"""

from __future__ import annotations

import operator
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import fx, nn

from dcasearch.models.layers import BatchNorm
from dcasearch.models.traced.blocks import Block, Found, Sight
from dcasearch.models.traced.residuals import Addition, convolutions, is_addition, is_spatial
from dcasearch.models.traced.tracing import ROOT

_DROPPING_LAYERS = ("DropPath", "StochasticDepth", "Dropout")
_SCALING_LAYERS = ("LayerScale", "LayerScale2d")
_DROPPING_FUNCTIONS = ("stochastic_depth", "drop_path")
_PRODUCTS = {operator.mul, operator.imul, torch.mul}
_PRODUCT_METHODS = ("mul", "mul_")
_LONGEST_TAIL = 6
"""Element-wise steps between a block's last addition and its output."""
_ACTIVATIONS = ("torch.nn.modules.activation", "timm.layers.activations", "timm.layers.activations_me")


@dataclass(frozen=True, eq=False, kw_only=True)
class Site:
    """A block's place of attention in the graph."""

    block: Block
    value: fx.Node
    """What attention gates."""
    convolution: tuple[fx.Node, ...]
    """The block's last k x k convolution with the norm and the activation that follow it; empty where there is none."""

    @property
    def name(self) -> str:
        """The block's module path in the library's network."""
        return self.block.path.removeprefix(f"{ROOT}.")


def site_of(
    sight: Sight, found: Found, block: Block, replaced: Collection[str], *, before_layer_scale: bool = False
) -> Site:
    """Return a block's place of attention.

    Args:
        sight: of the graph.
        found: the network's blocks.
        block: one of them.
        replaced: paths of the library's own attention that the architecture's stands in place of.
        before_layer_scale: as traces of before have it (`Trace.gated`).
    """
    on_branch = _on_branch(sight, found, block, before_layer_scale=before_layer_scale)
    value = _in_place_of(block, replaced) or on_branch or block.output
    return Site(block=block, value=value, convolution=tuple(_convolution(sight, block)))


def _in_place_of(block: Block, replaced: Collection[str]) -> fx.Node | None:
    """Return the library's own attention in a block, which is an identity by now: the last one of several."""
    own = [node for node in block.nodes if node.op == "call_module" and node.target in replaced]
    return max(own, default=None, key=lambda node: _position(node))


def _position(node: fx.Node) -> int:
    return list(node.graph.nodes).index(node)


def _on_branch(sight: Sight, found: Found, block: Block, *, before_layer_scale: bool) -> fx.Node | None:
    """Return the branch before what only drops it; None where attention stands at the output."""
    if found.rule == "re-parametrised" or not block.additions:
        return None
    addition = block.additions[-1]
    one_origin = len({id(other.fork) for other in block.additions}) == 1
    if not one_origin or not _ends(sight, block, addition):
        return None
    value = node = addition.branch
    scaled = False
    while (step := _step(sight, node)) is not None:
        node, does = step
        scaled = does == "scales" or (does == "nothing" and scaled)
        if not scaled or before_layer_scale:
            value = node
    return value if value in block.nodes and sight.maps.is_map(value) else None


def _ends(sight: Sight, block: Block, addition: Addition) -> bool:
    """Tell whether an addition ends a block but for element-wise steps, or is summed further within it."""
    node, shapes = block.output, sight.maps.shapes
    for _ in range(_LONGEST_TAIL):
        if node is addition.node:
            return True
        before = [n for n in node.all_input_nodes if n in block.nodes and shapes.get(n) == shapes[node]]
        if len(before) != 1 or (node.op == "call_module" and convolutions(sight.modules[str(node.target)])):
            break
        node = before[0]
    return any(is_addition(node) and addition.node in node.all_input_nodes for node in block.nodes)


def _step(sight: Sight, node: fx.Node) -> tuple[fx.Node, Literal["drops", "scales", "nothing"]] | None:
    """Return what a node takes, and whether it drops or scales that or leaves it; None where it does something else.

    A layer that drops nothing is an identity in the libraries. It is known by its name, so that a probability of 0 or
    above makes no other place.
    """
    if node.op == "call_module":
        target = str(node.target)
        layer = type(sight.modules[target]).__name__
        named = target.rpartition(".")[2].startswith(("drop", "stochastic"))
        if layer in _DROPPING_LAYERS or (layer == "Identity" and named):
            return node.all_input_nodes[0], "drops"
        if layer in _SCALING_LAYERS:
            return node.all_input_nodes[0], "scales"
        return (node.all_input_nodes[0], "nothing") if layer == "Identity" else None
    if getattr(node.target, "__name__", "") in _DROPPING_FUNCTIONS:
        return node.all_input_nodes[0], "drops"
    product = node.target in (_PRODUCT_METHODS if node.op == "call_method" else _PRODUCTS)
    maps = [value for value in node.all_input_nodes if sight.maps.shapes.get(value) == sight.maps.shapes.get(node)]
    if product and len(maps) == 1 and any(_is_parameter(value) for value in node.args):
        return maps[0], "scales"
    return None


def _is_parameter(value: object) -> bool:
    """Tell whether a factor is a number or made of parameters alone."""
    if not isinstance(value, fx.Node) or value.op == "get_attr":
        return True
    sources = value.all_input_nodes
    return len(sources) == 1 and _is_parameter(sources[0])


def _convolution(sight: Sight, block: Block) -> Iterator[fx.Node]:
    """Yield the nodes of a block's last k x k convolution, with the norm and the activation that follow."""
    spatial = [node for node in sight.graph.nodes if node in block.nodes and _is_convolution(sight, node)]
    if not spatial:
        return
    node = spatial[-1]
    yield node
    wanted = [_is_norm, _is_activation]
    while wanted and len(node.users) == 1:
        user = next(iter(node.users))
        if user.op != "call_module" or sight.maps.shapes.get(user) != sight.maps.shapes[node]:
            return
        module = sight.modules[str(user.target)]
        if isinstance(module, nn.Identity):
            pass
        elif wanted[0](module):
            wanted.pop(0)
        elif _is_activation(module):
            wanted.clear()
        else:
            return
        node = user
        yield node


def _is_convolution(sight: Sight, node: fx.Node) -> bool:
    """Tell whether a node is a k x k convolution beside which a padded one of another kernel gives the same size."""
    if node.op != "call_module":
        return False
    module = sight.modules[str(node.target)]
    if not isinstance(module, nn.Conv2d) or not is_spatial(module):
        return False
    return sight.maps.divides(node.all_input_nodes[0], node, tuple(module.stride))


def _is_norm(module: nn.Module) -> bool:
    return isinstance(module, BatchNorm) or "Norm" in type(module).__name__


def _is_activation(module: nn.Module) -> bool:
    return type(module).__module__ in _ACTIVATIONS
