from __future__ import annotations

import dataclasses
import re
from typing import Any

import pytest
from rich.console import Console

from dcasearch.analysis.standing import Compared, FidelityStanding, Standing
from dcasearch.analysis.story import Story
from dcasearch.analysis.trials import why
from dcasearch.cli import standing as room
from dcasearch.cli.standing import MOST_TRIALS, print_standing, print_story
from dcasearch.metrics import METRICS, Direction
from dcasearch.trial import State, Trial
from tests.search.test_racing import Field
from tests.support import make_study

TOP1: dict[str, Direction] = {"top1": "maximize"}


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


def test_a_standing_says_how_often_which_trial_lost_its_worker(capsys: pytest.CaptureFixture[str]) -> None:
    def told(*retries: int) -> str:
        trials = tuple(trial(number=number, retries=count) for number, count in enumerate(retries))
        fidelity = standing_at("proxy", trials, {State.COMPLETE: len(trials)})
        print_standing(Console(width=140), alone(fidelity))
        return capsys.readouterr().out

    assert "workers lost and trials gone on: 3 (trial 1: 2, trial 2: 1)" in told(0, 2, 1)
    assert "workers lost" not in told(0, 0)


def test_a_race_is_a_table_of_who_is_in_and_who_left_when_with_what_it_can_find(
    capsys: pytest.CaptureFixture[str],
) -> None:
    race = Field().seeds(3, 90.0, 40.0, 20.0).race()
    fidelity = standing_at("full", tuple(race.candidates[0].trials), {}, race=race)
    print_standing(Console(width=140), alone(fidelity))
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "race (confidence 95%, up to 6 seeds): trial 0 is told apart from all others" in lines
    assert "candidate top-1 % seeds best − race architecture" in lines
    assert any(re.fullmatch(r"trial 0 90\.07 ± 0\.87 3 alone a0", line) for line in lines)
    left = r"trial 2 20\.07 ± 0\.65 3 \+70\.00 out after \d seeds, by trial 0 a2"
    assert any(re.fullmatch(left, line) for line in lines)
    assert any(line.startswith("noise of one training between seeds") for line in lines)


@pytest.mark.parametrize(
    ("metric", "value", "told"),
    [("top1", 33.1, "33.10"), ("score", 808.19, "808.190"), ("macs", 8.5e6, "8.500M"), ("loss", 0.5, "0.5000")],
)
def test_the_values_of_a_column_have_equally_many_digits(metric: str, value: float, told: str) -> None:
    assert room._value(metric, value) == told


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
        print_standing(Console(width=140), of_classes(count))
        lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
        return lines[lines.index("AP of each class, the worst class first") + 1 :] if count else lines

    assert told(2) == ["class AP %, full", "class00 1.00", "class01 11.00", "full: trial 4, mean of 2 seeds."]
    assert [line.split()[0] for line in told(12)] == ["class", *(f"class{n:02}" for n in range(12)), "full:"]
    many = told(80)
    assert many[1:12] == [
        *(f"class{n:02} {10 * n + 1}.00" for n in range(5)),
        "… 70 classes left out …",
        *(f"class{n:02} {10 * n + 1}.00" for n in range(75, 80)),
    ]
    assert not any("each class" in line for line in told(0))


WORDS = {"proxy": {"0" * 16: "SE r=16 in all stages; not connected"}}


def test_the_ledger_says_what_each_network_is_with_its_short_id(capsys: pytest.CaptureFixture[str]) -> None:
    fidelity = standing_at("proxy", (trial(values=(91.0,), epochs=4),), {State.COMPLETE: 1}, objectives=TOP1)
    print_standing(Console(width=140), alone(fidelity), words=WORDS)
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "trial state top-1 % epochs network id why" in lines
    assert "7 complete 91.00 4 SE r=16 in all stages; not connected 00000000 sampled" in lines


def test_of_many_trials_the_best_are_printed_and_a_command_for_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    trials = tuple(trial(number=number, values=(float(number % 60),)) for number in range(100))
    fidelity = standing_at("proxy", trials, {State.COMPLETE: 100}, objectives=TOP1)

    def rows(*, detail: bool) -> tuple[list[str], str]:
        print_standing(Console(width=140), alone(fidelity), words=WORDS, detail=detail)
        printed = capsys.readouterr().out
        return [line.split()[0] for line in printed.splitlines() if " complete " in line], printed

    best, printed = rows(detail=False)
    assert best[:2] == ["59", "58"]
    assert len(best) == 20 < MOST_TRIALS
    assert "… 80 more: `dcasearch trials tiny --fidelity proxy`" in printed
    every, printed = rows(detail=True)
    assert len(every) == 100
    assert "more:" not in printed


@pytest.mark.parametrize("width", [80, 120])
def test_the_six_answers_are_printed_beside_their_questions(capsys: pytest.CaptureFixture[str], width: int) -> None:
    story = Story(asked="", found="A.", differs="B.", better="C.", sure="D.", cost="E.", next="`dcasearch run X`")
    print_story(Console(width=width), story)
    printed = capsys.readouterr().out
    said = " ".join(printed.split())
    assert "Which network was chosen? A. How does it differ" in said
    assert said.endswith("What next? `dcasearch run X`")
    assert max(map(len, printed.splitlines())) <= width
