from __future__ import annotations

from typing import Any

import pytest
import torch

from dcasearch.architecture import KINDS as DECLARED
from dcasearch.interpretation.observing import observing
from dcasearch.models.functions import Direct
from dcasearch.models.sites import fusions, sites
from tests.interpretation.samples import PIXELS, tiny
from tests.models.samples import KINDS, images

BATCH = images(3, PIXELS)


def test_every_dimension_of_every_node_shows_its_transformation() -> None:
    model = tiny("cbam")
    with observing(model) as seen, torch.no_grad():
        model(BATCH)
    assert list(seen.transformed) == [(name, d) for name in model.names for d in ("channel", "spatial")]
    assert seen.transformed["layer2_0", "channel"].shape == (3, 16)
    assert seen.transformed["layer2_0", "spatial"].shape == (3, 1, 16, 16)
    assert seen.received == {}


def test_a_receiver_shows_its_extraction_its_messages_and_what_it_made_of_them() -> None:
    model = tiny("se", function="direct")
    with observing(model) as seen, torch.no_grad():
        model(BATCH)
    assert list(seen.received) == [(name, "channel") for name in model.names[1:]]
    received = seen.received["layer2_0", "channel"][0]
    [arrived] = received.arrived
    assert (arrived.source, type(received.function)) == ("layer1_1", Direct)
    torch.testing.assert_close(received.fused[0], received.raw[0] + arrived.coefficient * arrived.message[0])
    part: Any = model.attention["layer2_0"].channel
    torch.testing.assert_close(part.transform(received.fused), seen.transformed["layer2_0", "channel"])


def test_a_block_that_pools_twice_shows_both_extractions_with_one_message_each() -> None:
    model = tiny("cbam", function="direct", dimensions={"spatial": False})
    with observing(model) as seen, torch.no_grad():
        model(BATCH)
    received = seen.received["layer1_1", "channel"][0]
    assert [len(tensors) for tensors in (received.raw, received.arrived[0].message, received.fused)] == [2, 2, 2]


def test_each_branch_of_a_receiver_is_seen_by_itself() -> None:
    model = tiny("sk", function="direct")
    with observing(model) as seen, torch.no_grad():
        model(BATCH)
    branches = seen.received["layer1_1", "channel"]
    assert list(branches) == [0, 1]
    assert not torch.equal(branches[0].raw[0], branches[1].raw[0])


def test_several_edges_arrive_in_the_order_of_the_edges() -> None:
    model = tiny("se", topology="custom", edges={"channel": [[1, 4], [3, 4]]})
    with observing(model) as seen, torch.no_grad():
        model(BATCH)
    [received] = seen.received["layer2_1", "channel"].values()
    assert [arrived.source for arrived in received.arrived] == ["layer1_0", "layer2_0"]


def test_an_observation_is_of_the_last_pass_alone_and_holds_no_graph() -> None:
    model = tiny("se", function="direct")
    with observing(model) as seen:
        model(BATCH)
        model(BATCH[:1])
    site = ("layer4_1", "channel")
    assert len(seen.transformed[site]) == len(seen.received[site][0].raw[0]) == 1
    assert not seen.transformed[site].requires_grad
    assert len(seen.received[site][0].arrived) == 1


def test_after_the_block_the_network_has_no_hook_and_nothing_is_seen() -> None:
    model = tiny("se", function="direct")
    with observing(model) as seen:
        pass
    model(BATCH)
    assert not seen.transformed
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def rows() -> list[Any]:
    """Every kind; two of three are slow."""
    return [pytest.param(kind, marks=[pytest.mark.slow] if n % 3 else []) for n, kind in enumerate(KINDS)]


@pytest.mark.parametrize("kind", rows())
def test_observing_changes_nothing_and_misses_no_block_of_any_kind(kind: str) -> None:
    model = tiny(kind, function="learned")
    with torch.no_grad():
        alone = model(BATCH)
        with observing(model) as seen:
            observed = model(BATCH)
    assert torch.equal(alone, observed)
    assert list(seen.transformed) == list(sites(model))
    assert {dimension for _, dimension in seen.transformed} == set(DECLARED[KINDS[kind]["name"]].dimensions)
    assert {(site, n) for site, branches in seen.received.items() for n in branches} == {
        (site, n) for site, n, _ in fusions(model)
    }
