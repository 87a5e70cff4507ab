from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dcasearch import study as study_room
from dcasearch.analysis.standing import standing_of
from dcasearch.errors import StudyChanged, TrialFailure
from dcasearch.evaluation import Epoch
from dcasearch.search.ledger import Ledger
from dcasearch.search.work import Event, Job, Work
from dcasearch.space import load_study
from dcasearch.store import Store
from tests.support import DriverDied, Simulated, accuracy, make_evaluation

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
    names = [job.assignment.fidelity.name for job in ran]
    first_full, last_proxy = names.index("full"), len(names) - 1 - names[::-1].index("proxy")
    assert first_full < last_proxy
    promoted = [t for t in store.trials("tiny", "full") if t.origin == "promoted"]
    assert len(promoted) == 4  # an early leader fills one of the places, whatever came later
    assert len([t for t in store.trials("tiny", "full") if t.origin == "promoted_random"]) == 1


def test_a_grid_of_several_seeds_promotes_by_the_mean_over_them(
    write_study: Callable[..., Path], tmp_path: Path
) -> None:
    store = Store.open(f"sqlite:///{tmp_path}/study.db", create=True)
    proxy = {"name": "proxy", "resolution": 16, "epochs": 2, "seeds": [0, 1]}
    full = {"name": "full", "resolution": 16, "epochs": 3, "promote": {"top": 1}}
    space = {"backbone": {"name": "mobilenet_v2", "width": 0.1}, "attention": {"name": ["none", "se", "simam", "eca"]}}
    written = write_study(fidelities=[proxy, full], sampler={"name": "grid"}, space=space)
    study_room.run(load_study(written), store, Simulated())
    values: dict[str, list[float]] = {}
    for trial in store.trials("tiny", "proxy"):
        values.setdefault(trial.architecture_id, []).append((trial.values or (0.0,))[0])
    assert {len(of_network) for of_network in values.values()} == {2}
    best = max(values, key=lambda id: sum(values[id]))
    assert [trial.architecture_id for trial in store.trials("tiny", "full")] == [best]


def test_at_every_moment_no_more_are_promoted_early_than_their_share_of_those_that_ended(
    run: Callable[..., tuple[list[Job], Store]],
) -> None:
    ran, _ = run(random=0)
    ended = 0
    full = 0
    for job in ran:
        ended += job.assignment.fidelity.name == "proxy"
        full += job.assignment.fidelity.name == "full"
        assert full <= 4 * ended // 12


def test_without_it_promotion_waits_for_the_last_proxy_and_takes_the_best(
    run: Callable[..., tuple[list[Job], Store]],
) -> None:
    ran, store = run(asynchronous=False, random=0)
    names = [job.assignment.fidelity.name for job in ran]
    assert names == sorted(names, reverse=True)  # proxy … full
    scores = {
        job.assignment.architecture.id: accuracy(job, 2) for job in ran if job.assignment.fidelity.name == "proxy"
    }
    best = sorted(scores, key=lambda id: -scores[id])[:4]
    assert [t.architecture_id for t in store.trials("tiny", "full")] == best


def test_a_driver_that_dies_promotes_nothing_twice(run: Callable[..., tuple[list[Job], Store]]) -> None:
    for moment in (9, 23, 37):
        with pytest.raises(DriverDied):
            run(Simulated(die_at=moment))
    _, store = run()
    sources = [t.attributes["of"] for t in store.trials("tiny", "full")]
    assert len(sources) == len(set(sources)) == 5


def test_more_places_are_filled_though_random_promotions_have_places_of_their_own(
    run: Callable[..., tuple[list[Job], Store]],
) -> None:
    for top in (4, 6):
        _, store = run(top=top, random=2)
        assert sum(trial.origin == "promoted" for trial in store.trials("tiny", "full")) == top


