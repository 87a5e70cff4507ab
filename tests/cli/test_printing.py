from __future__ import annotations

from typing import Any

import pytest
from rich.console import Console

from dcasearch.analysis.power import Measurement, expected, power
from dcasearch.analysis.trust import Correlation, Trust
from dcasearch.cli.console import make_console
from dcasearch.cli.printing import print_checks, print_expected, print_powers, print_trust, why
from dcasearch.config.study import Promotion
from dcasearch.export import Check
from dcasearch.trial import State, Trial


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
        ({"state": State.PRUNED, "attributes": {"rung": 1}}, "rung 1"),
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


def test_what_can_be_told_apart_is_a_table_and_what_is_not_known_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    several = [Measurement(f"n{n}", seed, 80.0 + n + seed * (n - 1), 0.5) for n in range(3) for seed in range(2)]
    print_powers(make_console(), [power("proxy", [], images=144, seeds=1)])
    unknown = capsys.readouterr().out
    assert "> 2.6 (images alone)" in unknown
    assert "Seed noise is known once two networks share two seeds" in unknown
    print_powers(make_console(), [power("full", several, images=144, seeds=2)])
    known = capsys.readouterr().out
    assert "full, df 3" in known
    assert "full, loss" in known
    assert "not estimable" not in known
    print_powers(make_console(), [])
    assert capsys.readouterr().out == ""


def test_below_ten_promoted_networks_check_says_that_no_trust_will_be_estimable(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_expected(make_console(), [expected("proxy", "full", Promotion(top=2, random=1), 12)])
    assert "below ten: not estimable (3 promoted networks, 1 at random)" in " ".join(capsys.readouterr().out.split())
    print_expected(make_console(), [expected("proxy", "full", Promotion(top=20, random=20), 200)])
    assert "a τ of 0.5 would be known as [" in capsys.readouterr().out
