from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import pytest

from dcasearch.architecture import KINDS, Architecture, Network
from dcasearch.report.drawing import draw
from tests.kinds import enter

SVG = "{http://www.w3.org/2000/svg}"


def network(backbone: Any = "resnet50", attention: Any = "cbam", **connections: Any) -> Network:
    written: dict[str, Any] = {"connections": connections or None}
    written["backbone"] = {"name": backbone} if isinstance(backbone, str) else backbone
    written["attention"] = {"name": attention} if isinstance(attention, str) else attention
    return Architecture.parse(written).network


def elements(svg: str, classes: str) -> list[ElementTree.Element]:
    return [e for e in ElementTree.fromstring(svg).iter() if e.get("class") == classes]


def words(svg: str) -> list[str]:
    return [e.text or "" for e in ElementTree.fromstring(svg).iter(f"{SVG}text")]


@pytest.mark.parametrize("backbone", ["resnet18", "resnet152", "mnasnet1_0", "mobilenet_v2"])
def test_every_block_and_every_connection_is_drawn_once(backbone: str) -> None:
    drawn = network(backbone, "cbam", topology="dense")
    svg = draw(drawn)
    assert len(elements(svg, "cbam block")) == len(drawn.blocks)
    for dimension in ("channel", "spatial"):
        assert len(elements(svg, f"{dimension} edge")) == sum(e.dimension == dimension for e in drawn.edges) > 0


def arcs(svg: str, classes: str) -> list[tuple[float, float, float, bool]]:
    """Of each connection where it starts and ends, the height of its ends, and whether it goes above."""
    pattern = re.compile(r"M([\d.]+) ([\d.]+) A[\d.]+ [\d.]+ 0 0 ([01]) ([\d.]+) \2")
    found = [pattern.fullmatch(e.get("d", "")) for e in elements(svg, classes)]
    return [(float(m[1]), float(m[4]), float(m[2]), m[3] == "1") for m in found if m]


def test_a_connection_leaves_its_source_and_arrives_at_its_target() -> None:
    drawn = network("resnet18", "cbam", topology="custom", edges={"channel": [[2, 7]], "spatial": [[1, 3]]})
    svg = draw(drawn)
    blocks = [(float(b.get("x", 0)), float(b.get("width", 0))) for b in elements(svg, "cbam block")]
    top = float(elements(svg, "cbam block")[0].get("y", 0))
    for classes, source, target, above in (("channel edge", 1, 6, True), ("spatial edge", 0, 2, False)):
        [(start, end, y, goes_above)] = arcs(svg, classes)
        assert blocks[source][0] < start < sum(blocks[source])
        assert blocks[target][0] < end < sum(blocks[target])
        assert (y < top, goes_above) == (above, above)


def test_what_a_block_receives_arrives_left_of_what_it_sends() -> None:
    [first, second] = arcs(
        draw(network("resnet18", "se", topology="custom", edges={"channel": [[1, 2], [2, 3]]})), "channel edge"
    )
    assert first[1] < second[0]


def test_each_stage_says_its_channels_and_resolution() -> None:
    assert {"stage 4", "2048 ch", "7×7", "56×56"} <= set(words(draw(network(), resolution=224)))
    assert {"1/4", "1/32"} <= set(words(draw(network())))
    assert "2×2" in words(draw(network(), resolution=33)), "an odd size is rounded up, as the strides do"


def test_the_legend_names_the_attention_the_functions_and_the_matchings() -> None:
    drawn = network(function={"weighted": {"form": "literal"}}, channel_matching={"fc2": {"norm_act": True}})
    assert {
        "attention CBAM",
        "channel connection: weighted (as printed)",
        "spatial connection: weighted (as printed)",
        "channel sizes matched: fc2 + ln + relu",
        "spatial sizes matched: average pool",
    } <= set(words(draw(drawn)))


def test_different_ways_to_match_sizes_have_different_signs() -> None:
    svg = draw(network({"name": "mobilenet_v2", "width": 0.5}, "ge_theta", function="direct"))
    assert {f"channel sizes matched: {way}" for way in ("fc", "average pool", "fc + average pool")} <= set(words(svg))
    shapes = re.findall(r'd="M[\d.]+ [\d.]+ (l6 6|l3\.5 3\.5)', svg)
    assert shapes.count("l6 6") == 1 + 5 + 1 == shapes.count("l3.5 3.5") + 1


