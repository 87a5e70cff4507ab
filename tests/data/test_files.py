import logging
import multiprocessing
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from dcasearch.config.recipe import Augmentation, Sampling
from dcasearch.data import files
from dcasearch.data.batches import WHOLE, Batch, Normalize, Share
from dcasearch.data.files import FileLoader
from dcasearch.data.images import Corrupt
from dcasearch.data.sets import FilePart
from dcasearch.data.views import Transform, evaluation_transform, training_transform
from dcasearch.errors import DataError
from tests.data.support import write_image

CPU = torch.device("cpu")
COUNT = 10


@pytest.fixture
def part(tmp_path: Path) -> FilePart:
    """Pictures of 24x20 pixels, picture n labelled n."""
    paths = [tmp_path / f"{n}.jpg" for n in range(COUNT)]
    for n, path in enumerate(paths):
        write_image(path, seed=n, size=(24, 20))
    return FilePart(np.arange(COUNT), tuple(map(str, paths)))


@pytest.fixture
def _spawning() -> Iterator[None]:
    """Processes are spawned unless a caller says otherwise."""
    before = multiprocessing.get_start_method(allow_none=True)
    multiprocessing.set_start_method("spawn", force=True)
    yield
    multiprocessing.set_start_method(before, force=True)


def loader(
    part: FilePart,
    transform: Transform | None = None,
    *,
    seed: int | None = 0,
    workers: int = 0,
    max_corrupt: float = 1.0,
    share: Share = WHOLE,
    channels_last: bool = False,
    sampling: Sampling = "uniform",
) -> FileLoader:
    return FileLoader(
        part,
        np.arange(COUNT),
        transform or training_transform(16, Augmentation()),
        batch_size=4,
        seed=seed,
        workers=workers,
        normalize=Normalize((0.0,) * 3, (1 / 255,) * 3, CPU),
        device=CPU,
        corrupt=Corrupt(COUNT, max_corrupt),
        share=share,
        channels_last=channels_last,
        sampling=sampling,
    )


def equal(first: list[Batch], second: list[Batch]) -> bool:
    return all(torch.equal(a[0], b[0]) and torch.equal(a[1], b[1]) for a, b in zip(first, second, strict=True))


def test_the_number_of_processes_changes_nothing(part: FilePart) -> None:
    alone, helped = loader(part), loader(part, workers=2)
    for epoch in (1, 2):
        assert equal(list(alone.epoch(epoch)), list(helped.epoch(epoch)))


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere loader processes are spawned")
@pytest.mark.usefixtures("_spawning")
def test_loader_processes_are_forked_also_where_the_training_was_spawned(part: FilePart) -> None:
    # As in an executor's worker. A spawned process would import torch anew, and cannot be sent what is not pickled.
    look = evaluation_transform(16).look
    unpicklable = Transform(lambda picture: look(picture))
    assert equal(list(loader(part, unpicklable).epoch(1)), list(loader(part, unpicklable, workers=1).epoch(1)))


def test_an_epoch_depends_on_seed_and_number_alone(part: FilePart) -> None:
    first = loader(part)
    list(first.epoch(1))
    torch.manual_seed(7)
    assert equal(list(first.epoch(2)), list(loader(part).epoch(2)))
    assert not equal(list(first.epoch(2)), list(first.epoch(3)))
    assert not equal(list(first.epoch(2)), list(loader(part, seed=1).epoch(2)))


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_come_in_the_memory_format_that_is_asked_for_and_are_the_same_in_both(
    part: FilePart, workers: int
) -> None:
    plain, last = (list(loader(part, workers=workers, channels_last=asked).epoch(1)) for asked in (False, True))
    assert equal(plain, last)
    assert all(images.is_contiguous() for images, _ in plain)
    assert all(images.is_contiguous(memory_format=torch.channels_last) for images, _ in last)


def test_half_of_the_images_are_mirrored_and_nothing_else_happens_to_them(part: FilePart) -> None:
    kept, flipped = (
        loader(part, training_transform(16, Augmentation(crop="none", flip=flip))) for flip in (False, True)
    )
    mirrored = []
    for epoch in range(1, 11):
        for (before, _), (after, _) in zip(kept.epoch(epoch), flipped.epoch(epoch), strict=True):
            for one, other in zip(before, after, strict=True):
                mirrored.append(torch.equal(other, one.flip(-1)))
                assert mirrored[-1] or torch.equal(other, one)
    assert 25 < sum(mirrored) < 55 < len(mirrored)


def test_loading_leaves_the_global_generator_as_it_was(part: FilePart) -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    list(loader(part).epoch(1))
    assert torch.equal(torch.rand(3), expected)


