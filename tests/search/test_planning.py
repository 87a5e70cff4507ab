from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dcasearch import study as study_room
from dcasearch.search.work import Job
from dcasearch.space import load_study
from dcasearch.store import Store
from tests.support import DriverDied, Simulated, accuracy

PROXY = {"name": "proxy", "trials": 12, "resolution": 16, "epochs": 2}
FULL = {"name": "full", "resolution": 16, "epochs": 3, "promote": {"top": 4, "random": 1, "asynchronous": True}}


@pytest.fixture
def run(write_study: Callable[..., Path], tmp_path: Path) -> Callable[..., tuple[list[Job], Store]]:
    def run(executor: Any = None, **promote: Any) -> tuple[list[Job], Store]:
        full = {**FULL, "promote": {**FULL["promote"], **promote}}  # type: ignore[dict-item]  # a mapping
        store = Store.open(f"sqlite:///{tmp_path}/study.db", create=True)
        executor = executor or Simulated()
        study_room.run(load_study(write_study(fidelities=[PROXY, full])), store, executor)
        return executor.ran, store

    return run


def test_asynchronous_promotion_trains_at_the_next_fidelity_while_proxies_still_run(
    run: Callable[..., tuple[list[Job], Store]],
) -> None:
    ran, store = run()
    names = [job.task.fidelity.name for job in ran]
    first_full, last_proxy = names.index("full"), len(names) - 1 - names[::-1].index("proxy")
    assert first_full < last_proxy
    promoted = [t for t in store.trials("tiny", "full") if t.origin == "promoted"]
    assert len(promoted) == 4  # an early leader fills one of the places, whatever came later
    assert len([t for t in store.trials("tiny", "full") if t.origin == "promoted_random"]) == 1


def test_at_every_moment_no_more_are_promoted_early_than_their_share_of_those_that_ended(
    run: Callable[..., tuple[list[Job], Store]],
) -> None:
    ran, _ = run(random=0)
    ended = 0
    full = 0
    for job in ran:
        ended += job.task.fidelity.name == "proxy"
        full += job.task.fidelity.name == "full"
        assert full <= 4 * ended // 12


def test_without_it_promotion_waits_for_the_last_proxy_and_takes_the_best(
    run: Callable[..., tuple[list[Job], Store]],
) -> None:
    ran, store = run(asynchronous=False, random=0)
    names = [job.task.fidelity.name for job in ran]
    assert names == sorted(names, reverse=True)  # proxy … full
    scores = {job.task.architecture.id: accuracy(job, 2) for job in ran if job.task.fidelity.name == "proxy"}
    best = sorted(scores, key=lambda id: -scores[id])[:4]
    assert [t.architecture_id for t in store.trials("tiny", "full")] == best


def test_a_driver_that_dies_promotes_nothing_twice(run: Callable[..., tuple[list[Job], Store]]) -> None:
    for moment in (9, 23, 37):
        with pytest.raises(DriverDied):
            run(Simulated(die_at=moment))
    _, store = run()
    sources = [t.attributes["of"] for t in store.trials("tiny", "full")]
    assert len(sources) == len(set(sources)) == 5
