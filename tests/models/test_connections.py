"""Messages between blocks: every kind to every kind, and each rule of section 3 by its numbers."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dcasearch.architecture import KINDS as DECLARED
from dcasearch.architecture import Architecture
from dcasearch.architecture.kinds import obstacle
from dcasearch.models import DCANet
from dcasearch.models.attention import Extraction
from dcasearch.models.connections import Arrival, Receiver
from tests.models.samples import KINDS, SMALL, built, images, loss_of, perturb, spec

WITHIN, ACROSS = (3, 4), (2, 7)
"""Two blocks of one stage of MobileNetV2, and two of different stages, widths and resolutions (2 and 8)."""


def pair(sender: str, receiver: str, places: tuple[int, int], dimension: str = "channel") -> dict[str, Any]:
    """Return a network with two attention blocks and one connection between them."""
    blocks: list[dict[str, Any]] = [{"name": "none"}] * 17
    for place, kind in zip(places, (sender, receiver), strict=True):
        blocks[place] = KINDS[kind]
    written = spec(topology="custom", edges={dimension: [[1, 2]]}, dimensions={"channel": dimension == "channel"})
    return written | {"attention": {"blocks": blocks}}


def connection_parameters(model: DCANet) -> dict[str, nn.Parameter]:
    return {name: p for name, p in model.named_parameters() if name.startswith("connections.")}


def meetings() -> list[Any]:
    """Return every sender, receiver and dimension in which both can meet; two of three are slow."""
    states = {name: DECLARED[written["name"]].dimensions for name, written in KINDS.items()}
    return [
        pytest.param(
            sender,
            receiver,
            dimension,
            id=f"{sender}-{receiver}-{dimension}",
            marks=[pytest.mark.slow] if (i - j) % 3 else [],
        )
        for (i, sender), (j, receiver) in product(enumerate(KINDS), enumerate(KINDS))
        for dimension in states[sender].keys() & states[receiver].keys()
        if obstacle(states[sender][dimension], states[receiver][dimension]) is None
    ]


def test_every_kind_that_meets_another_is_among_the_meetings_that_are_not_slow() -> None:
    for part in (0, 1):
        assert {row.values[part] for row in meetings() if not row.marks} == {row.values[part] for row in meetings()}


@pytest.mark.parametrize(("sender", "receiver", "dimension"), sorted(meetings(), key=lambda row: str(row.id)))
def test_every_kind_sends_to_every_kind_within_a_stage_and_across(sender: str, receiver: str, dimension: str) -> None:
    declared = [DECLARED[KINDS[kind]["name"]] for kind in (sender, receiver)]
    in_blocks = [kind.place == "block" for kind in declared]
    blocks: list[dict[str, Any]] = [{"name": "none"}] * 17
    blocks[3 if in_blocks[0] else 2] = KINDS[sender]
    for place in (4, 7) if in_blocks[1] else (5, 9):
        blocks[place] = KINDS[receiver]
    others = {name: False for kind in declared for name in kind.dimensions if name != dimension}
    written = spec(topology="custom", edges={dimension: [[1, 2], [1, 3]]}, dimensions=others)
    model = built(written | {"attention": {"blocks": blocks}})
    perturb(model)
    loss_of(model.double(), images(4, 40).double()).backward()
    parameters = connection_parameters(model)
    branches = declared[1].dimensions[dimension].branches
    assert len([name for name in parameters if name.endswith("alpha")]) == 2 * branches
    for name, parameter in parameters.items():
        assert parameter.grad is not None
        assert parameter.grad.abs().max() > 1e-12, name


@pytest.mark.parametrize("places", [WITHIN, ACROSS], ids=["within", "across"])
def test_cbam_sends_to_cbam_in_space(places: tuple[int, int]) -> None:
    model = built(pair("cbam", "cbam", places, "spatial"))
    perturb(model)
    loss_of(model.double(), images(4, 40).double()).backward()
    [alpha] = connection_parameters(model).values()
    assert alpha.grad is not None
    assert alpha.grad.abs() > 1e-12


def receiver(sender: str, kind: str, places: tuple[int, int] = ACROSS, dimension: str = "channel") -> Receiver:
    network = Architecture.parse(pair(sender, kind, places, dimension)).network
    torch.manual_seed(0)
    return Receiver([Arrival.of(edge, network.blocks) for edge in network.edges], alpha_init=0.5).eval()


def no_read(x: Tensor) -> Extraction:
    raise AssertionError("a decoupled message is not read")


def fused(module: Receiver, extraction: Extraction, *message: Tensor) -> Extraction:
    source = f"features_{ACROSS[0] + 1}"
    return module(extraction, {source: message}, no_read)  # type: ignore[no-any-return]  # nn.Module's call is Any


def match_of(module: Receiver, branch: int = 0) -> Any:
    fusion: Any = module.branches[branch]
    return fusion.edges[f"features_{ACROSS[0] + 1}"].match


C_SENDER, C_RECEIVER = 8, 16


def test_a_vector_is_matched_and_scaled_by_alpha() -> None:
    module = receiver("se", "se")
    g, p = torch.randn(2, C_RECEIVER), torch.randn(2, C_SENDER)
    torch.testing.assert_close(fused(module, (g,), p), (g + 0.5 * match_of(module)(p),))


def test_cbam_fuses_its_average_and_its_maximum_with_one_message() -> None:
    module = receiver("se", "cbam")
    average, maximum, p = torch.randn(2, C_RECEIVER), torch.randn(2, C_RECEIVER), torch.randn(2, C_SENDER)
    a = 0.5 * match_of(module)(p)
    torch.testing.assert_close(fused(module, (average, maximum), p), (average + a, maximum + a))


def test_sk_sends_the_sum_of_its_branches_to_other_kinds() -> None:
    module = receiver("sk", "se")
    g, first, second = torch.randn(2, C_RECEIVER), *torch.randn(2, 2, 48)
    torch.testing.assert_close(fused(module, (g,), first, second), (g + 0.5 * match_of(module)(first + second),))


def test_sk_receives_per_branch_with_own_matchings() -> None:
    module = receiver("sk", "sk")
    g, p = torch.randn(2, 2, 96), torch.randn(2, 2, 48)
    expected = tuple(g[b] + 0.5 * match_of(module, b)(p[b]) for b in (0, 1))
    torch.testing.assert_close(fused(module, (g[0], g[1]), p[0], p[1]), expected)
    assert not torch.equal(match_of(module, 0).fc.weight, match_of(module, 1).fc.weight)


def test_sk_gives_both_branches_the_same_message_of_another_kind() -> None:
    module = receiver("se", "sk")
    g, p = torch.randn(2, 2, 96), torch.randn(2, C_SENDER)
    expected = tuple(g[b] + 0.5 * match_of(module, b)(p) for b in (0, 1))
    torch.testing.assert_close(fused(module, (g[0], g[1]), p), expected)


def test_a_vector_is_broadcast_to_a_gathered_map() -> None:
    module = receiver("se", "ge_theta_2")
    g, p = torch.randn(2, C_RECEIVER, 3, 3), torch.randn(2, C_SENDER)
    torch.testing.assert_close(fused(module, (g,), p), (g + 0.5 * match_of(module)(p)[:, :, None, None],))


def test_a_gathered_map_reaches_a_vector_as_its_mean() -> None:
    module = receiver("ge_theta_2", "se")
    g, p = torch.randn(2, C_RECEIVER), torch.randn(2, C_SENDER, 6, 6)
    torch.testing.assert_close(fused(module, (g,), p), (g + 0.5 * match_of(module)(p.mean((2, 3))),))


def test_a_gathered_map_is_pooled_to_a_coarser_one_before_it_is_matched() -> None:
    module = receiver("ge_theta_2", "ge_theta_2")
    g, p = torch.randn(2, C_RECEIVER, 3, 3), torch.randn(2, C_SENDER, 12, 12)
    torch.testing.assert_close(fused(module, (g,), p), (g + 0.5 * match_of(module)(F.avg_pool2d(p, 4)),))


def test_a_gathered_map_is_spread_to_a_finer_one() -> None:
    module = receiver("ge_theta", "ge_theta_2", WITHIN)
    g, p = torch.randn(2, C_SENDER, 3, 3), torch.randn(2, C_SENDER, 1, 1)
    fine = module((g,), {f"features_{WITHIN[0] + 1}": (p,)}, no_read)
    torch.testing.assert_close(fine, (g + 0.5 * p,))


def test_a_spatial_message_is_pooled_by_the_static_stride() -> None:
    module = receiver("cbam", "cbam", dimension="spatial")
    g, p = torch.randn(2, 2, 7, 7), torch.randn(2, 2, 25, 25)
    a = F.avg_pool2d(p, 4, ceil_mode=True, count_include_pad=False)
    torch.testing.assert_close(fused(module, (g,), p), (g + 0.5 * a,))


def test_a_coupled_map_is_matched_pooled_and_read_by_the_receiver() -> None:
    blocks = [KINDS["cbam"] if n in ACROSS else {"name": "none"} for n in range(17)]
    written = spec(coupling="coupled", alpha={"init": 0.5}) | {"attention": {"blocks": blocks}}
    network = Architecture.parse(written).network
    channel, spatial = (
        Receiver([Arrival.of(edge, network.blocks) for edge in network.incoming(ACROSS[1], d)], 0.5)
        for d in ("channel", "spatial")
    )
    gated = torch.randn(2, C_SENDER, 24, 24)
    message = {f"features_{ACROSS[0] + 1}": (gated,)}

    def vectors(x: Tensor) -> Extraction:
        return x.mean((2, 3)), x.amax((2, 3))

    def planes(x: Tensor) -> Extraction:
        return (torch.cat((x.amax(1, keepdim=True), x.mean(1, keepdim=True)), 1),)

    g, m = torch.randn(2, 2, C_RECEIVER)
    matched = match_of(channel)(gated)
    expected = g + 0.5 * matched.mean((2, 3)), m + 0.5 * matched.amax((2, 3))
    torch.testing.assert_close(channel((g, m), message, vectors), expected)
    s = torch.randn(2, 2, 6, 6)
    torch.testing.assert_close(spatial((s,), message, planes), (s + 0.5 * planes(F.avg_pool2d(gated, 4))[0],))


def test_a_channel_connection_neither_reads_nor_writes_space() -> None:
    channel_alone = built(spec("cbam", dimensions={"spatial": False}))
    assert {name.split(".")[2] for name in connection_parameters(channel_alone)} == {"channel"}


def test_alpha_is_one_number_or_one_a_channel() -> None:
    def shapes(**options: Any) -> set[tuple[int, ...]]:
        model = built(spec("se", alpha=options))
        return {tuple(p.shape) for name, p in connection_parameters(model).items() if name.endswith("alpha")}

    assert shapes(shape="scalar") == {()}
    assert shapes(shape="channel") == {(8,), (16,), (24,), (40,), (80,)}


def test_alpha_starts_where_the_architecture_says() -> None:
    model = built(spec("cbam", alpha={"init": 0.25}))
    assert {p.item() for name, p in connection_parameters(model).items() if name.endswith("alpha")} == {0.25}


def test_learned_owns_no_alpha() -> None:
    assert not [n for n in connection_parameters(built(spec("cbam", function="learned"))) if "alpha" in n]


def test_a_block_that_receives_nothing_owns_no_connection() -> None:
    model = built(spec("cbam", topology="chain"))
    assert not list(model.connections["features_1"].parameters())  # type: ignore[union-attr]  # a ModuleDict of modules
    assert list(model.connections["features_2"].parameters())  # type: ignore[union-attr]


def test_a_gradient_reaches_the_sender_through_its_message() -> None:
    """Nothing is detached: α of one edge gets a gradient through the blocks that listen further on."""
    blocks = [KINDS["se"] if n in (3, 4) else {"name": "none"} for n in range(17)]
    model = built({"backbone": SMALL, "attention": {"blocks": blocks}, "connections": {}}).eval()
    network = model.network
    receiver = Receiver([Arrival.of(edge, network.blocks) for edge in network.edges], 1.0)
    message = torch.randn(2, 8, requires_grad=True)
    receiver((torch.randn(2, 8),), {"features_4": (message,)}, no_read)[0].sum().backward()
    assert message.grad is not None
    assert message.grad.abs().max() > 0