@pytest.mark.parametrize("first", [True, False], ids=["after an asynchronous one", "after a synchronous one"])
def test_the_third_fidelity_counts_the_trials_that_are_planned_not_those_that_are_begun(
    write_study: Callable[..., Path], tmp_path: Path, first: bool
) -> None:
    fidelities = [
        {"name": "proxy", "trials": 12, "resolution": 16, "epochs": 1},
        {"name": "mid", "resolution": 16, "epochs": 2, "promote": {"top": 6, "asynchronous": first}},
        {"name": "full", "resolution": 16, "epochs": 3, "promote": {"top": 2, "asynchronous": True}},
    ]
    executor = Simulated()
    store = Store.open(f"sqlite:///{tmp_path}/study.db", create=True)
    study_room.run(load_study(write_study(fidelities=fidelities)), store, executor)
    ran = [job.assignment.fidelity.name for job in executor.ran]
    assert [ran[:n].count("mid") for n, name in enumerate(ran) if name == "full"] == [3, 6]


def test_a_network_of_several_seeds_goes_on_once_all_of_them_have_ended(
    write_study: Callable[..., Path], tmp_path: Path
) -> None:
    fidelities = [
        {"name": "proxy", "trials": 12, "resolution": 16, "epochs": 1},
        {"name": "mid", "resolution": 16, "epochs": 2, "promote": {"top": 4}, "seeds": [0, 1]},
        {"name": "full", "resolution": 16, "epochs": 3, "promote": {"top": 2, "asynchronous": True}},
    ]
    executor = Simulated()
    store = Store.open(f"sqlite:///{tmp_path}/study.db", create=True)
    study_room.run(load_study(write_study(fidelities=fidelities)), store, executor)
    seeds: Counter[str] = Counter()
    for job in executor.ran:
        seeds[job.assignment.architecture.id] += job.assignment.fidelity.name == "mid"
        assert job.assignment.fidelity.name != "full" or seeds[job.assignment.architecture.id] == 2


SHORT = {"name": "proxy", "trials": 6, "resolution": 16, "epochs": 1}
RACE = {"name": "full", "resolution": 16, "epochs": 2, "promote": {"top": 2, "random": 1, "race": {"max_seeds": 4}}}


class Levels(Simulated):
    """Trains with the accuracies of a few levels and a noise of about half a point, the seed's own part included."""

    def __init__(self, gap: float, die_at: int | None = None, fail: Any = lambda job: None) -> None:
        super().__init__(die_at=die_at, fail=fail)
        self.gap = gap

    def _train(self, work: Any, job: Job) -> None:
        failure = self.fail(job)
        if failure is not None:
            work.fail(job, failure)
            return
        place = int(job.assignment.architecture.id[:4], 16) % 5
        noise = random.Random(f"{job.assignment.architecture.id} {job.assignment.seed}").gauss(0, 0.5)
        epochs = job.assignment.fidelity.epochs
        history = []
        for number in range(1, epochs + 1):
            top1 = 50.0 + self.gap * place + noise + job.assignment.seed
            history.append(Epoch(epoch=number, train_loss=1, values={"loss": 1, "top1": top1, "top5": 99}, seconds=0))
            self._tick()
            work.report(job, history[-1])
        self._tick()
        work.finish(job, make_evaluation(job, tuple(history)))


@pytest.fixture
def race(write_study: Callable[..., Path], tmp_path: Path) -> Callable[..., tuple[list[Event], Store]]:
    def race(executor: Simulated, name: str = "race", **changes: Any) -> tuple[list[Event], Store]:
        store = Store.open(f"sqlite:///{tmp_path}/{name}.db", create=True)
        events: list[Event] = []
        written = {"fidelities": [SHORT, RACE], "artifacts": str(tmp_path / name), **changes}
        study_room.run(load_study(write_study(**written)), store, executor, events.append)
        return events, store

    return race


def raced(store: Store, fidelity: str = "full") -> list[tuple[Any, int]]:
    return [(t.attributes["of"], t.seed) for t in store.trials("tiny", fidelity)]


