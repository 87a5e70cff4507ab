"""What a kind declares, and what the rest reads in it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from dcasearch.architecture import BACKBONES, KINDS, Architecture, BlockLayout, Kind, Option, Port, State, dimensions
from dcasearch.architecture.kinds import obstacle
from dcasearch.architecture.kinds.groups import groups as groups_of
from dcasearch.errors import ArchitectureError
from tests.architecture.support import make
from tests.kinds import AFTER, BETWEEN, TALL, enter


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_has_its_name_in_drawings_its_colour_and_a_line_for_each_option(name: str) -> None:
    kind = KINDS[name]
    assert kind.title
    assert all(option.says for option in kind.options)
    assert [other for other, k in KINDS.items() if k.colour == kind.colour] == [name]


def test_the_dimensions_are_those_that_the_kinds_declare(monkeypatch: pytest.MonkeyPatch) -> None:
    assert dimensions() == ("channel", "height", "neuron", "spatial", "width")
    enter(monkeypatch, "after", "tall")
    assert dimensions() == ("channel", "energy", "height", "neuron", "row", "spatial", "width")


def test_declarations_are_read_without_torch() -> None:
    code = "import sys, dcasearch.architecture, dcasearch.space; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "option twice": ({"options": TALL.options[:1] * 2}, "an option is declared twice among strength, strength"),
    "default": (
        {"options": (replace(TALL.options[0], default=-1.0),)},
        r"strength cannot be -1.0; Known: a number from 0\.",
    ),
    "option beside the name": (
        {"options": (replace(TALL.options[0], name="stages"),)},
        "an option cannot be called 'stages'",
    ),
    "place": ({"place": "nowhere"}, "'nowhere' is not a place; Known: block, stage, between stages"),
    "axis": ({"dimensions": {"row": State(g=("B", "C", "H", "X"), t=("B", "C"))}}, "row have an unknown axis 'X'"),
    "axes": ({"dimensions": {"row": State(g=("B", "C", "H"), t=("B", "C"))}}, "unknown axis 'B C H'"),
    "axis divided by nothing": (
        {"dimensions": {"row": State(g=("B", "C", "H/step", "W"), t=("B", "C"))}},
        "unknown axis 'H/step'",
    ),
    "form": (
        {"forms": {"other": {"row": State(g=("B", "C"), t=("B", "C"))}}},
        "a form has the dimension row, which the kind lacks",
    ),
    "planes": ({"dimensions": {"row": State(g=("B", "many", "H", "W"), t=("B", "C"))}}, "unknown axis 'many'"),
}


@pytest.mark.parametrize(("changes", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_declaration_is_refused_at_birth(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Kind(title="wrong", **changes)


FITS: list[tuple[Option, list[Any], list[Any]]] = [
    (TALL.options[0], [0, 0.5, 3], [-0.1, "1", True, None, [1]]),
    (TALL.options[1], ["mean", "max"], ["median", 1, None, True]),
    (TALL.options[2], [True, False], [0, 1, "true", None]),
    (TALL.options[3], [1, 3], [0, 4, 1.0, True, None]),
    (Option(name="e", type=int, default=None, choices=(None, 2), says=""), [None, 2], [1, 3, "2"]),
]


@pytest.mark.parametrize(("option", "allowed", "refused"), FITS, ids=lambda it: getattr(it, "name", ""))
def test_an_option_takes_its_type_its_bounds_and_its_choices(
    option: Option, allowed: list[Any], refused: list[Any]
) -> None:
    assert all(option.fits(value) for value in allowed)
    assert not any(option.fits(value) for value in refused)


def test_options_of_every_type_are_read_checked_and_in_the_id(monkeypatch: pytest.MonkeyPatch) -> None:
    enter(monkeypatch, "tall")
    plain = make({"name": "tall"})
    assert plain.network.blocks[0].options == {"strength": 1.0, "pool": "mean", "steps": 1}
    assert make({"name": "tall", "strength": 1}).id == make({"name": "tall", "sharp": False}).id == plain.id
    others = [{"strength": 0.5}, {"pool": "max"}, {"sharp": True}, {"steps": 2}]
    assert len({make({"name": "tall", **options}).id for options in others} | {plain.id}) == 5
    assert plain.network.blocks[0].option("sharp") is False
    assert (
        Architecture.parse(make({"name": "tall", "pool": "max"}).to_dict()).id
        == make({"name": "tall", "pool": "max"}).id
    )
    with pytest.raises(ArchitectureError, match=r"attention\.strength: must be a number from 0"):
        make({"name": "tall", "strength": "much"})
    with pytest.raises(ArchitectureError, match="tall has pool mean, max; got median") as error:
        make({"name": "tall", "pool": "median"})
    assert error.value.path == ("attention", "pool")


MAP, VECTOR = Port(8, 4, ("H", "W")), Port(8)
ROW, COLUMN, PLANE = Port(8, 4, ("H",)), Port(8, 4, ("W",)), Port(2, 4, ("H", "W"), planes=True)


@pytest.mark.parametrize(
    ("sender", "receiver", "reason"),
    [
        *((a, b, None) for a in (MAP, VECTOR, ROW) for b in (MAP, VECTOR, ROW)),
        (PLANE, replace(PLANE, channels=5), None),
        (ROW, COLUMN, "the sender gives H, the receiver takes W"),
        (PLANE, MAP, "the sender gives planes, the receiver takes channels"),
        (VECTOR, PLANE, "the sender gives channels, the receiver takes planes"),
    ],
)
def test_two_ends_match_where_one_has_all_axes_of_the_other(sender: Port, receiver: Port, reason: str | None) -> None:
    assert obstacle(sender, receiver) == reason


def test_a_dimension_whose_ends_cannot_match_is_an_error_at_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    enter(monkeypatch, "tall", "flat")
    stages = [{"name": "tall"}, {"name": "flat"}, {"name": "none"}, {"name": "none"}]
    assert make({"stages": stages}).network.edges == ()
    with pytest.raises(ArchitectureError, match=r"tall \(block 2\) and flat \(block 3\) cannot be connected") as error:
        make({"stages": stages}, {})
    assert error.value.path == ("connections", "dimensions", "row")


def test_an_unknown_dimension_is_refused_with_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    enter(monkeypatch, "tall")
    for connections, part in (({"dimensions": {"rwo": True}}, "dimensions"), ({"edges": {"rwo": []}}, "edges")):
        with pytest.raises(ArchitectureError, match="'rwo' is not a dimension; did you mean 'row'") as error:
            make({"name": "tall"}, {**connections, **({"topology": "custom"} if part == "edges" else {})})
        assert error.value.path == ("connections", part, "rwo")


@pytest.mark.parametrize("name", BACKBONES)
def test_a_layout_says_where_its_stages_end(name: str) -> None:
    layout = BACKBONES[name](1.0, "imagenet")
    ends = [n for n in range(len(layout.blocks)) if layout.ends_stage(n)]
    assert [layout.blocks[n].stage for n in ends] == list(range(layout.stages))
    assert ends[-1] == len(layout.blocks) - 1


@pytest.mark.parametrize("name", BACKBONES)
def test_a_kind_says_after_which_stages_it_stands(name: str) -> None:
    layout = BACKBONES[name](1.0, "imagenet")
    stages = list(range(layout.stages))
    assert [n for n in stages if AFTER.stands_after(layout, n)] == stages
    assert [n for n in stages if BETWEEN.stands_after(layout, n)] == stages[:-1]
    assert not any(KINDS["se"].stands_after(layout, n) for n in stages)
    assert (AFTER.in_blocks, BETWEEN.in_blocks, KINDS["se"].in_blocks) == (False, False, True)


@pytest.mark.parametrize("channels", [1, 12, 36, 64, 97, 720])
@pytest.mark.parametrize("groups", [1, 6, 36, 64, 720_720])
@pytest.mark.parametrize("least", [1, 4])
def test_groups_are_the_greatest_divisor_of_both_that_leaves_enough_channels(
    channels: int, groups: int, least: int
) -> None:
    block = BlockLayout("a", 0, channels, channels, 1, 4)
    option = groups_of(least=least)
    assert option.built is not None
    fitting = [n for n in range(1, channels + 1) if channels % n == groups % n == 0 and channels // n >= least]
    assert option.built(block, groups) == ("groups", max(fitting, default=1))


def test_groups_of_a_million_channels_in_every_block_are_found_at_once() -> None:
    blocks = [[f"a.{n}", 0, 720_720 + n % 2, 8, 1, 4] for n in range(5000)]
    trace = {"version": "1", "graph": "0" * 32, "blocks": blocks}
    written = {"backbone": {"name": "timm/wide", "trace": trace}, "attention": {"name": "sge", "groups": 720_720}}
    assert Architecture.parse(written).network.nodes[0].option("groups") == 720_720
