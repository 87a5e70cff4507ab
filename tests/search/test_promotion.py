from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dcasearch.config.study import Promotion
from dcasearch.metrics import Direction
from dcasearch.search.promotion import over_seeds, promote, promote_early
from dcasearch.trial import State, Trial

TOP1: dict[str, Direction] = {"top1": "maximize"}


def make_trial(number: int, *values: float, state: State = State.COMPLETE, architecture: str = "") -> Trial:
    return Trial(
        study="s",
        fidelity="proxy",
        number=number,
        state=state,
        origin="sampled",
        params={},
        architecture_id=architecture or f"a{number}",
        seed=0,
        values=values or None,
    )


def numbers(
    trials: list[Trial], promotion: Promotion, objectives: dict[str, Direction] = TOP1, seed: int = 0
) -> list[int]:
    return [promoted.trial.number for promoted in promote(trials, promotion, objectives, seed)]


def test_the_top_by_value_are_promoted_best_first() -> None:
    trials = [make_trial(n, value) for n, value in enumerate((10, 40, 30, 20))]
    assert numbers(trials, Promotion(top=2)) == [1, 2]


def test_pruned_failed_infeasible_and_duplicate_trials_are_not_promoted() -> None:
    others = [State.PRUNED, State.FAILED, State.INFEASIBLE, State.DUPLICATE, State.RUNNING]
    trials = [make_trial(0, 10.0), *(make_trial(n, state=state) for n, state in enumerate(others, start=1))]
    assert numbers(trials, Promotion(top=5)) == [0]


def test_one_network_is_promoted_once() -> None:
    trials = [make_trial(0, 40.0, architecture="x"), make_trial(1, 50.0, architecture="x"), make_trial(2, 30.0)]
    assert numbers(trials, Promotion(top=3)) == [0, 2]


def test_by_pareto_takes_the_front_before_a_dominated_better_first_value() -> None:
    objectives: dict[str, Direction] = {"top1": "maximize", "macs": "minimize"}
    trials = [make_trial(0, 80, 9), make_trial(1, 79, 9.5), make_trial(2, 60, 1)]
    assert numbers(trials, Promotion(top=2, by="pareto"), objectives) == [0, 2]


def test_random_ones_come_from_each_quantile_of_the_rest_with_their_probability() -> None:
    trials = [make_trial(n, float(100 - n)) for n in range(14)]
    promoted = promote(trials, Promotion(top=2, random=3), TOP1, seed=1)
    randoms = [p for p in promoted if p.origin == "promoted_random"]
    assert [2 + 12 * q // 3 <= p.trial.number < 2 + 12 * (q + 1) // 3 for q, p in enumerate(randoms)] == [True] * 3
    assert [p.probability for p in randoms] == [0.25] * 3


def test_promotion_is_a_function_of_trials_and_seed() -> None:
    trials = [make_trial(n, float(n)) for n in range(30)]
    promotion = Promotion(top=3, random=4)
    assert numbers(trials, promotion, seed=5) == numbers(list(reversed(trials)), promotion, seed=5)
    assert {tuple(numbers(trials, promotion, seed=s)) for s in range(10)} != {tuple(numbers(trials, promotion, seed=0))}


def test_more_random_ones_than_trials_promotes_each_once() -> None:
    trials = [make_trial(n, float(n)) for n in range(3)]
    assert sorted(numbers(trials, Promotion(top=1, random=9))) == [0, 1, 2]


def test_a_lower_tier_goes_before_any_value() -> None:
    trials = [make_trial(n, value) for n, value in enumerate((10, 40, 30, 20))]
    promoted = promote(trials, Promotion(top=3), TOP1, 0, {"a0": 0, "a1": 2, "a2": 1, "a3": 0})
    assert [p.trial.number for p in promoted] == [3, 0, 2]


def test_over_seeds_is_the_first_trial_of_each_network_with_the_mean_of_its_seeds() -> None:
    trials = [make_trial(n, value, architecture=f"a{n % 2}") for n, value in enumerate((10.0, 40.0, 30.0, 20.0))]
    trials.append(make_trial(9, state=State.FAILED, architecture="a0"))
    assert [(t.number, t.values) for t in over_seeds(trials)] == [(0, (20.0,)), (1, (30.0,))]


def asynchronously(values: list[float], order: list[int], promotion: Promotion) -> tuple[list[int], list[int]]:
    """Let trials end in an order; return who is promoted, early or at the end, and who of them at random."""
    ended: list[Trial] = []
    early: set[int] = set()
    for number in order:
        ended.append(make_trial(number, values[number]))
        early |= {p.trial.number for p in promote_early(ended, promotion, TOP1, len(values), early=early)}
        assert len(early) <= promotion.top * len(ended) // len(values)
    chosen = promote(ended, promotion, TOP1, seed=0, early=early)
    by_origin = {
        origin: [p.trial.number for p in chosen if p.origin == origin] for origin in ("promoted", "promoted_random")
    }
    return by_origin["promoted"], by_origin["promoted_random"]


@given(st.integers(1, 12).flatmap(lambda n: st.permutations(range(n))), st.integers(1, 5), st.integers(0, 3))
def test_asynchronous_promotion_fills_as_many_places_as_the_synchronous_one_in_any_order(
    order: list[int], top: int, random: int
) -> None:
    values = [float(10 * n) for n in range(len(order))]
    promotion = Promotion(top=top, random=random)
    together = promote([make_trial(n, values[n]) for n in range(len(order))], promotion, TOP1, seed=0)
    promoted, drawn = asynchronously(values, order, promotion)
    assert len(promoted) == sum(p.origin == "promoted" for p in together)
    assert len(drawn) == sum(p.origin == "promoted_random" for p in together)
    assert not set(promoted) & set(drawn)


@given(st.integers(1, 12), st.integers(1, 5), st.integers(0, 3))
def test_asynchronous_promotion_is_the_synchronous_one_where_the_best_end_first(
    count: int, top: int, random: int
) -> None:
    values = [float(100 - n) for n in range(count)]
    promotion = Promotion(top=top, random=random)
    together = [p.trial.number for p in promote([make_trial(n, values[n]) for n in range(count)], promotion, TOP1, 0)]
    promoted, drawn = asynchronously(values, list(range(count)), promotion)
    assert promoted + drawn == together


def test_an_early_promotion_keeps_its_place_though_a_lower_number_of_its_network_completes_later() -> None:
    trials = [make_trial(3, 50.0, architecture="x")]
    assert [p.trial.number for p in promote_early(trials, Promotion(top=2), TOP1, 2)] == [3]
    trials += [make_trial(1, 40.0, architecture="x"), make_trial(2, 60.0)]
    chosen = promote(trials, Promotion(top=2), TOP1, seed=0, early={3})
    assert [p.trial.number for p in chosen] == [2, 3]
