from __future__ import annotations

from typing import Any

import pytest

from dcasearch.analysis.effects import DEPTHS, Effect, depth_of, effects_of
from dcasearch.analysis.power import Measurement, Power, power
from dcasearch.report.rows import sentence_of
from dcasearch.space import ListedSpace, read_space

SE: dict[str, Any] = {"name": "se"}
CBAM: dict[str, Any] = {"name": "cbam"}
LEARNED: dict[str, Any] = {"function": "learned"}
NOISE = (0.0, 0.05, -0.05)


def row(label: str, backbone: str, attention: Any = None, connections: Any = None, **more: Any) -> dict[str, Any]:
    parts = {"attention": attention, "connections": connections}
    written = {"label": label, "backbone": {"name": backbone}, **{k: v for k, v in parts.items() if v is not None}}
    return {**written, **more}


def depths(*named: int, connections: Any = LEARNED) -> list[dict[str, Any]]:
    return [
        r for n in named for r in (row(f"SE {n}", f"resnet{n}", SE), row(f"DCA {n}", f"resnet{n}", SE, connections))
    ]


def both_dimensions(**changes: Any) -> list[dict[str, Any]]:
    def part(channel: bool, spatial: bool) -> dict[str, Any]:
        return {**LEARNED, "dimensions": {"channel": channel, "spatial": spatial}, **changes}

    return [
        row("CBAM", "resnet18", CBAM),
        row("C", "resnet18", CBAM, part(True, False)),
        row("S", "resnet18", CBAM, part(False, True)),
        row("All", "resnet18", CBAM, part(True, True)),
    ]


def measured(rows: list[dict[str, Any]], **means: float) -> tuple[ListedSpace, dict[str, dict[int, float]], Power]:
    space = read_space({"architectures": rows})
    assert isinstance(space, ListedSpace)
    known = {
        r.label: {seed: means.get(r.label.replace(" ", "_"), 70.0) + by for seed, by in enumerate(NOISE)}
        for r in space.rows
    }
    trainings = [Measurement(label, s, v, None) for label, by_seed in known.items() for s, v in by_seed.items()]
    return space, known, power("table", trainings, images=10**6, seeds=3)


def effects(rows: list[dict[str, Any]], **means: float) -> tuple[Effect, ...]:
    return effects_of(*measured(rows, **means))


def test_a_gain_that_shrinks_with_depth_is_called_so() -> None:
    [found] = effects(depths(50, 101, 152), DCA_50=72.0, DCA_101=71.0, DCA_152=70.4)
    assert found.name == "difference by depth"
    assert found.difference.value == pytest.approx(-1.0, abs=0.01), "a point less for each doubling"
    assert found.verdict == "shrinks with depth"
    assert found.rows == ("DCA 50", "SE 50", "DCA 101", "SE 101", "DCA 152", "SE 152")
    [grows] = effects(depths(50, 101, 152), DCA_152=72.0)
    assert grows.verdict == "grows with depth"


def test_a_gain_that_is_equal_at_every_depth_has_no_trend() -> None:
    [found] = effects(depths(50, 101, 152), DCA_50=71.0, DCA_101=71.0, DCA_152=71.0)
    assert found.difference.value == pytest.approx(0.0)
    assert found.verdict == "not resolved"


def test_fewer_depths_than_three_make_no_trend() -> None:
    assert DEPTHS == 3
    assert effects(depths(50, 101)) == ()


def test_networks_that_differ_in_more_than_their_depth_make_no_trend() -> None:
    rows = [*depths(50, 101), *depths(152, connections={"function": "direct"})]
    assert effects(rows) == ()


def test_a_row_that_is_not_trained_is_left_out_of_the_trend() -> None:
    space, known, told = measured(depths(50, 101, 152))
    assert effects_of(space, {**known, "DCA 152": {}}, told) == ()


def test_the_depth_is_the_number_that_a_backbone_is_named_by() -> None:
    space, _, _ = measured(
        [row(name, name) for name in ("resnet18", "resnet34", "resnet50", "resnet152", "mobilenet_v2")]
    )
    assert [depth_of(r) for r in space.rows] == [18, 34, 50, 152, None]


def test_the_interaction_of_two_dimensions_is_both_minus_each_plus_none() -> None:
    [found] = effects(both_dimensions(), CBAM=70.0, C=71.0, S=70.5, All=73.0)
    assert found.name == "channel × spatial"
    assert found.difference.value == pytest.approx(73.0 - 71.0 - 70.5 + 70.0)
    assert found.verdict == "more than the sum of the two"
    assert found.rows == ("CBAM", "C", "S", "All")
    [less] = effects(both_dimensions(), CBAM=70.0, C=72.0, S=72.0, All=71.0)
    assert less.verdict == "less than the sum of the two"


def test_rows_whose_connections_differ_otherwise_make_no_interaction() -> None:
    rows = both_dimensions()
    rows[1]["connections"] = {**rows[1]["connections"], "function": "direct"}
    assert effects(rows) == ()


def test_the_effect_of_attention_and_of_connections_is_compared_between_initial_values() -> None:
    def rows(init: str) -> list[dict[str, Any]]:
        parts = [("plain", None, None), ("SE", SE, None), ("DCA", SE, LEARNED)]
        more = {} if init == "ours" else {"init": init}
        return [row(f"{name} {init}", "mnasnet1_0", attention, how, **more) for name, attention, how in parts]

    found = effects([*rows("ours"), *rows("authors")], SE_authors=66.0, DCA_authors=66.0)
    assert [effect.name for effect in found] == [
        "initial values in SE authors − plain authors",
        "initial values in DCA authors − SE authors",
    ]
    assert [effect.difference.value for effect in found] == [pytest.approx(-4.0), pytest.approx(0.0)]
    assert [effect.verdict for effect in found] == ["smaller under the released initial values", "not resolved"]
    assert found[0].said == "(SE authors − plain authors) − (SE ours − plain ours)"


def test_a_sentence_gives_the_effect_its_word_and_its_rows() -> None:
    [found] = effects(both_dimensions(), All=73.0)
    said = sentence_of(found, "points")
    assert said.startswith("Channel × spatial: +3.00 ± ")
    assert "points, more than the sum of the two (both − channel alone − spatial alone + neither; rows: " in said
    assert said.endswith("CBAM, C, S, All).")
