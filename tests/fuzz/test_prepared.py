"""Prepared folders of any content: read, compared and mended, or refused by a sentence."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dcasearch.config.data_set import Data
from dcasearch.config.recipe import Recipe
from dcasearch.data import describe, open_loaders
from dcasearch.data.prepared import INDEX, SOURCE
from dcasearch.data.preparing import prepare
from dcasearch.data.verifying import verify, verify_source
from dcasearch.errors import UserError
from tests.data.support import write_folder
from tests.fuzz.damage import broken, damaged, thousand
from tests.fuzz.measured import refused_by

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
RECIPE = Recipe(batch_size=4)


@pytest.fixture(scope="module")
def images(folder: Path) -> Path:
    return write_folder(folder / "images", images=4, size=(16, 16))


@pytest.fixture(scope="module")
def good(folder: Path, images: Path) -> Path:
    prepare(images, folder / "good", size=16, workers=0, max_corrupt=0.1)
    return folder / "good"


@thousand
@given(data=st.data())
def test_a_prepared_folder_of_any_content_is_read_and_mended_or_refused(
    data: st.DataObject, good: Path, images: Path, folder: Path
) -> None:
    copy = folder / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(good, copy)
    name = data.draw(st.sampled_from(sorted(path.name for path in good.iterdir() if path.is_file())))
    content = (good / name).read_bytes()
    contents = [st.binary(max_size=200), damaged(content)]
    if name == INDEX:
        contents.append(broken(json.loads(content)).map(lambda index: json.dumps(index).encode()))
    if name != SOURCE:  # whose originals are read; a stranger may name any folder
        (copy / name).write_bytes(data.draw(st.one_of(contents)))
    study = Data(name="imagefolder", root=str(copy), workers=0, protocol="paper")
    refused_by(UserError, lambda: describe(study))
    refused_by(UserError, lambda: read_all(study))
    refused_by(UserError, lambda: verify(copy, workers=0))
    refused_by(UserError, lambda: verify_source(copy, images, workers=0))
    if not refused_by(UserError, lambda: prepare(images, copy, size=16, workers=0, max_corrupt=0.1)):
        assert verify(copy, workers=0) == []


def read_all(data: Data) -> None:
    """Read every image of a set once."""
    loaders = open_loaders(
        data,
        "paper",
        resolution=16,
        train_fraction=1.0,
        recipe=RECIPE,
        seed=0,
        artifacts=None,
        device=torch.device("cpu"),
    )
    for _ in (*loaders.train.epoch(1), *loaders.final.epoch(1)):
        pass
