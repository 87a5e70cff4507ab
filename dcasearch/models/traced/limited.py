"""A library's constructor does all that its arguments say: here it is stopped in time, and needs no memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import get_ident
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import (
    register_module_buffer_registration_hook,
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)
from torch.overrides import TorchFunctionMode

from dcasearch.errors import ArchitectureError
from dcasearch.models.max_params import VARIABLE

MAX_MODULES = 4_000
"""Of one network: half more than the largest of timm has, and some 8 seconds of tracing."""
_ALLOCATING = {torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn}
"""What makes the values of a layer; numbers such as rates of dropout come from other functions."""


@contextmanager
def limited(max_params: float) -> Iterator[None]:
    """Stop a network that grows too large while this thread builds it.

    Every module and parameter is counted when its parent gets it, before the next one is made.

    Args:
        max_params: most parameters.

    Raises:
        ArchitectureError: the network has more modules than any that is used, or more parameters than `max_params`.
    """
    thread, modules, params = get_ident(), 0, 0.0

    def on_module(parent: nn.Module, name: str, module: nn.Module | None) -> None:
        nonlocal modules
        if get_ident() == thread and module is not None:
            modules += 1
            if modules > MAX_MODULES:
                raise _too_large(f"{MAX_MODULES:,} modules")

    def on_values(parent: nn.Module, name: str, values: torch.Tensor | None) -> None:
        nonlocal params
        if get_ident() == thread and values is not None:
            params += values.numel()
            if params > max_params:
                raise _too_large(f"{max_params:,.0f} parameters; --max-params or {VARIABLE} allows more")

    registrations: list[tuple[Callable[..., Any], Callable[..., None]]] = [
        (register_module_module_registration_hook, on_module),
        (register_module_parameter_registration_hook, on_values),
        (register_module_buffer_registration_hook, on_values),
    ]
    handles = [register(hook) for register, hook in registrations]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _too_large(than: str) -> ArchitectureError:
    return ArchitectureError(f"the network has more than {than}", ("backbone", "arguments"))


class WithoutMemory(TorchFunctionMode):
    """Makes the values of layers on the meta device, and other tensors where they would be made.

    So a constructor that computes numbers with tensors can read them, which it cannot on the meta device alone.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call a function of torch; a layer's values get no memory."""
        said = dict(kwargs or {})
        if func in _ALLOCATING and said.get("device") is None:
            said["device"] = "meta"
        return func(*args, **said)
