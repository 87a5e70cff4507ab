from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from dcasearch import study as study_room
from dcasearch.analysis.measured import powers_of
from dcasearch.analysis.power import Measurement, power
from dcasearch.analysis.table import Table, TableRow, interval_of_mean, reached, table_of
from dcasearch.analysis.words import in_numbers, verdict
from dcasearch.config.study import Study
from dcasearch.errors import TrialFailure
from dcasearch.evaluation import Epoch
from dcasearch.metrics import METRICS
from dcasearch.models import cost
from dcasearch.report.rows import NOT_TRAINED, cells_of
from dcasearch.search.work import Job, Work
from dcasearch.space import LoadedStudy, read_space
from dcasearch.store import Store
from tests.support import Simulated, make_evaluation, make_study

BACKBONE: dict[str, Any] = {"name": "mobilenet_v2", "width": 0.1, "stem": "small"}
SE: dict[str, Any] = {"name": "se", "reduction": 4}
ROWS: list[dict[str, Any]] = [
    {"label": "plain", "backbone": BACKBONE},
    {"label": "SE", "backbone": BACKBONE, "attention": SE},
    {"label": "DCA-SE", "backbone": BACKBONE, "attention": SE, "connections": {"function": "learned"}},
    {"label": "wide", "backbone": BACKBONE, "attention": {"name": "se", "reduction": 2}, "against": "SE"},
]
LEVELS = {"plain": 20.0, "SE": 80.0, "DCA-SE": 80.2, "wide": 15.0}
NOISE = {0: 0.0, 1: 0.1, 2: -0.1}


class Made(Simulated):
    """Gives every label its level, every seed a little noise, and every epoch a point."""

    def _train(self, work: Work, job: Job) -> None:
        failure = self.fail(job)
        if failure is not None:
            work.fail(job, failure)
            return
        label = SPACE_LABELS[job.assignment.architecture.id]
        history = []
        for epoch in range(1, job.assignment.fidelity.epochs + 1):
            top1 = LEVELS[label] + NOISE[job.assignment.seed % 3] - job.assignment.fidelity.epochs + epoch
            values = {"loss": 100 - top1, "top1": top1, "top5": 99.0}
            history.append(Epoch(epoch=epoch, train_loss=1.0, values=values, seconds=0.0))
            work.report(job, history[-1])
        work.finish(job, make_evaluation(job, tuple(history)))


def make(**changes: Any) -> Study:
    fidelity = {"name": "table", "resolution": 16, "epochs": 3, "seeds": [0, 1, 2]}
    listed = {"space": {"architectures": ROWS}, "sampler": {"name": "grid"}, "fidelities": [fidelity]}
    return make_study(**{**listed, "baselines": True, **changes})


SPACE_LABELS = {p.architecture.id: str(p.params["architecture"]) for p in read_space(make().space).enumerate()}


def run(folder: Path, executor: Simulated | None = None, **changes: Any) -> tuple[Study, Store]:
    study = make(artifacts=str(folder), **changes)
    store = Store.open(f"sqlite:///{folder}/study.db", create=True)
    loaded = LoadedStudy(study, read_space(study.space), folder / "study.yaml", frozenset())
    study_room.run(loaded, store, executor or Made())
    return study, store


def table(study: Study, store: Store, reach: float | None = None) -> Table:
    found = table_of(study, store, powers_of(study, store)["table"], reach)
    assert found is not None
    return found


def by_label(found: Table) -> Mapping[str, TableRow]:
    return {row.row.label: row for row in found.rows}


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, Store]:
    return run(tmp_path_factory.mktemp("table"))


def test_rows_stand_in_the_list_s_order_with_what_the_networks_cost(ended: tuple[Study, Store]) -> None:
    found = table(*ended)
    assert [row.row.label for row in found.rows] == ["plain", "SE", "DCA-SE", "wide"]
    for row in found.rows:
        counted = cost(row.row.architecture, 16, 10)
        assert (row.params, row.macs) == (counted.params, counted.macs)


def test_a_row_holds_the_last_epoch_of_every_seed(ended: tuple[Study, Store]) -> None:
    rows = by_label(table(*ended))
    assert rows["SE"].values["top1"] == pytest.approx({0: 80.0, 1: 80.1, 2: 79.9})
    assert rows["SE"].values["top5"] == {0: 99.0, 1: 99.0, 2: 99.0}


def test_a_difference_is_against_the_row_s_reference_and_paired_by_seed(ended: tuple[Study, Store]) -> None:
    rows = by_label(table(*ended))
    assert {label: row.against for label, row in rows.items()} == {
        "plain": None,
        "SE": "plain",
        "DCA-SE": "SE",
        "wide": "SE",
    }
    told = rows["DCA-SE"].difference
    assert told is not None
    assert told.value == pytest.approx(0.2)
    assert told.comparisons == 3, "all differences of the table hold at once, and nobody was picked"


def test_a_word_says_what_a_difference_means(ended: tuple[Study, Store]) -> None:
    found = table(*ended)
    words = {label: verdict(row.difference, found.headline) for label, row in by_label(found).items()}
    assert words == {"plain": "", "SE": "better", "DCA-SE": "not resolved", "wide": "worse"}
    told = by_label(found)["DCA-SE"].difference
    assert told is not None
    assert in_numbers(told) == f"+0.20 ± {told.margin:.1f}"
    assert verdict(dataclasses.replace(told, seeds_known=False), found.headline) == "needs 3 seeds"
    assert verdict(dataclasses.replace(told, images_known=False), found.headline) == "image count not known"


