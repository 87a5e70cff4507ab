"""A network of a library: how it is written, what its id says, and what is stored with it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dcasearch.architecture import Architecture, Backbone, Trace
from dcasearch.architecture.words import difference_of, sentence_of
from dcasearch.errors import ArchitectureError

RECORDED: list[tuple[dict[str, Any], str]] = json.loads((Path(__file__).parent / "recorded_ids.json").read_text())
"""100 networks over the backbones that this package has prepared, with the ids of before there were others."""
TRACE: dict[str, Any] = {
    "version": "1.0",
    "graph": "0" * 32,
    "blocks": [["a.0", 0, 8, 8, 1, 4], ["a.1", 0, 8, 8, 1, 4], ["b.0", 1, 16, 0, 2, 8], ["b.1", 1, 16, 0, 1, 8]],
}
NAME = "timm/a_network"


def make(
    attention: Any = "se", connections: Any = None, trace: dict[str, Any] | None = None, **backbone: Any
) -> Architecture:
    said = {"name": NAME, "trace": {**TRACE, **(trace or {})}, **backbone}
    return Architecture.parse({"backbone": said, "attention": {"name": attention}, "connections": connections})


def test_ids_of_the_prepared_backbones_stay() -> None:
    assert len(RECORDED) == 100
    assert [Architecture.parse(written).id for written, _ in RECORDED] == [id for _, id in RECORDED]


def test_the_stored_form_of_a_prepared_backbone_has_no_new_word() -> None:
    assert Architecture.parse({"backbone": {"name": "resnet18"}}).written_out()["backbone"] == {
        "name": "resnet18",
        "width": 1.0,
        "stem": "imagenet",
    }


def test_torchvision_s_name_of_a_prepared_backbone_is_an_alias() -> None:
    aliased = Architecture.parse({"backbone": {"name": "torchvision/resnet50"}})
    assert aliased == Architecture.parse({"backbone": {"name": "resnet50"}})


def test_a_stored_network_has_its_id_without_the_library_and_without_torch() -> None:
    written = make(connections={}).written_out()
    code = (
        "import json, sys\nfrom dcasearch.architecture import Architecture\n"
        "architecture = Architecture.parse(json.loads(sys.argv[1]))\n"
        "assert 'torch' not in sys.modules and 'timm' not in sys.modules\nprint(architecture.id)"
    )
    run = subprocess.run([sys.executable, "-c", code, json.dumps(written)], check=True, capture_output=True, text=True)
    assert run.stdout.strip() == make(connections={}).id


def test_the_id_of_a_network_of_a_library_is_recorded() -> None:
    assert make(connections={}).id == "1ba7605ae923d21a"


def test_the_library_s_version_stands_beside_the_id() -> None:
    assert make(trace={"version": "2.0"}).id == make().id


@pytest.mark.parametrize(
    "other",
    [
        {"trace": {"graph": "1" * 32}},
        {"trace": {"blocks": [*TRACE["blocks"][:3], ["b.1", 1, 24, 0, 1, 8]]}},
        {"trace": {"outputs": [[8, 4], [8, 4], [16, 8], [32, 8]]}},
        {"trace": {"lanes": [0, 1, 0, 1]}},
        {"name": "timm/another"},
        {"arguments": {"drop_rate": 0.1}},
        {"own_attention": "remove"},
    ],
    ids=str,
)
def test_another_network_has_another_id(other: dict[str, Any]) -> None:
    assert make(**other).id != make().id


def test_arguments_are_read_in_any_order_and_written_as_they_were() -> None:
    one = make(arguments={"depths": [1, 2], "drop_rate": 0.1})
    other = make(arguments={"drop_rate": 0.1, "depths": (1, 2)})
    assert one.id == other.id
    assert one.written_out()["backbone"]["arguments"] == {"depths": [1, 2], "drop_rate": 0.1}
    assert Architecture.parse(json.loads(json.dumps(one.written_out()))) == one


def test_what_stands_after_a_stage_has_the_channels_of_the_stage_s_map() -> None:
    said = {"name": NAME, "trace": {**TRACE, "outputs": [[8, 4], [8, 4], [32, 8], [32, 8]]}}
    network = Architecture.parse(
        {"backbone": said, "attention": {"name": "se"}, "stage_attention": {"name": "bam"}}
    ).network
    assert [(node.kind, node.layout.channels) for node in network.nodes] == [
        ("se", 8), ("se", 8), ("bam", 8), ("se", 16), ("se", 16),
    ]  # fmt: skip
    assert [(stage.channels, stage.scale) for stage in network.stages] == [(8, 4), (32, 8)]


def test_connections_join_blocks_of_one_lane() -> None:
    network = make(connections={}, trace={"lanes": [0, 1, 0, 1]}).network
    assert [(edge.source, edge.target) for edge in network.edges] == [(0, 2), (1, 3)]


def test_custom_edges_may_join_lanes() -> None:
    connections = {"topology": "custom", "edges": {"channel": [[1, 2]]}}
    assert len(make(connections=connections, trace={"lanes": [0, 1, 0, 1]}).network.edges) == 1


def test_sk_needs_a_convolution_in_every_block() -> None:
    with pytest.raises(ArchitectureError, match=r"a block's k x k convolution, and b\.0 has none"):
        make("sk")


def test_the_sentence_names_the_network_and_what_was_said_of_it() -> None:
    assert sentence_of(make().network).startswith("timm/a_network: SE")
    said = make(arguments={"drop_rate": 0.1}, own_attention="remove").network
    assert sentence_of(said).startswith("timm/a_network(drop_rate=0.1) without its own attention: SE")
    assert difference_of(said, make().network) != ""


@pytest.mark.parametrize(
    ("backbone", "path", "message"),
    [
        ({"name": "resnet18", "arguments": {"a": 1}}, "arguments", "resnet18 takes no arguments"),
        ({"name": "resnet18", "own_attention": "remove"}, "own_attention", "resnet18 takes no own_attention"),
        ({"name": "resnet18", "trace": TRACE}, "trace", "resnet18 takes no trace"),
        ({"name": NAME, "trace": TRACE, "width": 0.5}, "width", "takes no width; `arguments` has what"),
        ({"name": NAME, "trace": TRACE, "stem": "small"}, "stem", "takes no stem"),
        ({"name": "nobody/net"}, "name", "'nobody' is not a library of networks; Known: timm, torchvision"),
        ({"name": "timm/resnet50.a1_in1k"}, "name", r"what follows a dot names weights: write timm/resnet50"),
        ({"name": NAME, "arguments": {"pretrained": True}}, "arguments", "pretrained cannot be given here"),
        ({"name": NAME, "arguments": {"a": {}}}, "arguments", "must be a number, a word, a flag or a list"),
    ],
    ids=str,
)
def test_what_a_backbone_does_not_take_is_a_mistake_with_its_place(
    backbone: dict[str, Any], path: str, message: str
) -> None:
    with pytest.raises(ArchitectureError, match=message) as caught:
        Architecture.parse({"backbone": backbone})
    assert caught.value.path[:2] == ("backbone", path)


def test_the_released_way_to_draw_parameters_is_for_prepared_backbones() -> None:
    with pytest.raises(ArchitectureError, match="init: authors is for the backbones that this package has prepared"):
        Architecture.parse({"backbone": {"name": NAME, "trace": TRACE}, "init": "authors"})


def test_a_trace_gives_a_backbone_s_layout() -> None:
    layout = Backbone.model_validate({"name": NAME, "trace": TRACE}).layout
    assert layout.stages == 2
    assert [block.scale for block in layout.blocks] == [4, 4, 8, 8]
    assert Trace.model_validate(TRACE).layout == layout


HOSTILE: dict[str, tuple[dict[str, Any], str]] = {
    "a stage": ({"blocks": [["a", 10**12, 8, 8, 1, 4]]}, r"trace\.blocks\.0\.1.*5000"),
    "channels": ({"blocks": [["a", 0, 10**9, 8, 1, 4]]}, r"trace\.blocks\.0\.2.*1000000"),
    "no channels": ({"blocks": [["a", 0, 0, 8, 1, 4]]}, r"trace\.blocks\.0\.2.*greater than 0"),
    "a width": ({"blocks": [["a", 0, 8, -1, 1, 4]]}, r"trace\.blocks\.0\.3"),
    "a stride": ({"blocks": [["a", 0, 8, 8, 10**6, 4]]}, r"trace\.blocks\.0\.4.*65536"),
    "a scale of 0": ({"blocks": [["a", 0, 8, 8, 1, 0]]}, r"trace\.blocks\.0\.5.*greater than 0"),
    "a block's name": ({"blocks": [["a" * 2000, 0, 8, 8, 1, 4]]}, "has 2,000 characters, at most 1,000"),
    "blocks": ({"blocks": [[f"a.{n}", 0, 8, 8, 1, 4] for n in range(5001)]}, "has 5,001 entries, at most 5,000"),
    "outputs": ({"outputs": [[8, 4]]}, "has 1 outputs for 4 blocks"),
    "lanes": ({"lanes": [0] * 5}, "has 5 lanes for 4 blocks"),
    "stages out of order": ({"blocks": [["a", 7, 8, 8, 1, 4], ["b", 0, 8, 8, 1, 4]]}, "a block stands in stage 7"),
}


@pytest.mark.parametrize(("trace", "message"), HOSTILE.values(), ids=HOSTILE)
def test_a_trace_that_no_network_has_is_refused_at_its_field(trace: dict[str, Any], message: str) -> None:
    with pytest.raises(ArchitectureError, match=message):
        make(trace=trace)


EXCESSIVE: dict[str, tuple[Any, str]] = {
    "a number": (10**7, "must be at most 1,000,000; got"),
    "a negative number": (-(10**7), "must be at most 1,000,000; got"),
    "a number of 400 digits": (10**400, "must be at most 1,000,000; got"),
    "no number": (float("nan"), "must be at most 1,000,000; got"),
    "numbers together": ([600_000, 0.5, 600_000], "must be together at most 1,000,000; got"),
    "a list": ([1] * 1001, "has 1,001 entries, at most 1,000"),
    "a word": ("a" * 1001, "has a word of more than 1,000 characters"),
}


@pytest.mark.parametrize(("value", "message"), EXCESSIVE.values(), ids=EXCESSIVE)
def test_an_argument_beyond_any_use_is_refused_by_its_name_with_a_trace_and_without(value: Any, message: str) -> None:
    for said in ({"trace": TRACE}, {}):
        with pytest.raises(ArchitectureError, match=message) as caught:
            Architecture.parse({"backbone": {"name": NAME, "arguments": {"depths": value}, **said}})
        assert caught.value.path == ("backbone", "arguments", "depths")


def test_more_arguments_than_any_constructor_has_are_refused() -> None:
    with pytest.raises(ArchitectureError, match="has 101 entries, at most 100"):
        make(arguments={f"a{n}": 1 for n in range(101)})


def test_what_a_database_holds_of_a_library_s_network_is_read_without_the_limits() -> None:
    blocks = [["a.0", 0, 8, 8, 1, 4], ["a.1", 6000, 8 * 10**6, 8, 1, 4]]
    backbone = {"name": NAME, "arguments": {"depths": [10**7]}, "trace": {**TRACE, "blocks": blocks}}
    stored = Architecture.parse({"backbone": backbone}, stored=True)
    assert stored.backbone.layout.stages == 6001
    assert Architecture.parse(json.loads(json.dumps(stored.written_out())), stored=True).id == stored.id
