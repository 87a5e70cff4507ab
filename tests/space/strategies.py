"""Random search spaces, as plain data."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from dcasearch.architecture import KINDS as DECLARED
from dcasearch.architecture import Option
from dcasearch.architecture.kinds import options_named

KINDS = sorted(DECLARED)


def some(values: list[Any], most: int) -> st.SearchStrategy[Any]:
    """One of the values, or a list of up to `most` of them."""
    lists = st.lists(st.sampled_from(values), min_size=1, max_size=most, unique_by=repr)
    return st.one_of(st.sampled_from(values), lists)


def words(written: Any) -> list[Any]:
    return written if isinstance(written, list) else [written]


@st.composite
def attentions(draw: st.DrawFn) -> dict[str, Any]:
    grain = draw(st.sampled_from(["network", "stage", "block"]))
    possible = [kind for kind in KINDS if grain != "block" or DECLARED[kind].in_blocks]
    kinds = words(draw(some(possible, 3 if grain == "network" else 2)))
    attention: dict[str, Any] = {"name": kinds, "granularity": grain}
    for name in options_named():
        having = [option for kind in kinds if (option := DECLARED[kind].option(name))]
        if having and draw(st.booleans()):
            attention[name] = draw(some(values_of(having), 2))
    return attention


@st.composite
def stage_attentions(draw: st.DrawFn) -> dict[str, Any]:
    possible = [kind for kind in KINDS if kind == "none" or not DECLARED[kind].in_blocks]
    kinds = words(draw(some(possible, 2)))
    return {"name": kinds, "granularity": draw(st.sampled_from(["network", "stage"]))}


def dimensions_of(kinds: list[str]) -> list[str]:
    return sorted({dimension for kind in kinds for dimension in DECLARED[kind].dimensions})


def values_of(options: list[Option]) -> list[Any]:
    """Values that all of some options of one name take."""
    tried = [True, False, 1.5, 2, 4, 8, 16, *(value for option in options for value in option.choices)]
    unique = {repr(value): value for value in tried if value is not None}
    return [value for value in unique.values() if all(option.fits(value) for option in options)]


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
    dimensions: dict[str, Any] = {}
    for dimension in dimensions_of(kinds):
        if dimension == "channel" or draw(st.booleans()):
            dimensions[dimension] = draw(some([True, False], 2))
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
    if any(DECLARED[kind].coupled for kind in kinds):
        written["coupling"] = draw(some(["decoupled", "coupled"], 2))
    if draw(st.booleans()):
        controls = ["shuffled", "constant"] if "coupled" in words(written.get("coupling")) else ["own", "shuffled"]
        written["message"] = draw(some(["sender", *controls], 2))
    return written


@st.composite
def spaces(draw: st.DrawFn) -> dict[str, Any]:
    """A space of ResNet-18 or MobileNetV2; its size may be anything."""
    names = draw(st.sampled_from(["resnet18", "mobilenet_v2", ["resnet18", "resnet50"]]))
    attention = draw(attentions())
    space: dict[str, Any] = {"backbone": {"name": names, "stem": draw(some(["small", "imagenet"], 2))}}
    space["attention"] = attention
    kinds = attention["name"]
    if all(DECLARED[kind].in_blocks for kind in kinds) and draw(st.booleans()):
        space["stage_attention"] = draw(stage_attentions())
        kinds = [*kinds, *space["stage_attention"]["name"]]
    if draw(st.booleans()):
        space["attention_init"] = draw(some(["usual", "identity"], 2))
    if dimensions_of(kinds) and draw(st.integers(0, 3)):
        space["connections"] = draw(connections(kinds))
    return space
