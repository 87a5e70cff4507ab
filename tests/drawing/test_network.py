from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from dcasearch.architecture import BACKBONES, KINDS, Architecture
from dcasearch.architecture.layouts.layout import BackboneFamily, BackboneLayout, BlockLayout
from dcasearch.architecture.words import sentence_of
from dcasearch.config import load_architecture
from dcasearch.drawing import draw
from tests.drawing.samples import SVG, elements, line, network, titles, words
from tests.kinds import enter


@pytest.mark.parametrize("backbone", ["resnet18", "resnet152", "mnasnet1_0", "mobilenet_v2"])
def test_every_block_and_every_connection_of_a_chain_is_drawn_once(backbone: str) -> None:
    drawn = network(backbone, "cbam", topology="chain")
    svg = draw(drawn)
    assert len(elements(svg, "cbam block")) == len(drawn.blocks)
    for dimension in ("channel", "spatial"):
        assert len(elements(svg, f"{dimension} edge")) == sum(e.dimension == dimension for e in drawn.edges) > 0


def test_50_dense_blocks_are_drawn_as_one_rail_a_stage() -> None:
    svg = draw(network("resnet152", "cbam", topology="dense"))
    for dimension in ("channel", "spatial"):
        assert len(elements(svg, f"{dimension} edge rail")) == 4
        assert len(elements(svg, f"{dimension} edge receiver")) == 50 - 4
        assert len(elements(svg, f"{dimension} edge")) == 3, "one from each stage into the next"
    assert words(svg).count("each from every earlier one: 630 connections") == 2
    assert any("rail: each block receives from every earlier block" in text for text in words(svg))
    assert titles(svg, "channel edge rail")[2] == (
        "channel: from block 12 to block 47, each block receives from every earlier one; 630 connections"
    )
    into = titles(svg, "channel edge receiver")
    assert into[-2:] == [
        "channel: block 48 to block 49; function direct; equal sizes, no matching",
        "channel: 2 connections, from block 48 and block 49, to block 50; function direct; equal sizes, no matching",
    ]
    assert into[-3].startswith("channel: 35 connections, from block 12 … block 46, to block 47; ")


@pytest.mark.parametrize(("after", "topology"), [(None, "dense"), ("bam", "dense"), (None, "chain"), ("bam", "tree")])
def test_50_blocks_fit_a_page_in_letters_that_can_be_read(after: str | None, topology: str) -> None:
    root = ElementTree.fromstring(draw(network("resnet152", "cbam", after, topology=topology)))
    assert float(root.get("width", 0)) <= 1200
    assert min(float(text.get("font-size", 0)) for text in root.iter(f"{SVG}text")) >= 8
    assert {str(n) for n in range(1, 51)} <= {text.text for text in root.iter(f"{SVG}text")}


def arcs(svg: str, classes: str) -> list[tuple[float, float, float, bool]]:
    """Of each connection where it starts and ends, the height of its ends, and whether it goes above."""
    pattern = re.compile(r"M([\d.]+) ([\d.]+) V([\d.]+) A[\d.]+ [\d.]+ 0 0 ([01]) ([\d.]+) \3")
    found = [pattern.fullmatch(line(e).get("d", "")) for e in elements(svg, classes)]
    return [(float(m[1]), float(m[5]), float(m[2]), m[4] == "1") for m in found if m]


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


def test_dimensions_of_one_side_differ_in_height_colour_and_dash() -> None:
    svg = draw(network("resnet18", "coord", topology="chain"))
    height, width = (line(elements(svg, f"{dimension} edge")[0]) for dimension in ("height", "width"))
    assert height.get("stroke") != width.get("stroke")
    assert (height.get("stroke-dasharray"), width.get("stroke-dasharray")) == (None, "7 3")
    inner, outer = (float(re.findall(r"A[\d.]+ ([\d.]+)", path.get("d", ""))[0]) for path in (height, width))
    assert outer > inner + 20


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
    assert any("no connections" in text for text in words(svg))
    assert not elements(svg, "channel edge")


def test_the_first_lines_are_the_title_and_the_network_in_words() -> None:
    drawn = network("resnet18", "se")
    assert words(draw(drawn))[:2] == ["resnet18", sentence_of(drawn, backbone=False)]
    title, *wrapped = words(draw(drawn, "the winner"))
    assert title == "the winner"
    assert " ".join(wrapped[:2]).startswith(sentence_of(drawn))
    assert ElementTree.fromstring(draw(drawn)).findtext(f"{SVG}desc") == sentence_of(drawn)


