"""Tables of finished trainings, and searches replayed on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dcasearch.architecture import Architecture, vanilla_of
from dcasearch.errors import UserError
from dcasearch.replay.comparison import compare, cost_of_all, to_aim
from dcasearch.replay.executor import look_up
from dcasearch.replay.searchers import SEARCHERS, StudySearcher
from dcasearch.replay.table import Head, Member, Row, Table, append, read_table, reliability
from dcasearch.space.reading import read_space

SPACE = {
    "backbone": {"name": "resnet18"},
    "attention": {"name": "se", "reduction": [8, 16]},
    "connections": {"dimensions": {"channel": [True, False]}, "function": ["direct", "weighted"]},
}
LEVEL = {"resolution": 16, "epochs": 2}
FIDELITIES = [
    {"name": "proxy", "trials": 1, **LEVEL},
    {"name": "warm", "promote": {"top": 1}, "initialize": {"name": "vanilla"}, **LEVEL},
    {"name": "long", "promote": {"top": 1}, "resolution": 16, "epochs": 4},
]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table in which the n-th architecture's truth is n, every epoch takes a second, and every level is right."""
    path = tmp_path_factory.mktemp("table") / "small.jsonl"
    study = {"name": "small", "space": SPACE, "data": {"name": "digits"}, "fidelities": FIDELITIES}
    found = {p.architecture.id: p.architecture for p in read_space(SPACE).enumerate()}
    append(path, [Head(name="small", study=study, classes=10, data="d", truth="long", truth_from=100)])
    for n, (id, architecture) in enumerate(found.items()):
        parent = vanilla_of(architecture).id
        append(path, [Member(architecture=id, spec=architecture.to_dict(), params=n, macs=n, parent=parent)])
        for fidelity, epochs in (("zico", 1), ("proxy", 2), ("warm", 2), ("warm.parent", 2), ("long", 4)):
            append(path, [row(id, fidelity, 0, epochs, n)])
        for seed in (100, 101):
            append(path, [row(id, "long", seed, 4, n + seed / 1000)])
    return path


def row(of: str, fidelity: str, seed: int, epochs: int, value: float) -> Row:
    sha = "s" if fidelity.endswith(".parent") else None
    values, ones = (value,) * epochs, (1.0,) * epochs
    return Row(of=of, fidelity=fidelity, seed=seed, values=values, losses=ones, seconds=ones, weights_sha256=sha)


@pytest.fixture
def table(file: Path) -> Table:
    return read_table(file)


def test_a_line_that_was_cut_off_is_passed_over_and_the_next_one_kept(file: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.jsonl"
    copy.write_bytes(file.read_bytes() + b'{"of":"half')
    one = row("another", "long", 7, 4, 1.0)
    append(copy, [one])
    assert set(read_table(copy).rows) - set(read_table(file).rows) == {("another", "long", 7)}


def test_what_is_no_table_is_a_user_error(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("hello\n")
    with pytest.raises(UserError, match="no table"):
        read_table(tmp_path / "x")


def test_no_search_sees_the_truth(table: Table) -> None:
    architecture = Architecture.parse(table.members[0].spec)
    assert table.seeds("long") == (0,)
    with pytest.raises(UserError, match="truth"):
        look_up(table, architecture, "long", 100)


def test_regret_is_0_at_the_best_and_1_at_the_median(table: Table) -> None:
    values = table.truth
    assert table.regret(max(values, key=values.__getitem__)) == 0
    assert np.median([table.regret(id) for id in values]) == pytest.approx(1)


def test_reliability_is_that_of_the_mean_and_knows_no_seed_effect() -> None:
    random = np.random.default_rng(0)
    effect, noise, seeds = random.normal(size=(4000, 1)), random.normal(size=(4000, 4)), np.array([0.0, 5, 10, 20])
    assert reliability(effect + noise + seeds) == pytest.approx(4 / 5, abs=0.02)  # Spearman-Brown of 1/2
    assert reliability(effect) is None


def test_a_study_is_charged_each_parent_once_and_finds_the_best(table: Table) -> None:
    steps = StudySearcher(("warm", "long"), {"name": "grid"}, tops=(2,))(table, 0)
    parents = {member.parent for member in table.members}
    assert steps[-1].seconds == 2 * len(table.members) + 2 * len(parents) + 2 * 4
    assert table.regret(steps[-1].recommended) == 0


def test_to_the_aim_is_from_where_the_mean_stays_below_it() -> None:
    assert to_aim([[(1, 0.0), (2, 1.0), (3, 0.0)], [(1, 0.0), (4, 0.1)]]) == 3
    assert to_aim([[(1, 0.0)], [(1, 0.3)]]) is None


def test_every_searcher_can_be_replayed(table: Table) -> None:
    found = compare(table, SEARCHERS, 1)
    assert [result.name for result in found.results] == list(SEARCHERS)
    assert found.every == cost_of_all(table) == 4 * len(table.members)
    by_name = {result.name: result for result in found.results}
    assert by_name["most parameters"].regret == 0
    assert by_name["random search"].to_aim is not None
    assert by_name["random pick"].seconds == 0


def test_several_processes_find_what_one_finds(table: Table) -> None:
    searchers = {name: SEARCHERS[name] for name in ("random pick", "optuna tpe")}
    assert compare(table, searchers, 2, processes=2) == compare(table, searchers, 2)
