import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

from dcasearch.config.data_set import Data
from dcasearch.config.recipe import Augmentation, Recipe
from dcasearch.data import Loader, Loaders, describe, open_evaluation, open_loaders, open_sample, open_unaugmented
from dcasearch.data.classes import open_set
from dcasearch.data.loaders import parts_of
from dcasearch.errors import DataError
from dcasearch.evaluation import EvaluationProtocol
from tests.data.support import write_folder

DIGITS = Data(name="digits")
RECIPE = Recipe(batch_size=32, augmentation=Augmentation(crop="none", flip=False))


def open_digits(protocol: EvaluationProtocol = "search", fraction: float = 1.0, seed: int = 0) -> Loaders:
    return open_loaders(
        DIGITS,
        protocol,
        resolution=8,
        train_fraction=fraction,
        recipe=RECIPE,
        seed=seed,
        artifacts=None,
        device=torch.device("cpu"),
    )


def images_of(loader: Loader) -> set[bytes]:
    return {image.numpy().tobytes() for images, _ in loader.epoch(0) for image in images}


def count(loader: Loader) -> int:
    return sum(len(labels) for _, labels in loader.epoch(0))


def test_search_never_sees_the_test_split() -> None:
    parts = parts_of(open_set(DIGITS), DIGITS, "search")
    train = open_set(DIGITS).train
    assert parts.each is parts.final
    assert parts.final.part is train
    assert not set(parts.train) & set(parts.final.indices)
    assert len(parts.train) + len(parts.final.indices) == len(train.labels)


def test_the_test_protocol_trains_like_search_and_reads_the_test_split_only_at_the_end() -> None:
    dataset = open_set(DIGITS)
    search, test = (parts_of(dataset, DIGITS, protocol) for protocol in ("search", "test"))
    assert np.array_equal(search.train, test.train)
    assert test.each.part is dataset.train
    assert np.array_equal(test.each.indices, search.each.indices)
    assert test.final.part is dataset.test
    assert len(test.final.indices) == 359


def test_the_paper_protocol_trains_on_all_of_train_and_reads_the_official_validation_images() -> None:
    dataset = open_set(DIGITS)
    parts = parts_of(dataset, DIGITS, "paper")
    assert sorted(parts.train) == list(range(1438))
    assert parts.each is parts.final
    assert parts.final.part is dataset.val


