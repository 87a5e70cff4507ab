"""A race as it is replayed from trials."""

from __future__ import annotations

from typing import Any

import pytest

from dcasearch.config.study import Fidelity
from dcasearch.errors import FailureKind
from dcasearch.metrics import Direction
from dcasearch.search.racing import RaceStanding, images_of, race_of
from dcasearch.trial import State, Trial

TOP1: dict[str, Direction] = {"top1": "maximize"}
LEVEL: dict[str, Any] = {"name": "full", "resolution": 16, "epochs": 4}


def level(seeds: tuple[int, ...] = (0,), by: str = "value", **race: Any) -> Fidelity:
    promote = {"top": 3, "by": by, "race": {"max_seeds": 6, **race}}
    return Fidelity.model_validate({**LEVEL, "promote": promote, "seeds": seeds})


class Field:
    """Trials of candidates 0, 1, … as a fidelity would hold them."""

    def __init__(self) -> None:
        self.trials: list[Trial] = []

    def add(
        self,
        of: int,
        seed: int,
        *values: float,
        state: State = State.COMPLETE,
        failure: FailureKind | None = None,
    ) -> None:
        trial = Trial(
            study="s",
            fidelity="full",
            number=len(self.trials),
            state=State.FAILED if failure else state,
            origin="promoted",
            params={},
            architecture_id=f"a{of}",
            seed=seed,
            values=values or None,
            failure=failure,
            message="the loss is nan" if failure else "",
            attributes={"of": of, "probability": 1.0},
        )
        self.trials.append(trial)

    def seeds(self, seeds: int, *levels: float, first: int = 0) -> Field:
        """Give every candidate so many seeds; noise of about one point that is not the same for two."""
        noise = ((0.3, -0.9, 0.8, -0.2, 0.5, -0.6), (-0.7, 0.4, -0.1, 0.9, -0.8, 0.2), (0.1, 0.7, -0.6, -0.4, 0.6, 0.3))
        for seed in range(first, seeds):
            for of, value in enumerate(levels):
                self.add(of, seed, value + noise[of][seed])
        return self

    def race(self, fidelity: Fidelity | None = None, objectives: dict[str, Direction] | None = None) -> RaceStanding:
        standing = race_of(fidelity or level(), objectives or TOP1, self.trials, 10_000)
        assert standing is not None
        return standing


def names(race: RaceStanding) -> list[tuple[str, int]]:
    return [(candidate.name, seed) for candidate, seed in race.needed]


def test_a_fidelity_without_a_race_has_none() -> None:
    plain = Fidelity.model_validate({**LEVEL, "promote": {"top": 3}})
    assert race_of(plain, TOP1, Field().seeds(2, 90.0, 80.0).trials, None) is None


def test_everyone_gets_a_second_seed_before_anyone_is_compared() -> None:
    race = Field().seeds(1, 90.0, 20.0, 50.0).race()
    assert (race.looked, race.waits, len(race.racing)) == (0, True, 3)
    assert names(race) == [("trial 0", 1), ("trial 1", 1), ("trial 2", 1)]


def test_a_look_waits_for_what_runs_and_asks_for_nothing_twice() -> None:
    field = Field().seeds(1, 90.0, 20.0)
    field.add(0, 1, 90.0)
    field.add(1, 1, state=State.RUNNING)
    race = field.race()
    assert (race.looked, race.waits, race.needed) == (0, True, [])


def test_who_is_told_apart_leaves_and_the_others_get_the_next_seed() -> None:
    race = Field().seeds(3, 90.0, 90.3, 20.0).race()
    assert race.looked == 3
    assert [(c.name, c.left, c.beaten_by and c.beaten_by.name) for c in race.out] == [("trial 2", 2, "trial 1")]
    assert names(race) == [("trial 0", 3), ("trial 1", 3)]
    assert race.noise == pytest.approx(0.93, abs=0.3)
    assert race.resolvable is not None
    assert not race.won


def test_a_race_is_over_when_one_is_left() -> None:
    race = Field().seeds(3, 90.0, 40.0, 20.0).race()
    assert [c.name for c in race.racing] == ["trial 0"]
    assert (race.won, race.waits, race.needed) == (True, False, [])
    assert race.out[0].behind(race.racing[0]) == pytest.approx(50, abs=1)


