from dataclasses import replace

import numpy as np
import pytest
import torch

from dcasearch.config.recipe import Augmentation
from dcasearch.data.batches import WHOLE, Batch, Normalize, Share
from dcasearch.data.memory import Images, MemoryEvaluation, MemoryTraining
from dcasearch.data.sets import Pixels

CPU = torch.device("cpu")


def some_images(count: int = 10, unreadable: tuple[int, ...] = ()) -> Images:
    """Image n is filled with n and labelled n."""
    array = np.repeat(np.arange(count, dtype=np.uint8), 3 * 4 * 4).reshape(count, 3, 4, 4)
    return Images(
        Pixels(array, {n: (f"{n}.jpg", "cut off") for n in unreadable}),
        labels=np.arange(count),
        indices=np.arange(count),
        normalize=Normalize((0.0,) * 3, (1 / 255,) * 3, CPU),
        device=CPU,
    )


PLAIN = Augmentation(crop="none", flip=False)


def training(
    images: Images, seed: int = 0, batch_size: int = 4, augmentation: Augmentation = PLAIN, share: Share = WHOLE
) -> MemoryTraining:
    return MemoryTraining(
        images, resolution=4, batch_size=batch_size, augmentation=augmentation, seed=seed, share=share
    )


def equal(first: list[Batch], second: list[Batch]) -> bool:
    return all(torch.equal(a[0], b[0]) and torch.equal(a[1], b[1]) for a, b in zip(first, second, strict=True))


def labels(batches: list[Batch]) -> list[list[int]]:
    return [chosen.tolist() for _, chosen in batches]


def flat(batches: list[Batch]) -> list[int]:
    return torch.cat([chosen for _, chosen in batches]).tolist()


def test_a_training_epoch_is_full_batches_of_different_images() -> None:
    loader = training(some_images())
    batches = list(loader.epoch(1))
    assert len(loader) == len(batches) == 2
    seen = flat(batches)
    assert len(set(seen)) == 8
    for images, chosen in batches:
        torch.testing.assert_close(images[:, 0, 0, 0], chosen.float())


def test_the_order_is_a_function_of_seed_and_epoch_alone() -> None:
    loader = training(some_images())
    list(loader.epoch(1))
    torch.manual_seed(7)
    again = labels(list(loader.epoch(2)))
    assert again == labels(list(training(some_images()).epoch(2)))
    assert again != labels(list(loader.epoch(3)))
    assert again != labels(list(training(some_images(), seed=1).epoch(2)))


def test_fewer_images_than_a_batch_are_one_batch() -> None:
    loader = training(some_images(3))
    assert [sorted(chosen) for chosen in labels(list(loader.epoch(1)))] == [[0, 1, 2]]
    assert len(loader) == 1


def test_evaluation_sees_every_image_once_in_order_whatever_the_epoch() -> None:
    loader = MemoryEvaluation(some_images(), resolution=4, batch_size=4)
    assert labels(list(loader.epoch(0))) == labels(list(loader.epoch(1))) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert len(loader) == 3


@pytest.mark.parametrize("resolution", [2, 4, 9])
def test_images_come_at_the_resolution(resolution: int) -> None:
    [(images, _)] = MemoryEvaluation(some_images(3), resolution=resolution, batch_size=4).epoch(0)
    assert images.shape == (3, 3, resolution, resolution)
    torch.testing.assert_close(images[2], torch.full((3, resolution, resolution), 2.0))


def test_unreadable_images_are_passed_over() -> None:
    images = some_images(unreadable=(0, 9))
    assert labels(list(MemoryEvaluation(images, resolution=4, batch_size=8).epoch(0))) == [list(range(1, 9))]
    assert sorted(flat(list(training(images).epoch(1)))) == list(range(1, 9))


def test_pixels_are_normalised_per_channel() -> None:
    normalize = Normalize((0.5, 0.0, 1.0), (0.5, 1.0, 0.25), CPU)
    pixels = torch.tensor([0.0, 255.0, 127.5]).view(1, 3, 1, 1)
    torch.testing.assert_close(normalize(pixels).flatten(), torch.tensor([-1.0, 1.0, -2.0]))


@pytest.mark.parametrize("crop", ["none", "pad", "random_resized"])
def test_an_epoch_from_a_later_batch_on_is_the_rest_of_the_whole(crop: str) -> None:
    loader = training(some_images(20), augmentation=Augmentation(crop=crop))
    assert equal(list(loader.epoch(1, first_batch=2)), list(loader.epoch(1))[2:])


@pytest.mark.parametrize("crop", ["none", "pad", "random_resized"])
def test_the_shares_of_all_ranks_are_the_batches_of_one(crop: str) -> None:
    augmentation, images = Augmentation(crop=crop), some_images(11)
    whole = list(training(images, batch_size=5, augmentation=augmentation).epoch(1))
    shares = [
        list(training(images, batch_size=5, augmentation=augmentation, share=Share(rank, 2)).epoch(1))
        for rank in (0, 1)
    ]
    joined = [tuple(map(torch.cat, zip(*parts, strict=True))) for parts in zip(*shares, strict=True)]
    assert equal(joined, whole)


def test_the_shares_of_an_evaluation_are_every_image_once() -> None:
    images = some_images(11)
    shares = [MemoryEvaluation(images, resolution=4, batch_size=5, share=Share(rank, 3)) for rank in range(3)]
    assert sorted(flat([batch for share in shares for batch in share.epoch(0)])) == list(range(11))


def test_a_balanced_epoch_is_a_function_of_seed_and_epoch_and_its_rest_that_of_a_later_begin() -> None:
    skewed = replace(some_images(20), labels=np.array([0] * 18 + [1] * 2))
    made = MemoryTraining(
        skewed,
        resolution=4,
        batch_size=5,
        augmentation=Augmentation(crop="random_resized"),
        seed=0,
        sampling="balanced",
    )
    whole = list(made.epoch(1))
    assert len(whole) == len(made) == 4
    assert equal(list(made.epoch(1, first_batch=2)), whole[2:])
    assert not equal(list(made.epoch(2)), whole)
    seen = torch.cat([labels for epoch in range(1, 31) for _, labels in made.epoch(epoch)])
    assert seen.float().mean().item() == pytest.approx(0.5, abs=0.08)
