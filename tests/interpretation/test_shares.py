from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from dcasearch.interpretation.observing import Arrived, Received, observing
from dcasearch.interpretation.shares import share_of_weights, shares_of_images
from dcasearch.models import DCANet
from dcasearch.models.connections import Fusion
from dcasearch.models.functions import ConcatChannel, Direct, Function, LearnedChannel, Softmax
from dcasearch.models.sites import fusions
from tests.interpretation.samples import PIXELS, tiny
from tests.models.samples import FUNCTIONS, KINDS, images

pytestmark = pytest.mark.filterwarnings("ignore:weighted. literal is Eq. 5 as printed")


def fusion_of(model: DCANet, node: str) -> Fusion:
    return next(fusion for (name, _), _, fusion in fusions(model) if name == node)


@torch.no_grad()
def put(parameter: Tensor, *values: float) -> None:
    parameter.copy_(torch.tensor(values).view(parameter.shape))


def edges_of(fusion: Fusion) -> list[Any]:
    return [edge for _, edge in fusion.edges.items()]


def test_a_scalar_of_one_third_gives_a_quarter() -> None:
    fusion = fusion_of(tiny("se", function="direct"), "layer1_1")
    put(edges_of(fusion)[0].alpha, -1 / 3)
    share = share_of_weights(fusion)
    assert share is not None
    assert share.value == pytest.approx(0.25)
    assert share.edges == (share.value,)


def test_a_coefficient_a_channel_gives_the_mean_of_the_channels_shares() -> None:
    fusion = fusion_of(tiny("se", function="direct", alpha={"shape": "channel"}), "layer1_1")
    put(edges_of(fusion)[0].alpha, *(0.0,) * 4, *(1.0,) * 4)  # 0 and 1/2
    share = share_of_weights(fusion)
    assert share is not None
    assert share.value == pytest.approx(0.25)


def test_several_edges_share_by_their_size_and_add_up() -> None:
    model = tiny("se", function="direct", topology="custom", edges={"channel": [[1, 3], [2, 3]]})
    fusion = fusion_of(model, "layer2_0")
    put(edges_of(fusion)[0].alpha, 1.0)
    put(edges_of(fusion)[1].alpha, -2.0)
    share = share_of_weights(fusion)
    assert share is not None
    assert share.edges == pytest.approx((0.25, 0.5))
    assert share.value == pytest.approx(0.75)


def test_a_learned_function_is_read_as_the_paper_reads_it() -> None:
    fusion = fusion_of(tiny("se", function="learned"), "layer1_1")
    function: Any = fusion.function
    put(function.weight, -3.0)
    put(function.bias, 100.0)  # is not looked at
    put(edges_of(fusion)[0].weight, 1.0)
    share = share_of_weights(fusion)
    assert share is not None
    assert share.value == pytest.approx(0.25)


def test_learned_planes_are_read_by_p1_and_p2() -> None:
    model = tiny("cbam", function="learned", dimensions={"channel": False})
    fusion = fusion_of(model, "layer1_1")
    function: Any = fusion.function
    put(function.weight, 1.5)
    put(edges_of(fusion)[0].weight, -0.5)
    share = share_of_weights(fusion)
    assert share is not None
    assert share.value == pytest.approx(0.25)


def test_a_concatenation_is_read_by_the_norms_of_its_halves_with_alpha() -> None:
    fusion = fusion_of(tiny("se", function="concat"), "layer1_1")
    function: Any = fusion.function
    with torch.no_grad():
        function.fc.weight.zero_()
        function.fc.weight[0, 0], function.fc.weight[1, 0] = 3.0, 4.0  # norm 5 for G
        function.fc.weight[0, 8] = 2.0  # norm 2 for A
    put(edges_of(fusion)[0].alpha, 2.5)
    share = share_of_weights(fusion)
    assert share is not None
    assert share.value == pytest.approx(0.5)


def test_a_concatenation_of_planes_is_read_by_the_norms_of_its_kernels_with_alpha() -> None:
    model = tiny("cbam", function="concat", dimensions={"channel": False})
    fusion = fusion_of(model, "layer1_1")
    function: Any = fusion.function
    with torch.no_grad():
        function.conv.weight.zero_()
        function.conv.weight[:, 0, 0, 0] = torch.tensor([3.0, 4.0])
        function.conv.weight[:, 1, 1, 1] = torch.tensor([0.6, 0.8])
    put(edges_of(fusion)[0].alpha, 5.0)
    share = share_of_weights(fusion)
    assert share is not None
    assert share.value == pytest.approx(0.5)


