from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from dcasearch.analysis.spending import spending_of
from dcasearch.store import Store
from dcasearch.trial import State
from tests.analysis.test_curves import record, records_of, role, standing_of, trial


def test_every_second_counts_once_and_saved_ones_do_not(tmp_path: Path) -> None:
    evaluations = {
        "a": record("a", [1, 2, 3, 4], reused=15.0),
        "b": record("b", [1, 2]),
        "p": record("p", [5]),
        "f": record("a", [1, 2, 3], seed=1000),
    }
    trials = [trial(0, "a", "a", 4), trial(1, "b", "b", 2, State.PRUNED), trial(2, "a", "a", 4, State.DUPLICATE)]
    roles = [
        role("plain", "baseline", "p", "p"),
        role("vanilla se", "baseline", "a", "a"),  # the same training as trial 0
        role("winner", "final", "a", "f", 1000),
    ]
    store = Store.open(f"sqlite:///{tmp_path}/study.db", create=True)
    spending = spending_of(store, standing_of(trials), records_of(evaluations, roles))
    assert [(t.purpose, t.name, t.epochs, t.seconds, t.reused) for t in spending.trainings] == [
        ("final trainings", "chosen", 3, 30.0, 0.0),
        ("complete trials", "trial 0", 4, 25.0, 15.0),
        ("pruned trials", "trial 1", 2, 20.0, 0.0),
        ("baselines", "plain", 1, 10.0, 0.0),
    ]
    assert (spending.seconds, spending.reused, spending.pruned) == (85.0, 15.0, 20.0)
    assert spending.of("proxy", "baselines") == 10.0
    assert spending.lost == ()


def test_failures_without_a_curve_lost_an_unknown_time(tmp_path: Path) -> None:
    store = Store.open(f"sqlite:///{tmp_path}/study.db", create=True)
    failed = replace(trial(0, "a", None, 0, State.FAILED), failure="nan")
    [lost] = spending_of(store, standing_of([failed]), records_of({})).lost
    assert (lost.trials, lost.epochs, lost.seconds) == (1, 0, None)