def test_kinds_of_attention_are_told_apart_by_colour_and_name() -> None:
    for name, kind in KINDS.items():
        svg = draw(network("resnet18", name))
        [colour] = {e.get("fill") for e in elements(svg, f"{name} block") + elements(svg, f"{name} stage-end")}
        assert colour == kind.colour
        assert (kind.label or name.upper()) in words(svg)
    assert len({kind.colour for kind in KINDS.values()}) == len(KINDS)


def test_under_the_pointer_are_blocks_functions_and_matching() -> None:
    svg = draw(network("resnet18", "se", function="softmax"))
    assert titles(svg, "node")[2] == "block 3 (layer2.0): SE (hidden 8); 128 channels"
    assert {
        "channel: block 2 to block 3; function softmax; sizes matched by fc",
        "channel: block 3 to block 4; function softmax; equal sizes, no matching",
    } <= set(titles(svg, "channel edge"))


def test_a_start_as_the_identity_is_said_under_the_pointer_and_beside_the_title() -> None:
    written = {"backbone": {"name": "resnet18"}, "attention": {"name": "se"}, "attention_init": "identity"}
    svg = draw(Architecture.parse(written).network)
    assert "SE (hidden 8, starts as the identity)" in titles(svg, "node")[2]
    assert "attention starts as the identity" in svg


def test_lines_are_as_thick_as_their_coefficients_are_large() -> None:
    drawn = network("resnet18", "se", topology="custom", edges={"channel": [[1, 2], [2, 3], [3, 4], [4, 5]]})
    svg = draw(drawn, alphas={"channel 1→2": 0.5, "channel 2→3": -1.0, "channel 3→4": 0.0})
    edges = elements(svg, "channel edge")
    found = {e.findtext(f"{SVG}title") or "": float(line(e).get("stroke-width", 0)) for e in edges}
    of = {int(re.findall(r"block (\d+) to", title)[0]): (title, width) for title, width in found.items()}
    assert of[3][1] < of[1][1] < of[2][1]
    assert of[1][0].endswith("α 0.5")
    assert of[2][0].endswith("α −1")
    assert of[4][0].endswith("α not recorded")
    assert {"0.50", "−1.00", "0.00", "thickness: |α|, from 0 to 1"} <= set(words(svg))
    assert len({line(e).get("stroke-width") for e in elements(draw(drawn), "channel edge")}) == 1


def test_a_receiver_on_a_rail_is_as_thick_as_the_largest_coefficient_into_it() -> None:
    drawn = network("resnet50", "se", topology="dense")
    svg = draw(drawn, alphas={"channel 8→9": 0.1, "channel 8→10": 0.1, "channel 9→10": -2.0, "channel →11": 1.0})
    into = zip(titles(svg, "channel edge receiver"), elements(svg, "channel edge receiver"), strict=True)
    found = {re.findall(r"to block (\d+);", title)[0]: (title, line(e).get("stroke-width")) for title, e in into}
    widths = [float(found[block][1] or 0) for block in ("9", "11", "10")]
    assert widths == sorted(widths)
    assert len(set(widths)) == 3
    assert found["10"][0].endswith("α 0.1, −2")
    assert found["11"][0].endswith("α 1, 1, 1"), "of a receiver only the mean may be recorded"
    assert found["12"][0].endswith("α not recorded")


