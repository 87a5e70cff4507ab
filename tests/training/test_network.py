from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dcasearch.architecture import Architecture, started_as_vanilla
from dcasearch.config.recipe import Recipe
from dcasearch.errors import UserError
from dcasearch.models.transfer import Misfit
from dcasearch.training import network
from dcasearch.training.network import TrainedNetwork
from tests.training.support import CONNECTED, VANILLA, network_of

CPU = torch.device("cpu")


def make(architecture: dict[str, Any] = CONNECTED, seed: int = 0, **recipe: Any) -> TrainedNetwork:
    return network_of(Architecture.parse(architecture), Recipe.model_validate(recipe), seed=seed)


def test_parameters_of_equal_name_start_equal_whatever_the_connections() -> None:
    connected, vanilla = (dict(make(a).model.named_parameters()) for a in (CONNECTED, VANILLA))
    assert set(vanilla) < set(connected)
    assert all(torch.equal(parameter, connected[name]) for name, parameter in vanilla.items())


def test_the_seed_draws_the_parameters() -> None:
    first, again, other = (make(seed=seed).model.state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["backbone.classifier.1.weight"], other["backbone.classifier.1.weight"])


def test_batch_norm_momentum_is_the_backbones_unless_the_recipe_says_otherwise() -> None:
    def momenta(**recipe: Any) -> set[float]:
        model = make({"backbone": {"name": "mnasnet0_5"}}, **recipe).model
        return {round(module.momentum or 0, 6) for module in model.modules() if isinstance(module, nn.BatchNorm2d)}

    assert momenta() == {3e-4}
    assert momenta(bn_momentum=0.2) == {0.2}


def test_dropout_is_the_backbones_unless_the_recipe_says_otherwise() -> None:
    def rates(**recipe: Any) -> list[float]:
        return [module.p for module in make(**recipe).model.modules() if isinstance(module, nn.Dropout)]

    assert rates() == [0.2]
    assert rates(dropout=0.0) == [0.0]
    assert rates(dropout=0.5) == [0.5]


def test_dropout_that_cannot_be_applied_is_an_error() -> None:
    resnet = {"backbone": {"name": "resnet18"}}
    with pytest.raises(UserError, match="no dropout layer"):
        make(resnet, dropout=0.1)
    make(resnet, dropout=0.0)


@pytest.mark.parametrize("channels_last", [True, False])
def test_memory_format(channels_last: bool) -> None:
    weight = make(channels_last=channels_last).model.get_parameter("backbone.features.0.0.weight")
    assert weight.is_contiguous(memory_format=torch.channels_last) == channels_last


def test_bf16_is_autocast_and_parameters_stay_fp32() -> None:
    made = make(precision="bf16")
    with made.autocast():
        assert made.forward(torch.randn(2, 3, 16, 16)).dtype == torch.bfloat16
    assert {parameter.dtype for parameter in made.model.parameters()} == {torch.float32}
    with make().autocast():
        assert made.forward(torch.randn(2, 3, 16, 16)).dtype == torch.float32


def test_what_is_evaluated_is_the_moving_average_where_there_is_one() -> None:
    plain, averaged = make(), make(ema=0.9)
    assert plain.evaluated is plain.model
    assert averaged.ema is not None
    assert averaged.evaluated is averaged.ema.module is not averaged.model


def test_a_model_is_compiled_only_where_the_recipe_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = []

    def compile_(model: nn.Module) -> nn.Module:
        compiled.append(model)
        return model

    monkeypatch.setattr(network.torch, "compile", compile_)
    make()
    assert compiled == []
    model = make(compile=True).model
    assert compiled == [model]


@pytest.mark.slow
def test_a_compiled_network_computes_the_same() -> None:
    images = torch.randn(2, 3, 16, 16)

    def logits(made: TrainedNetwork) -> Tensor:
        made.model.eval()
        with torch.no_grad():
            return made.forward(images)

    torch.testing.assert_close(logits(make(compile=True)), logits(make()), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("function", "tolerance"), [("direct", 0.0), ("weighted", 0.05)])
def test_a_network_that_starts_from_its_vanilla_parent_computes_what_that_does(function: str, tolerance: float) -> None:
    parent = make(VANILLA, seed=3).model.eval()
    connected = started_as_vanilla(Architecture.parse({**CONNECTED, "connections": {"function": function}}))
    recipe = Recipe()
    state = parent.state_dict()
    child = network_of(connected, recipe, parent=state).model.eval()
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(child(images), parent(images), rtol=0.0, atol=tolerance)


def test_the_average_of_a_network_that_starts_from_its_parent_starts_there_too() -> None:
    state = make(VANILLA, seed=3).model.state_dict()
    architecture = Architecture.parse(CONNECTED)
    child = network_of(architecture, Recipe(ema=0.9), parent=state)
    average = child.evaluated.state_dict()
    assert all(torch.equal(average[name], value) for name, value in state.items())


def test_another_networks_weights_are_no_parent() -> None:
    wider = make({**VANILLA, "backbone": {"name": "mobilenet_v2", "width": 0.2}}).model.state_dict()
    other = make({"backbone": {"name": "mobilenet_v2", "width": 0.1}}).model.state_dict()  # has no attention
    for state in (wider, other):
        with pytest.raises(Misfit, match="the parent is another network's"):
            network_of(Architecture.parse(CONNECTED), Recipe(), parent=state)


def test_gradients_in_bf16_on_the_cpu_are_those_of_the_network_also_on_maps_of_one_pixel() -> None:
    """torch's depth-wise convolution of stride 2 in channels_last fills them with what was in memory."""
    spec = {
        "backbone": {"name": "mobilenet_v2", "width": 0.25, "stem": "small"},
        "attention": {"name": "ge_theta", "extent": 8},
    }
    images = torch.randn(4, 16, 16, 3, generator=torch.Generator().manual_seed(0)).permute(0, 3, 1, 2)

    def gradients(precision: str) -> list[Tensor]:
        made = make(spec, precision=precision)
        made.model.eval()  # BatchNorm over four pixels magnifies every rounding
        _ = [torch.full((size,), 1e30) for size in (100, 400, 1000, 4000, 20_000)]  # what is in memory, then freed
        with made.autocast():
            out = made.forward(images)
        out.float().square().sum().backward()
        return [p.grad for name, p in made.model.named_parameters() if "gather" in name and p.grad is not None]

    for _ in range(3):
        for found, wanted in zip(gradients("bf16"), gradients("fp32"), strict=True):
            assert (found - wanted).norm() <= 0.2 * wanted.norm() + 1e-6
