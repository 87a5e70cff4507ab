import pytest
import torch

from dcasearch.config.recipe import Augmentation
from dcasearch.data.augment import (
    augment,
    crop_windows,
    draw,
    draw_mirrored,
    draw_shifts,
    draw_windows,
    mirror,
    pad_crop,
    resize,
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def ramp(batch: int = 64, side: int = 8) -> torch.Tensor:
    """Images whose pixels are 1 + column, then 1 + row, then 1."""
    line = torch.arange(side, dtype=torch.float32) + 1
    image = torch.stack([line.expand(side, side), line[:, None].expand(side, side), torch.ones(side, side)])
    return image.repeat(batch, 1, 1, 1)


def test_a_flip_mirrors_about_half_of_the_images_and_nothing_else() -> None:
    images = ramp()
    flipped = mirror(images, draw_mirrored(len(images), generator()))
    mirrored = (flipped == images.flip(-1)).all(3).all(2).all(1)
    assert ((flipped == images).all(3).all(2).all(1) ^ mirrored).all()
    assert 20 < mirrored.sum() < 44


def test_a_padded_crop_moves_each_image_by_up_to_the_pad_and_fills_with_zero() -> None:
    moved = pad_crop(ramp(256), 2, draw_shifts(256, 2, generator()))
    assert moved.shape == (256, 3, 8, 8)
    seen = set()
    for image in moved:
        rows, columns = torch.nonzero(image[2], as_tuple=True)
        # The shift is the difference between where a pixel is and where its value says that it was.
        row, column = rows[0], columns[0]
        shift = (int(image[1, row, column] - 1 - row), int(image[0, row, column] - 1 - column))
        assert image[2].sum() == (8 - abs(shift[0])) * (8 - abs(shift[1]))
        seen.add(shift)
    assert seen == {(a, b) for a in range(-2, 3) for b in range(-2, 3)}


def test_a_random_resized_crop_keeps_the_area_and_the_aspect() -> None:
    side = 64
    crops = crop_windows(ramp(256, side), side, draw_windows(256, (0.25, 0.5), (0.5, 2.0), generator()))
    assert crops.shape == (256, 3, side, side)
    widths = (crops[:, 0, 0, -1] - crops[:, 0, 0, 0]) / (side - 1)
    heights = (crops[:, 1, -1, 0] - crops[:, 1, 0, 0]) / (side - 1)
    areas, aspects = widths * heights, widths / heights
    assert 0.22 < areas.min() < 0.28
    assert 0.45 < areas.max() < 0.52
    assert 0.48 < aspects.min() < 0.6
    assert 1.7 < aspects.max() < 2.1
    assert crops[:, :2].min() >= 1
    assert crops[:, :2].max() <= side


def test_a_crop_of_the_whole_image_is_the_image() -> None:
    images = ramp(4)
    torch.testing.assert_close(crop_windows(images, 8, draw_windows(4, (1.0, 1.0), (1.0, 1.0), generator())), images)


def test_a_crop_that_never_fits_is_the_whole_image() -> None:
    images = ramp(4)
    torch.testing.assert_close(crop_windows(images, 8, draw_windows(4, (1.0, 1.0), (2.0, 2.0), generator())), images)


def test_resizing_to_the_same_size_changes_nothing() -> None:
    images = ramp(2)
    assert resize(images, 8) is images
    assert resize(images, 5).shape == (2, 3, 5, 5)


@pytest.mark.parametrize("crop", ["none", "pad", "random_resized"])
def test_equal_generators_give_equal_images_at_the_resolution(crop: str) -> None:
    augmentation = Augmentation(crop=crop)
    first, again, other = (augment(ramp(), 16, draw(64, 16, augmentation, generator(seed))) for seed in (0, 0, 1))
    assert first.shape == (64, 3, 16, 16)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_no_crop_and_no_flip_only_resizes() -> None:
    images = ramp()
    assert torch.equal(augment(images, 8, draw(64, 8, Augmentation(crop="none", flip=False), generator())), images)


@pytest.mark.parametrize("crop", ["none", "pad", "random_resized"])
def test_a_part_of_a_batch_is_augmented_as_within_the_whole(crop: str) -> None:
    images, drawn = ramp(9), draw(9, 16, Augmentation(crop=crop), generator())
    whole, part = augment(images, 16, drawn), slice(4, 9)
    assert torch.equal(augment(images[part], 16, drawn.part(part)), whole[part])
