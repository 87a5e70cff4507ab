from __future__ import annotations

from xml.etree import ElementTree

from dcasearch.drawing.svg import Svg, text_width, wrapped

PREFIX = "{http://www.w3.org/2000/svg}"


def test_an_included_drawing_is_moved_whole() -> None:
    part, whole = Svg(), Svg()
    part.text(1, 2, "below")
    whole.text(1, 2, "above")
    whole.include(part, 30)
    root = ElementTree.fromstring(whole.render(10, 40, "both"))
    [group] = root.iter(f"{PREFIX}g")
    assert group.get("transform") == "translate(0 30)"
    assert [text.text for text in root.iter(f"{PREFIX}text")] == ["above", "below"]


def test_a_group_ends_with_its_block_and_has_its_title() -> None:
    svg = Svg()
    with svg.group("what it is", class_="node"):
        svg.add("rect", x=1)
    svg.add("line", x1=0)
    root = ElementTree.fromstring(svg.render(1, 1, "t"))
    [group] = root.iter(f"{PREFIX}g")
    assert [child.tag for child in group] == [f"{PREFIX}title", f"{PREFIX}rect"]
    assert [child.tag for child in root][-1] == f"{PREFIX}line"


def test_only_what_has_connections_has_a_rule_for_the_pointer() -> None:
    svg = Svg()
    assert ".edge:hover" not in svg.render(1, 1, "t")
    with svg.group("", class_="channel edge"):
        pass
    assert ".edge:hover" in svg.render(1, 1, "t")


def test_a_text_is_wrapped_to_its_width_and_no_word_is_lost() -> None:
    text = "SE r=16 in all stages; channel chain into stages 2–4, direct, an_unusually_long_word"
    lines = wrapped(text, 120)
    assert " ".join(lines) == text
    assert all(text_width(line) <= 120 or " " not in line for line in lines)
    assert text_width("CBAM", bold=True) > text_width("CBAM") > text_width("cbil")