def test_a_network_without_connections_or_attention_says_so() -> None:
    svg = draw(network("resnet18", "none"))
    assert {"no attention", "1", "8"} <= set(words(svg))
    assert any("no connections" in line for line in words(svg))
    assert not elements(svg, "channel edge")


def test_kinds_of_attention_are_told_apart_by_colour() -> None:
    pictures = {name: draw(network("resnet18", name)) for name in KINDS}
    found = {
        name: elements(svg, f"{name} block") + elements(svg, f"{name} stage-end") for name, svg in pictures.items()
    }
    assert len({drawn[0].get("fill") for drawn in found.values()}) == len(KINDS)


@pytest.mark.parametrize("backbone", ["resnet18", "resnet152", "mobilenet_v2"])
def test_attention_after_a_stage_is_drawn_between_its_stage_and_the_next(
    backbone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter(monkeypatch, "after")
    written = {"backbone": {"name": backbone}, "attention": {"name": "se"}, "connections": {"topology": "dense"}}
    drawn = Architecture.parse({**written, "stage_attention": {"name": "after"}}).network
    svg = draw(drawn)
    ends, stages = elements(svg, "after stage-end"), bands(svg)
    assert len(ends) == len(stages) == drawn.nodes[-1].layout.stage + 1
    assert len(elements(svg, "se block")) == len(drawn.blocks)
    for end, (_, right), (left, _) in zip(ends, stages, [*stages[1:], (float("inf"), 0)], strict=True):
        x, width = float(end.get("x", 0)), float(end.get("width", 0))
        assert right < x < x + width < left
    for dimension in ("channel", "energy"):
        assert len(arcs(svg, f"{dimension} edge")) == sum(edge.dimension == dimension for edge in drawn.edges)
    assert {"attention AFTER", "attention SE", "AFTER"} <= set(words(svg))
    assert any(f"{len(drawn.blocks)} blocks · attention after {len(ends)} stages" in line for line in words(svg))


def bands(svg: str) -> list[tuple[float, float]]:
    """Where the ground of each stage begins and ends."""
    drawn = [e for e in ElementTree.fromstring(svg).iter(f"{SVG}rect") if e.get("fill") == "#f3f4f6"]
    return [(float(e.get("x", 0)), float(e.get("x", 0)) + float(e.get("width", 0))) for e in drawn]


def test_equal_networks_give_equal_pictures_whatever_was_written() -> None:
    chain = network("resnet18", "se", topology="chain")
    tree = network("resnet18", "se", topology="tree")
    assert chain.id == tree.id
    assert draw(chain) == draw(tree)


def test_a_title_is_text_and_never_markup() -> None:
    title = '</text><script>alert("x")</script> & α'
    svg = draw(network("resnet18", "se"), title)
    root = ElementTree.fromstring(svg)
    assert title in words(svg)
    assert not list(root.iter(f"{SVG}script"))
    assert root.findtext(f"{SVG}title") == title


def test_a_picture_needs_nothing_but_itself() -> None:
    svg = draw(network())
    assert set(re.findall(r"https?://[^\"]+", svg)) == {"http://www.w3.org/2000/svg"}
    assert "href" not in svg


@pytest.mark.parametrize("backbone", ["resnet18", "resnet50", "resnet152", "mobilenet_v2"])
def test_nothing_is_drawn_outside_the_picture(backbone: str) -> None:
    svg = draw(network(backbone, "cbam", topology="dense"))
    root = ElementTree.fromstring(svg)
    width, height = float(root.get("width", 0)), float(root.get("height", 0))
    for path in re.findall(r"M([\d.]+) ([\d.]+) A[\d.]+ ([\d.]+) 0 0 ([01])", svg):
        y, rise = float(path[1]), float(path[2])
        assert 60 < (y - rise if path[3] == "1" else y + rise) < height
    for text in root.iter(f"{SVG}text"):
        assert 0 < float(text.get("x", 0)) < width
        assert 0 < float(text.get("y", 0)) < height


def test_a_control_is_said_beside_the_function() -> None:
    for message, said in (
        ("own", "direct (control: its own G)"),
        ("shuffled", "direct (control: message of another image)"),
        ("constant", "direct (control: constant message)"),
    ):
        assert any(said in line for line in words(draw(network("resnet18", "se", message=message))))
    assert not any("control" in line for line in words(draw(network("resnet18", "se"))))
