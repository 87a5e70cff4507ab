from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from dcasearch.config.data_set import Data, DataPreprocessing
from dcasearch.config.recipe import Augmentation, Recipe
from dcasearch.data import describe, open_evaluation, open_held_out, open_loaders, preprocessing_of
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


HALF = DataPreprocessing(mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25), interpolation="bicubic", crop=0.75)


def test_a_folders_images_are_prepared_as_the_study_says(tmp_path: Path) -> None:
    files = photographs(tmp_path)
    data = Data(name="imagefolder", root=str(tmp_path), workers=0, preprocessing=HALF)
    how = said(data, 24)
    assert [(step.resize, step.interpolation, step.crop) for step in how.steps] == [
        (32, "bicubic", None),
        (None, None, 24),
    ]
    assert (how.mean, how.std) == (HALF.mean, HALF.std)
    got = torch.cat([prepare(Image.open(file), how.model_dump(mode="json")) for file in files])
    assert furthest(got, loaded(data, 24), 0.25) < 1.5
    usual = data.model_copy(update={"preprocessing": None})
    assert furthest(got, loaded(usual, 24), 0.25) > 5


def test_small_images_are_resized_as_the_study_says_and_not_cropped() -> None:
    data = Data(name="digits", preprocessing=HALF)
    how: dict[str, Any] = said(data, 20).model_dump(mode="json")
    assert [step["crop"] for step in how["steps"]] == [None]
    part = open_digits(None).test
    assert isinstance(part, MemoryPart)
    images = [Image.fromarray(np.moveaxis(pixels, 0, -1)) for pixels in part.read(None).array[:50]]
    got = torch.cat([prepare(image, how) for image in images])
    assert furthest(got, loaded(data, 20)[:50], 0.25) < 1.5
    assert float(loaded(data, 20).min()) == -2  # bicubic interpolation does not leave 0..255


def test_training_images_are_prepared_as_the_study_says_too(tmp_path: Path) -> None:
    photographs(tmp_path)

    def first(preprocessing: DataPreprocessing | None, crop: Any) -> torch.Tensor:
        data = Data(name="imagefolder", root=str(tmp_path), workers=0, preprocessing=preprocessing)
        loaders = open_loaders(
            data,
            "search",
            resolution=16,
            train_fraction=1.0,
            recipe=Recipe(batch_size=4, augmentation=Augmentation(crop=crop, flip=False)),
            seed=0,
            artifacts=None,
            device=torch.device("cpu"),
        )
        images: torch.Tensor = next(iter(loaders.train.epoch(1)))[0]
        return images

    bilinear = HALF.model_copy(update={"interpolation": "bilinear"})
    for crop in ("none", "random_resized"):
        one, other = first(bilinear, crop), first(HALF, crop)
        assert not torch.equal(one, other)
        assert furthest(one, other, 0.25) < 60  # the same windows, resized in another way


def test_how_images_are_prepared_is_in_the_fingerprint_unless_it_is_the_data_sets_own_way() -> None:
    usual = describe(Data(name="digits"))
    assert usual.source is not None
    own = DataPreprocessing(mean=usual.source.mean, std=usual.source.std)
    same = [describe(Data(name="digits", preprocessing=how)).fingerprint for how in (own, DataPreprocessing())]
    assert same == [usual.fingerprint] * 2
    assert usual.fingerprint == "81e4b5af684e0800"
    changes: list[dict[str, Any]] = [
        {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)},
        {"interpolation": "bicubic"},
        {"crop": 0.9},
    ]
    others = {describe(Data(name="digits", preprocessing=DataPreprocessing(**how))).fingerprint for how in changes}
    assert len(others | {usual.fingerprint}) == 4


def test_images_that_a_network_is_measured_on_are_prepared_as_its_data_says(tmp_path: Path) -> None:
    photographs(tmp_path)
    data = Data(name="imagefolder", root=str(tmp_path), preprocessing=HALF)
    dataset = open_held_out(data, "test").dataset
    assert (dataset.mean, dataset.std, dataset.interpolation, dataset.crop) == (HALF.mean, HALF.std, "bicubic", 0.75)