def test_a_race_is_over_after_its_last_seed_without_a_winner_among_equals() -> None:
    race = Field().seeds(6, 90.0, 90.1, 90.2).race()
    assert (race.looked, race.waits, race.needed, race.won) == (6, False, [], False)
    assert len(race.racing) == 3


def test_seeds_beyond_the_last_are_not_looked_at() -> None:
    field = Field().seeds(6, 90.0, 90.1)
    assert field.race(level(max_seeds=4)).looked == 4


def test_given_seeds_are_all_looked_at_at_once() -> None:
    fidelity = level((0, 1, 2, 3))
    assert Field().seeds(3, 90.0, 20.0).race(fidelity).looked == 0
    race = Field().seeds(4, 90.0, 20.0).race(fidelity)
    assert (race.looked, [c.left for c in race.out]) == (4, [4])


def test_the_seeds_of_a_race_are_the_fidelitys_and_then_the_next_integers() -> None:
    assert level((3, 11)).all_seeds == (3, 11, 12, 13, 14, 15)
    assert level((3,), max_seeds=2).all_seeds == (3, 4)
    assert Fidelity.model_validate({**LEVEL, "seeds": [5, 2]}).all_seeds == (5, 2)


def test_a_candidate_whose_training_fails_leaves_as_failed_and_no_one_wins_by_that_alone() -> None:
    field = Field().seeds(1, 90.0, 89.0)
    field.add(0, 1, 90.0)
    field.add(1, 1, failure="nan")
    race = field.race()
    assert [(c.name, c.left, c.failure) for c in race.out] == [("trial 1", 2, "nan: the loss is nan")]
    assert (race.waits, race.won, [c.name for c in race.racing]) == (False, False, ["trial 0"])


def test_the_others_race_on_when_one_has_failed() -> None:
    field = Field().seeds(3, 90.0, 20.0)
    field.add(7, 0, failure="oom")
    race = field.race()
    assert race.won
    assert {c.name: bool(c.failure) for c in race.out} == {"trial 1": False, "trial 6": True}


def test_where_all_fail_nobody_is_left() -> None:
    field = Field()
    field.add(0, 0, failure="nan")
    field.add(1, 0, failure="nan")
    race = field.race()
    assert (race.racing, race.won, race.waits, race.resolvable) == ((), False, False, None)


def test_a_race_is_on_the_first_measured_objective_and_knows_which_way_is_better() -> None:
    field = Field()
    for seed in range(4):
        field.add(0, seed, 5.0, 2.00 + 0.01 * seed)
        field.add(1, seed, 5.0, 0.50 - 0.01 * seed)
    race = field.race(objectives={"macs": "minimize", "loss": "minimize"})
    assert race.metric == "loss"
    assert [c.name for c in race.racing] == ["trial 1"]


def test_by_pareto_nobody_is_put_out_by_a_dearer_one() -> None:
    def raced(by: str, cost: float) -> list[str]:
        field = Field()
        for seed in range(4):
            field.add(0, seed, 90.0 + 0.1 * seed, cost)
            field.add(1, seed, 50.0 - 0.2 * seed, 7.0)
        return [c.name for c in field.race(level(by=by), {"top1": "maximize", "macs": "minimize"}).racing]

    assert raced("pareto", 8.0) == ["trial 0", "trial 1"]
    assert raced("pareto", 7.0) == raced("pareto", 6.0) == raced("value", 8.0) == ["trial 0"]


def test_replaying_does_not_depend_on_the_order_of_the_trials() -> None:
    field = Field().seeds(4, 90.0, 70.0, 20.0)
    expected = [(c.name, c.left) for c in field.race().candidates]
    field.trials.reverse()
    assert [(c.name, c.left) for c in field.race().candidates] == expected


def test_the_images_are_those_of_the_stored_meaning() -> None:
    assert images_of({"fidelities.full.race": {"images": 500}}, "full") == 500
    assert images_of({}, "full") is None
