from __future__ import annotations

import dataclasses
import re
from typing import Any

import pytest
from rich.console import Console

from dcasearch.analysis.forecast import forecast
from dcasearch.analysis.naming import Sentences
from dcasearch.analysis.power import Measurement, expected, power
from dcasearch.analysis.standing import Compared, FidelityStanding, Standing
from dcasearch.analysis.trust import Correlation, Trust
from dcasearch.architecture import Architecture
from dcasearch.cli import printing
from dcasearch.cli.console import make_console
from dcasearch.cli.networks import print_network, print_networks, short
from dcasearch.cli.printing import as_json as plain
from dcasearch.cli.printing import (
    print_checks,
    print_expected,
    print_forecast,
    print_powers,
    print_standing,
    print_trust,
    why,
)
from dcasearch.config.study import Promotion
from dcasearch.evaluation import Cost
from dcasearch.export import Check
from dcasearch.metrics import METRICS
from dcasearch.space import read_space
from dcasearch.trial import State, Trial
from tests.kinds import enter
from tests.search.test_racing import Field
from tests.support import make_study


def alone(fidelity: FidelityStanding) -> Standing:
    return Standing(study=make_study(), fidelities=(fidelity,), finals=(), winner=None, seconds=0.0)


def standing_at(name: str, trials: tuple[Trial, ...], counts: dict[State, int], **more: Any) -> FidelityStanding:
    return FidelityStanding(name=name, trials=trials, counts=counts, leader=None, baselines=(), suspended=(), **more)


def trial(**changes: Any) -> Trial:
    fields = {
        "study": "tiny",
        "fidelity": "proxy",
        "number": 7,
        "state": State.COMPLETE,
        "origin": "sampled",
        "params": {},
        "architecture_id": "0" * 16,
        "seed": 0,
        **changes,
    }
    return Trial(**fields)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "sampled"),
        ({"state": State.INFEASIBLE, "constraint": "params 9 > 5"}, "params 9 > 5"),
        ({"state": State.DUPLICATE, "duplicate_of": 3}, "of trial 3"),
        ({"state": State.WAITING, "duplicate_of": 3}, "of trial 3"),
        ({"state": State.PRUNED, "epochs": 2, "attributes": {"rung": 1}}, "after epoch 2"),
        ({"state": State.FAILED, "failure": "nan", "message": "epoch 2"}, "nan: epoch 2"),
        (
            {"origin": "promoted", "attributes": {"of": 4, "reason": "place 1 by value"}},
            "trial 4 before: place 1 by value",
        ),
    ],
)
def test_every_state_is_explained(changes: dict[str, Any], words: str) -> None:
    assert why(trial(**changes)) == words


def test_checks_are_told_as_equal_differing_or_not_checked(capsys: pytest.CaptureFixture[str]) -> None:
    checks = [Check("id", "a", "a", True), Check("logits", "b", "[c]", False), Check("top-1", "1", "no data", None)]
    print_checks(make_console(), checks)
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines == ["check state expected got", "id equal a a", "logits DIFFERS b [c]", "top-1 not checked 1 no data"]


def test_trust_is_told_with_its_interval_or_as_not_estimable(capsys: pytest.CaptureFixture[str]) -> None:
    known = Trust("proxy", "full", "value", 12, Correlation(0.41, (0.05, 0.7), 0.5, (0.1, 0.8)), drawn=3)
    print_trust(Console(width=120), [known, Trust("proxy", "full", "params", 9, None)])
    printed = capsys.readouterr().out
    assert "+0.41 [+0.05, +0.70]" in printed
    assert "not estimable" in printed
    print_trust(Console(width=120), [])
    assert capsys.readouterr().out == ""


def test_a_standing_says_how_often_which_trial_lost_its_worker(capsys: pytest.CaptureFixture[str]) -> None:
    def told(*retries: int) -> str:
        trials = tuple(trial(number=number, retries=count) for number, count in enumerate(retries))
        fidelity = standing_at("proxy", trials, {State.COMPLETE: len(trials)})
        print_standing(Console(width=140), alone(fidelity), every_trial=False)
        return capsys.readouterr().out

    assert "workers lost and trials gone on: 3 (trial 1: 2, trial 2: 1)" in told(0, 2, 1)
    assert "workers lost" not in told(0, 0)