def test_training_drops_an_incomplete_batch_and_evaluation_does_not(part: FilePart) -> None:
    assert [len(labels) for _, labels in loader(part).epoch(1)] == [4, 4]
    evaluation = loader(part, evaluation_transform(16), seed=None)
    assert torch.cat([labels for _, labels in evaluation.epoch(0)]).tolist() == list(range(COUNT))
    assert (len(loader(part)), len(evaluation)) == (2, 3)


@pytest.mark.parametrize("workers", [0, 2])
def test_an_unreadable_image_is_skipped_and_named_once(
    part: FilePart, workers: int, caplog: pytest.LogCaptureFixture
) -> None:
    Path(part.paths[5]).write_bytes(b"")
    with caplog.at_level(logging.WARNING):
        batches = loader(part, evaluation_transform(16), seed=None, workers=workers)
        for epoch in (1, 2):
            labels = torch.cat([labels for _, labels in batches.epoch(epoch)])
            assert labels.tolist() == [n for n in range(COUNT) if n != 5]
    assert [part.paths[5] in record.getMessage() for record in caplog.records] == [True]


def test_too_many_unreadable_images_stop_the_loader_with_their_list(part: FilePart) -> None:
    for n in (5, 6):
        Path(part.paths[n]).write_bytes(b"")
    with pytest.raises(DataError, match=r"2 of 10 images are unreadable(.|\n)*5\.jpg(.|\n)*6\.jpg"):
        list(loader(part, evaluation_transform(16), seed=None, max_corrupt=0.1).epoch(0))


def test_a_batch_of_unreadable_images_is_empty(part: FilePart) -> None:
    for n in range(4):
        Path(part.paths[n]).write_bytes(b"")
    batches = list(loader(part, evaluation_transform(16), seed=None).epoch(0))
    assert [labels.tolist() for _, labels in batches] == [[], [4, 5, 6, 7], [8, 9]]


@pytest.mark.parametrize("workers", [0, 2])
def test_an_epoch_from_a_later_batch_on_is_the_rest_of_the_whole(part: FilePart, workers: int) -> None:
    made = loader(part, workers=workers)
    assert equal(list(made.epoch(1, first_batch=1)), list(made.epoch(1))[1:])


def test_images_that_are_passed_over_are_not_read(part: FilePart, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    original = files.open_image
    monkeypatch.setattr(files, "open_image", lambda path, *how: read.append(str(path)) or original(path, *how))
    list(loader(part).epoch(1, first_batch=1))
    assert len(read) == 4


def test_the_shares_of_all_ranks_are_the_batches_of_one(part: FilePart) -> None:
    whole = list(loader(part).epoch(1))
    shares = [list(loader(part, share=Share(rank, 3)).epoch(1)) for rank in range(3)]
    joined = [tuple(map(torch.cat, zip(*parts, strict=True))) for parts in zip(*shares, strict=True)]
    assert equal(joined, whole)


@pytest.fixture
def skewed(part: FilePart) -> FilePart:
    """The same pictures; eight of the first class and two of the second."""
    return FilePart(np.array([0] * 8 + [1] * 2), part.paths)


def test_a_balanced_epoch_has_as_many_batches_and_the_classes_equally_often(skewed: FilePart) -> None:
    made = loader(skewed, sampling="balanced")
    seen = torch.cat([labels for epoch in range(1, 61) for _, labels in made.epoch(epoch)])
    assert len(seen) == 60 * 2 * 4
    assert seen.float().mean().item() == pytest.approx(0.5, abs=0.08)


def test_a_balanced_order_is_that_of_any_number_of_processes_and_ranks_and_of_a_later_begin(skewed: FilePart) -> None:
    whole = list(loader(skewed, sampling="balanced").epoch(3))
    assert equal(list(loader(skewed, sampling="balanced", workers=2).epoch(3)), whole)
    assert equal(list(loader(skewed, sampling="balanced").epoch(3, first_batch=1)), whole[1:])
    shares = [list(loader(skewed, sampling="balanced", share=Share(rank, 3)).epoch(3)) for rank in range(3)]
    joined = [tuple(map(torch.cat, zip(*parts, strict=True))) for parts in zip(*shares, strict=True)]
    assert equal(joined, whole)


def test_an_image_that_is_drawn_twice_in_an_epoch_is_augmented_in_two_ways(part: FilePart) -> None:
    one = FilePart(np.array([0] * 9 + [1]), part.paths)
    batches = [batch for epoch in range(1, 9) for batch in loader(one, sampling="balanced").epoch(epoch)]
    of_one = [images[labels == 1] for images, labels in batches if (labels == 1).sum() > 1]
    assert of_one
    for images in of_one:
        assert not torch.equal(images[0], images[1])
