import pytest

from dcasearch.data.loading import Share, full_batches


@pytest.mark.parametrize("images", [0, 1, 7, 15, 16])
@pytest.mark.parametrize("world", [1, 2, 3, 8])
def test_shares_are_contiguous_and_differ_by_at_most_one_image(images: int, world: int) -> None:
    parts = [list(range(images))[Share(rank, world).of(images)] for rank in range(world)]
    assert [image for part in parts for image in part] == list(range(images))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_an_epoch_is_its_full_batches_or_one_smaller_one() -> None:
    assert [full_batches(images, 4) for images in (3, 4, 7, 8)] == [1, 1, 1, 2]
