"""Which images are shown, where networks were measured on different ones, or on none that is known."""

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
    first, second = load_subjects(specs)
    assert second.spec.data is not None
    other = second.spec.model_copy(update={"data": second.spec.data.model_copy(update={"split_seed": 7})})
    moved = [first, replace(second, name="other", spec=other)]
    with pytest.raises(UserError, match="first and other were measured on different images"):
        images_of(moved, None)
    assert images_of(moved, "digits").data.split_seed == 0


def test_imported_networks_need_a_data_set_named(specs: list[Path]) -> None:
    first = load_subjects(specs)[0]
    said_nothing = {"data": None, "evaluation": None, "metrics": ()}
    imported = [replace(first, spec=first.spec.model_copy(update=said_nothing))]
    with pytest.raises(UserError, match="its weights were imported; name a data set"):
        images_of(imported, None)
    assert images_of(imported, "digits").data.name == "digits"


def test_a_word_that_is_no_data_set_and_no_folder_is_refused(specs: list[Path]) -> None:
    with pytest.raises(UserError, match="did you mean 'digits'"):
        images_of(load_subjects(specs[:1]), "digit")