def test_loaders_hold_what_their_protocol_says() -> None:
    search, test, paper = (open_digits(protocol) for protocol in ("search", "test", "paper"))
    assert (count(search.each), count(search.final)) == (144, 144)
    assert (count(test.each), count(test.final)) == (144, 359)
    assert (count(paper.each), count(paper.final)) == (359, 359)
    assert (len(search.train), len(test.train), len(paper.train)) == (1294 // 32, 1294 // 32, 1438 // 32)
    assert not images_of(search.train) & images_of(search.each)
    assert search.classes == 10


def test_a_fraction_of_train_is_the_same_images_for_every_seed() -> None:
    first, other = images_of(open_digits(fraction=0.0495).train), images_of(open_digits(fraction=0.0495, seed=1).train)
    assert len(first) == 64
    assert first == other


def test_the_images_of_a_number_can_be_opened_alone() -> None:
    for protocol, images in (("search", 144), ("test", 359), ("paper", 359)):
        loader = open_evaluation(
            DIGITS, protocol, resolution=8, batch_size=50, artifacts=None, device=torch.device("cpu")
        )
        assert count(loader) == images


@pytest.mark.parametrize("name", ["cifar10", "imagefolder"])
def test_a_folder_is_loaded_with_its_unreadable_images_left_out(tmp_path: Path, name: str) -> None:
    write_folder(tmp_path / "data", images=20)
    (tmp_path / "data" / "test" / "cat" / "00.jpg").write_bytes(b"")
    data = Data(name=name, root=str(tmp_path / "data"), workers=0, max_corrupt=0.02, validation_fraction=0.2)
    loaders = open_loaders(
        data,
        "test",
        resolution=16,
        train_fraction=1.0,
        recipe=Recipe(batch_size=8),
        seed=0,
        artifacts=tmp_path / "artifacts",
        device=torch.device("cpu"),
    )
    assert (count(loaders.each), count(loaders.final)) == (12, 29)
    assert [images.shape for images, _ in loaders.train.epoch(1)] == [(8, 3, 16, 16)] * 6
    assert len(loaders.corrupt) == 1


def test_a_split_is_made_once_for_all_trials_of_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    data, dataset = Data(name="digits", split_seed=77), open_set(DIGITS)
    first = parts_of(dataset, data, "search")
    monkeypatch.setattr("dcasearch.data.loaders.split_train", None)
    assert parts_of(dataset, data.model_copy(), "search") is first
    with pytest.raises(TypeError):
        parts_of(dataset, data.model_copy(update={"split_seed": 78}), "search")


@pytest.mark.parametrize("channels_last", [True, False])
def test_files_are_loaded_in_the_memory_format_of_the_recipe(tmp_path: Path, channels_last: bool) -> None:
    write_folder(tmp_path)
    loaders = open_loaders(
        Data(name="imagefolder", root=str(tmp_path), workers=0, validation_fraction=0.2),
        "search",
        resolution=16,
        train_fraction=1.0,
        recipe=Recipe(batch_size=8, channels_last=channels_last),
        seed=0,
        artifacts=None,
        device=torch.device("cpu"),
    )
    for loader in (loaders.train, loaders.each):
        for images, _ in loader.epoch(1):
            assert images.is_contiguous(memory_format=torch.channels_last) == channels_last


def test_small_sets_stop_as_soon_as_too_many_images_are_unreadable(tmp_path: Path) -> None:
    write_folder(tmp_path)
    (tmp_path / "train" / "cat" / "00.jpg").write_bytes(b"")
    data = Data(name="cifar10", root=str(tmp_path), validation_fraction=0.2)
    with pytest.raises(DataError, match="1 of 27 images is unreadable"):
        open_evaluation(data, "search", resolution=8, batch_size=4, artifacts=None, device=torch.device("cpu"))


def labels_of(loader: Loader) -> list[int]:
    return [int(label) for _, labels in loader.epoch(0) for label in labels]


def open_evaluated(data: Data, mixed: bool) -> Loader:
    where = torch.device("cpu")
    return open_evaluation(data, "search", resolution=8, batch_size=7, artifacts=None, device=where, mixed=mixed)


def runs(labels: list[int]) -> int:
    """Return how many neighbours are of one class."""
    return sum(one == other for one, other in itertools.pairwise(labels))


@pytest.mark.parametrize("kind", ["memory", "files"])
def test_a_mixed_order_has_every_image_once_and_neighbours_of_different_classes(kind: str, tmp_path: Path) -> None:
    data = DIGITS
    if kind == "files":
        write_folder(tmp_path, images=16)
        data = Data(name="imagefolder", root=str(tmp_path), workers=0, validation_fraction=0.5)
    stored, mixed = (open_evaluated(data, mixed) for mixed in (False, True))
    assert images_of(stored) == images_of(mixed)
    assert sorted(labels_of(stored)) == sorted(labels_of(mixed)) != labels_of(mixed)
    assert labels_of(open_evaluated(data, True)) == labels_of(mixed)
    if kind == "files":  # a folder's images are stored class by class
        assert runs(labels_of(stored)) == len(labels_of(stored)) - 3
        assert runs(labels_of(mixed)) < len(labels_of(mixed)) * 0.8


def test_the_training_batches_are_the_same_whether_what_is_measured_is_mixed_or_not() -> None:
    loaders = [
        open_loaders(
            DIGITS,
            "test",
            resolution=8,
            train_fraction=0.2,
            recipe=RECIPE,
            seed=0,
            artifacts=None,
            device=torch.device("cpu"),
            mixed=mixed,
        )
        for mixed in (False, True)
    ]
    stored, mixed = (labels_of(one.train) for one in loaders)
    assert stored == mixed
    for part in ("each", "final"):
        stored, mixed = (labels_of(getattr(one, part)) for one in loaders)
        assert stored != mixed


def test_the_unaugmented_images_are_those_of_the_training_each_once() -> None:
    where, recipe = torch.device("cpu"), Recipe(batch_size=64, augmentation=Augmentation(crop="pad", flip=True))
    shared = {"resolution": 8, "train_fraction": 0.0495, "artifacts": None, "device": where}
    loader = open_unaugmented(DIGITS, "search", batch_size=7, **shared)
    plain = open_loaders(DIGITS, "search", recipe=RECIPE, seed=0, **shared)
    augmented = open_loaders(DIGITS, "search", recipe=recipe, seed=0, **shared)
    assert images_of(loader) == images_of(plain.train) != images_of(augmented.train)
    assert count(loader) == 64


def test_a_sample_has_each_class_in_proportion_and_a_smaller_one_is_part_of_it() -> None:
    def sample(images: int) -> Loader:
        return open_sample(DIGITS, "search", images=images, resolution=8, batch_size=7, device=torch.device("cpu"))

    labels = torch.cat([labels for _, labels in sample(40).epoch(1)])
    assert np.bincount(labels).tolist() == [4] * 10
    assert images_of(sample(20)) < images_of(sample(40))
    assert count(sample(10_000)) == describe(DIGITS).validation_images