def test_less_of_a_loss_is_better(ended: tuple[Study, Store]) -> None:
    told = by_label(table(*ended))["SE"].difference
    assert verdict(told, METRICS["loss"]) == "worse"


def test_one_seed_resolves_nothing(tmp_path: Path) -> None:
    study, store = run(tmp_path, fidelities=[{"name": "table", "resolution": 16, "epochs": 3}])
    found = table(study, store)
    assert {verdict(row.difference, found.headline) for row in found.rows if row.difference} == {"needs 3 seeds"}
    assert all(row.margin is None for row in found.rows)


def test_the_interval_of_a_mean_holds_the_noise_of_seeds_and_of_images() -> None:
    measured = [Measurement("a", seed, value, None) for seed, value in enumerate((50.0, 51.0, 49.0))]
    few, many = (power("full", measured, images=images, seeds=3) for images in (100, 10**8))
    wide, narrow = interval_of_mean(few, [50.0, 51.0, 49.0]), interval_of_mean(many, [50.0, 51.0, 49.0])
    assert wide is not None
    assert narrow is not None
    assert narrow == pytest.approx(4.303 / math.sqrt(3), rel=1e-3), "t with two degrees of freedom"
    assert wide > 1.96 * math.sqrt(1 / 3 + 50 * 50 / 100)
    assert interval_of_mean(few, []) is None
    assert interval_of_mean(power("full", measured[:1], images=100, seeds=1), [50.0]) is None


def test_epochs_are_counted_to_the_plain_row_s_accuracy_or_to_a_given_one(ended: tuple[Study, Store]) -> None:
    rows = by_label(table(*ended))
    assert rows["SE"].reached is not None
    assert rows["SE"].reached.goal == pytest.approx(20.0)
    assert str(rows["SE"].reached) == "1"
    assert str(rows["wide"].reached) == "not reached"
    rows = by_label(table(*ended, reach=79.05))
    assert str(rows["SE"].reached) == "2 to 3"


def test_a_goal_that_some_seeds_miss_is_said() -> None:
    found = reached([[1.0, 5.0], [1.0, 2.0], [6.0, 1.0]], 4.0, METRICS["top1"])
    assert str(found) == "1 to 2 (2 of 3 seeds, the others not)"
    assert str(reached([[9.0, 3.0]], 4.0, METRICS["loss"])) == "2"


def test_a_row_that_failed_says_why_and_the_others_are_compared(tmp_path: Path) -> None:
    wide = next(id for id, label in SPACE_LABELS.items() if label == "wide")

    def fail(job: Job) -> TrialFailure | None:
        return TrialFailure("nan", "the loss is nan") if job.assignment.architecture.id == wide else None

    study, store = run(tmp_path, Made(fail=fail))
    rows = by_label(table(study, store))
    assert rows["wide"].failure == "nan: the loss is nan"
    assert rows["wide"].difference is None
    told = rows["DCA-SE"].difference
    assert told is not None
    assert told.comparisons == 2
    assert "nan: the loss is nan" in cells_of(table(study, store)).rows[3]


def test_a_space_of_choices_has_no_table(tmp_path: Path) -> None:
    assert table_of(make_study(), Store.open(f"sqlite:///{tmp_path}/study.db", create=True), None) is None


def test_a_table_that_has_hardly_begun_says_what_is_not_trained(tmp_path: Path) -> None:
    study = make(artifacts=str(tmp_path))
    store = Store.open(f"sqlite:///{tmp_path}/study.db", create=True)
    found = table_of(study, store, None)
    assert found is not None
    cells = cells_of(found)
    assert cells.columns == ("", "params", "multiply-adds", "top-1 %", "seeds")
    assert [row[3] for row in cells.rows] == [NOT_TRAINED] * 4


def test_the_cells_are_those_of_the_paper_s_form(ended: tuple[Study, Store]) -> None:
    cells = cells_of(table(*ended))
    assert cells.columns == (
        *("", "params", "multiply-adds", "top-1 %", "top-5 %", "seeds"),
        *("difference", "to", "which is"),
    )
    row = dict(zip(cells.columns, cells.rows[1], strict=True))
    assert row[""] == "SE"
    assert row["params"].endswith("M")
    assert row["top-1 %"].startswith("80.00 ± ")
    assert (row["top-5 %"], row["seeds"], row["to"], row["which is"]) == ("99.00", "0, 1, 2", "plain", "better")
    assert not any("≈" in cell for cells_of_row in cells.rows for cell in cells_of_row)


@pytest.mark.timeout(60)
def test_rows_that_are_compared_with_each_other_have_a_table(tmp_path: Path) -> None:
    rows = [ROWS[0], {**ROWS[1], "against": "DCA-SE"}, ROWS[2]]
    study, store = run(tmp_path, space={"architectures": rows})
    found = by_label(table(study, store))
    assert (found["SE"].against, found["DCA-SE"].against) == ("DCA-SE", "SE")
