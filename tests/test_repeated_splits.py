"""Final trainings on several splits of one small data set: what is trained on what, crashes, intervals, export."""

from __future__ import annotations

import io
import itertools
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from dcasearch import study as study_room
from dcasearch.analysis.data import sharper, split_fingerprints
from dcasearch.analysis.forecast import forecast
from dcasearch.analysis.references import resolve
from dcasearch.analysis.resampling import floor_of_difference, floor_of_mean, margin_of
from dcasearch.analysis.standing import standing_of
from dcasearch.analysis.story import story_of
from dcasearch.analysis.wholeness import broken_invariants, differences, ledger_of
from dcasearch.cli.networks import print_export
from dcasearch.cli.plain import as_json
from dcasearch.cli.standing import print_standing
from dcasearch.data import describe
from dcasearch.data.classes import open_set
from dcasearch.data.loaders import parts_of
from dcasearch.data.sets import FilePart
from dcasearch.errors import StudyChanged
from dcasearch.export import export_referred, export_winner, verify
from dcasearch.search.work import Job
from dcasearch.space import LoadedStudy, read_space
from dcasearch.store import Store
from dcasearch.training import checkpoint_path, weights_path
from tests.executors.support import InProcess
from tests.support import DriverDied, Simulated, make_epoch, make_evaluation, make_study

