from typing import Literal

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from dcasearch.architecture import Architecture
from dcasearch.config.recipe import Recipe
from dcasearch.models import build_model
from dcasearch.training.optimizer import load_optimizer, make_optimizer, set_learning_rate
from tests.training.support import CONNECTED


@pytest.fixture(scope="module")
def model() -> nn.Module:
    learned = {"function": "learned", "channel_matching": {"fc": {"norm_act": True}}}
    return build_model(Architecture.parse({**CONNECTED, "connections": learned}), num_classes=10)


def exempt(model: nn.Module, *rules: str) -> set[str]:
    optimizer = make_optimizer(model, Recipe.model_validate({"decay_exempt": rules}))
    free = {id(p) for group in optimizer.param_groups if group["weight_decay"] == 0 for p in group["params"]}
    return {name for name, parameter in model.named_parameters() if id(parameter) in free}


def owners(model: nn.Module, kind: type[nn.Module]) -> set[str]:
    return {name for name, module in model.named_modules() if isinstance(module, kind)}


def test_nothing_is_exempt_by_default(model: nn.Module) -> None:
    assert exempt(model) == set()


def test_biases_are_exempt_by_name(model: nn.Module) -> None:
    biases = {name for name, _ in model.named_parameters() if name.split(".")[-1] == "bias"}
    assert exempt(model, "bias") == biases != set()


def test_norm_means_batch_norm_and_not_layer_norm(model: nn.Module) -> None:
    found = exempt(model, "norm")
    assert {name.rsplit(".", 1)[0] for name in found} == owners(model, nn.BatchNorm2d)
    assert owners(model, nn.LayerNorm)


def test_depthwise_means_grouped_convolutions(model: nn.Module) -> None:
    grouped = {
        f"{name}.weight"
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv2d) and module.groups > 1
    }
    assert exempt(model, "depthwise") == grouped != set()


def test_connection_means_the_coefficients_and_not_the_matching(model: nn.Module) -> None:
    found = exempt(model, "connection")
    assert found
    assert all(name.startswith("connections.") for name in found)
    assert all(parameter.numel() == 1 for name, parameter in model.named_parameters() if name in found)
    assert not any("match" in name or "norm" in name for name in found)


def test_alpha_is_a_connection_coefficient() -> None:
    direct = build_model(Architecture.parse(CONNECTED), num_classes=10)
    assert {name.rsplit(".", 1)[-1] for name in exempt(direct, "connection")} == {"alpha"}


def test_the_s_of_attention_that_starts_as_the_identity_is_a_connection_coefficient() -> None:
    identity = build_model(Architecture.parse({**CONNECTED, "attention_init": "identity"}), num_classes=10)
    assert {name.rsplit(".", 1)[-1] for name in exempt(identity, "connection")} == {"alpha", "s"}


def test_steps_stay_as_fits_the_device_whatever_state_is_loaded() -> None:
    layer = nn.Linear(2, 2)
    optimizer, recipe = make_optimizer(layer, Recipe()), Recipe()
    state = make_optimizer(layer, recipe).state_dict()
    state["param_groups"][0].update(fused=True, momentum=0.5)  # as a GPU's checkpoint says
    load_optimizer(optimizer, state)
    [group] = optimizer.param_groups
    assert (group["fused"], group["momentum"]) == (None, 0.5)


def test_every_parameter_is_in_one_group(model: nn.Module) -> None:
    optimizer = make_optimizer(model, Recipe(decay_exempt=("bias", "norm", "depthwise", "connection")))
    grouped = [id(parameter) for group in optimizer.param_groups for parameter in group["params"]]
    assert sorted(grouped) == sorted(id(parameter) for parameter in model.parameters())


def test_the_recipe_reaches_the_optimizer(model: nn.Module) -> None:
    optimizer = make_optimizer(model, Recipe(momentum=0.8, nesterov=True, weight_decay=0.01))
    [group] = optimizer.param_groups
    assert (group["momentum"], group["nesterov"], group["weight_decay"]) == (0.8, True, 0.01)


def test_without_momentum_there_is_no_nesterov(model: nn.Module) -> None:
    assert make_optimizer(model, Recipe(momentum=0)).param_groups[0]["nesterov"] is False


def test_adamw_has_the_recipes_decay_and_momentum(model: nn.Module) -> None:
    recipe = Recipe(optimizer="adamw", momentum=0.8, weight_decay=0.01, decay_exempt=("bias",))
    optimizer = make_optimizer(model, recipe)
    assert isinstance(optimizer, torch.optim.AdamW)
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.01, 0.0]
    assert {group["betas"] for group in optimizer.param_groups} == {(0.8, 0.999)}


def test_adamw_needs_a_momentum_below_one() -> None:
    with pytest.raises(ValidationError, match="momentum 1 is β₁ of adamw, which must be below 1"):
        Recipe(optimizer="adamw", momentum=1.0)


def test_a_step_is_adamw() -> None:
    layer = nn.Linear(1, 1, bias=False)
    nn.init.constant_(layer.weight, 2.0)
    optimizer = make_optimizer(layer, Recipe(optimizer="adamw", weight_decay=0.1))
    set_learning_rate(optimizer, 0.5)
    layer.weight.grad = torch.full((1, 1), 3.0)
    optimizer.step()
    assert layer.weight.item() == pytest.approx(2.0 * (1 - 0.5 * 0.1) - 0.5, rel=1e-6)  # the first step is the rate


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_what_is_frozen_has_no_place_in_the_optimizer(name: Literal["sgd", "adamw"]) -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[0].requires_grad_(False)
    optimizer = make_optimizer(model, Recipe(optimizer=name, decay_exempt=("bias",)))
    grouped = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    assert grouped == {id(parameter) for parameter in model[1].parameters()}


def test_a_step_is_sgd_with_nesterov_and_decay() -> None:
    layer = nn.Linear(1, 1)
    nn.init.constant_(layer.weight, 2.0)
    nn.init.constant_(layer.bias, 2.0)
    recipe = Recipe(momentum=0.5, weight_decay=0.1, decay_exempt=("bias",))
    optimizer = make_optimizer(layer, recipe)
    for rate in (0.1, 0.2):
        set_learning_rate(optimizer, rate)
        for parameter in layer.parameters():
            parameter.grad = torch.ones_like(parameter)
        optimizer.step()

    def by_hand(decay: float) -> float:
        value, buffer = 2.0, 0.0
        for rate in (0.1, 0.2):
            gradient = 1.0 + decay * value
            buffer = 0.5 * buffer + gradient
            value -= rate * (gradient + 0.5 * buffer)
        return value

    assert layer.weight.item() == pytest.approx(by_hand(0.1), rel=1e-6)
    assert layer.bias.item() == pytest.approx(by_hand(0.0), rel=1e-6)
