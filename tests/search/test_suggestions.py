from __future__ import annotations

from collections.abc import Callable

import optuna
import pytest

from dcasearch.search.suggestions import REPEATS_BEFORE_COUNTING, UNUSABLE_AFTER_A_DRAW, UNUSABLE_IN_A_ROW
from dcasearch.space import read_space
from dcasearch.trial import State
from tests.search.support import Bench, proxy
from tests.support import Simulated


def test_the_budget_counts_trained_trials_only(bench: Callable[..., Bench]) -> None:
    ledger = bench(fidelities=proxy(trials=8)).run()
    trained = [trial for trial in ledger if trial.state is State.COMPLETE]
    assert len(trained) == 8
    assert {trial.state for trial in ledger} <= {State.COMPLETE, State.DUPLICATE}


def test_a_space_that_is_used_up_ends_cleanly(bench: Callable[..., Bench]) -> None:
    space = {"backbone": {"name": "resnet18", "stem": "small"}, "attention": {"name": "se", "reduction": [4, 8, 16]}}
    run = bench(space=space, fidelities=proxy(trials=50))
    work = run.trials()
    Simulated().run(work)
    assert sum(trial.state is State.COMPLETE for trial in run.ledger()) == 3
    assert work.ended is not None
    assert "used up" in work.ended
    assert len(run.ledger()) < 3 + 2 * REPEATS_BEFORE_COUNTING  # it takes note of repeats soon


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")  # of the sampler that this test uses
def test_a_sampler_that_repeats_itself_gives_way_to_random_draws_and_the_sooner_the_second_time(
    bench: Callable[..., Bench],
) -> None:
    run = bench(fidelities=proxy(trials=6))
    work = run.trials()
    point = next(iter(read_space(run.study.space).enumerate()))
    study = work.ledger.optuna
    study.sampler = optuna.samplers.PartialFixedSampler(point.params, study.sampler)
    Simulated().run(work)
    trained = [trial for trial in run.ledger() if trial.state is not State.DUPLICATE]
    assert [trial.origin for trial in trained] == ["sampled"] + ["random"] * 5
    assert len(run.ledger()) == 6 + UNUSABLE_IN_A_ROW + 4 * UNUSABLE_AFTER_A_DRAW


def test_grid_trains_every_distinct_architecture_once(bench: Callable[..., Bench]) -> None:
    run = bench(
        sampler={"name": "grid"}, fidelities=[{"name": "proxy", "resolution": 16, "epochs": 2, "trials": 10_000}]
    )
    ledger = run.run()
    expected = {point.architecture.id for point in read_space(run.study.space).enumerate()}
    assert {trial.architecture_id for trial in ledger} == expected
    assert len(ledger) == len(expected)
    assert {trial.state for trial in ledger} == {State.COMPLETE}
