"""Random search spaces, as plain data."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

KINDS = ["none", "se", "gc", "sk", "cbam", "ge_theta", "ge_theta_minus"]


def some(values: list[Any], most: int) -> st.SearchStrategy[Any]:
    """One of the values, or a list of up to `most` of them."""
    lists = st.lists(st.sampled_from(values), min_size=1, max_size=most, unique_by=repr)
    return st.one_of(st.sampled_from(values), lists)


def words(written: Any) -> list[Any]:
    return written if isinstance(written, list) else [written]


@st.composite
def attentions(draw: st.DrawFn) -> dict[str, Any]:
    grain = draw(st.sampled_from(["network", "stage", "block"]))
    kinds = words(draw(some(KINDS, 3 if grain == "network" else 2)))
    attention: dict[str, Any] = {"name": kinds, "granularity": grain}
    if {"se", "gc", "sk", "cbam"} & set(kinds) and draw(st.booleans()):
        attention["reduction"] = draw(some([4, 8, 16], 2))
    if {"ge_theta", "ge_theta_minus"} & set(kinds) and draw(st.booleans()):
        attention["extent"] = draw(some([2, 4, 8], 2))
    return attention


@st.composite
def conditional_functions(draw: st.DrawFn) -> Any:
    plain = draw(some(["direct", "softmax", "concat", {"weighted": {"form": ["safe", "literal"]}}, "learned"], 3))
    if draw(st.booleans()):
        return plain
    return {
        "when": {"connections.topology": draw(st.sampled_from(["chain", "dense"]))},
        "choose": plain,
        "else": "direct",
    }


@st.composite
def connections(draw: st.DrawFn, kinds: list[str]) -> dict[str, Any]:
    dimensions: dict[str, Any] = {"channel": draw(some([True, False], 2))}
    if "cbam" in kinds and draw(st.booleans()):
        dimensions["spatial"] = draw(some([True, False], 2))
    written: dict[str, Any] = {
        "granularity": draw(st.sampled_from(["network", "stage", "block"])),
        "dimensions": dimensions,
        "topology": ["chain", *draw(st.sampled_from([[], ["dense"], ["tree", "dense"]]))],
        "channel_matching": draw(
            some(["fc", {"fc2": {"reduction": [4, 16]}}, {"fc": {"norm": "ln", "bias": [True, False]}}], 2)
        ),
        "spatial_matching": draw(some(["average", "max", "conv"], 2)),
        "function": draw(st.sampled_from(["direct", "learned"])),
    }
    if "dense" in written["topology"]:
        written["function"] = draw(conditional_functions())
    if draw(st.booleans()):
        written["alpha"] = {"shape": ["scalar", "channel"], "init": 0.5}
    if "cbam" in kinds:
        written["coupling"] = draw(some(["decoupled", "coupled"], 2))
    return written


@st.composite
def spaces(draw: st.DrawFn) -> dict[str, Any]:
    """A space of ResNet-18 or MobileNetV2; its size may be anything."""
    names = draw(st.sampled_from(["resnet18", "mobilenet_v2", ["resnet18", "resnet50"]]))
    attention = draw(attentions())
    space: dict[str, Any] = {"backbone": {"name": names, "stem": draw(some(["small", "imagenet"], 2))}}
    space["attention"] = attention
    if set(attention["name"]) != {"none"} and draw(st.integers(0, 3)):
        space["connections"] = draw(connections(attention["name"]))
    return space
