"""Gradient checkpointing (Chen et al., 2016, https://arxiv.org/abs/1604.06174): activations are computed twice.

A network's forward pass is cut into segments, one a block. Of a segment only what goes in and out is kept; the backward
pass computes the rest anew. Outputs and gradients stay equal bit for bit where the operations are deterministic, and
random layers draw the same numbers again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from dcasearch.errors import UserError
from dcasearch.models.layers import BatchNorm


class Recomputing:
    """Runs segments of one network's forward pass, each of which the backward pass runs again."""

    def __init__(self, model: nn.Module) -> None:
        self._norms = [module for module in model.modules() if isinstance(module, BatchNorm)]

    def __call__(self, segment: Callable[..., Any], *given: Any) -> Any:
        """Return what a segment returns; without gradients it just runs.

        Args:
            segment: a part of the forward pass.
            given: its arguments, tensors or containers of them.

        Raises:
            UserError: the segment changes a tensor that it is given.
        """
        if not torch.is_grad_enabled():
            return segment(*given)
        before = [value._version for value in given if isinstance(value, Tensor)]
        made = checkpoint(segment, *given, use_reentrant=False, context_fn=self._contexts)
        if before != [value._version for value in given if isinstance(value, Tensor)]:
            raise UserError(
                "recipe.gradient_checkpointing: a block of the network changes its input in place, so it cannot be "
                "computed again; leave gradient_checkpointing out"
            )
        return made

    def _contexts(self) -> tuple[AbstractContextManager[Any], AbstractContextManager[Any]]:
        return nullcontext(), _unchanged_statistics(self._norms)


@contextmanager
def _unchanged_statistics(norms: Sequence[nn.Module]) -> Iterator[None]:
    """Let running statistics be: the first pass has taken this batch in.

    Their values cannot be put back afterwards, since autograd refuses tensors that were changed in between.
    """
    kept: list[tuple[Any, float | None, Any]] = []
    for norm in norms:
        module: Any = norm
        counted = module.num_batches_tracked
        kept.append((module, module.momentum, None if counted is None else counted.clone()))
        module.momentum = 0.0
    try:
        yield
    finally:
        for module, momentum, counted in kept:
            module.momentum = momentum
            if counted is not None:
                module.num_batches_tracked.copy_(counted)
