from __future__ import annotations

from pathlib import Path

import pytest
import torch

from dcasearch.errors import UserError
from dcasearch.interpretation.subjects import Subject, images_of, open_subjects
from tests.interpretation.samples import write_spec

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def specs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("specs")
    return [write_spec(folder / name, name) for name in ("first", "second")]


def test_networks_of_different_images_need_a_data_set_named(specs: list[Path]) -> None:
    subjects = open_subjects(specs, CPU)
    other = subjects[1].spec.model_copy(update={"data": subjects[1].spec.data.model_copy(update={"split_seed": 7})})
    moved = [subjects[0], Subject(name="other", spec=other, model=subjects[1].model)]
    with pytest.raises(UserError, match="first and other were measured on different images"):
        images_of(moved, None)
    assert images_of(moved, "digits").data.split_seed == 0


def test_a_word_that_is_no_data_set_and_no_folder_is_refused(specs: list[Path]) -> None:
    with pytest.raises(UserError, match="did you mean 'digits'"):
        images_of(open_subjects(specs[:1], CPU), "digit")


def test_a_spec_may_be_given_once(specs: list[Path]) -> None:
    with pytest.raises(UserError, match="given twice"):
        open_subjects([specs[0], specs[0]], CPU)


def test_specs_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    specs = [write_spec(tmp_path / folder, "model") for folder in ("a", "b")]
    names = [subject.name for subject in open_subjects(specs, CPU)]
    assert names == ["a", "b"]
