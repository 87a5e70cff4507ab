"""A hash of what a network computes, without names: equal where a library only rewrites its code."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import torch.nn.functional as F
from torch import fx, nn

_DROPPING = ("Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout", "DropPath")
_STOCHASTIC_DEPTH = "StochasticDepth"
_PROBABILITIES = ("p", "drop_prob")
_FUNCTIONS = {F.dropout, F.dropout1d, F.dropout2d, F.dropout3d, F.alpha_dropout, F.feature_alpha_dropout}


def fingerprint_of(root: nn.Module, graph: fx.Graph) -> str:
    """Return 32 hexadecimal digits: a hash of the parameters' names and shapes, and of the computation.

    Identities and dropouts of probability 0 are left out, as they compute nothing.

    Args:
        root: holds the graph's modules.
        graph: of a network with nothing inserted.
    """
    parameters = [[name, list(value.shape)] for name, value in root.state_dict().items()]
    content = json.dumps([parameters, _computation(root, graph)], separators=(",", ":"))
    return hashlib.sha256(content.encode()).hexdigest()[:32]


def _computation(root: nn.Module, graph: fx.Graph) -> list[list[Any]]:
    """Return one line a node: what it does, what it is told, and the numbers of the nodes that it takes."""
    numbers: dict[fx.Node, int] = {}
    lines: list[list[Any]] = []
    for node in graph.nodes:
        if node.op == "get_attr" and str(node.target).endswith(".training"):
            continue
        module = root.get_submodule(str(node.target)) if node.op == "call_module" else None
        if _does_nothing(node, module):
            numbers[node] = numbers[node.all_input_nodes[0]]
            continue
        numbers[node] = len(lines)
        said = repr(module) if module is not None else _target(root, node)
        taken = [numbers[source] for source in node.all_input_nodes if source in numbers]
        lines.append([node.op, said, taken, _constants([node.args, dict(node.kwargs)])])
    return lines


def _does_nothing(node: fx.Node, module: nn.Module | None) -> bool:
    if module is None:
        return node.target in _FUNCTIONS and not node.kwargs.get("p", 1)
    if isinstance(module, nn.Identity):
        return True
    name = type(module).__name__
    if name == _STOCHASTIC_DEPTH or name in _DROPPING:
        return not any(getattr(module, key, 0) for key in _PROBABILITIES)
    return False


def _target(root: nn.Module, node: fx.Node) -> str:
    """Return a function's or a method's name, the shape of a parameter."""
    if node.op == "get_attr":
        module, _, name = str(node.target).rpartition(".")
        return str(list(getattr(root.get_submodule(module), name).shape))
    if node.op in ("placeholder", "output"):
        return ""
    return node.target if isinstance(node.target, str) else str(getattr(node.target, "__name__", ""))


def _constants(value: Any) -> Any:
    """Return arguments as JSON takes them, with a mark in place of each node."""
    if isinstance(value, fx.Node):
        return "node"
    if isinstance(value, dict):
        return {str(key): _constants(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_constants(item) for item in value]
    if isinstance(value, slice):
        return ["slice", _constants([value.start, value.stop, value.step])]
    return value if isinstance(value, bool | int | float | str | None) else str(value)
