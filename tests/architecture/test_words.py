from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from dcasearch.architecture import Architecture, Network
from dcasearch.architecture.words import connection_name, difference_of, sentence_of
from dcasearch.config import load_yaml
from dcasearch.space import read_space

ROOT = Path(__file__).parents[2]
RESNET: dict[str, Any] = {"backbone": {"name": "resnet18"}}
NARROW: dict[str, Any] = {"name": "resnet18", "width": 0.25, "stem": "small"}
A_KIND_A_STAGE: list[dict[str, Any]] = [
    {"name": "se", "reduction": 4},
    {"name": "none"},
    {"name": "cbam"},
    {"name": "se"},
]
SOME_BLOCKS = [False, True, False, True, True, False, True, True]
SE: dict[str, Any] = {**RESNET, "attention": {"name": "se"}}


def network(base: dict[str, Any] = SE, **parts: Any) -> Network:
    return Architecture.parse({**base, **parts}).network


SENTENCES: dict[str, tuple[Network, str]] = {
    "plain": (network(RESNET), "resnet18: no attention"),
    "vanilla": (network(), "resnet18: SE r=16 in all stages; not connected"),
    "chain": (
        network(connections={}),
        "resnet18: SE r=16 in all stages; channel chain into all stages, direct, fc",
    ),
    "some stages": (
        network(connections={"dimensions": {"channel": {"stages": [False, True, True, True]}}}),
        "resnet18: SE r=16 in all stages; channel chain into stages 2–4, direct, fc",
    ),
    "some blocks": (
        network(
            connections={"dimensions": {"channel": {"blocks": [False, True, False, True, True, False, True, True]}}}
        ),
        "resnet18: SE r=16 in all stages; channel chain into blocks 2, 4–5, 7–8, direct, fc",
    ),
    "one reduction a stage": (
        network(
            attention={"stages": [{"name": "se", "reduction": 4}, {"name": "none"}, {"name": "cbam"}, {"name": "se"}]}
        ),
        "resnet18: SE r=4 in stage 1, SE r=16 in stage 4, CBAM r=16 in stage 3; not connected",
    ),
    "both dimensions alike": (
        network(
            {"backbone": {"name": "resnet34"}, "attention": {"name": "cbam"}},
            connections={"topology": "dense", "function": "softmax"},
        ),
        "resnet34: CBAM r=16 in all stages; channel dense into all stages, softmax, fc; "
        "spatial dense into all stages, softmax, average pool",
    ),
    "two layers": (
        network(connections={"function": "learned", "channel_matching": {"fc2": {"reduction": 4}}}),
        "resnet18: SE r=16 in all stages; channel chain into all stages, learned, fc2 r=4",
    ),
    "as the paper has it": (
        network(
            {"backbone": {"name": "resnet50"}, "attention": {"name": "se"}},
            connections={"function": {"learned": {"bias": False}}, "channel_matching": {"fc": {"norm_act": True}}},
        ),
        "resnet50: SE r=16 in all stages; channel chain into all stages, learned (without bias), fc + ln + relu",
    ),
    "a control": (
        network(connections={"message": "own"}),
        "resnet18: SE r=16 in all stages; channel chain into all stages, direct (control: its own G), fc",
    ),
    "a start as the identity": (
        network(attention_init="identity", connections={}),
        "resnet18: SE r=16 in all stages; channel chain into all stages, direct, fc; attention starts as the identity",
    ),
    "the identity as it is drawn": (
        network({**RESNET, "attention": {"name": "gc"}}, attention_init="identity"),
        "resnet18: GC r=16 in all stages; not connected",
    ),
    "after stages": (
        network(RESNET, stage_attention={"name": "bam"}, attention={"name": "se"}),
        "resnet18: SE r=16 in all stages, BAM r=16 after stages 1–3; not connected",
    ),
    "narrow with a small stem": (
        network(
            {"backbone": {"name": "resnet18", "width": 0.25, "stem": "small"}, "attention": {"name": "ge_theta_minus"}}
        ),
        "resnet18 × 0.25, small stem: GE-θ⁻ e=global in all stages; not connected",
    ),
    "custom edges": (
        network(connections={"topology": "custom", "edges": {"channel": [[1, 4], [2, 8]]}}),
        "resnet18: SE r=16 in all stages; channel custom into blocks 4, 8, direct, fc",
    ),
}


@pytest.mark.parametrize("name", SENTENCES)
def test_a_network_is_one_sentence(name: str) -> None:
    found, sentence = SENTENCES[name]
    assert sentence_of(found) == sentence
    assert sentence_of(found, backbone=False) == sentence.partition(": ")[2]


BOTH = (
    "resnet34, not resnet18; CBAM r=16 in all stages, not SE r=16 in all stages; "
    "channel dense into all stages, softmax, fc; spatial dense into all stages, softmax, average pool"
)


@pytest.mark.parametrize(
    ("new", "old", "said"),
    [
        ("chain", "chain", ""),
        ("chain", "some stages", "channel chain into all stages, not chain into stages 2–4"),
        ("chain", "vanilla", "channel chain into all stages, direct, fc"),
        ("both dimensions alike", "vanilla", BOTH),
        ("after stages", "vanilla", "BAM r=16 after stages 1–3"),
        ("vanilla", "after stages", "no BAM r=16 after stages 1–3"),
        ("vanilla", "chain", "not connected"),
        ("a start as the identity", "chain", "attention starts as the identity"),
        ("chain", "a start as the identity", "attention starts as usual"),
        ("two layers", "chain", "channel function learned, not direct; channel matching fc2 r=4, not fc"),
        ("plain", "vanilla", "no attention, not SE r=16 in all stages"),
    ],
)
def test_what_a_network_has_that_another_has_not(new: str, old: str, said: str) -> None:
    assert difference_of(SENTENCES[new][0], SENTENCES[old][0]) == said


@pytest.mark.parametrize("name", ["se_connections", "attention_connections", "blocks", "resnet50_connections"])
def test_networks_have_one_sentence_exactly_where_they_are_one(name: str) -> None:
    document = load_yaml(ROOT / "search_spaces" / f"{name}.yaml", {})
    space, rng = read_space(document.data), random.Random(0)
    networks = [space.random(rng).architecture.network for _ in range(60)]
    sentences: dict[str, set[str]] = {}
    for found in networks:
        sentences.setdefault(sentence_of(found), set()).add(found.id)
    assert all(len(ids) == 1 for ids in sentences.values())
    assert len(sentences) == len({found.id for found in networks})


def test_a_connection_is_named_by_its_dimension_and_the_numbers_of_its_blocks() -> None:
    chained = network(connections={})
    assert [connection_name(chained, edge) for edge in chained.edges[:2]] == ["channel 1→2", "channel 2→3"]


def test_a_connection_of_attention_after_a_stage_names_the_end_of_the_stage() -> None:
    after = network({**RESNET, "attention": {"name": "bam"}}, connections={})
    assert connection_name(after, after.edges[0]) == "channel end of stage 1→end of stage 2"
