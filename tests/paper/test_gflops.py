"""The authors' counting convention, operation by operation."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from dcasearch.architecture import Architecture
from dcasearch.errors import UserError
from dcasearch.models import DCANet, build_model
from dcasearch.models.functions import Function, LearnedChannel, LearnedPlanes
from dcasearch.paper import paper_tables
from dcasearch.paper.gflops import FORMS, RULES, operations


def rule(module: nn.Module, *arguments: Any) -> int:
    """Count one call of a module."""
    known = next(RULES[one] for one in type(module).__mro__ if one in RULES)
    return known(module, arguments, module(*arguments))


MAP = torch.zeros(1, 6, 8, 8)


@pytest.mark.parametrize(
    ("module", "x", "counts"),
    [
        (nn.Conv2d(6, 4, 3, padding=1, bias=False), MAP, 4 * 64 * 6 * 9),
        (nn.Conv2d(6, 4, 3, padding=1), MAP, 4 * 64 * (6 * 9 + 1)),
        (nn.Conv2d(6, 6, 3, stride=2, padding=1, groups=6, bias=False), MAP, 6 * 16 * 9),
        (nn.Linear(6, 5), torch.zeros(1, 6), 30),
        (nn.Linear(6, 5), torch.zeros(1, 2, 6), 60),
        (nn.BatchNorm2d(6).eval(), MAP, 2 * 384),
        (nn.ReLU(), MAP, 384),
        (nn.ReLU6(), MAP, 384),
        (nn.MaxPool2d(2), MAP, 384),
        (nn.AvgPool2d(2), MAP, 384),
        (nn.AdaptiveAvgPool2d(1), MAP, 384),
        (nn.LayerNorm(6), torch.zeros(1, 6), 0),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_an_operation_counts_what_the_authors_counter_counts(module: nn.Module, x: torch.Tensor, counts: int) -> None:
    assert rule(module, x) == counts


@pytest.mark.parametrize(("bias", "counts"), [(True, 6 * (2 + 1 + 1)), (False, 6 * (2 + 1))])
def test_the_learned_sum_of_two_vectors_counts_its_weights_its_bias_and_its_relu(bias: bool, counts: int) -> None:
    g = torch.zeros(1, 6)
    assert rule(LearnedChannel(6, bias), g, [g], [torch.zeros(())]) == counts


def test_the_learned_sum_of_planes_counts_its_relu_beside_its_norm() -> None:
    planes = torch.zeros(1, 2, 8, 8)
    assert rule(LearnedPlanes(2).eval(), planes, [planes], [torch.zeros(())]) == 128


def model(attention: dict[str, Any], **connections: Any) -> DCANet:
    written: dict[str, Any] = {"backbone": {"name": "resnet18"}, "attention": attention}
    with torch.device("meta"):
        return build_model(written | ({"connections": connections} if connections else {}), 10)


def counted(network: DCANet) -> int:
    with operations(network) as found, torch.no_grad():
        network.eval()(torch.empty(1, 3, 32, 32, device="meta"))
    return sum(found)


def test_se_has_its_average_by_a_module_and_gc_has_convolutions() -> None:
    pixels = 2 * 64 * 8**2 + 2 * 128 * 4**2 + 2 * 256 * 2**2 + 2 * 512  # of the eight blocks' outputs
    squares, channels = 2 * (64**2 + 128**2 + 256**2 + 512**2), 2 * (64 + 128 + 256 + 512)
    plain = counted(model({"name": "none"}))
    assert counted(model({"name": "se"})) - plain == pixels + 2 * squares // 16 + channels // 16
    mask = pixels + 2 * (8**2 + 4**2 + 2**2 + 1)
    added = mask + 2 * squares // 16 + channels // 16 * 2 + channels  # both biases and the ReLU
    assert counted(model({"name": "gc"})) - plain == added  # the sum over positions, a matrix product, counts nothing


def test_the_activation_of_sks_second_branch_is_hooked_by_itself() -> None:
    written = {"backbone": {"name": "resnet50", "width": 0.25}, "attention": {"name": "sk"}}
    with torch.device("meta"):
        network = build_model(written, 10)
    calls: list[nn.Module] = []
    branch = network.get_submodule("attention.layer1_0.branch.2")
    branch.register_forward_hook(lambda module, arguments, output: calls.append(module))
    network(torch.empty(2, 3, 32, 32, device="meta"))
    assert calls == [branch]  # the block's own activation, which is called three times, has other hooks


def test_no_hook_stays_on_a_network_that_was_counted() -> None:
    network = model({"name": "se"})
    first = counted(network)
    network(torch.empty(1, 3, 32, 32, device="meta"))
    assert counted(network) == first


def test_a_kind_that_the_paper_does_not_have_is_refused() -> None:
    with pytest.raises(UserError, match=r"not known of eca; it is of cbam, gc, ge_theta, none, se, sk"):
        counted(model({"name": "eca"}))


def test_every_layer_of_the_papers_attention_blocks_has_a_rule() -> None:
    kinds = {node.kind for table in paper_tables() for row in table.rows for node in row.architecture.network.nodes}
    assert kinds == {*FORMS}
    for name in sorted(kinds):
        written = {"backbone": {"name": "mobilenet_v2"}, "attention": {"name": name}}
        with torch.device("meta"):
            network = build_model(Architecture.parse(written))
        leaves = {type(one) for one in network.modules() if not list(one.children()) and [*one.parameters()]}
        assert all(any(base in RULES for base in one.__mro__) for one in leaves if not issubclass(one, Function))
