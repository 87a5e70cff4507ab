"""A study's own trainings as a table."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from dcasearch.architecture import vanilla_of
from dcasearch.config.study import Study
from dcasearch.data import DataInfo
from dcasearch.errors import UserError
from dcasearch.replay.executor import TableExecutor
from dcasearch.replay.recorded import table_of
from dcasearch.replay.searchers import as_written, fitting
from dcasearch.replay.table import Head, Member, Row, Table
from dcasearch.space import LoadedStudy
from dcasearch.space.reading import read_space
from dcasearch.store import Store
from dcasearch.study import run

SPACE = {
    "backbone": {"name": "resnet18"},
    "attention": {"name": "se", "reduction": [8, 16]},
    "connections": {"dimensions": {"channel": [True, False]}, "function": ["direct", "weighted"]},
}
NETWORKS = 6
INFO = DataInfo(fingerprint="d", classes=10, train_images=1, validation_images=1, test_images=1)


def study_in(folder: Path, *, trials: int = NETWORKS, seeds: tuple[int, ...] = (0, 1, 2)) -> LoadedStudy:
    fidelities = [
        {"name": "proxy", "trials": trials, "resolution": 16, "epochs": 1},
        {
            "name": "warm",
            "promote": {"top": trials},
            "resolution": 16,
            "epochs": 1,
            "initialize": {"name": "vanilla", "epochs": 3},
        },
        {"name": "long", "promote": {"top": trials}, "resolution": 16, "epochs": 2, "seeds": seeds},
    ]
    written: dict[str, Any] = {
        "name": "whole",
        "space": SPACE,
        "data": {"name": "digits"},
        "sampler": {"name": "grid"},
        "fidelities": fidelities,
        "baselines": False,
        "storage": f"sqlite:///{folder / 'whole.db'}",
        "artifacts": str(folder / "artifacts"),
    }
    study = Study.model_validate(written)
    return LoadedStudy(study, read_space(SPACE), folder / "whole.yaml", frozenset())


def answers(study: Study) -> Table:
    """Every training that the study may ask for: the n-th network's value is n."""
    found = {p.architecture.id: p.architecture for p in read_space(SPACE).enumerate()}
    members, rows = [], {}
    for n, (id, architecture) in enumerate(found.items()):
        parent = vanilla_of(architecture).id
        members.append(Member(architecture=id, spec=architecture.to_dict(), params=n, macs=n, parent=parent))
        for seed in (0, 1, 2):
            for of, name, epochs in ((id, "proxy", 1), (parent, "warm.parent", 3), (id, "warm", 1), (id, "long", 2)):
                values, ones = (float(n),) * epochs, (1.0,) * epochs
                sha = "s" if name == "warm.parent" else None
                row = Row(of=of, fidelity=name, seed=seed, values=values, losses=ones, seconds=ones, weights_sha256=sha)
                rows[of, name, seed] = row
    head = Head(name="a", study=study.model_dump(mode="json"), classes=10, data="d", truth="long", truth_from=1000)
    return Table(head, tuple(members), rows)


def searched(loaded: LoadedStudy) -> Store:
    store = Store.open(loaded.study.storage, create=True)
    run(loaded, store, TableExecutor(answers(loaded.study), loaded.study), data=INFO)
    return store


def test_a_study_that_trained_its_whole_space_is_a_table(tmp_path: Path) -> None:
    loaded = study_in(tmp_path)
    with searched(loaded) as store:
        table = table_of(loaded, store)
    assert len(table.members) == NETWORKS
    assert (table.seeds("proxy"), table.seeds("long")) == ((0,), (0,))
    assert table.judged.shape == (NETWORKS, 2)
    assert {member.parent for member in table.members} == {of for of, name, _ in table.rows if name == "warm.parent"}


def test_that_study_itself_is_replayed_with_its_parents_charged(tmp_path: Path) -> None:
    loaded = study_in(tmp_path)
    with searched(loaded) as store:
        table = table_of(loaded, store)
    steps = as_written(table, 0)
    assert table.regret(steps[-1].recommended) == 0
    assert steps[-1].seconds == NETWORKS * (1 + 1 + 2) + 2 * 3
    assert "random search" in fitting(table)
    assert "dcasearch" not in fitting(table)  # which asks for scores


def test_a_study_that_trained_a_part_is_refused_with_what_is_lacking(tmp_path: Path) -> None:
    loaded = study_in(tmp_path, trials=3)
    with (
        searched(loaded) as store,
        pytest.raises(UserError, match=r"6 architectures[^$]*trained[^$]*proxy: 3 with one common seed"),
    ):
        table_of(loaded, store)


def test_a_study_without_further_seeds_has_no_truth(tmp_path: Path) -> None:
    loaded = study_in(tmp_path, seeds=(0,))
    with searched(loaded) as store, pytest.raises(UserError, match="long: 0 with one common seed from 1 on"):
        table_of(loaded, store)


def test_a_study_that_was_never_run_is_refused(tmp_path: Path) -> None:
    loaded = study_in(tmp_path)
    with Store.open(loaded.study.storage, create=True) as store, pytest.raises(UserError, match="run it first"):
        table_of(loaded, store)


def test_a_study_that_decides_by_what_tables_do_not_hold_is_refused(tmp_path: Path) -> None:
    loaded = study_in(tmp_path)
    other = dataclasses.replace(
        loaded, study=loaded.study.model_copy(update={"objectives": {"macro_f1": "maximize"}, "metrics": ("auroc",)})
    )
    with (
        Store.open(loaded.study.storage, create=True) as store,
        pytest.raises(UserError, match=r"tables hold top1 and loss, and it decides by macro_f1$"),
    ):
        table_of(other, store)


def test_a_study_of_another_task_is_refused(tmp_path: Path) -> None:
    loaded = study_in(tmp_path)
    other = dataclasses.replace(loaded, study=loaded.study.model_copy(update={"task": "detection"}))
    with (
        Store.open(loaded.study.storage, create=True) as store,
        pytest.raises(UserError, match="tables hold classifiers, and its task is detection"),
    ):
        table_of(other, store)
