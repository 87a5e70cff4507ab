import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from dcasearch.data.shards import Shards, images_per_shard, sha256_of

SIZE = 1024
"""So large that few images fill a shard."""


@pytest.fixture
def written(tmp_path: Path) -> tuple[Shards, np.ndarray]:
    shards = Shards(tmp_path, "train", SIZE, 25)
    images = np.random.RandomState(0).randint(0, 256, (25, SIZE, SIZE, 3), np.uint8)
    for number in range(len(shards)):
        np.save(shards.path(number), images[shards.rows(number)])
    return shards, images


def test_images_come_back_from_the_shard_that_holds_them(written: tuple[Shards, np.ndarray]) -> None:
    shards, images = written
    assert (images_per_shard(SIZE), len(shards)) == (10, 3)
    assert shards.rows(2) == range(20, 25)
    for row in (0, 9, 10, 24):
        assert torch.equal(shards.read(row), torch.from_numpy(images[row]).permute(2, 0, 1))


def test_what_is_read_is_a_copy_and_the_file_stays(written: tuple[Shards, np.ndarray]) -> None:
    shards, _ = written
    before = sha256_of(shards.path(0))
    shards.read(0).zero_()
    assert sha256_of(shards.path(0)) == before
    assert int(shards.read(0).sum()) > 0


def test_a_pickled_reader_takes_no_pixels_along(written: tuple[Shards, np.ndarray]) -> None:
    shards, images = written
    shards.read(0)
    sent = pickle.dumps(shards)
    assert len(sent) < 1000
    assert torch.equal(pickle.loads(sent).read(11), torch.from_numpy(images[11]).permute(2, 0, 1))
