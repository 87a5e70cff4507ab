from __future__ import annotations

import csv
from pathlib import Path

import pytest
from PIL import Image

from dcasearch.analysis.data import dangers, described
from dcasearch.errors import DataError, UserError
from dcasearch.proposal import Machine, Proposal, propose
from dcasearch.space import load_study
from tests.proposal.conftest import write_pictures
from tests.proposal.test_plan import Constant

CPU = Machine(0, "", 2)


def proposed(photos: Path, target: Path, machine: Machine = CPU, **more: object) -> Proposal:
    return propose(photos, target, hours=0.5, machine=machine, measure=Constant(5e10), **more)  # type: ignore[arg-type]


def test_the_study_is_read_back_without_a_mistake_or_a_warning(photos: Path, tmp_path: Path) -> None:
    proposal = proposed(photos, tmp_path / "new" / "animals")
    assert proposal.study == tmp_path / "new" / "animals.yaml"
    loaded = load_study(proposal.study)
    assert not loaded.notes
    assert not dangers(loaded.study, described(loaded))
    assert loaded.study.name == "animals"
    assert loaded.study.data.root == str(photos)
    assert described(loaded).validation_images == 6
    assert loaded.study.fidelities[0].trials == proposal.plan.trials
    assert loaded.study.throughput == pytest.approx(proposal.plan.throughput, rel=0.01)
    assert {point.architecture.backbone.name for point in loaded.space.walk()} == {"resnet18"}


def test_every_line_of_the_study_fits_the_page(photos: Path, tmp_path: Path) -> None:
    proposal = proposed(photos, tmp_path / "animals")
    lines = proposal.study.read_text().splitlines() + proposal.space.read_text().splitlines()
    assert max(len(line) for line in lines if "root:" not in line) <= 120
    assert sum(line.lstrip().startswith("#") for line in lines) > 8


def test_a_study_over_folders_of_any_name_is_read_back_and_says_no_more_than_it_should(tmp_path: Path) -> None:
    odd = {"a\x1b[2J\x9bred": 12, "b\nstorage: theirs.db": 12, "{{ 7*7 }} ${HOME} %s # : -": 12}
    photos = tmp_path / "{{ 7*7 }} %s # : - [photos]"
    write_pictures(photos, odd)
    loaded = load_study(proposed(photos, tmp_path / "animals").study)
    assert loaded.study.data.root == str(photos)
    assert "theirs" not in (loaded.study.storage or "")
    assert set(described(loaded).source.class_names) == set(odd)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("new\x1b[2J", r"has the control character U\+001B"),
        ("new\x7f", r"has the control character U\+007F"),
        ("new\uffff", r"has the character U\+FFFF"),
        ("new\udcff", r"has the control character U\+DCFF"),
        ("${HOME}", "environment variable"),
    ],
)
def test_a_folder_that_no_study_can_name_is_refused_before_anything_is_written(
    name: str, fault: str, photos: Path, tmp_path: Path
) -> None:
    odd = photos.rename(photos.with_name(name))
    with pytest.raises(UserError, match=fault):
        proposed(odd, tmp_path / "written" / "animals")
    assert not (tmp_path / "written").exists()


def test_a_folder_of_several_lines_is_read_back(photos: Path, tmp_path: Path) -> None:
    odd = photos.rename(photos.with_name("a\n\tb\x85\u2028c"))
    assert load_study(proposed(odd, tmp_path / "animals").study).study.data.root == str(odd)


def test_uneven_classes_count_alike(tmp_path: Path) -> None:
    write_pictures(tmp_path / "photos", {"cat": 40, "fox": 8})
    loaded = load_study(proposed(tmp_path / "photos", tmp_path / "animals").study)
    assert loaded.study.objectives == {"balanced_accuracy": "maximize"}
    assert {fidelity.recipe.class_weights for fidelity in loaded.study.fidelities} == {"balanced"}
    assert described(loaded).classes == 2


def test_few_test_images_are_drawn_several_times_and_parts_of_their_own_once(photos: Path, tmp_path: Path) -> None:
    divided = load_study(proposed(photos, tmp_path / "animals").study).study.final
    assert divided is not None
    assert (divided.splits, len(divided.seeds)) == (5, 5)
    write_pictures(tmp_path / "parts" / "train", {"cat": 12, "dog": 12})
    write_pictures(tmp_path / "parts" / "test", {"cat": 3, "dog": 3}, first=100)
    own = load_study(proposed(tmp_path / "parts", tmp_path / "own").study).study.final
    assert own is not None
    assert (own.splits, len(own.seeds)) == (1, 3)


def test_copies_of_a_picture_are_kept_together_by_a_list(photos: Path, tmp_path: Path) -> None:
    Image.open(photos / "cat" / "003.jpg").save(photos / "cat" / "copy.png")
    proposal = proposed(photos, tmp_path / "animals")
    assert proposal.groups == tmp_path / "animals_images.csv"
    rows = list(csv.DictReader(proposal.groups.read_text().splitlines()))
    assert len(rows) == 31
    of = {row["path"]: row["group"] for row in rows}
    assert of["photos/cat/copy.png"] == of["photos/cat/003.jpg"] == "photos/cat/003.jpg"
    assert len(set(of.values())) == 30
    loaded = load_study(proposal.study)
    assert loaded.study.data.columns.group == "group"
    assert described(loaded).classes == 2


def test_names_that_yaml_would_read_otherwise_come_back_as_they_are(tmp_path: Path) -> None:
    folder = tmp_path / "my: #photos 'é'"
    write_pictures(folder, {"yes": 8, "007": 8})
    proposal = proposed(folder, tmp_path / "odd")
    loaded = load_study(proposal.study)
    assert loaded.study.data.root == str(folder)


def test_several_gpus_are_used_through_ray(photos: Path, tmp_path: Path) -> None:
    loaded = load_study(proposed(photos, tmp_path / "animals", Machine(2, "NVIDIA X", 16)).study)
    assert (loaded.study.executor.name, loaded.study.executor.max_concurrent) == ("ray", 2)
    assert loaded.study.executor.resources["proxy"].gpu == 1
    assert loaded.study.data.workers == 8


def test_nothing_is_overwritten_and_nothing_half_written(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "animals_space.yaml").write_text("mine")
    with pytest.raises(UserError, match=r"animals_space\.yaml would be overwritten"):
        proposed(photos, tmp_path / "animals")
    assert not (tmp_path / "animals.yaml").exists()
    with pytest.raises(UserError, match="is no name of a study"):
        proposed(photos, tmp_path / "7 animals")
    Image.open(photos / "cat" / "003.jpg").save(photos / "cat" / "copy.png")
    with pytest.raises(UserError, match="not a backbone"):
        proposed(photos, tmp_path / "new" / "other", backbone="vgg")
    assert not (tmp_path / "new").exists()


def test_one_class_and_images_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    write_pictures(tmp_path / "one", {"cat": 5})
    with pytest.raises(DataError, match="all images are of one class, cat"):
        proposed(tmp_path / "one", tmp_path / "a")
    for name in ("cat", "dog"):
        (tmp_path / "none" / name).mkdir(parents=True)
        for n in range(5):
            (tmp_path / "none" / name / f"{n}.jpg").write_bytes(b"x")
    with pytest.raises(DataError, match="none of 10 images can be read"):
        proposed(tmp_path / "none", tmp_path / "b")
