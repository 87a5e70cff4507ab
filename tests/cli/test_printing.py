from __future__ import annotations

import dataclasses
import re

import pytest
from rich.console import Console

from dcasearch.analysis.expected import expected
from dcasearch.analysis.forecast import forecast
from dcasearch.analysis.naming import Sentences
from dcasearch.analysis.power import Measurement, power
from dcasearch.analysis.standing import Compared
from dcasearch.analysis.trust import Correlation, Trust
from dcasearch.architecture import Architecture
from dcasearch.cli.console import make_console
from dcasearch.cli.networks import print_network, print_networks, short
from dcasearch.cli.printing import (
    print_checks,
    print_expected,
    print_forecast,
    print_powers,
    print_trust,
)
from dcasearch.cli.tables import with_unit
from dcasearch.config.study import Promotion
from dcasearch.evaluation import Cost
from dcasearch.export import Check
from dcasearch.metrics import METRICS
from dcasearch.space import read_space
from tests.cli.test_standing import alone, standing_at
from tests.kinds import enter
from tests.support import make_study


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
    assert with_unit(number) == told


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