def test_a_race_is_a_table_of_who_is_in_and_who_left_when_with_what_it_can_find(
    capsys: pytest.CaptureFixture[str],
) -> None:
    race = Field().seeds(3, 90.0, 40.0, 20.0).race()
    fidelity = standing_at("full", tuple(race.candidates[0].trials), {}, race=race)
    print_standing(Console(width=140), alone(fidelity), every_trial=False)
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "race (confidence 95%, up to 6 seeds): trial 0 is told apart from all others" in lines
    assert "candidate top-1 % seeds best − race architecture" in lines
    assert any(re.fullmatch(r"trial 0 90\.07 ± 0\.87 3 alone a0", line) for line in lines)
    left = r"trial 2 20\.07 ± 0\.65 3 \+70\.00 out after \d seeds, by trial 0 a2"
    assert any(re.fullmatch(left, line) for line in lines)
    assert any(line.startswith("noise of one training between seeds") for line in lines)


def test_a_forecast_of_a_race_gives_least_and_most_trainings_and_what_it_finds(
    capsys: pytest.CaptureFixture[str],
) -> None:
    promote = {"top": 3, "race": {"max_seeds": 6}}
    proxy = {"name": "proxy", "trials": 5, "resolution": 16, "epochs": 4}
    study = make_study(fidelities=[proxy, {"name": "full", "promote": promote, "resolution": 16, "epochs": 8}])
    print_forecast(Console(width=200), forecast(study, read_space(study.space), None, None))
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert any(line.startswith("full race 0 to 12 ") for line in lines)
    told = "Race at full: 3 candidates, up to 6 seeds each, at confidence 95%; a lead of"
    assert any(line.startswith(told) for line in lines)


@pytest.mark.parametrize(
    ("number", "told"),
    [(0.0, "0"), (12.34, "12.3"), (1234.0, "1.23k"), (-1234.0, "-1.23k"), (5.0e9, "5G"), (-2.5e-3, "-0.0025")],
)
def test_large_numbers_have_a_unit_whatever_their_sign(number: float, told: str) -> None:
    assert printing._short(number) == told


@pytest.mark.parametrize(
    ("metric", "value", "told"),
    [("top1", 33.1, "33.10"), ("score", 808.19, "808.190"), ("macs", 8.5e6, "8.500M"), ("loss", 0.5, "0.5000")],
)
def test_the_values_of_a_column_have_equally_many_digits(metric: str, value: float, told: str) -> None:
    assert printing._value(metric, value) == told


def test_what_can_be_told_apart_is_a_table_and_what_is_not_known_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    several = [Measurement(f"n{n}", seed, 80.0 + n + seed * (n - 1), 0.5) for n in range(3) for seed in range(3)]
    print_powers(make_console(), [power("proxy", [], images=144, seeds=1)])
    unknown = capsys.readouterr().out
    assert "> 2.6 (images alone)" in unknown
    assert "Differences count from three seeds on" in unknown
    print_powers(make_console(), [power("full", several, images=144, seeds=3)])
    known = capsys.readouterr().out
    assert "full, df 6" in known
    assert "full, loss" in known
    assert "not estimable" not in known
    assert "images" not in known.split("found from")[1]
    print_powers(make_console(), [power("full", several, images=144, seeds=2)])
    few = " ".join(capsys.readouterr().out.split())
    assert "(images, at 81%) needs 3 seeds full, df 6" in few
    assert "Differences count from three seeds on" in few
    print_powers(make_console(), [])
    assert capsys.readouterr().out == ""


