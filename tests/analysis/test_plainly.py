from __future__ import annotations

from typing import Any, get_args

import pytest

from dcasearch.analysis.plainly import difference_plainly, plainly
from dcasearch.architecture import Architecture
from dcasearch.architecture.specification import ConnectionFunction
from dcasearch.architecture.topology import TOPOLOGIES

BACKBONE: dict[str, Any] = {"name": "resnet50", "stem": "small"}
SE: dict[str, Any] = {"name": "se", "reduction": 16}
FUNCTIONS = get_args(ConnectionFunction.model_fields["name"].annotation)


def network(**parts: Any) -> Any:
    return Architecture.parse({"backbone": BACKBONE, **parts}).network


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("topology", list(TOPOLOGIES))
def test_every_topology_and_function_has_plain_words(topology: str, function: str) -> None:
    said = plainly(network(attention=SE, connections={"topology": topology, "function": function}))
    assert said.startswith("resnet50, small stem with SE r=16 in all stages. In all stages, each attention block also ")
    assert "receives the channel attention of " in said
    assert f" ({topology}), " in said
    assert "joined by " not in said  # every function has words of its own


def test_two_dimensions_that_are_connected_alike_are_one_sentence() -> None:
    said = plainly(network(attention={"name": "cbam"}, connections={"function": "direct"}))
    assert said.count(" each attention block ") == 1
    assert "channel and spatial attention" in said


def test_a_dimension_that_is_connected_likewise_elsewhere_is_a_short_sentence() -> None:
    dimensions = {"channel": True, "spatial": {"stages": [False, False, False, True]}}
    said = plainly(network(attention={"name": "cbam"}, connections={"function": "direct", "dimensions": dimensions}))
    assert "In stage 4, likewise the spatial attention." in said


def test_a_network_without_connections_says_so_and_one_without_attention_need_not() -> None:
    assert plainly(network(attention=SE)).endswith("Its attention blocks are not connected.")
    assert plainly(network()) == "resnet50, small stem with no attention."


def test_differences_from_a_network_without_connections_name_the_connections_and_the_attention() -> None:
    connected = network(attention=SE, connections={"function": "direct"})
    other = {"name": "se", "reduction": 4}
    assert difference_plainly(connected, network(attention=SE), "vanilla se") == (
        "It connects channel attention into all stages. The attention is the same."
    )
    told = difference_plainly(connected, network(attention=other), "vanilla se")
    assert told.endswith("not SE r=4 in all stages, so a lead is not the connections' alone.")
    both = difference_plainly(connected, network(attention=SE, connections={"function": "softmax"}), "dca se")
    assert both == "Both are connected, in different ways: channel function direct, not softmax."
    assert difference_plainly(connected, connected, "dca se") == "It is dca se itself."
