from __future__ import annotations

import random
from typing import Any

import pytest

from dcasearch.architecture import Architecture
from dcasearch.errors import UserError
from dcasearch.space import ListedSpace, count_distinct, parents_of, read_space, size
from dcasearch.space.axes import Suggest

RESNET: dict[str, Any] = {"name": "resnet18"}
SE, WIDE = {"name": "se"}, {"name": "se", "reduction": 4}
PLAIN = {"label": "plain", "backbone": RESNET}
VANILLA = {"label": "SE", "backbone": RESNET, "attention": SE}
CONNECTED = {"label": "DCA-SE", "backbone": RESNET, "attention": SE, "connections": {"function": "learned"}}
LARGER = {"label": "larger SE", "backbone": RESNET, "attention": WIDE, "against": "SE"}
ROWS: list[dict[str, Any]] = [PLAIN, VANILLA, CONNECTED, LARGER]


def make(*rows: dict[str, Any]) -> ListedSpace:
    space = read_space({"architectures": list(rows or ROWS)})
    assert isinstance(space, ListedSpace)
    return space


def always(answer: str) -> Suggest:
    return lambda name, choices: answer


def architecture(row: dict[str, Any]) -> Architecture:
    return Architecture.parse({key: value for key, value in row.items() if key not in ("label", "against")})


def test_a_list_asks_one_question_whose_choices_are_the_labels() -> None:
    asked: list[tuple[str, tuple[object, ...]]] = []
    point = make().sample(lambda name, choices: asked.append((name, choices)) or "DCA-SE")  # type: ignore[func-returns-value]
    assert asked == [("architecture", ("plain", "SE", "DCA-SE", "larger SE"))]
    assert point.params == {"architecture": "DCA-SE"}
    assert point.architecture == architecture(CONNECTED)


def test_the_parameters_of_a_list_are_the_ones_that_it_asks() -> None:
    parameters = make().parameters()
    assert {name: [option.label for option in options] for name, options in parameters.items()} == {
        "architecture": ["plain", "SE", "DCA-SE", "larger SE"]
    }


def test_a_list_is_enumerated_in_its_own_order_and_counted_exactly() -> None:
    space = make()
    assert [point.params["architecture"] for point in space.enumerate()] == ["plain", "SE", "DCA-SE", "larger SE"]
    assert [point.architecture.id for point in space.distinct()] == [architecture(row).id for row in ROWS]
    assert size(space) == 4
    assert str(count_distinct(space)) == "4 distinct architectures"


def test_a_point_is_rebuilt_from_its_parameters() -> None:
    space = make()
    point = space.random(random.Random(1))
    assert space.point(point.params) == point
    assert space.point({}).architecture == architecture(PLAIN)


def test_an_answer_that_is_no_label_is_refused_with_the_nearest() -> None:
    with pytest.raises(UserError, match="'DCA-SEE' is not a row; did you mean 'DCA-SE'"):
        make().sample(always("DCA-SEE"))


def test_a_label_changes_no_id() -> None:
    renamed = make(PLAIN, {**CONNECTED, "label": "ours"})
    assert renamed.row("ours").architecture.id == make().row("DCA-SE").architecture.id


def test_the_fingerprint_holds_labels_and_networks_but_not_whom_a_row_is_compared_with() -> None:
    known = make().fingerprint
    assert make(PLAIN, VANILLA, CONNECTED, {**LARGER, "against": "plain"}).fingerprint == known
    assert make(PLAIN, VANILLA, CONNECTED, {**LARGER, "label": "wide SE"}).fingerprint != known
    assert make(PLAIN, VANILLA, CONNECTED, {**LARGER, "attention": {"name": "se", "reduction": 8}}).fingerprint != known
    assert make(VANILLA, PLAIN, CONNECTED, LARGER).fingerprint != known


def test_what_a_row_is_is_recognised() -> None:
    assert [row.role for row in make().rows] == ["plain", "vanilla", "connected", "vanilla"]
    nobody_listens = {**CONNECTED, "connections": {"dimensions": {"channel": False}}, "label": "silent"}
    assert make(PLAIN, nobody_listens).row("silent").role == "vanilla"


def test_a_row_is_compared_with_its_own_network_without_connections_or_with_whom_it_says() -> None:
    space = make()
    assert {row.label: reference.label for row in space.rows if (reference := space.reference(row))} == {
        "SE": "plain",
        "DCA-SE": "SE",
        "larger SE": "SE",
    }
    assert make(PLAIN, CONNECTED).reference(make().row("DCA-SE")) is None


def test_baselines_are_the_rows_without_connections_under_their_labels() -> None:
    assert [baseline.name for baseline in make().baselines()] == ["plain", "SE", "larger SE"]
    assert [baseline.name for baseline in make().baselines(("SE",))] == ["SE"]
    assert make().baselines(False) == ()


def test_vanilla_parents_are_those_of_the_rows() -> None:
    parents = parents_of(make(), 3)
    assert parents is not None
    assert {parent.id for parent in parents} == {architecture(row).id for row in (PLAIN, VANILLA, LARGER)}
    assert parents_of(make(), 2) is None


def test_messages_are_those_of_connected_rows() -> None:
    own = {**CONNECTED, "label": "own", "connections": {"function": "learned", "message": "own"}}
    assert make(*ROWS, own).messages() == {"sender", "own"}


def test_functions_are_those_of_connected_rows() -> None:
    assert [function.name for function in make().functions()] == ["learned"]


def test_an_id_s_label_is_found() -> None:
    space = make()
    assert space.label_of(architecture(VANILLA).id) == "SE"
    assert space.label_of("0123456789abcdef") is None
