"""The headline metric of each class: of whom it is shown, in which order, and what is left out of many."""

from __future__ import annotations

from typing import Any

from dcasearch.analysis.classes import class_table_of
from dcasearch.analysis.standing import Compared, FidelityStanding, Standing
from dcasearch.metrics import METRICS
from tests.support import make_study


def network(name: str, metric: str = "ap", **of_classes: tuple[float, ...]) -> Compared:
    seeds = tuple(range(max(map(len, of_classes.values()), default=1)))
    return Compared(
        name=name,
        architecture_id="a",
        seeds=seeds,
        headline=METRICS[metric],
        values={metric: (1.0,) * len(seeds)},
        of_classes=of_classes,
    )


def standing(*leaders: Compared | None, finals: tuple[Compared, ...] = ()) -> Standing:
    def level(number: int, leader: Compared | None) -> FidelityStanding:
        empty: dict[str, Any] = {"trials": (), "counts": {}, "baselines": (), "suspended": ()}
        return FidelityStanding(name=f"level{number}", leader=leader, **empty)

    fidelities = tuple(level(*one) for one in enumerate(leaders))
    return Standing(study=make_study(), fidelities=fidelities, finals=finals, winner=None, seconds=0.0)


def test_classes_are_means_over_the_seeds_of_the_last_leader_and_of_the_winner_the_worst_first() -> None:
    first = network("trial 0", cat=(99.0,), dog=(98.0,))
    last = network("trial 3", cat=(20.0, 30.0), dog=(50.0, 40.0))
    finals = (network("winner", dog=(10.0,), cat=(60.0,)), network("plain", cat=(1.0,), dog=(2.0,)))
    table = class_table_of(standing(first, last, finals=finals))
    assert table is not None
    assert table.columns == ("AP %, level1", "AP %, final")
    assert table.rows == (("dog", (45.0, 10.0)), ("cat", (25.0, 60.0)))
    assert table.cells() == [("dog", "45.00", "10.00"), ("cat", "25.00", "60.00")]
    assert table.title == "AP of each class, the worst class first"
    assert table.says == "level1: trial 3, mean of 2 seeds. final: chosen, one seed, on the test split."
    before = class_table_of(standing(first, last))
    assert before is not None
    assert before.rows == (("cat", (25.0,)), ("dog", (45.0,)))


def test_of_a_metric_that_is_to_be_small_the_largest_is_the_worst() -> None:
    table = class_table_of(standing(network("trial 0", "loss", cat=(1.0,), dog=(2.0,), hen=(1.5,))))
    assert table is not None
    assert [name for name, _ in table.rows] == ["dog", "hen", "cat"]


def test_a_fidelity_without_classes_is_passed_over_and_without_any_there_is_no_table() -> None:
    table = class_table_of(standing(network("trial 0", cat=(1.0,)), network("trial 1"), None))
    assert table is not None
    assert table.columns == ("AP %, level0",)
    assert class_table_of(standing(network("trial 1"), None, finals=(network("winner"),))) is None
    assert class_table_of(standing()) is None


def test_a_class_that_one_network_was_not_measured_on_is_an_empty_cell_at_the_end() -> None:
    table = class_table_of(
        standing(network("trial 0", cat=(1.0,), ant=(3.0,)), finals=(network("winner", cat=(2.0,)),))
    )
    assert table is not None
    assert table.cells() == [("cat", "1.00", "2.00"), ("ant", "3.00", "")]


def test_of_many_classes_the_worst_and_the_best_are_kept() -> None:
    classes: dict[str, Any] = {f"class{n:02}": (float(n),) for n in range(13)}
    table = class_table_of(standing(network("trial 0", **classes)))
    assert table is not None
    worst, best, between = table.ends(each=5, most=12)
    assert [name for name, _ in worst] == [f"class{n:02}" for n in range(5)]
    assert [name for name, _ in best] == [f"class{n:02}" for n in range(8, 13)]
    assert between == 3
    assert table.ends(each=5, most=13) == (table.cells(), [], 0)
