from __future__ import annotations

from xml.etree import ElementTree

import pytest

from dcasearch.architecture import Network
from dcasearch.architecture.words import difference_of
from dcasearch.drawing import draw_comparison, draw_difference
from dcasearch.drawing.palette import FIRST, FIRST_DASH, INK, LINE, PALE, SECOND, SECOND_DASH
from tests.drawing.samples import SVG, elements, line, network, titles, words

NAMES = ("vanilla se", "study/proxy/7")


def strokes(svg: str, classes: str) -> dict[str, tuple[str | None, str | None]]:
    """Colour and dash of each connection, by where it is."""
    found = zip(titles(svg, classes), elements(svg, classes), strict=True)
    return {
        title.splitlines()[0].partition(",")[0]: (line(e).get("stroke"), line(e).get("stroke-dasharray"))
        for title, e in found
    }


def custom(*edges: tuple[int, int], function: str = "direct", attention: str = "se") -> Network:
    written = {"channel": [list(edge) for edge in edges]}
    return network("resnet18", attention, topology="custom", edges=written, function=function)


def test_what_only_one_has_is_in_its_colour_and_dash_and_the_rest_is_grey() -> None:
    svg = draw_difference(custom((1, 2), (2, 3)), custom((1, 2), (2, 5)), NAMES)
    assert strokes(svg, "channel edge") == {
        "channel: block 1 to block 2": (LINE, None),
        "channel: block 2 to block 3": (FIRST, FIRST_DASH),
        "channel: block 2 to block 5": (SECOND, SECOND_DASH),
    }
    assert {"in both", "only in vanilla se", "only in study/proxy/7"} <= set(words(svg))
    assert {node.get("fill") for group in elements(svg, "node common") for node in group.iter(f"{SVG}rect")} == {PALE}
    assert len(elements(svg, "node common")) == 8


def test_a_connection_that_both_build_differently_is_marked_and_said() -> None:
    svg = draw_difference(custom((1, 2)), custom((1, 2), function="softmax"), NAMES)
    assert strokes(svg, "channel edge") == {"channel: block 1 to block 2": (INK, None)}
    assert {"in both, built differently", "channel function: direct in vanilla se, softmax in study/proxy/7"} <= set(
        words(svg)
    )
    assert titles(svg, "channel edge") == ["channel: block 1 to block 2\nvanilla se: direct\nstudy/proxy/7: softmax"]


def test_a_block_with_other_attention_shows_both_under_their_networks_colours() -> None:
    svg = draw_difference(network("resnet18", "se"), network("resnet18", "cbam"), NAMES)
    assert len(elements(svg, "node changed")) == 8
    for group in elements(svg, "node changed"):
        assert [rect.get("stroke") for rect in group.iter(f"{SVG}rect")] == [FIRST, SECOND]
        assert [(text.text, text.get("fill")) for text in group.iter(f"{SVG}text")][:2] == [
            ("SE", FIRST),
            ("CBAM", SECOND),
        ]
    assert titles(svg, "node changed")[0] == "block 1\nvanilla se: SE (hidden 4)\nstudy/proxy/7: CBAM (hidden 4)"
    assert {"attention of vanilla se", "attention of study/proxy/7"} <= set(words(svg))


def test_an_option_that_differs_is_a_difference() -> None:
    reduced = [network("resnet18", {"name": "se", "reduction": r}) for r in (4, 8)]
    svg = draw_difference(reduced[0], reduced[1], NAMES)
    assert len(elements(svg, "node changed")) == 8
    assert {"hidden 16", "hidden 8", "hidden 128", "hidden 64"} <= set(words(svg)), "the name says nothing here"


def test_attention_after_a_stage_that_one_has_is_drawn_between_the_blocks_of_both() -> None:
    for pair, colour in ((0, FIRST), (1, SECOND)):
        networks = [network("resnet50", "se", "bam"), network("resnet50", "se")]
        svg = draw_difference(networks[pair], networks[1 - pair], NAMES)
        groups = elements(svg, f"node {('first', 'second')[pair]}")
        assert [rect.get("stroke") for group in groups for rect in group.iter(f"{SVG}rect")] == [colour] * 3
        assert len(elements(svg, "node common")) == 16


