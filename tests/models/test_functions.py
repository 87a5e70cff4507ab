"""The connection functions against the printed equations, and on hostile inputs."""

from __future__ import annotations

from typing import Any, get_args

import pytest
import torch
from torch import Tensor, nn

from dcasearch.architecture import ConnectionFunction, Dimension, Edge, Port
from dcasearch.models.functions import FUNCTIONS, Function


def function(name: str, dimension: Dimension = "channel", port: Port | None = None, **options: Any) -> Function:
    edge = Edge(
        dimension=dimension,
        source=0,
        target=1,
        function=name,
        form=options.get("form"),
        bias=options.get("bias"),
        matching=None,
        resize=None,
        alpha=None if name == "learned" else "scalar",
        coupled=False,
    )
    torch.manual_seed(0)
    return FUNCTIONS[name](edge, port or Port(6))


def vectors(seed: int = 0) -> tuple[Tensor, Tensor]:
    g, a = torch.randn(2, 5, 6, generator=torch.Generator().manual_seed(seed))
    return g, a


def call(f: Function, g: Tensor, *messages: Tensor) -> Tensor:
    return f(g, list(messages), [torch.ones(())] * len(messages))


def test_every_function_of_the_specification_is_registered() -> None:
    assert set(FUNCTIONS) == set(get_args(ConnectionFunction.model_fields["name"].annotation))


def test_direct_is_equation_4() -> None:
    g, a = vectors()
    assert torch.equal(call(function("direct"), g, a), g + a)


def test_several_messages_are_summed_with_their_alphas() -> None:
    g, a = vectors()
    fused = function("direct")(g, [a, g], [torch.tensor(0.5), torch.tensor(-2.0)])
    torch.testing.assert_close(fused, g + 0.5 * a - 2 * g)


@pytest.mark.parametrize("form", ["safe", "literal"])
def test_weighted_is_equation_5_where_signs_agree(form: str) -> None:
    g, a = (v.abs() + 0.1 for v in vectors())
    torch.testing.assert_close(call(function("weighted", form=form), g, a), (g**2 + a**2) / (g + a))


def test_weighted_is_equation_4_where_signs_differ() -> None:
    g, a = vectors()
    g, a = g.abs(), -a.abs()
    torch.testing.assert_close(call(function("weighted", form="safe"), g, a), g + a)


def test_literal_is_equation_5_where_signs_differ() -> None:
    g, a = torch.tensor([[3.0]]), torch.tensor([[-1.0]])
    torch.testing.assert_close(call(function("weighted", form="literal"), g, a), torch.tensor([[5.0]]))


def test_softmax_is_equation_6_with_the_papers_sign() -> None:
    g, a = vectors()
    w_g, w_a = (-g).exp(), (-a).exp()
    fused = call(function("softmax"), g, a)
    torch.testing.assert_close(fused, (w_g * g + w_a * a) / (w_g + w_a))
    assert (fused <= (g + a) / 2 + 1e-6).all()


def test_weighted_has_no_gradient_for_alpha_at_zero() -> None:
    g, a = vectors()
    alpha = torch.zeros((), requires_grad=True)
    function("weighted", form="safe")(g, [a], [alpha]).sum().backward()
    assert alpha.grad == 0


HOSTILE = [
    ("zeros", torch.zeros(4, 6), torch.zeros(4, 6)),
    ("G = -A", torch.randn(4, 6), None),
    ("large", torch.full((4, 6), 1e4), torch.full((4, 6), 1e4)),
    ("large, opposite", torch.full((4, 6), -1e4), torch.full((4, 6), 1e4)),
    ("large against zero", torch.full((4, 6), 1e4), torch.zeros(4, 6)),
    ("zero against large", torch.zeros(4, 6), torch.full((4, 6), -1e4)),
    ("tiny", torch.full((4, 6), 1e-30), torch.full((4, 6), -1e-38)),
]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("g", "a"), [pytest.param(g, -g if a is None else a, id=name) for name, g, a in HOSTILE])
@pytest.mark.parametrize("name", ["weighted", "literal", "softmax", "direct", "learned", "concat"])
def test_values_and_gradients_stay_finite_on_hostile_inputs(
    name: str, g: Tensor, a: Tensor, dtype: torch.dtype
) -> None:
    f = function("weighted", form="literal") if name == "literal" else function(name, form="safe")
    g, a = (v.detach().clone().to(dtype).requires_grad_() for v in (g, a))
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        fused = call(f, g, a)
    fused.sum().backward()
    for value in (fused, g.grad, a.grad):
        assert value is not None
        assert torch.isfinite(value).all()


@pytest.mark.parametrize("name", ["weighted", "softmax"])
def test_gradients_of_the_safe_forms_are_bounded(name: str) -> None:
    g, a = (torch.randn(200_000, 1).requires_grad_() for _ in range(2))
    call(function(name, form="safe"), g, a).sum().backward()
    assert g.grad is not None
    assert a.grad is not None
    assert max(g.grad.abs().max(), a.grad.abs().max()) < 1.5


def test_learned_channel_is_mix_layernorm_relu() -> None:
    g, a = vectors()
    f: Any = function("learned", bias=True)
    nn.init.constant_(f.bias, 0.3)
    mixed = nn.functional.layer_norm(f.weight * g + 0.7 * a + 0.3, (6,))
    torch.testing.assert_close(f(g, [a], [torch.tensor(0.7)]), mixed.relu())


def test_learned_channel_bias_is_optional() -> None:
    assert {name for name, _ in function("learned", bias=False).named_parameters()} == {
        "weight",
        "norm.weight",
        "norm.bias",
    }


def test_learned_spatial_is_mix_batchnorm_relu_with_weight_one() -> None:
    g, a = torch.randn(2, 3, 2, 4, 4)
    f: Any = function("learned", "spatial", Port(2, 1, ("H", "W"), planes=True))
    assert torch.equal(f.norm.weight, torch.ones(2))
    mixed = nn.functional.batch_norm(f.weight * g + 0.5 * a, None, None, training=True)
    torch.testing.assert_close(f(g, [a], [torch.tensor(0.5)]), mixed.relu())


def test_learned_starts_with_g_alone() -> None:
    f: Any = function("learned", bias=True)
    assert (f.initial, f.weight.item()) == (0.0, 1.0)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_map_is_fused_like_each_of_its_positions(name: str) -> None:
    g, a = torch.randn(2, 3, 6, 2, 2)
    f = function(name, form="safe").eval()
    fused = call(f, g, a)
    torch.testing.assert_close(fused[:, :, 1, 0], call(f, g[:, :, 1, 0], a[:, :, 1, 0]))


def test_concat_projects_both_channel_vectors() -> None:
    g, a = vectors()
    f: Any = function("concat")
    torch.testing.assert_close(call(f, g, a), torch.cat((g, a), 1) @ f.fc.weight.T)


def test_spatial_concat_pairs_the_planes() -> None:
    g, a = torch.randn(2, 3, 2, 5, 5)
    f: Any = function("concat", "spatial", Port(2, 1, ("H", "W"), planes=True))
    nn.init.zeros_(f.conv.weight)
    with torch.no_grad():
        f.conv.weight[:, 1, 1, 1] = 1
    torch.testing.assert_close(call(f, g, a), a)
