"""The parts of a network that a recipe trains differently: rates, frozen stages, kept statistics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias, get_args

from torch import nn

from dcasearch.config.recipe import Part, Recipe
from dcasearch.errors import UserError
from dcasearch.models import DCANet
from dcasearch.models.first_stages import first_stages
from dcasearch.models.layers import BatchNorm
from dcasearch.models.transfer import head_of

Parts: TypeAlias = Mapping[Part, list[nn.Parameter]]
"""Every parameter of a model in its part, in the model's order."""


def parts_of(model: nn.Module) -> Parts:
    """Return the parameters of a classifier or of a detector by part.

    `attention` has the connections too. `head` is what depends on the classes: the classifier's last layer; of a
    detector everything that stands on the network. All else is `backbone`.
    """
    network = _network_of(model)
    attention = {id(p) for room in (network.attention, network.connections) for p in room.parameters()}
    of_classes = set(head_of(network.network))
    backbone = {id(p) for name, p in network.backbone.named_parameters() if name not in of_classes}
    parts: dict[Part, list[nn.Parameter]] = {part: [] for part in get_args(Part)}
    for parameter in model.parameters():
        known: Part = "attention" if id(parameter) in attention else "head"
        parts["backbone" if id(parameter) in backbone else known].append(parameter)
    return parts


def _network_of(model: nn.Module) -> DCANet:
    """Return the network that a model is, or stands on."""
    return next(module for module in model.modules() if isinstance(module, DCANet))


def settle_parts(model: nn.Module, recipe: Recipe) -> None:
    """Freeze what a recipe freezes, and keep the statistics that it keeps.

    Args:
        model: a classifier or a detector; is changed.
        recipe: of its training.

    Raises:
        UserError: the network has fewer stages than are to be frozen, or nothing is left to learn.
    """
    if not recipe.needs_start and min(recipe.rates.by_part.values()) > 0:
        return
    network = _network_of(model)
    if recipe.freeze:
        try:
            first_stages(network, len(recipe.freeze) - 1).freeze(network)
        except ValueError as error:
            raise UserError(f"recipe.freeze: {error}") from error
    if recipe.batchnorm == "kept":
        norms = (name for name, m in network.backbone.named_modules(prefix="backbone") if isinstance(m, BatchNorm))
        network.hold(norms)
    still = [part for part, rate in recipe.rates.by_part.items() if rate == 0]
    parts = parts_of(model) if still else {}
    for part in still:
        for parameter in parts[part]:
            parameter.requires_grad_(False)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise UserError("recipe.freeze and recipe.rates leave nothing that learns")
