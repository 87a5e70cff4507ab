from __future__ import annotations

from collections.abc import Callable
from typing import Any

import optuna
import pytest

from dcasearch.store import Store
from tests.search.support import HALVING, Bench, proxy
from tests.support import DriverDied, Simulated, accuracy

STUDIES = {
    "random": {"fidelities": proxy(pruner=HALVING)},
    "tpe": {"sampler": {"name": "tpe", "seed": 1, "startup": 3}, "fidelities": proxy(pruner=HALVING)},
    "tpe, two objectives": {
        "sampler": {"name": "tpe", "seed": 1, "startup": 3},
        "objectives": {"top1": "maximize", "macs": "minimize"},
        "fidelities": proxy(pruner={"name": "median", "startup": 2}),
    },
    "nsga2": {
        "sampler": {"name": "nsga2", "seed": 1, "population": 4},
        "objectives": {"top1": "maximize", "macs": "minimize"},
        "fidelities": proxy(),
    },
    "grid": {"sampler": {"name": "grid"}, "fidelities": proxy()},
}


@pytest.mark.parametrize("name", STUDIES)
def test_a_driver_that_dies_at_any_call_leaves_the_same_ledger_in_the_end(
    bench: Callable[..., Bench], name: str
) -> None:
    undisturbed = bench(**STUDIES[name])
    executor = Simulated()
    undisturbed.run(executor)
    disturbed = bench(**STUDIES[name])
    deaths = 0
    while True:
        try:
            disturbed.run(Simulated(die_at=8))
            break
        except DriverDied:
            deaths += 1
    assert deaths >= executor.calls // 12
    assert disturbed.whole() == undisturbed.whole()


@pytest.mark.parametrize("table", ["store.put_trial", "store.record_and_put", "optuna.tell", "optuna.set_trial_param"])
def test_a_driver_that_dies_between_two_writes_leaves_the_same_ledger_in_the_end(
    bench: Callable[..., Bench], table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed, disturbed = bench(**STUDIES["tpe"]), bench(**STUDIES["tpe"])
    undisturbed.run()
    owner: Any = Store if table.startswith("store.") else optuna.Study
    method = table.split(".")[1]
    if method == "set_trial_param":
        owner = optuna.storages._CachedStorage
    original = getattr(owner, method)
    countdown = [0]

    def dying(*args: Any, **kwargs: Any) -> Any:
        countdown[0] -= 1
        if countdown[0] == 0:
            raise DriverDied
        return original(*args, **kwargs)

    monkeypatch.setattr(owner, method, dying)
    ended = False
    for attempt in range(200):
        countdown[0] = 3 + attempt // 2  # parameters are written together: what dies within them has none
        try:
            disturbed.run()
            ended = True
            break
        except DriverDied:
            continue
    assert ended
    monkeypatch.setattr(owner, method, original)
    assert disturbed.whole() == undisturbed.whole()


def test_simulated_accuracies_differ_between_architectures(bench: Callable[..., Bench]) -> None:
    executor = Simulated()
    bench().run(executor)
    assert len({accuracy(job, 1) for job in executor.ran}) == len(executor.ran)