PROXY: dict[str, Any] = {
    "name": "proxy",
    "trials": 2,
    "resolution": 16,
    "epochs": 2,
    "recipe": {"batch_size": 8, "lr": 0.02, "bn_momentum": 0.1},
}
SHARES = {"validation": 0.2, "test": 0.2}
SMALL: dict[str, Any] = {
    "backbone": {"name": "mobilenet_v2", "width": 0.1, "stem": "small"},
    "attention": {"name": "se"},
    "connections": {"granularity": "network", "dimensions": {"channel": True}, "topology": ["chain", "dense"]},
}
FINALS = 3 * 3
"""Three splits; the chosen network and two baselines."""


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty small pictures of three classes in one folder, without parts."""
    folder = tmp_path_factory.mktemp("photos")
    generator = np.random.default_rng(0)
    for name, n in itertools.product(("bird", "cat", "dog"), range(10)):
        (folder / name).mkdir(exist_ok=True)
        pixels = generator.integers(0, 256, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name / f"{n}.png")
    return folder


class Bench:
    """A study of a folder of photographs, in a database of its own."""

    def __init__(self, photos: Path, folder: Path) -> None:
        self.photos, self.folder = photos, folder
        folder.mkdir(exist_ok=True)
        self.store = Store.open(f"sqlite:///{folder}/study.db", create=True)

    def load(self, **changes: Any) -> LoadedStudy:
        data = {"name": "imagefolder", "root": str(self.photos), "split": SHARES, "workers": 0, "reading": 2}
        written = {
            "space": SMALL,
            "data": data,
            "fidelities": [PROXY],
            "baselines": ["plain", "vanilla se"],
            "final": {"splits": 3},
            "artifacts": str(self.folder),
            **changes,
        }
        study = make_study(**written)
        return LoadedStudy(study, read_space(study.space), self.folder / "study.yaml", frozenset())

    def run(self, executor: Simulated | None = None, **changes: Any) -> Simulated:
        executor = executor or Simulated()
        study_room.run(self.load(**changes), self.store, executor)
        return executor

    def keys(self) -> dict[tuple[str, int], str]:
        """The evaluations of the final trainings by name and seed."""
        return {(r.name, r.seed): r.evaluation or "" for r in self.store.roles("tiny") if r.role == "final"}

    def status(self) -> str:
        console = Console(width=200, record=True, file=io.StringIO())
        print_standing(console, standing_of(self.store, "tiny"), words={}, detail=True)
        return console.export_text()


@pytest.fixture
def bench(photos: Path, tmp_path: Path) -> Iterator[Bench]:
    made = Bench(photos, tmp_path)
    yield made
    made.store.close()


def finals(executor: Simulated) -> list[Job]:
    return [job for job in executor.ran if " final " in job.label]


def test_the_ith_seed_is_trained_and_measured_on_the_ith_split_by_every_network(bench: Bench) -> None:
    ran = finals(bench.run())
    study = bench.load().study
    assert len(ran) == FINALS
    for job in ran:
        assignment = job.assignment
        split = assignment.seed - 1000
        assert assignment.data == study.data.model_copy(update={"split_seed": split})
        assert assignment.data_fingerprint == describe(assignment.data).fingerprint
        assert assignment.protocol == "test"
    assert len({job.assignment.data_fingerprint for job in ran}) == 3
    assert broken_invariants(bench.store, "tiny") == []


def test_a_training_has_not_seen_the_images_it_is_measured_on_and_splits_test_on_different_ones(bench: Bench) -> None:
    study = bench.load().study
    tested = []
    for seed in (1000, 1001, 1002):
        data = study.data_of_final(seed)
        dataset = open_set(data)
        parts = parts_of(dataset, data, "test")
        assert isinstance(dataset.train, FilePart)
        assert isinstance(parts.final.part, FilePart)
        train = {dataset.train.paths[n] for n in parts.train}
        test = {parts.final.part.paths[n] for n in parts.final.indices}
        assert not train & test
        assert (len(train), len(test)) == (18, 6)
        tested.append(test)
    assert tested[0] != tested[1] != tested[2] != tested[0]


def test_of_several_seeds_each_split_gets_equally_many_in_turn(bench: Bench) -> None:
    ran = finals(bench.run(final={"splits": 2, "seeds": [7, 8, 9, 10]}))
    assert {job.assignment.seed: job.assignment.data.split_seed for job in ran} == {7: 0, 8: 1, 9: 0, 10: 1}


def test_splits_begin_at_the_studys_own_split_seed(bench: Bench) -> None:
    data = {"name": "imagefolder", "root": str(bench.photos), "split": SHARES, "split_seed": 5}
    study = bench.load(data=data).study
    assert [study.data_of_final(seed).split_seed for seed in (1000, 1001, 1002)] == [5, 6, 7]
    assert study.data_of_final(3) == study.data


def test_the_trainings_of_one_split_keep_their_keys(bench: Bench, photos: Path, tmp_path: Path) -> None:
    bench.run(final={"seeds": [1000]})
    once = bench.keys()
    ran = finals(bench.run(final={"splits": 3}))
    assert {name: id for name, id in bench.keys().items() if name[1] == 1000} == once
    assert {job.assignment.seed for job in ran} == {1001, 1002}
    other = Bench(photos, tmp_path / "other")
    other.run(final={"seeds": [1000], "splits": 1})
    assert other.keys() == once


def test_the_parent_of_a_final_training_is_of_the_same_split(bench: Bench) -> None:
    warm = {**PROXY, "initialize": {"name": "vanilla", "epochs": 1}}
    ran = finals(bench.run(Warm(bench.folder), fidelities=[warm]))
    parents = [job.assignment.parent for job in ran if job.assignment.parent is not None]
    assert {(parent.seed, parent.data.split_seed) for parent in parents} == {(1000, 0), (1001, 1), (1002, 2)}
    for parent in parents:
        assert parent.data_fingerprint == describe(parent.data).fingerprint
        assert parent.protocol == "search"  # no parent reads a test part


class Warm(Simulated):
    """As `Simulated`, but parents leave a file in the place of their weights."""

    def __init__(self, artifacts: Path) -> None:
        super().__init__()
        self.artifacts = artifacts

    def _train(self, work: Any, job: Job) -> None:
        if job.number >= 0:
            super()._train(work, job)
            return
        weights = weights_path(self.artifacts, job.assignment.key.id)
        weights.parent.mkdir(exist_ok=True)
        weights.touch()
        history = tuple(make_epoch(job, n) for n in range(1, job.assignment.fidelity.epochs + 1))
        work.finish(job, replace(make_evaluation(job, history), weights=weights.name, weights_sha256="0" * 64))


@pytest.mark.slow
def test_a_driver_that_dies_in_the_final_trainings_is_followed_by_one_that_ends_with_the_same_ledger(
    photos: Path, tmp_path: Path
) -> None:
    undisturbed = Bench(photos, tmp_path / "undisturbed")
    calls = undisturbed.run().calls
    expected = ledger_of(undisturbed.store, "tiny")
    for moment in range(calls - 4 * FINALS, calls, 3):
        bench = Bench(photos, tmp_path / str(moment))
        with pytest.raises(DriverDied):
            bench.run(Simulated(die_at=moment))
        bench.run()
        assert differences(expected, ledger_of(bench.store, "tiny")) == []
        bench.store.close()


def test_a_seed_that_moves_to_another_split_is_trained_again(bench: Bench) -> None:
    bench.run(final={"seeds": [1000, 1001]})
    before = bench.keys()
    ran = finals(bench.run(final={"splits": 2}))
    assert {job.assignment.seed for job in ran} == {1001}
    assert {job.assignment.data.split_seed for job in ran} == {1}
    moved = bench.keys()
    assert all((id != before[name]) == (name[1] == 1001) for name, id in moved.items())
    assert finals(bench.run(final={"seeds": [1000, 1001]})) == []  # the records are still there
    assert bench.keys() == before


def test_the_checkpoint_of_a_final_training_that_failed_on_its_split_is_removed_by_the_next_run(bench: Bench) -> None:
    ran = finals(bench.run())
    key = next(job.assignment.key for job in ran if job.assignment.seed == 1001)
    role = next(role for role in bench.store.roles("tiny") if role.evaluation == key.id)
    bench.store.put_role(replace(role, evaluation=None, failure="nan", message="loss is nan"))
    left = checkpoint_path(key, bench.folder)
    left.parent.mkdir()
    left.touch()
    bench.run()
    assert not left.exists()


def test_seeds_that_are_planned_no_more_are_in_no_mean_over_splits(bench: Bench) -> None:
    bench.run(final={"splits": 3})
    bench.run(final={"splits": 3, "seeds": [2000, 2001, 2002]})
    assert {final.seeds for final in standing_of(bench.store, "tiny").finals} == {(2000, 2001, 2002)}


def test_every_view_shows_the_corrected_interval_and_the_value_on_the_searchs_own_split(bench: Bench) -> None:
    bench.run()
    standing = standing_of(bench.store, "tiny")
    winner, plain, *_ = standing.finals
    assert winner.over_splits is not None
    assert plain.behind is not None
    assert standing.final_power is not None
    assert standing.final_power.splits is not None
    tested = standing.final_power.splits.tested(6, 3)
    own = margin_of(winner.compared, 1 / 3)
    assert own is not None
    assert winner.over_splits.splits == 3
    assert winner.over_splits.margin == pytest.approx(max(own, floor_of_mean(winner.mean, tested)))
    assert winner.over_splits.own == winner.compared[0]
    assert plain.behind.splits == 3
    apart = margin_of([a - b for a, b in zip(winner.compared, plain.compared, strict=True)], 1 / 3, 2)
    assert apart is not None
    assert plain.behind.margin == pytest.approx(max(apart, floor_of_difference(plain.behind.value, tested, 2)))

    text = bench.status()
    assert "final: trained anew with fresh seeds, on the test images of 3 splits of the data" in text
    assert f"± {winner.over_splits.margin:.1f}" in text
    assert "corrected resampled interval (Nadeau, Bengio 2003)" in text
    story = story_of(bench.store, standing)
    honest = "Of those of the further splits it has seen about 80%"
    assert honest in " ".join(text.split())
    assert honest in story.sure
    assert "the mean over 3 splits of the data" in story.found
    assert f"on the search's own split top-1 {winner.over_splits.own:.2f}%" in story.found
    plain_data = as_json(standing)["finals"][0]["over_splits"]
    assert plain_data == {"splits": 3, "margin": winner.over_splits.margin, "own": winner.over_splits.own}


def test_with_two_splits_nothing_counts_and_the_next_step_is_a_third(bench: Bench) -> None:
    bench.run(final={"splits": 2})
    standing = standing_of(bench.store, "tiny")
    leads = [final.behind for final in standing.finals[1:]]
    assert [lead.counts for lead in leads if lead is not None] == ["needs 3 splits"] * 2
    story = story_of(bench.store, standing)
    assert story.verdict == "needs 3 splits"
    assert story.better.startswith("Not known yet: ")
    assert "2 splits cannot tell that from noise" in story.better
    assert story.next.startswith("Train on 3 splits: write `final: {splits: 3}` into the study's YAML")
    assert "needs 3 splits: fewer than three splits" in bench.status()


def test_groups_stay_on_one_side_of_every_split(photos: Path, tmp_path: Path) -> None:
    rows = [
        f"{path.parent.name}/{path.name},{path.parent.name},{int(path.stem) // 2}" for path in photos.rglob("*.png")
    ]
    (tmp_path / "list.csv").write_text("\n".join(["path,label,subject", *rows]))
    data = {"name": "imagelist", "root": str(photos), "file": str(tmp_path / "list.csv"), "split": SHARES}
    study = make_study(data={**data, "columns": {"group": "subject"}}, final={"splits": 3})
    for seed in (1000, 1001, 1002):
        split = study.data_of_final(seed)
        dataset = open_set(split)
        parts = parts_of(dataset, split, "test")
        assert dataset.train.groups is not None
        assert dataset.test.groups is not None
        assert not set(dataset.train.groups[parts.train]) & set(dataset.test.groups)


def test_a_study_of_one_split_says_nothing_of_splits(bench: Bench) -> None:
    bench.run(final={"seeds": [1000, 1001, 1002]})
    standing = standing_of(bench.store, "tiny")
    assert all(final.over_splits is None for final in standing.finals)
    assert standing.final_power is not None
    assert standing.final_power.splits is None
    assert "splits of the data" not in bench.status()
    assert "over_splits" not in as_json(standing)["finals"][0]


def test_the_forecast_counts_the_trainings_of_every_split(bench: Bench) -> None:
    phases = {}
    for splits in (1, 3):
        loaded = bench.load(final={"splits": splits})
        told = forecast(loaded.study, loaded.space, describe(loaded.study.data), None, None)
        phases[splits] = next(phase.trainings for phase in told.phases if phase.name == "final")
    assert (phases[1], phases[3]) == (3, FINALS)


def test_check_proposes_splits_where_few_images_are_divided_and_nowhere_else(bench: Bench) -> None:
    study = bench.load(final={"seeds": [1000]}).study
    info = describe(study.data)
    said = sharper(study, info)
    assert said is not None
    assert "6 test images" in said
    assert "`final: {splits: 10}`" in said
    assert sharper(bench.load().study, info) is None
    assert sharper(bench.load(final=None).study, info) is None
    fixed = make_study(final={"seeds": [1000]})
    assert sharper(fixed, describe(fixed.data)) is None


def test_many_test_images_need_no_further_splits(bench: Bench) -> None:
    study = bench.load(final={"seeds": [1000]}).study
    info = describe(study.data)
    many = {"fingerprint": info.fingerprint, "classes": 3, "train_images": 3000, "validation_images": 1000}
    assert sharper(study, type(info)(**many, test_images=384)) is not None  # ± 5.001 points
    assert sharper(study, type(info)(**many, test_images=385)) is None


def test_each_split_has_a_fingerprint_and_the_first_is_that_of_the_search(bench: Bench) -> None:
    study = bench.load().study
    info = describe(study.data)
    found = split_fingerprints(study, info)
    assert list(found) == [1000, 1001, 1002]
    assert found[1000] == info.fingerprint
    assert len(set(found.values())) == 3
    once = bench.load(final={"seeds": [4, 5]}).study
    assert split_fingerprints(once, info) == {4: info.fingerprint, 5: info.fingerprint}


@pytest.fixture(scope="module")
def trained(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a study that was really trained."""
    folder = tmp_path_factory.mktemp("trained")
    bench = Bench(photos, folder)
    study_room.run(bench.load(), bench.store, InProcess(folder))
    bench.store.close()
    return folder


