from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dcasearch.errors import UserError
from dcasearch.interpretation.images import images_of
from dcasearch.interpretation.subjects import load_subjects
from tests.interpretation.samples import write_spec


@pytest.fixture(scope="module")
def specs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("specs")
    return [write_spec(folder / name, name) for name in ("first", "second")]


def test_networks_of_different_images_need_a_data_set_named(specs: list[Path]) -> None:
    subjects = load_subjects(specs)
    other = subjects[1].spec.model_copy(update={"data": subjects[1].spec.data.model_copy(update={"split_seed": 7})})
    moved = [subjects[0], replace(subjects[1], name="other", spec=other)]
    with pytest.raises(UserError, match="first and other were measured on different images"):
        images_of(moved, None)
    assert images_of(moved, "digits").data.split_seed == 0


def test_a_word_that_is_no_data_set_and_no_folder_is_refused(specs: list[Path]) -> None:
    with pytest.raises(UserError, match="did you mean 'digits'"):
        images_of(load_subjects(specs[:1]), "digit")