@pytest.mark.parametrize("function", ["softmax", "weighted", "literal"])
def test_a_function_that_weighs_each_image_anew_has_no_share_from_weights(function: str) -> None:
    assert share_of_weights(fusion_of(tiny("se", function=FUNCTIONS[function]), "layer1_1")) is None


def test_weights_that_are_all_zero_have_no_share() -> None:
    fusion = fusion_of(tiny("se", function="learned"), "layer1_1")
    function: Any = fusion.function
    put(function.weight, 0.0)
    put(edges_of(fusion)[0].weight, 0.0)
    assert share_of_weights(fusion) is None


def received(function: Function, raw: list[Tensor], *messages: tuple[float, list[Tensor]]) -> Received:
    arrived = tuple(Arrived(str(n), tuple(p), torch.tensor(alpha)) for n, (alpha, p) in enumerate(messages))
    return Received(function, tuple(raw), arrived, tuple(raw))


def test_the_share_of_an_image_is_by_the_norms_of_the_terms() -> None:
    g, p = torch.tensor([[3.0, 4.0], [0.0, 0.0], [0.0, 0.0]]), torch.tensor([[0.0, -10.0], [1.0, 0.0], [0.0, 0.0]])
    shares = shares_of_images(received(Direct(), [g], (0.5, [p])))
    assert shares.shape == (3, 1)
    assert shares[:2, 0].tolist() == [0.5, 1.0]
    assert shares[2, 0].isnan()  # neither G nor P


def test_a_norm_is_over_all_tensors_of_an_extraction() -> None:
    g, p = torch.full((1, 1), 3.0), torch.full((1, 1), 6.0)
    shares = shares_of_images(received(Direct(), [g, 4 / 3 * g], (2.0, [p, 4 / 3 * p])))  # 5 and 2 * 10
    torch.testing.assert_close(shares, torch.tensor([[0.8]]).double())


def test_the_shares_of_several_messages_do_not_cancel() -> None:
    g = torch.ones(1, 2)
    shares = shares_of_images(received(Direct(), [g], (1.0, [g]), (-2.0, [g])))
    torch.testing.assert_close(shares, torch.tensor([[0.25, 0.5]]).double())


def test_a_learned_function_counts_its_own_weight_too() -> None:
    function = LearnedChannel(2, bias=True)
    put(function.weight, 3.0)
    g = torch.ones(1, 2)
    torch.testing.assert_close(shares_of_images(received(function, [g], (-1.0, [g]))), torch.tensor([[0.25]]).double())


def test_a_concatenation_counts_what_its_projection_makes_of_each() -> None:
    function = ConcatChannel(2)
    put(function.fc.weight, 3.0, 0.0, 1.0, 0.0, 0.0, 3.0, 0.0, 1.0)
    g = torch.ones(1, 2)
    torch.testing.assert_close(shares_of_images(received(function, [g], (1.0, [g]))), torch.tensor([[0.25]]).double())


def test_softmax_is_read_by_what_enters_it() -> None:
    g = torch.ones(1, 2)
    torch.testing.assert_close(shares_of_images(received(Softmax(), [g], (3.0, [g]))), torch.tensor([[0.75]]).double())


def rows() -> list[Any]:
    """Every kind, functions and topologies in turn; two of three rows are slow."""
    topologies = ("chain", "dense", "tree")
    functions = list(FUNCTIONS)
    return [
        pytest.param(
            kind, functions[n % len(functions)], topologies[n % 3], marks=[] if n % 3 == 0 else [pytest.mark.slow]
        )
        for n, kind in enumerate(KINDS)
    ]


@pytest.mark.parametrize(("kind", "function", "topology"), rows())
def test_every_kind_has_shares_between_none_and_all(kind: str, function: str, topology: str) -> None:
    model = tiny(kind, function=FUNCTIONS[function], topology=topology)
    with observing(model) as seen, torch.no_grad():
        model(images(2, PIXELS))
    for site, branch, fusion in fusions(model):
        shares = shares_of_images(seen.received[site][branch])
        assert shares.shape == (2, len(fusion.edges))
        assert ((shares >= 0) & (shares <= 1)).all(), (site, shares)
        weights = share_of_weights(fusion)
        assert (weights is None) == (function in ("softmax", "weighted", "literal"))
        if weights is not None:
            assert 0 <= weights.value <= 1
            assert len(weights.edges) == len(fusion.edges)