def test_below_ten_promoted_networks_check_says_that_no_trust_will_be_estimable(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_expected(make_console(), [expected("proxy", "full", Promotion(top=2, random=1), 12)])
    assert "below ten: not estimable (3 promoted networks, 1 at random)" in " ".join(capsys.readouterr().out.split())
    print_expected(make_console(), [expected("proxy", "full", Promotion(top=20, random=20), 200)])
    assert "a τ of 0.5 would be known as [" in capsys.readouterr().out


def test_a_network_is_printed_with_its_attention_after_stages(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    enter(monkeypatch, "between")
    written = {"backbone": {"name": "resnet18"}, "attention": {"name": "se"}, "connections": {}}
    architecture = Architecture.parse({**written, "stage_attention": {"name": "between"}})
    print_network(Console(width=160), architecture, Cost(params=1, macs=1), 32, 10)
    lines = capsys.readouterr().out.splitlines()
    assert any("8 blocks" in line for line in lines)
    [end] = [line for line in lines if "after stage1" in line]
    assert re.search(r"after stage1 +1 +64 +between +channel layer1\.1", end.replace("│", " ").replace("┃", " "))
    [following] = [line for line in lines if "channel stage1" in line]
    assert "layer2.0" in following


def of_classes(count: int) -> Standing:
    """A study whose leader has so many classes."""
    classes = {f"class{n:02}": (10.0 * n, 10.0 * n + 2) for n in range(count)}
    leader = Compared(
        name="trial 4",
        architecture_id="a",
        seeds=(0, 1),
        headline=METRICS["ap"],
        values={"ap": (1.0, 2.0)},
        of_classes=classes,
    )
    level = dataclasses.replace(standing_at("full", (), {}), leader=leader)
    return alone(level)


def test_classes_are_a_table_whose_middle_is_left_out_where_there_are_many(capsys: pytest.CaptureFixture[str]) -> None:
    def told(count: int) -> list[str]:
        print_standing(Console(width=140), of_classes(count), every_trial=False)
        lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
        return lines[lines.index("AP of each class, the worst class first") + 1 : -2] if count else lines

    assert told(2) == ["class AP %, full", "class00 1.00", "class01 11.00", "full: trial 4, mean of 2 seeds."]
    assert [line.split()[0] for line in told(12)] == ["class", *(f"class{n:02}" for n in range(12)), "full:"]
    many = told(80)
    assert many[1:12] == [
        *(f"class{n:02} {10 * n + 1}.00" for n in range(5)),
        "… 70 classes left out …",
        *(f"class{n:02} {10 * n + 1}.00" for n in range(75, 80)),
    ]
    assert not any("each class" in line for line in told(0))


def test_classes_are_in_the_json_of_those_who_have_them_alone() -> None:
    leader = plain(of_classes(2))["fidelities"][0]["leader"]
    assert leader["of_classes"] == {"class00": (0.0, 2.0), "class01": (10.0, 12.0)}
    assert "of_classes" not in plain(of_classes(0))["fidelities"][0]["leader"]


def test_an_id_is_short_where_no_other_begins_so() -> None:
    ids = ["0123456789abcdef", "0123456700000000", "fedcba9876543210"]
    assert [short(id, ids) for id in ids] == ["0123456789abcdef", "0123456700000000", "fedcba98"]


def test_who_is_compared_is_said_in_words_under_one_name_each(capsys: pytest.CaptureFixture[str]) -> None:
    top1 = METRICS["top1"]
    leader = Compared(name="trial 4", architecture_id="a" * 16, seeds=(0,), headline=top1, values={"top1": (90.0,)})
    same = dataclasses.replace(leader, name="winner")
    plain = dataclasses.replace(leader, name="plain", architecture_id="b" * 16)
    level = dataclasses.replace(standing_at("full", (), {}), leader=leader, baselines=(plain,))
    words = {"a" * 16: "SE r=16 in all stages; not connected", "b" * 16: "no attention"}
    standing = dataclasses.replace(alone(level), finals=(same,), networks=Sentences("resnet18", words))
    print_networks(Console(width=120), standing)
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        [],
        ["Networks,", "each", "on", "resnet18"],
        ["what", "it", "is", "architecture"],
        ["chosen", "SE", "r=16", "in", "all", "stages;", "not", "connected", "aaaaaaaa"],
        ["plain", "no", "attention", "bbbbbbbb"],
    ]
