"""A graph as a Python function, run over the module tree that it was traced from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import fx


def function_of(graph: fx.Graph, name: str) -> Callable[..., Any]:
    """Return a graph as a function of (the module that holds the graph's modules, the graph's inputs).

    Args:
        graph: its names are looked up in the first argument.
        name: what tracebacks show in place of a file.
    """
    code = graph.python_code("self")
    space = dict(code.globals)
    exec(compile(code.src, f"<{name}>", "exec"), space)
    function: Callable[..., Any] = space["forward"]
    return function
