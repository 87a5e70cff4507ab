from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from dcasearch.config.data_set import Data
from dcasearch.data import describe, open_evaluation, preprocessing_of
from dcasearch.data.digits import open_digits
from dcasearch.data.preparing import prepare as prepare_data
from dcasearch.data.preprocessing import Preprocessing
from dcasearch.data.sets import MemoryPart
from tests.data.support import write_image
from tests.export.snippet import prepare

SIZES = [(40, 30), (30, 42), (64, 64)]


def said(data: Data, resolution: int) -> Preprocessing:
    source = describe(data).source
    assert source is not None
    return preprocessing_of(source, resolution)


def loaded(data: Data, resolution: int) -> torch.Tensor:
    """What the loader of the test split gives a network."""
    loader = open_evaluation(
        data, "test", resolution=resolution, batch_size=100, artifacts=None, device=torch.device("cpu")
    )
    return torch.cat([images for images, _ in loader.epoch(0)])


def furthest(got: torch.Tensor, expected: torch.Tensor, std: float) -> float:
    """The largest difference in steps of one 8-bit pixel value."""
    return float((got - expected).abs().max()) * 255 * std


def photographs(root: Path) -> list[Path]:
    files = []
    for part in ("train", "test"):
        for label, name in enumerate(("cat", "dog")):
            for n, size in enumerate(SIZES):
                path = root / part / name / f"{n}.png"
                write_image(path, seed=10 * label + n, size=(8, 6))
                with Image.open(path) as image:  # enlarged: in noise every edge would count
                    image.resize(size, Image.Resampling.BICUBIC).save(path)
                files += [path] * (part == "test")
    return files


def test_a_folders_images_become_what_its_loader_makes_of_them(tmp_path: Path) -> None:
    files = photographs(tmp_path)
    data = Data(name="imagefolder", root=str(tmp_path), workers=0)
    how = said(data, 24).model_dump(mode="json")
    got = torch.cat([prepare(Image.open(file), how) for file in files])
    assert furthest(got, loaded(data, 24), 0.225) < 1.5


def test_small_images_in_memory_are_resized_whole() -> None:
    data = Data(name="digits")
    how: dict[str, Any] = said(data, 20).model_dump(mode="json")
    part = open_digits(None).test
    assert isinstance(part, MemoryPart)
    images = [Image.fromarray(np.moveaxis(pixels, 0, -1)) for pixels in part.read(None).array[:50]]
    got = torch.cat([prepare(image, how) for image in images])
    assert furthest(got, loaded(data, 20)[:50], how["std"][0]) < 1.5


def test_of_a_prepared_folder_the_first_steps_are_those_of_the_preparation(tmp_path: Path) -> None:
    files = photographs(tmp_path / "images")
    prepare_data(tmp_path / "images", tmp_path / "prepared", size=28, workers=1, max_corrupt=0)
    data = Data(name="imagefolder", root=str(tmp_path / "prepared"), workers=0)
    how = said(data, 24).model_dump(mode="json")
    assert [step["crop"] for step in how["steps"]] == ["square", None, None, 24]
    got = torch.cat([prepare(Image.open(file), how) for file in files])
    assert furthest(got, loaded(data, 24), 0.225) < 3


@pytest.mark.parametrize(("name", "size", "reading"), [("digits", 8, "whole")])
def test_a_data_set_says_its_classes_its_size_and_its_pixels(name: str, size: int, reading: str) -> None:
    source = describe(Data(name=name, classes=("3", "7"))).source
    assert source is not None
    assert (source.class_names, source.size, source.reading) == (("3", "7"), size, reading)