@pytest.mark.parametrize("backbone", ["resnet18", "resnet152", "mobilenet_v2"])
def test_attention_after_a_stage_is_drawn_between_its_stage_and_the_next(
    backbone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter(monkeypatch, "after")
    drawn = network(backbone, "se", "after", topology="chain")
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
    assert any(f"{len(drawn.blocks)} blocks · attention after {len(ends)} stages" in text for text in words(svg))
    assert "end of stage 1: AFTER; " in titles(svg, "node")[len([b for b in drawn.blocks if not b.layout.stage])]


def bands(svg: str) -> list[tuple[float, float]]:
    """Where the ground of each stage begins and ends."""
    return [(float(e.get("x", 0)), float(e.get("x", 0)) + float(e.get("width", 0))) for e in elements(svg, "stage")]


def test_equal_networks_give_equal_pictures_whatever_was_written() -> None:
    chain = network("resnet18", "se", topology="chain")
    tree = network("resnet18", "se", topology="tree")
    assert chain.id == tree.id
    assert draw(chain) == draw(tree)


def test_a_title_is_text_and_never_markup() -> None:
    title = '</text><script>alert("x")</script> & α'
    svg = draw(network("resnet18", "se"), title)
    root = ElementTree.fromstring(svg)
    assert title in " ".join(words(svg))
    assert not list(root.iter(f"{SVG}script"))
    assert root.findtext(f"{SVG}title") == title


def test_a_picture_needs_nothing_but_itself() -> None:
    svg = draw(network(topology="dense"))
    assert set(re.findall(r"https?://[^\"]+", svg)) == {"http://www.w3.org/2000/svg"}
    assert "href" not in svg


def test_every_colour_has_another_one_on_a_dark_screen() -> None:
    root = ElementTree.fromstring(draw(network("resnet50", "cbam", "bam", topology="dense")))
    style = root.findtext(f"{SVG}style") or ""
    head, dark = style.split("@media screen and (prefers-color-scheme:dark)")
    assert "#" not in head, "what reads no style sheet, and print, are light"
    grounds = {KINDS[kind].colour for kind in ("cbam", "bam")}
    for element in root.iter():
        for paint in ("fill", "stroke"):
            colour = element.get(paint, "")
            if colour.startswith("#") and not (paint == "fill" and colour in grounds):
                assert re.search(rf'\.dcasearch-drawing \w*\[{paint}="{colour}"\]{{{paint}:#', dark), (paint, colour)


@pytest.mark.parametrize("backbone", ["resnet18", "resnet50", "resnet152", "mobilenet_v2"])
@pytest.mark.parametrize("topology", ["dense", "tree"])
def test_nothing_is_drawn_outside_the_picture(backbone: str, topology: str) -> None:
    svg = draw(network(backbone, "cbam", topology=topology))
    root = ElementTree.fromstring(svg)
    width, height = float(root.get("width", 0)), float(root.get("height", 0))
    for path in re.findall(r"V([\d.]+) A[\d.]+ ([\d.]+) 0 0 ([01])", svg):
        y, rise = float(path[0]), float(path[1])
        assert 60 < (y - rise if path[2] == "1" else y + rise) < height
    for text in root.iter(f"{SVG}text"):
        assert 0 < float(text.get("x", 0)) < width
        assert 0 < float(text.get("y", 0)) < height


def test_a_control_is_said_beside_the_function() -> None:
    for message, said in (
        ("own", "direct (control: its own G)"),
        ("shuffled", "direct (control: message of another image)"),
        ("constant", "direct (control: constant message)"),
    ):
        assert any(said in text for text in words(draw(network("resnet18", "se", message=message))))
    assert not any("control" in text for text in words(draw(network("resnet18", "se"))))


def test_three_blocks_fit_a_phone_nearly(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = tuple(BlockLayout(f"block.{n}", n // 2, 64, 64, 1, 4) for n in range(3))
    family = BackboneFamily(layout=lambda width, stem: BackboneLayout(blocks), family="three")
    monkeypatch.setitem(BACKBONES._entries, "three", family)
    svg = draw(network("three", "se", topology="custom", edges={"channel": [[1, 3], [2, 3]]}))
    assert len(elements(svg, "channel edge")) == 2
    assert len(bands(svg)) == 2
    root = ElementTree.fromstring(svg)
    assert float(root.get("width", 0)) <= 440
    assert max(float(text.get("y", 0)) for text in root.iter(f"{SVG}text")) < float(root.get("height", 0))


def test_the_readmes_drawing_is_that_of_its_yaml() -> None:
    folder = Path(__file__).parents[2] / "docs" / "images"
    drawn = draw(load_architecture(folder / "connected.yaml").network, resolution=224)
    command = "dcasearch inspect docs/images/connected.yaml --svg docs/images/connected.svg"
    assert (folder / "connected.svg").read_text(encoding="utf-8") == drawn, f"run: {command}"


def test_labels_come_after_all_lines_so_that_none_crosses_them() -> None:
    drawn = network("mnasnet1_0", "se", topology="dense")
    svg = draw(drawn, alphas={"channel 1→2": 0.25})
    assert svg.index(">0.25<") > svg.rindex('class="channel edge"')
