"""The optimiser of a recipe, with weight decay on what the recipe does not exempt."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import nn

from dcasearch.config.recipe import Rates, Recipe
from dcasearch.models.attention.base import Gain
from dcasearch.models.connections import Incoming
from dcasearch.models.functions import Function
from dcasearch.models.layers import BatchNorm, Convolution
from dcasearch.training.parts import Parts, parts_of

_FACTOR = "rate_factor"
"""Key of a group under which the factor of its part stands; groups of a recipe without rates have none."""
_SECOND_MOMENT = 0.999
"""AdamW's β₂, as its paper and PyTorch have it."""


def make_optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Return the recipe's optimiser over the parameters that learn, with and without weight decay.

    Where the recipe has rates, each part of the network has groups of its own, which know their factor.

    AdamW is Loshchilov and Hutter's (2019, https://arxiv.org/abs/1711.05101). The learning rate is set per step. On a
    GPU a step is one fused kernel; the CPU keeps PyTorch's own choice.
    """
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    exempt = [p for module in model.modules() for p in _exempt(module, recipe.decay_exempt) if p.requires_grad]
    known = {id(parameter) for parameter in exempt}
    decayed = [parameter for parameter in learning if id(parameter) not in known]
    groups: list[dict[str, Any]] = [{"params": decayed}, {"params": exempt, "weight_decay": 0.0}]
    if recipe.rates != Rates():
        groups = list(_by_part(groups, parts_of(model), recipe.rates))
    groups = [group for group in groups if group["params"]]
    fused = True if learning[0].is_cuda else None
    if recipe.optimizer == "adamw":
        betas = (recipe.momentum, _SECOND_MOMENT)
        return torch.optim.AdamW(groups, lr=recipe.lr, betas=betas, weight_decay=recipe.weight_decay, fused=fused)
    return torch.optim.SGD(
        groups,
        lr=recipe.lr,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov and recipe.momentum > 0,
        weight_decay=recipe.weight_decay,
        fused=fused,
    )


def _by_part(groups: Iterable[Mapping[str, Any]], parts: Parts, rates: Rates) -> Iterator[dict[str, Any]]:
    """Yield each group's parameters of each part, with the part's factor."""
    for part, factor in rates.by_part.items():
        here = {id(parameter) for parameter in parts[part]}
        for group in groups:
            yield {**group, "params": [p for p in group["params"] if id(p) in here], _FACTOR: factor}


def load_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Take over an optimiser's state; how its steps are computed stays as fits this device, not the state's."""
    before = [group["fused"] for group in optimizer.param_groups]
    optimizer.load_state_dict(state)
    for group, fused in zip(optimizer.param_groups, before, strict=True):
        group["fused"] = fused


def _exempt(module: nn.Module, rules: Collection[str]) -> list[nn.Parameter]:
    """Return a module's own parameters that one of the rules exempts.

    `norm` is BatchNorm alone and `depthwise` any grouped convolution, as in the released code (which decays
    LayerNorm); `connection` is α, the weights of the learned function and the s of attention that starts as the
    identity, not the matching layers.
    """
    return [
        parameter
        for name, parameter in module.named_parameters(recurse=False)
        if ("bias" in rules and name == "bias")
        or ("norm" in rules and isinstance(module, BatchNorm))
        or ("depthwise" in rules and isinstance(module, Convolution) and module.groups > 1)
        or ("connection" in rules and isinstance(module, Incoming | Function | Gain))
    ]


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of every group: the rate, times the group's factor where it has one."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get(_FACTOR, 1.0)
