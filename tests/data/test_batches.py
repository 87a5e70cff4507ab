import pytest
import torch

from dcasearch.data.batches import Normalize, Share, count_batches


@pytest.mark.parametrize("images", [0, 1, 7, 15, 16])
@pytest.mark.parametrize("world", [1, 2, 3, 8])
def test_shares_are_contiguous_and_differ_by_at_most_one_image(images: int, world: int) -> None:
    parts = [list(range(images))[Share(rank, world).of(images)] for rank in range(world)]
    assert [image for part in parts for image in part] == list(range(images))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_a_training_epoch_is_its_full_batches_or_one_smaller_one() -> None:
    assert [count_batches(images, 4, training=True) for images in (3, 4, 7, 8)] == [1, 1, 1, 2]


def test_an_evaluation_has_a_batch_for_the_rest_too() -> None:
    assert [count_batches(images, 4, training=False) for images in (3, 4, 7, 8)] == [1, 1, 2, 2]


@pytest.mark.parametrize("kind", [torch.uint8, torch.float32])
def test_normalising_bytes_and_floats_is_the_same_and_leaves_them_as_they_are(kind: torch.dtype) -> None:
    pixels = torch.randint(0, 256, (2, 3, 4, 4), generator=torch.Generator().manual_seed(0))
    mean, std = (0.5, 0.25, 0.125), (0.25, 0.5, 1.0)
    images = pixels.to(kind)
    made = Normalize(mean, std, torch.device("cpu"))(images)
    expected = (pixels / 255 - torch.tensor(mean).view(1, 3, 1, 1)) / torch.tensor(std).view(1, 3, 1, 1)
    torch.testing.assert_close(made, expected)
    assert torch.equal(images, pixels.to(kind))


@pytest.mark.parametrize("kind", [torch.uint8, torch.float32])
@pytest.mark.parametrize("size", [(1, 1), (4, 4), (5, 7)])
def test_normalising_is_the_same_in_both_memory_formats_to_the_last_bit(
    kind: torch.dtype, size: tuple[int, int]
) -> None:
    images = torch.randint(0, 256, (2, 3, *size), generator=torch.Generator().manual_seed(0)).to(kind)
    normalize = Normalize((0.5, 0.3, 0.2), (0.25, 0.5, 0.3), torch.device("cpu"))
    made = normalize(images.contiguous(memory_format=torch.channels_last))
    assert torch.equal(made, normalize(images))
    assert made.is_contiguous(memory_format=torch.channels_last)
