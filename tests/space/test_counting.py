from __future__ import annotations

import time
from typing import Any

from hypothesis import HealthCheck, assume, given, settings

from dcasearch.space import Count, Space, count_distinct, read_space, size
from tests.space.strategies import spaces


def make(attention: Any, connections: Any = None, backbone: str = "resnet18") -> Space:
    return read_space({"backbone": {"name": backbone}, "attention": attention, "connections": connections})


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(written=spaces())
def test_the_size_is_the_number_of_enumerated_points(written: dict[str, Any]) -> None:
    space = read_space(written)
    assume(size(space) <= 300)
    assert size(space) == sum(1 for _ in space.enumerate())


def test_the_size_at_stage_grain_with_none_is_the_number_of_enumerated_points() -> None:
    attention = {"granularity": "stage", "name": ["none", "se", "cbam"]}
    dimensions = {"channel": [True, False], "spatial": True}
    space = make(attention, {"granularity": "network", "dimensions": dimensions, "function": ["direct", "softmax"]})
    assert size(space) == sum(1 for _ in space.enumerate())


def test_the_size_at_block_grain_with_none_is_the_number_of_enumerated_points() -> None:
    attention = {"granularity": "block", "name": ["none", "se"]}
    connections = {"granularity": "stage", "dimensions": {"channel": [True, False]}, "topology": ["chain", "dense"]}
    space = make(attention, connections)
    assert size(space) == sum(1 for _ in space.enumerate())


def test_the_size_of_a_space_at_block_grain_is_known_at_once() -> None:
    connections = {
        "granularity": "block",
        "dimensions": {"channel": [True, False]},
        "function": ["direct", "softmax"],
    }
    started = time.monotonic()
    assert size(make({"name": "se"}, connections, "resnet50")) == 1 + (2**15 - 1) * 2
    both = make({"granularity": "block", "name": ["none", "se"]}, connections, "mobilenet_v2")
    assert size(both) > 2**17
    assert time.monotonic() - started < 10  # to look at each point takes far longer


def test_distinct_architectures_of_a_small_space_are_counted_exactly() -> None:
    connections = {
        "granularity": "stage",
        "dimensions": {"channel": [True, False]},
        "topology": ["chain", "dense", "tree"],
        "function": ["direct", "softmax"],
    }
    space = make({"name": "se"}, connections)
    ids = {point.architecture.id for point in space.enumerate()}
    assert count_distinct(space) == Count(len(ids), True, size(space))
    assert len(ids) == 1 + 2 * 15  # stages of two blocks: all topologies are chains
    assert size(space) == 1 + 2 * 3 * 15


def test_what_cannot_be_counted_in_time_is_estimated_and_says_so() -> None:
    connections = {"granularity": "block", "dimensions": {"channel": [True, False]}, "topology": ["chain", "dense"]}
    count = count_distinct(make({"name": "se"}, connections, "resnet50"), seconds=0.3)
    assert not count.exact
    assert count.value <= count.bound == 1 + (2**15 - 1) * 2
    assert count.sampled > 0
    assert "at most 65,535 distinct architectures" in str(count)


def test_a_count_says_how_far_it_can_be_trusted() -> None:
    assert str(Count(31, True, 91)) == "31 distinct architectures"
    assert "at least about 40 (estimated from 20 random points)" in str(Count(40, False, 91, 20))
    assert "no two of 20 random points were equal" in str(Count(91, False, 91, 20))
