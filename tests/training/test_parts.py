"""Rates by part, frozen stages and kept statistics: what a step changes, and what it leaves."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from dcasearch.architecture import Architecture
from dcasearch.config.detector import RetinaNetSettings
from dcasearch.config.recipe import Recipe
from dcasearch.errors import UserError
from dcasearch.models import DCANet, build_model
from dcasearch.models.layers import BatchNorm
from dcasearch.training.binding import Fit, Unfit
from dcasearch.training.network import TrainedNetwork, make_network
from dcasearch.training.optimizer import make_optimizer, set_learning_rate
from dcasearch.training.parts import parts_of, settle_parts
from dcasearch.training.tasks import learning_task
from tests.models.traced.support import needs_timm
from tests.training.support import network_of

RESNET: dict[str, Any] = {"name": "resnet18", "width": 0.125, "stem": "small"}
TINY: dict[str, Any] = {"name": "timm/test_byobnet"}
BACKBONES = [
    RESNET,
    {"name": "mobilenet_v2", "width": 0.1, "stem": "small"},
    {"name": "mnasnet0_5", "stem": "small"},
    pytest.param(TINY, marks=needs_timm),
]
CLASSES = 10


def architecture(backbone: dict[str, Any] = RESNET, **parts: Any) -> Architecture:
    return Architecture.parse({"backbone": backbone, "attention": {"name": "cbam"}, "connections": {}, **parts})


def built(backbone: dict[str, Any] = RESNET, **parts: Any) -> DCANet:
    return build_model(architecture(backbone, **parts), CLASSES)


def settled(backbone: dict[str, Any] = RESNET, **recipe: Any) -> DCANet:
    model = built(backbone)
    settle_parts(model, Recipe.model_validate(recipe))
    return model


def step(network: TrainedNetwork, recipe: Recipe) -> set[str]:
    """Make a large step; return which parameters and buffers it changes, without BatchNorm's counters."""
    model = network.model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = make_optimizer(model, recipe)
    set_learning_rate(optimizer, 0.1)
    images = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    network.forward(images).square().sum().backward()
    optimizer.step()
    if network.ema is not None:
        network.ema.update_parameters(model)
    return {n for n, v in model.state_dict().items() if "num_b" not in n and not torch.equal(v, before[n])}


def moved(backbone: dict[str, Any] = RESNET, **recipe: Any) -> set[str]:
    """Return what a step of a network with every technique of a recipe changes."""
    read = Recipe.model_validate({"decay_exempt": ["bias"], **recipe})
    return step(network_of(architecture(backbone), read), read)


def norms(model: nn.Module, room: str) -> list[nn.Module]:
    return [m for name, m in model.named_modules() if isinstance(m, BatchNorm) and name.startswith(f"{room}.")]


# Parts


@pytest.mark.parametrize("backbone", BACKBONES, ids=str)
def test_every_parameter_is_in_one_part(backbone: dict[str, Any]) -> None:
    model = built(backbone)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    found = {part: [names[id(p)] for p in parameters] for part, parameters in parts_of(model).items()}
    assert sorted(name for part in found.values() for name in part) == sorted(names.values())
    assert all(name.startswith(("attention.", "connections.")) for name in found["attention"])
    assert all(name.startswith("backbone.") for part in ("backbone", "head") for name in found[part])


@pytest.mark.parametrize("backbone", BACKBONES, ids=str)
def test_the_head_is_the_last_layer_of_the_classifier(backbone: dict[str, Any]) -> None:
    head = parts_of(built(backbone))["head"]
    assert [parameter.shape[0] for parameter in head] == [CLASSES, CLASSES]
    assert [parameter.dim() for parameter in head] == [2, 1]


def test_the_head_of_a_detector_is_all_that_stands_on_the_network() -> None:
    task = learning_task("detection", Recipe(), RetinaNetSettings(channels=16, convolutions=1))
    model = task.build(architecture({"name": "resnet18", "width": 0.125}), 3, resolution=32)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    for part, parameters in parts_of(model).items():
        assert parameters
        within = [names[id(parameter)].startswith("backbone.network.") for parameter in parameters]
        assert all(within) == (part != "head")
        assert any(within) == (part != "head")


# Rates


def test_a_recipe_without_rates_has_the_groups_of_before() -> None:
    groups = make_optimizer(built(), Recipe(decay_exempt=("bias",))).param_groups
    assert [group["weight_decay"] for group in groups] == [1e-4, 0.0]
    assert all("rate_factor" not in group for group in groups)