@pytest.fixture
def real(photos: Path, trained: Path, tmp_path: Path) -> Iterator[Bench]:
    """A copy of it."""
    shutil.copytree(trained, tmp_path / "copy")
    made = Bench(photos, tmp_path / "copy")
    yield made
    made.store.close()


@pytest.mark.slow
def test_the_exported_weights_are_of_the_searchs_own_split_and_the_spec_names_it(real: Bench) -> None:
    spec = export_winner(real.store, "tiny", real.folder / "best.yaml")
    named = export_referred(real.store, resolve(real.store, "tiny/final/chosen"), real.folder / "named.yaml")
    assert named.evaluation == spec.evaluation
    info = describe(real.load().study.data)
    assert spec.data is not None
    assert (spec.data.split_seed, spec.data.fingerprint) == (0, info.fingerprint)
    assert spec.measured is not None
    assert spec.measured.split_seed == 0
    assert [m.split_seed for m in spec.metrics if m.protocol == "test"] == [0, 1, 2]
    assert spec.over_splits is not None
    winner = standing_of(real.store, "tiny").finals[0]
    assert winner.over_splits is not None
    assert spec.over_splits.mean == pytest.approx(winner.mean, abs=1e-3)
    assert spec.over_splits.margin == pytest.approx(winner.over_splits.margin, abs=1e-3)
    assert "about 80%" in spec.over_splits.says
    checks = verify(real.folder / "best.yaml", data_root=str(real.photos))
    assert [check.name for check in checks if check.ok is not True] == []
    assert any("test, split_seed 0" in check.name for check in checks)
    console = Console(width=200, record=True, file=io.StringIO())
    print_export(console, spec, real.folder / "best.yaml")
    assert "The weights are of split_seed 0" in console.export_text()


@pytest.mark.slow
def test_where_the_searchs_split_failed_the_spec_names_the_split_of_the_weights(real: Bench) -> None:
    for role in real.store.roles("tiny"):
        if role.role == "final" and role.seed == 1000:
            real.store.put_role(type(role)(**{**vars(role), "evaluation": None, "failure": "nan", "message": "nan"}))
    spec = export_winner(real.store, "tiny", real.folder / "best.yaml")
    data = real.load().study.data_of_final(1001)
    assert spec.data is not None
    assert (spec.data.split_seed, spec.data.fingerprint) == (1, describe(data).fingerprint)
    checks = verify(real.folder / "best.yaml", data_root=str(real.photos))
    assert [check.name for check in checks if check.ok is not True] == []
    winner = standing_of(real.store, "tiny").finals[0]
    assert winner.over_splits is not None
    assert (winner.over_splits.splits, winner.over_splits.own) == (2, None)


def test_other_shares_under_the_same_name_are_refused(bench: Bench) -> None:
    bench.run()
    data = {"name": "imagefolder", "root": str(bench.photos), "split": {**SHARES, "test": 0.4}, "reading": 2}
    with pytest.raises(StudyChanged, match="data: "):
        bench.run(data=data)