def test_a_race_gives_seeds_to_those_not_told_apart_and_none_to_those_that_left(
    race: Callable[..., tuple[list[Event], Store]],
) -> None:
    events, store = race(Levels(gap=8.0))
    standing = standing_of(store, "tiny").fidelities[1].race
    assert standing is not None
    assert standing.out
    for candidate in standing.candidates:
        expected = standing.looked if candidate.left is None else candidate.left
        assert [trial.seed for trial in candidate.trials] == list(range(1, expected + 1))
    notes = [event.message for event in events if event.kind == "note" and event.message.startswith("race")]
    assert [note.split(":")[0] for note in notes] == [f"race, {n} seeds" for n in range(2, standing.looked + 1)]
    assert "; it is over, " in notes[-1]
    assert all(t.origin in ("promoted", "promoted_random") for t in store.trials("tiny", "full"))


def test_without_a_difference_a_race_ends_at_its_last_seed(race: Callable[..., tuple[list[Event], Store]]) -> None:
    _, store = race(Levels(gap=0.0))
    assert raced(store) == [(of, seed) for seed in range(1, 5) for of in dict(raced(store))]
    assert len(raced(store)) == 12


def test_a_driver_that_dies_at_any_call_races_to_the_same_ledger(
    race: Callable[..., tuple[list[Event], Store]],
) -> None:
    undisturbed = Levels(gap=3.0)
    _, expected = race(undisturbed)
    deaths = 0
    while True:
        try:
            _, store = race(Levels(gap=3.0, die_at=11), "dying")
            break
        except DriverDied:
            deaths += 1
    assert deaths > 4
    assert store.trials("tiny", "full") == expected.trials("tiny", "full")
    assert store.trials("tiny", "proxy") == expected.trials("tiny", "proxy")