def test_each_part_has_its_factor_of_the_learning_rate_with_and_without_decay() -> None:
    model, recipe = built(), Recipe.model_validate({"rates": {"backbone": 0.1, "head": 2}, "decay_exempt": ["bias"]})
    optimizer = make_optimizer(model, recipe)
    set_learning_rate(optimizer, 0.5)
    part_of = {id(p): part for part, parameters in parts_of(model).items() for p in parameters}
    bias = {id(p) for name, p in model.named_parameters() if name.endswith("bias")}
    seen = []
    for group in optimizer.param_groups:
        [part] = {part_of[id(p)] for p in group["params"]}
        assert group["lr"] == 0.5 * {"backbone": 0.1, "attention": 1.0, "head": 2.0}[part]
        assert {id(p) in bias for p in group["params"]} == {group["weight_decay"] == 0}
        seen += [id(p) for p in group["params"]]
    assert sorted(seen) == sorted(map(id, model.parameters()))


def test_a_step_moves_a_part_by_its_factor() -> None:
    plain, slower = (network_of(architecture(), recipe) for recipe in (Recipe(), Recipe()))
    before = {name: value.clone() for name, value in plain.model.state_dict().items()}
    step(plain, Recipe(momentum=0))
    step(slower, Recipe.model_validate({"momentum": 0, "rates": {"backbone": 0.25}}))
    for name, value in slower.model.named_parameters():
        factor = 0.25 if name.startswith("backbone.") and "fc" not in name else 1.0
        way = plain.model.get_parameter(name) - before[name]
        torch.testing.assert_close(value - before[name], factor * way, rtol=1e-3, atol=1e-6)


def test_a_rate_of_0_freezes_the_part_and_leaves_the_statistics_to_batchnorm() -> None:
    changed = moved(rates={"backbone": 0})
    assert {name.split(".")[0] for name in changed if "running" not in name} == {"backbone", "attention", "connections"}
    assert {n for n in changed if n.startswith("backbone.") and "running" not in n} == {
        "backbone.fc.weight",
        "backbone.fc.bias",
    }
    assert any(name.startswith("backbone.") and "running" in name for name in changed)


def test_all_rates_of_0_are_refused() -> None:
    with pytest.raises(ValidationError, match="all rates are 0, so nothing would learn"):
        Recipe.model_validate({"rates": {"backbone": 0, "attention": 0, "head": 0}})


def test_a_network_without_attention_whose_other_parts_are_frozen_is_refused() -> None:
    model = built(attention={"name": "none"}, connections=None)
    with pytest.raises(UserError, match="leave nothing that learns"):
        settle_parts(model, Recipe.model_validate({"rates": {"backbone": 0, "head": 0}}))


def test_a_checkpoint_of_other_rates_does_not_fit() -> None:
    recipes = [Recipe.model_validate({"rates": {"backbone": rate}}) for rate in (0.1, 0.2)]
    one, other = (Fit.of(built(), recipe, epochs=1, steps=1) for recipe in recipes)
    state = make_optimizer(built(), recipes[0]).state_dict()
    one._check_optimizer(state)
    with pytest.raises(Unfit, match=r"the optimiser's rate_factor is 0\.1, the recipe's 0\.2"):
        other._check_optimizer(state)


# Freezing


@pytest.mark.parametrize("backbone", BACKBONES, ids=str)
@pytest.mark.parametrize("freeze", [["stem"], ["stem", 1], ["stem", 1, 2]], ids=len)
def test_frozen_stages_do_not_change_and_the_next_one_does(backbone: dict[str, Any], freeze: list[Any]) -> None:
    model = built(backbone)
    stages = len(freeze) - 1
    nodes = zip(model.names, model.network.nodes, strict=True)
    frozen = {name for name, node in nodes if node.layout.stage < stages}
    changed = moved(backbone, freeze=freeze)
    for room in ("attention", "connections"):
        there = {name.split(".")[1] for name in model.state_dict() if name.startswith(f"{room}.")}
        assert {name.split(".")[1] for name in changed if name.startswith(f"{room}.")} == there - frozen
    still = tuple(f"backbone.{node.layout.name}." for node in model.network.nodes if node.layout.stage < stages)
    of_blocks = tuple(f"backbone.{node.layout.name}." for node in model.network.nodes)
    assert not any(name.startswith(still) for name in changed)
    stem = next(name for name in model.state_dict() if name.startswith("backbone."))
    assert stem not in changed
    weights = {name for name in model.state_dict() if name.startswith(of_blocks) and name.endswith("weight")}
    assert {name for name in weights if not name.startswith(still)} <= changed


def test_what_comes_after_the_last_stage_learns_though_all_stages_are_frozen() -> None:
    backbone = {"name": "mobilenet_v2", "width": 0.1, "stem": "small"}
    freeze = ["stem", *range(1, 1 + len(built(backbone).stages))]
    assert {name.rsplit(".", 1)[0] for name in moved(backbone, freeze=freeze)} == {
        "backbone.features.18.0",
        "backbone.features.18.1",
        "backbone.classifier.1",
    }