def test_a_dense_network_against_a_chain_is_rails_in_its_colour_and_arcs_of_both() -> None:
    chain, dense = (network("resnet152", "se", topology=topology) for topology in ("chain", "dense"))
    svg = draw_difference(chain, dense, ("chain", "dense"))
    assert set(strokes(svg, "channel edge").values()) == {(LINE, None)}
    assert len(elements(svg, "channel edge")) == len(chain.edges)
    assert set(strokes(svg, "channel edge rail").values()) == {(SECOND, SECOND_DASH)}
    assert titles(svg, "channel edge rail")[2].endswith("630 connections; only in dense")
    assert titles(svg, "channel edge receiver")[-1].splitlines() == [
        "channel: block 48 to block 50",
        "chain: not there",
        "dense: direct",
        "channel: block 49 to block 50, in both: direct",
    ]
    assert any("those in both are arcs too" in text for text in words(svg))


def test_a_rail_of_both_is_grey_or_marked() -> None:
    dense = [network("resnet50", "se", topology="dense", function=function) for function in ("direct", "softmax")]
    assert set(strokes(draw_difference(dense[0], dense[0], NAMES), "channel edge rail").values()) == {(LINE, None)}
    assert set(strokes(draw_difference(dense[0], dense[1], NAMES), "channel edge rail").values()) == {(INK, None)}


def test_the_sentence_of_difference_stands_above() -> None:
    first, second = custom((1, 2)), custom((1, 2), (2, 3), attention="gc")
    svg = draw_difference(first, second, NAMES)
    assert words(svg)[0] == "study/proxy/7 against vanilla se"
    assert f"study/proxy/7: {difference_of(second, first)}" in " ".join(words(svg))
    same = draw_difference(first, first, NAMES)
    assert "study/proxy/7 is the same network as vanilla se" in words(same)
    assert ElementTree.fromstring(svg).findtext(f"{SVG}desc") == f"study/proxy/7: {difference_of(second, first)}"


def test_different_backbones_stand_one_below_the_other() -> None:
    svg = draw_difference(network("resnet18", "se", topology="chain"), network("mnasnet1_0", "se"), NAMES)
    assert len(elements(svg, "se block")) == 8 + 16
    assert "Their blocks are not the same, so each has its own drawing." in words(svg)
    assert [text for text in words(svg) if text in NAMES] == list(NAMES)
    shifts = [e.get("transform") for e in ElementTree.fromstring(svg).iter(f"{SVG}g") if e.get("transform")]
    assert len(set(shifts)) == 3


def test_stages_of_another_width_say_both_numbers_of_channels() -> None:
    widths = [network({"name": "mobilenet_v2", "width": width}, "se") for width in (0.5, 1.0)]
    assert {"32 | 64 ch", "1/16"} <= set(words(draw_difference(widths[0], widths[1], NAMES)))


def test_several_networks_are_each_drawn_against_the_first() -> None:
    networks = [custom((1, 2)), custom((1, 3)), custom((1, 4))]
    svg = draw_comparison(networks, ["a", "b", "c"])
    assert [text for text in words(svg) if "against" in text] == ["b against a", "c against a"]
    pair = draw_comparison(networks[:2], ["a", "b"])
    heights = [float(ElementTree.fromstring(drawing).get("height", 0)) for drawing in (pair, svg)]
    assert heights[1] > 1.8 * heights[0]
    assert pair == draw_difference(networks[0], networks[1], ("a", "b"))


def test_one_network_has_nothing_to_differ_from() -> None:
    with pytest.raises(ValueError, match="1 networks with 1 names; needs two or more, each with a name"):
        draw_comparison([custom((1, 2))], ["a"])
