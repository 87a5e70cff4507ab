"""The points of figure 1: which networks of a database are drawn, and what belongs together."""

from __future__ import annotations

import pytest

from dcasearch.architecture import Architecture
from dcasearch.errors import UserError
from dcasearch.models import cost
from dcasearch.paper.points import Panel, panels_of, printed_panels
from dcasearch.store import Store
from dcasearch.trial import State
from tests.paper.samples import put_role, put_study, put_trial, record, train

BACKBONE = {"backbone": {"name": "resnet18"}}
PLAIN = Architecture.parse(BACKBONE)
VANILLA = Architecture.parse({**BACKBONE, "attention": {"name": "se"}})
CONNECTED = Architecture.parse({**BACKBONE, "attention": {"name": "se"}, "connections": {"function": "direct"}})
MIXED = Architecture.parse({**BACKBONE, "attention": {"stages": [{"name": "se"}, *[{"name": "cbam"}] * 3]}})


def panel(store: Store) -> Panel:
    (one,) = panels_of(store)
    return one


def test_a_network_is_plain_vanilla_or_connected_and_a_connected_one_knows_its_vanilla_network(store: Store) -> None:
    put_study(store)
    for number, architecture in enumerate((CONNECTED, MIXED, VANILLA, PLAIN)):
        train(store, architecture, [70.0 + number])
    plain, se, mixed, connected = panel(store).points
    assert [p.form for p in (plain, se, mixed, connected)] == ["plain", "vanilla", "vanilla", "connected"]
    assert [p.label for p in (plain, se, mixed, connected)] == ["resnet18", "SE", "CBAM+SE", "SE direct"]
    assert connected.vanilla == se.id == VANILLA.id
    assert connected.params == cost(CONNECTED, 224, 1000).params


def test_a_point_is_the_mean_over_the_seeds_of_trials_and_baselines_that_ended(store: Store) -> None:
    put_study(store)
    train(store, VANILLA, [70.0, 71.0])
    put_role(store, VANILLA, record(store, VANILLA, 75.0, seed=2), "vanilla se", seed=2)
    put_trial(store, VANILLA, record(store, VANILLA, 10.0, seed=3), 9, seed=3, state=State.PRUNED)
    (point,) = panel(store).points
    assert (point.value, point.seeds) == (72.0, 3)


def test_trainings_that_were_not_measured_alike_stand_in_panels_of_their_own(store: Store) -> None:
    for study in ("one", "two"):
        put_study(store, study)
        train(store, VANILLA, [70.0], study=study)
    assert [one.title for one in panels_of(store)] == ["one: full", "two: full"]
    assert [one.title for one in panels_of(store, ["two"])] == ["two: full"]


def test_a_control_stands_beside_the_networks_of_its_study_though_its_key_is_another(store: Store) -> None:
    put_study(store)
    control = Architecture.parse({**VANILLA.to_dict(), "connections": {"message": "shuffled"}})
    train(store, VANILLA, [70.0])
    put_trial(store, control, record(store, control, 69.0, beside="mixed"), 1)
    named = {"architecture": "one FC"}
    put_trial(store, CONNECTED, record(store, CONNECTED, 71.0, beside="parent"), 2, params=named)
    assert {point.label for point in panel(store).points} == {"SE", "SE direct, shuffled message", "one FC"}


def test_final_trainings_are_asked_for_by_name(store: Store) -> None:
    put_study(store)
    train(store, VANILLA, [70.0])
    put_role(store, VANILLA, record(store, VANILLA, 68.0, seed=9, protocol="test"), "winner", role="final", seed=9)
    (one,) = panels_of(store, fidelity="final")
    assert [point.value for point in one.points] == [68.0]


def test_networks_of_several_backbones_say_theirs(store: Store) -> None:
    put_study(store)
    other = Architecture.parse({"backbone": {"name": "mobilenet_v2"}, "attention": {"name": "se"}})
    train(store, VANILLA, [70.0])
    train(store, other, [70.0])
    assert {point.label for point in panel(store).points} == {"SE resnet18", "SE mobilenet_v2"}


def test_an_unknown_study_or_fidelity_is_refused(store: Store) -> None:
    put_study(store)
    with pytest.raises(UserError, match="holds no study 'other'"):
        panels_of(store, ["other"])
    with pytest.raises(UserError, match="'ful' is not a fidelity of these studies; did you mean 'full'"):
        panels_of(store, fidelity="ful")


def test_table_1_as_printed_has_a_panel_for_each_backbone_and_an_arrow_for_each_pair() -> None:
    panels = printed_panels()
    assert [len(one.points) for one in panels] == [11, 7, 9]
    for one in panels:
        known = {point.id: point for point in one.points}
        for point in one.points:
            assert (point.form == "connected") == (point.vanilla is not None)
            if point.vanilla is not None:
                assert known[point.vanilla].kinds == point.kinds
                assert known[point.vanilla].form == "vanilla"