def test_a_driver_that_dies_while_it_plans_seeds_races_to_the_same_ledger(
    race: Callable[..., tuple[list[Event], Store]], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, expected = race(Levels(gap=3.0))
    original = Ledger.enqueue
    countdown = [0]

    def dying(self: Ledger, *args: Any, **kwargs: Any) -> None:
        countdown[0] -= 1
        if countdown[0] == 0:
            raise DriverDied
        original(self, *args, **kwargs)

    monkeypatch.setattr(Ledger, "enqueue", dying)
    deaths = 0
    while True:
        countdown[0] = 4
        try:
            _, store = race(Levels(gap=3.0), "dying")
            break
        except DriverDied:
            deaths += 1
    assert deaths > 1
    assert store.trials("tiny", "full") == expected.trials("tiny", "full")


class Parallel(Levels):
    """Has three slots, whose jobs end in any order."""

    def run(self, work: Work) -> None:
        order = random.Random(4)
        slots: list[Job] = []
        while True:
            while len(slots) < 3 and (job := work.ask()) is not None:
                slots.append(job)
            if not slots:
                return
            self._train(work, slots.pop(order.randrange(len(slots))))


def test_a_race_gives_the_same_ledger_with_several_workers(race: Callable[..., tuple[list[Event], Store]]) -> None:
    _, alone = race(Levels(gap=3.0))
    _, parallel = race(Parallel(gap=3.0), "parallel")
    assert parallel.trials("tiny", "full") == alone.trials("tiny", "full")


def test_a_finished_race_is_not_run_again(race: Callable[..., tuple[list[Event], Store]]) -> None:
    race(Levels(gap=3.0))
    again = Levels(gap=3.0)
    race(again)
    assert again.ran == []


def test_more_seeds_extend_a_race_in_which_some_were_not_told_apart(
    race: Callable[..., tuple[list[Event], Store]],
) -> None:
    race(Levels(gap=0.0))
    longer = {**RACE, "promote": {**RACE["promote"], "race": {"max_seeds": 5}}}  # type: ignore[dict-item]  # a mapping
    again = Levels(gap=0.0)
    race(again, fidelities=[SHORT, longer])
    assert len(again.ran) == 3
    assert {job.assignment.seed for job in again.ran} == {5}
    with pytest.raises(StudyChanged, match=r"race\.max_seeds: 5 in the database, 4 in the YAML"):
        race(Levels(gap=0.0))


def test_more_that_are_promoted_join_a_race(race: Callable[..., tuple[list[Event], Store]]) -> None:
    _, store = race(Levels(gap=8.0), fidelities=[SHORT, {**RACE, "promote": {"top": 2, "race": {"max_seeds": 4}}}])
    before = {of for of, _ in raced(store)}
    _, store = race(Levels(gap=8.0), fidelities=[SHORT, {**RACE, "promote": {"top": 4, "race": {"max_seeds": 4}}}])
    after = {of for of, _ in raced(store)}
    assert before < after
    assert len(after) == 4
    for of in after:
        assert sum(other == of for other, _ in raced(store)) >= 2


def test_a_candidate_that_fails_leaves_the_race_and_the_others_go_on(
    race: Callable[..., tuple[list[Event], Store]],
) -> None:
    def fail(job: Job) -> TrialFailure | None:
        return TrialFailure("oom", "9 GB") if job.label == "full trial 5" else None

    _, store = race(Levels(gap=0.0, fail=fail))
    standing = standing_of(store, "tiny").fidelities[1].race
    assert standing is not None
    assert [(c.left, c.failure) for c in standing.out] == [(2, "oom: 9 GB")]
    assert [len(c.trials) for c in standing.racing] == [4, 4]


def test_a_single_candidate_is_trained_once(race: Callable[..., tuple[list[Event], Store]]) -> None:
    _, store = race(Levels(gap=3.0), fidelities=[{**SHORT, "trials": 1}, RACE])
    assert [seed for _, seed in raced(store)] == [1]


def test_those_still_in_a_race_are_promoted_before_those_that_left_it(
    race: Callable[..., tuple[list[Event], Store]],
) -> None:
    last = {"name": "last", "resolution": 16, "epochs": 3, "promote": {"top": 2}}
    _, store = race(Levels(gap=8.0), fidelities=[SHORT, RACE, last])
    standing = standing_of(store, "tiny").fidelities[1].race
    assert standing is not None
    order = [*standing.racing, *standing.out]
    assert [of for of, _ in raced(store, "last")] == [candidate.trials[0].number for candidate in order[:2]]


def test_promotion_from_several_seeds_goes_by_their_mean(race: Callable[..., tuple[list[Event], Store]]) -> None:
    middle = {"name": "full", "resolution": 16, "epochs": 2, "promote": {"top": 4}, "seeds": [0, 1, 2]}
    last = {"name": "last", "resolution": 16, "epochs": 3, "promote": {"top": 1}}
    _, store = race(Simulated(), fidelities=[PROXY, middle, last])
    by_architecture: dict[str, list[float]] = {}
    for trial in store.trials("tiny", "full"):
        by_architecture.setdefault(trial.architecture_id, []).extend(trial.values or ())
    best = max(by_architecture, key=lambda id: sum(by_architecture[id]))
    assert [trial.architecture_id for trial in store.trials("tiny", "last")] == [best]


def test_a_race_that_is_added_to_a_finished_study_trains_fresh_seeds_of_those_promoted(
    race: Callable[..., tuple[list[Event], Store]],
) -> None:
    plain = {**RACE, "promote": {"top": 2, "random": 1}}
    _, store = race(Levels(gap=0.0), fidelities=[SHORT, plain])
    assert [seed for _, seed in raced(store)] == [0, 0, 0]
    _, store = race(Levels(gap=0.0))
    assert [seed for _, seed in raced(store)] == [seed for seed in range(5) for _ in range(3)]
    winner = standing_of(store, "tiny").winner
    assert winner is not None
    assert [trial.seed for trial in winner.trials] == [1, 2, 3, 4]
