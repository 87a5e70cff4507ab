"""A network's computation as a graph, by `torch.fx`: coarse, the same in training and in evaluation mode.

Layers of the libraries that hold a mode, a parameter of their own or a condition stay whole (leaves): then the graph
holds neither mode nor shape. Names in it start with `backbone.`, since the network is traced as a part of a root.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any

import torch.nn.functional as F
import torchvision.ops
from torch import fx, nn
from torch.fx.proxy import Proxy

from dcasearch.errors import ArchitectureError
from dcasearch.models.traced.own_attention import is_own_attention

ROOT = "backbone"
"""Name of the network in the root, and first part of all names in a graph."""
_OPEN = ("ConvNormAct", "ConvBnAct", "SeparableConvNormAct", "ConvNormActAa", "SeparableConvBnAct")
"""Containers among timm's layers: what stands in them is seen."""
_LAYERS = ("timm.layers", "torchvision.ops")
"""Modules whose layers stay whole."""
_MODAL = {F.dropout, F.dropout1d, F.dropout2d, F.dropout3d, F.alpha_dropout, F.feature_alpha_dropout}
"""Functions that are told the mode by an argument, which a trace would fix."""
_MOST_FAILURES = 50
"""Classes that may turn out not to be traceable, in one network."""


class Root(nn.Module):
    """Holds a network under the name that it has in a `DCANet`."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.backbone = network

    def forward(self, images: Any) -> Any:
        """Return the network's answer."""
        return self.backbone(images)


class _Tracer(fx.Tracer):
    def __init__(self, whole: Iterable[type[nn.Module]], functions: Iterable[Callable[..., Any]]) -> None:
        modules: Any = (math, torchvision.ops)  # torch's annotation has room for one
        super().__init__(autowrap_modules=modules, autowrap_functions=tuple(functions))
        self._whole = frozenset(whole)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        cls = type(m)
        if cls in self._whole or is_own_attention(m):
            return True
        if cls.__module__.startswith(_LAYERS) and not isinstance(m, nn.Sequential):
            return cls.__name__ not in _OPEN
        return super().is_leaf_module(m, module_qualified_name)


def trace(network: nn.Module, *, library: str) -> fx.Graph:
    """Return the graph of a network: (images) -> logits.

    Args:
        network: on any device, `meta` too; its mode is as before afterwards.
        library: that it comes from.

    Raises:
        ArchitectureError: it cannot be traced, makes tensors of its own when it runs, or computes otherwise in training
            mode than in evaluation mode.
    """
    root = Root(network)
    was = network.training
    whole: set[type[nn.Module]] = set()
    graphs = []
    for mode in (True, False):
        root.train(mode)
        graphs.append(_traced(root, whole, library))
    root.train(was)
    constant = next((n.target for n in graphs[1].nodes if n.op == "get_attr" and not n.target.startswith(ROOT)), None)
    if constant is not None:
        raise ArchitectureError(
            f"the network makes a tensor when it runs ({constant}), which a trace would fix", ("backbone", "name")
        )
    trained, evaluated = map(_listed, graphs)
    if trained != evaluated:
        one, other = next((a, b) for a, b in zip(trained, evaluated, strict=False) if a != b)
        raise ArchitectureError(
            f"the network computes otherwise in training than in evaluation mode: {one} in place of {other}",
            ("backbone", "name"),
        )
    return graphs[0]


def _traced(root: Root, whole: set[type[nn.Module]], library: str) -> fx.Graph:
    """Trace; a class whose forward pass cannot be traced stays whole, and the trace begins anew."""
    functions = import_module("timm.models").get_notrace_functions() if library == "timm" else ()
    while True:
        tracer = _Tracer(whole, functions)
        try:
            graph = tracer.trace(root)
        except Exception as error:  # whatever the forward pass of some layer raises for a proxy
            failing = _innermost(root, error)
            if failing is None or type(failing) in whole or len(whole) == _MOST_FAILURES:
                raise ArchitectureError(f"the network cannot be traced: {error}", ("backbone", "name")) from error
            whole.add(type(failing))
        else:
            _free_modes(graph)
            return graph


def _innermost(root: Root, error: BaseException) -> nn.Module | None:
    """Return the innermost module below the network whose forward pass was running when an error was raised."""
    known = {id(module) for name, module in root.named_modules() if name not in ("", ROOT)}
    found, trace = None, error.__traceback__
    while trace is not None:
        running = trace.tb_frame.f_locals.get("self")
        if id(running) in known and not trace.tb_frame.f_code.co_name.startswith("_"):
            found = running
        trace = trace.tb_next
    return found if isinstance(found, nn.Module) else None


def _free_modes(graph: fx.Graph) -> None:
    """Let functions that are told the mode read it when they run, from the module that calls them."""
    for node in list(graph.nodes):
        if node.op != "call_function" or node.target not in _MODAL:
            continue
        said = inspect.signature(node.target).bind(*node.args, **node.kwargs)
        said.apply_defaults()
        if isinstance(said.arguments["training"], Proxy | fx.Node):
            continue
        with graph.inserting_before(node):
            mode = graph.create_node("get_attr", f"{owner(node)}.training")
            mode.meta = dict(node.meta)
        node.args, node.kwargs = (), {**said.arguments, "training": mode}


def owner(node: fx.Node) -> str:
    """Return the path of the module whose forward pass a node is a line of; for a leaf the leaf's own."""
    stack = stack_of(node)
    return stack[-1] if stack else ""


def stack_of(node: fx.Node) -> list[str]:
    """Return the paths of the modules whose forward passes a node stands in, outermost first."""
    return [path for path, _ in (node.meta.get("nn_module_stack") or {}).values()]


def _listed(graph: fx.Graph) -> list[str]:
    return [f"{node.op} {_name(node.target)}{node.args}{node.kwargs}" for node in graph.nodes]


def _name(target: Any) -> str:
    return target if isinstance(target, str) else f"{getattr(target, '__module__', '')}.{target.__name__}"