def test_frozen_stages_stay_in_evaluation_mode() -> None:
    model = settled(freeze=["stem", 1]).train()
    frozen = [model.backbone.bn1, *(module for block in model.backbone.layer1 for module in block.modules())]
    assert not any(module.training for module in frozen)
    assert all(module.training for module in model.backbone.layer2.modules())
    assert not any(module.training for module in model.attention["layer1_0"].modules())
    assert all(module.training for module in model.attention["layer2_0"].modules())


def test_more_stages_than_there_are_cannot_be_frozen() -> None:
    with pytest.raises(UserError, match=r"recipe\.freeze: 5 stages cannot be frozen: the network has 4"):
        settled(freeze=["stem", 1, 2, 3, 4, 5])


@pytest.mark.parametrize("written", [[1], ["stem", 2], ["stem", 2, 1], ["stem", "stem"], ["stem", 0]], ids=str)
def test_stages_are_frozen_from_the_stem_on(written: list[Any]) -> None:
    with pytest.raises(ValidationError):
        Recipe.model_validate({"freeze": written})


@needs_timm
def test_a_parameter_outside_of_layers_is_frozen_with_its_stage() -> None:
    model = settled({"name": "timm/test_convnext"}, freeze=["stem", 1])
    scales = {name: p.requires_grad for name, p in model.named_parameters() if name.endswith(".gamma")}
    assert scales
    assert all(learns == (".stages.0." not in name) for name, learns in scales.items())


# Statistics


@pytest.mark.parametrize("backbone", BACKBONES, ids=str)
def test_kept_statistics_stay_and_the_affine_learns(backbone: dict[str, Any]) -> None:
    changed = moved(backbone, batchnorm="kept")
    assert not any("running" in name for name in changed if name.startswith("backbone."))
    assert any("running" in name for name in changed if name.startswith("attention."))
    model = built(backbone)
    affine = {
        f"{name}.weight"
        for name, module in model.named_modules()
        if name.startswith("backbone.") and isinstance(module, BatchNorm)
    }
    assert affine
    assert affine <= changed


def test_training_normalises_by_kept_statistics() -> None:
    model = settled(batchnorm="kept")
    batch = torch.randn(4, 3, 32, 32)
    seen: dict[str, Tensor] = {}
    model.backbone.bn1.register_forward_hook(lambda module, x, y: seen.update(input=x[0], output=y.clone()))
    model.train()(batch)
    norm = model.backbone.bn1
    wanted = nn.functional.batch_norm(seen["input"], norm.running_mean, norm.running_var, norm.weight, norm.bias)
    assert torch.equal(seen["output"], wanted)


def test_a_copy_keeps_statistics_too() -> None:
    model = copy.deepcopy(settled(batchnorm="kept"))
    model.eval().train()
    assert not any(norm.training for norm in norms(model, "backbone"))
    assert all(norm.training for norm in norms(model, "attention"))


def test_the_moving_average_keeps_statistics_to_the_bit() -> None:
    recipe = Recipe.model_validate({"batchnorm": "kept", "freeze": ["stem", 1], "ema": 0.7})
    network = network_of(architecture(), recipe)
    assert network.ema is not None
    before = {name: value.clone() for name, value in network.model.state_dict().items()}
    step(network, recipe)
    step(network, recipe)
    network.ema.module.train()
    assert not any(norm.training for norm in norms(network.ema.module, "backbone"))
    for name, value in network.ema.module.state_dict().items():
        if name.startswith("backbone.") and ("running" in name or ".layer1." in name or ".bn1." in name[:14]):
            assert torch.equal(value, before[name]), name


def test_statistics_are_kept_where_batchnorm_is_synchronised() -> None:
    model = settled(batchnorm="kept")
    converted = nn.SyncBatchNorm.convert_sync_batchnorm(model).train()
    kept = norms(converted, "backbone")
    assert all(isinstance(norm, nn.SyncBatchNorm) for norm in kept)
    assert not any(norm.training for norm in kept)


def test_a_recipe_that_says_nothing_of_parts_changes_no_network() -> None:
    model = settled()
    assert all(module.training for module in model.train().modules())
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_a_recipe_needs_a_start_where_it_keeps_what_random_parameters_lack() -> None:
    written: list[tuple[dict[str, Any], bool]] = [
        ({}, False),
        ({"rates": {"backbone": 0.1}}, False),
        ({"rates": {"backbone": 0}}, True),
        ({"freeze": ["stem"]}, True),
        ({"batchnorm": "kept"}, True),
    ]
    assert [Recipe.model_validate(each).needs_start for each, _ in written] == [needs for _, needs in written]


def test_the_techniques_are_applied_by_make_network() -> None:
    recipe = Recipe.model_validate({"freeze": ["stem", 1], "batchnorm": "kept"})
    task = learning_task("classification", recipe)
    network = make_network(task.build(architecture(), CLASSES, resolution=32), task, device=torch.device("cpu"))
    assert not network.model.get_parameter("backbone.conv1.weight").requires_grad
    assert not any(norm.training for norm in norms(network.model.train(), "backbone"))
