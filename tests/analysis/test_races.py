from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from dcasearch import study as study_room
from dcasearch.analysis.races import (
    RaceForecast,
    columns,
    foresee_races,
    foreseen,
    plain,
    race_at,
    rows,
    sizes,
    verdict,
)
from dcasearch.config.study import Race, Study
from dcasearch.search.racing import RaceStanding
from dcasearch.space import LoadedStudy, read_space
from dcasearch.store import Store
from tests.search.test_racing import Field, level
from tests.support import Simulated, make_study


def told(race: RaceStanding) -> list[tuple[str, str, str, str]]:
    return [(row.name, row.seeds, row.behind, row.standing) for row in rows(race)]


def test_a_race_that_has_not_looked_yet_says_when_it_will() -> None:
    race = Field().seeds(1, 90.0, 20.0).race()
    rule = "race (confidence 95%, up to 6 seeds)"
    assert verdict(race) == f"{rule}: 2 of 2 are in it; the next look is at 2 seeds"
    assert sizes(race) == ""
    assert told(race) == [("trial 0", "1", "", "in"), ("trial 1", "1", "+71.00", "in")]


def test_a_race_that_goes_on_says_who_is_in_and_who_left_after_how_many_seeds() -> None:
    race = Field().seeds(3, 90.0, 90.3, 20.0).race()
    assert verdict(race).endswith("2 of 3 are in it; the next look is at 4 seeds")
    assert [(name, standing) for name, _, _, standing in told(race)] == [
        ("trial 1", "in"),
        ("trial 0", "in"),
        ("trial 2", "out after 2 seeds, by trial 1"),
    ]
    assert sizes(race).startswith("noise of one training between seeds ")
    assert sizes(race).endswith(" is found in 80% of such races")


def test_the_end_of_a_race_names_who_is_alone_or_who_is_not_told_apart() -> None:
    assert verdict(Field().seeds(3, 90.0, 40.0, 20.0).race()).endswith("trial 0 is told apart from all others")
    equal = Field().seeds(6, 90.0, 90.1, 20.0).race()
    assert verdict(equal).endswith("trial 1, trial 0 are not told apart: no difference between them is a win")
    failed = Field().seeds(3, 90.0, 20.0)
    failed.add(7, 0, failure="oom")
    assert verdict(failed.race()).endswith("trial 0 is told apart from all others that did not fail")
    assert ("trial 6", "0", "", "failed (oom: the loss is nan)") in told(failed.race())
    alone = Field()
    alone.add(0, 0, 90.0)
    assert verdict(alone.race()).endswith("over, with no two to tell apart")


def test_a_race_on_the_loss_is_told_with_less_as_better() -> None:
    field = Field()
    for seed in range(4):
        field.add(0, seed, 0.5 + 0.01 * seed)
        field.add(1, seed, 2.0 - 0.02 * seed)
    race = field.race(objectives={"loss": "minimize"})
    best, other = rows(race)
    assert columns(race)[1] == "loss"
    assert (best.value, other.standing) == ("0.5150 ± 0.0129", "out after 3 seeds, by trial 0")
    assert other.behind.startswith("-1.4")  # the best − this one
    assert "points" not in sizes(race)


def test_a_race_that_is_too_short_says_so() -> None:
    short = RaceForecast("full", "top1", 3, Race(max_seeds=2, confidence=0.999), math.inf, None)
    assert foreseen(short) == (
        "Race at full: 3 candidates, up to 2 seeds each; that is too short to tell anything apart, give it more seeds"
    )
    race = Field().seeds(2, 90.0, 89.0, 90.0).race(level(max_seeds=2, confidence=0.999))
    assert sizes(race).endswith("too few seeds to tell anything apart")


def test_a_forecast_is_in_units_of_the_noise_until_that_is_known() -> None:
    unknown = RaceForecast("full", "top1", 3, Race(), 2.34, None)
    said = "a lead of 2.3 × the noise between seeds is found in 80% of such races"
    assert foreseen(unknown) == f"Race at full: 3 candidates, up to 8 seeds each, at confidence 95%; {said}."
    known = RaceForecast("full", "top1", 3, Race(), 2.34, 0.5)
    assert foreseen(known).endswith("with the noise so far, 0.50 points, that is 1.17 points.")


def test_plain_data_of_a_race_names_trials_seeds_and_who_left() -> None:
    data = plain(Field().seeds(3, 90.0, 40.0).race())
    assert (data["metric"], data["over"], data["won"], data["looked_after"]) == ("top1", True, True, 3)
    first, second = data["candidates"]
    assert (first["trial"], first["seeds"], first["racing"], first["left_after"]) == (0, [0, 1, 2], True, None)
    assert (second["trials"], second["left_after"], second["beaten_by"]) == ([1, 3, 5], 3, 0)


@pytest.fixture
def finished(tmp_path: Path) -> tuple[Study, Store]:
    promote: dict[str, Any] = {"top": 3, "race": {"max_seeds": 3}}
    fidelities = [
        {"name": "proxy", "trials": 5, "resolution": 16, "epochs": 1},
        {"name": "full", "resolution": 16, "epochs": 2, "promote": promote},
    ]
    study = make_study(artifacts=str(tmp_path), fidelities=fidelities)
    store = Store.open(f"sqlite:///{tmp_path}/study.db", create=True)
    study_room.run(LoadedStudy(study, read_space(study.space), tmp_path, frozenset()), store, Simulated())
    return study, store


def test_a_race_is_read_from_the_database_of_its_study(finished: tuple[Study, Store]) -> None:
    study, store = finished
    assert race_at(study, store, study.fidelities[0]) is None
    race = race_at(study, store, study.fidelities[1])
    assert race is not None
    assert (race.looked, len(race.racing), race.waits) == (3, 3, False)
    [ahead] = foresee_races(study, store)
    assert ahead.noise == race.noise
    [ahead] = foresee_races(study, None)
    assert ahead.noise is None
