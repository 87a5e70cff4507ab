from __future__ import annotations

from collections.abc import Iterator

import pytest

from dcasearch import study as study_room
from dcasearch.analysis.trials import TrialTable, trials_of
from dcasearch.errors import UserError
from dcasearch.space import LoadedStudy, read_space
from dcasearch.store import Store
from tests.support import Simulated, make_study

TABLE = TrialTable(
    ("trial", "state", "network", "top1", "params"),
    (
        {"trial": 0, "state": "complete", "network": "SE r=16", "top1": 40.5, "params": 1_200_000},
        {"trial": 1, "state": "failed", "network": "CBAM r=8", "top1": None, "params": 900_000},
        {"trial": 2, "state": "complete", "network": "SE r=8, dense", "top1": 42.0, "params": 2_000_000},
    ),
    "top1",
)


def numbers(table: TrialTable) -> list[object]:
    return [row["trial"] for row in table.rows]


@pytest.mark.parametrize(
    ("conditions", "left"),
    [
        ([], [0, 1, 2]),
        (["state=complete"], [0, 2]),
        (["state!=complete"], [1]),
        (["top1>40.5"], [2]),
        (["top1>=40.5"], [0, 2]),
        (["top1 < 42"], [0]),
        (["params<1.5M"], [0, 1]),
        (["params=2M"], [2]),
        (["network~se"], [0, 2]),
        (["network~SE", "params<=1.2M"], [0]),
        (["top1!=42"], [0, 1]),
        (["trial=1"], [1]),
    ],
)
def test_conditions_choose_trials(conditions: list[str], left: list[int]) -> None:
    assert numbers(TABLE.where(conditions)) == left


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("top1", "'top1' is no condition; write e.g. state=complete"),
        ("top>3", "'top' is not a column; did you mean 'top1'"),
        ("params<many", "< compares numbers, and 'many' is none"),
    ],
)
def test_what_is_no_condition_is_told(condition: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        TABLE.where([condition])


def test_rows_are_sorted_and_those_without_a_value_come_last() -> None:
    assert numbers(TABLE.sorted_by("top1")) == [0, 2, 1]
    assert numbers(TABLE.sorted_by("-top1")) == [2, 0, 1]
    assert numbers(TABLE.sorted_by("network")) == [1, 0, 2]
    with pytest.raises(UserError, match="'top2' is not a column"):
        TABLE.sorted_by("-top2")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder = tmp_path_factory.mktemp("trials")
    zero = {"name": "zero", "kind": "zero_cost", "score": "synflow", "trials": 4, "resolution": 16}
    later = {"name": "proxy", "promote": {"top": 2}, "resolution": 16, "epochs": 2}
    study = make_study(artifacts=str(folder), fidelities=[zero, later])
    with Store.open(f"sqlite:///{folder}/study.db", create=True) as opened:
        study_room.run(LoadedStudy(study, read_space(study.space), folder, frozenset()), opened, Simulated())
        yield opened


def test_a_trial_has_its_network_in_words_its_values_costs_and_parameters(store: Store) -> None:
    table = trials_of(store, "tiny", "proxy")
    row = table.rows[0]
    assert row["state"] == "complete"
    assert str(row["network"]).startswith("SE r=")  # all have one backbone
    assert row["top1"] is not None
    assert row["params"] is not None
    assert row["params.attention.reduction"] in (8, 16)
    assert len(str(row["architecture"])) == 16
    assert all(set(row) == set(table.columns) for row in table.rows)


def test_scores_are_values_too(store: Store) -> None:
    zero = trials_of(store, "tiny").where(["fidelity=zero", "state=complete"])
    assert zero.rows
    assert all(row["score"] is not None and row["top1"] is None for row in zero.rows)


def test_an_unknown_fidelity_is_told(store: Store) -> None:
    with pytest.raises(UserError, match="study 'tiny' has no fidelity 'prox'; did you mean 'proxy'"):
        trials_of(store, "tiny", "prox")
