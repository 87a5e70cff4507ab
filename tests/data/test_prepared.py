from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dcasearch.config.data_set import Data
from dcasearch.config.recipe import Augmentation, Recipe
from dcasearch.data import Loaders, Share, describe, open_loaders, open_set
from dcasearch.data.batches import WHOLE
from dcasearch.data.files import FileLoader
from dcasearch.data.prepared import is_prepared, read_index
from dcasearch.data.preparing import prepare
from dcasearch.data.sets import PreparedPart
from dcasearch.errors import DataError
from dcasearch.evaluation import EvaluationProtocol
from tests.data.support import write_folder

RECIPE = Recipe(batch_size=4, augmentation=Augmentation(crop="random_resized", flip=True))


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "images", size=(40, 30))


@pytest.fixture
def out(images: Path, tmp_path: Path) -> Path:
    prepare(images, tmp_path / "out", size=24, workers=0, max_corrupt=0.1)
    return tmp_path / "out"


def opened(
    root: Path,
    *,
    workers: int = 0,
    resolution: int = 16,
    seed: int = 0,
    share: Share = WHOLE,
    protocol: EvaluationProtocol = "paper",
) -> Loaders:
    return open_loaders(
        Data(name="imagefolder", root=str(root), workers=workers, max_corrupt=0.1),
        protocol,
        resolution=resolution,
        train_fraction=1.0,
        recipe=RECIPE,
        seed=seed,
        artifacts=None,
        device=torch.device("cpu"),
        share=share,
    )


def test_a_prepared_folder_is_recognised_and_is_other_data(images: Path, out: Path) -> None:
    assert (is_prepared(out), is_prepared(images)) == (True, False)
    original, prepared = (describe(Data(name="imagefolder", root=str(root))) for root in (images, out))
    assert (original.prepared, original.encoded) == (None, 27)
    assert (prepared.prepared, prepared.encoded) == (24, 0)
    assert original.fingerprint != prepared.fingerprint
    counts = [(i.classes, i.train_images, i.validation_images, i.test_images) for i in (original, prepared)]
    assert counts[0] == counts[1]


def test_the_fingerprint_is_of_the_pixels_and_not_of_the_place(images: Path, out: Path, tmp_path: Path) -> None:
    def fingerprint(folder: Path) -> str:
        return read_index(folder).fingerprint

    copied = images.rename(tmp_path / "elsewhere")
    prepare(copied, tmp_path / "again", size=24, workers=0, max_corrupt=0.1)
    prepare(copied, tmp_path / "smaller", size=16, workers=0, max_corrupt=0.1)
    other = copied / "train" / "cat" / "00.jpg"
    other.write_bytes((copied / "train" / "dog" / "03.jpg").read_bytes())
    prepare(copied, tmp_path / "other", size=24, workers=0, max_corrupt=0.1)
    assert fingerprint(out) == fingerprint(tmp_path / "again")
    assert len({fingerprint(out), fingerprint(tmp_path / "smaller"), fingerprint(tmp_path / "other")}) == 3


def test_its_splits_are_those_of_the_original(images: Path, out: Path) -> None:
    first, second = (open_set(Data(name="imagefolder", root=str(root))) for root in (images, out))
    assert np.array_equal(first.train.labels, second.train.labels)
    assert np.array_equal(first.test.labels, second.test.labels)


def test_it_serves_as_imagenet_only_with_its_val(images: Path, out: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="prepared with train, test; expected train and val"):
        open_set(Data(name="imagenet", root=str(out)))
    (images / "test").rename(images / "val")
    prepare(images, tmp_path / "val", size=24, workers=0, max_corrupt=0.1)
    dataset = open_set(Data(name="imagenet", root=str(tmp_path / "val")))
    assert dataset.test is dataset.val


def test_the_number_of_processes_changes_nothing_and_the_epoch_everything(out: Path) -> None:
    alone, helped = opened(out).train, opened(out, workers=2).train
    first = list(alone.epoch(1))
    for a, b in zip(first, helped.epoch(1), strict=True):
        assert torch.equal(a[0], b[0])
        assert torch.equal(a[1], b[1])
    assert not torch.equal(first[0][0], next(iter(alone.epoch(2)))[0])
    assert not torch.equal(first[0][0], next(iter(opened(out, seed=1).train.epoch(1)))[0])


@pytest.mark.parametrize("prepared", [True, False])
def test_what_loader_processes_need_can_be_sent_to_them(images: Path, out: Path, prepared: bool) -> None:
    # Where a system cannot fork, loader processes are spawned.
    for loader in (opened(out if prepared else images).train, opened(out if prepared else images).final):
        assert isinstance(loader, FileLoader)
        dataset = loader._loader.dataset
        pixels, label = pickle.loads(pickle.dumps(dataset))[1, 3, 0]
        again = dataset[1, 3, 0]
        assert torch.equal(pixels, again[0])
        assert label == again[1]


def test_a_later_batch_and_shares_of_ranks_are_parts_of_the_whole(out: Path) -> None:
    whole = list(opened(out).train.epoch(3))
    rest = list(opened(out).train.epoch(3, first_batch=2))
    assert all(torch.equal(a[0], b[0]) for a, b in zip(whole[2:], rest, strict=True))
    ranks = [list(opened(out, share=Share(rank, 2)).train.epoch(3)) for rank in range(2)]
    assert all(torch.equal(w[0], torch.cat([a[0], b[0]])) for w, a, b in zip(whole, *ranks, strict=True))


def test_evaluation_sees_nearly_what_it_sees_of_the_original(images: Path, out: Path) -> None:
    pairs = zip(opened(images).final.epoch(0), opened(out).final.epoch(0), strict=True)
    for (original, labels), (prepared, same) in pairs:
        assert torch.equal(labels, same)
        correlation = torch.corrcoef(torch.stack([original.flatten(), prepared.flatten()]))[0, 1]
        assert correlation > 0.9


def test_a_resolution_above_the_prepared_size_is_refused(out: Path) -> None:
    with pytest.raises(
        DataError, match=r"prepared at 24 pixels, fewer than the resolution of 32; prepare it at a larger"
    ):
        opened(out, resolution=32)


def test_unreadable_images_are_left_out_and_counted(images: Path, tmp_path: Path) -> None:
    (images / "train" / "dog" / "02.jpg").write_bytes(b"")
    prepare(images, tmp_path / "out", size=24, workers=0, max_corrupt=0.1)
    loaders = opened(tmp_path / "out")
    assert list(loaders.corrupt.reasons) == ["train/dog/02.jpg"]
    part = open_set(Data(name="imagefolder", root=str(tmp_path / "out"))).train
    assert isinstance(part, PreparedPart)
    seen = torch.cat([labels for epoch in range(40) for _, labels in loaders.train.epoch(epoch)]).bincount()
    # Five images of the second class against six of the others.
    assert seen[1] < seen[0]
    assert seen[1] < seen[2]


def test_a_copy_that_is_not_complete_is_refused(out: Path) -> None:
    shard = out / "train-00000.npy"
    content = shard.read_bytes()
    shard.write_bytes(content[:-200])
    with pytest.raises(DataError, match=r"train-00000.npy has .* bytes, fewer than its 18 images need"):
        open_set(Data(name="imagefolder", root=str(out)))
    shard.unlink()
    with pytest.raises(DataError, match=r"train-00000.npy has 0 bytes"):
        open_set(Data(name="imagefolder", root=str(out)))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"size": 10**9}, "size: Input should be less than or equal to"),
        ({"classes": ["cat"]}, "train has 3 of 1 classes"),
        ({"parts": {"../train": "train"}}, "'../train' is no part; known: train, val, test, all"),
        ({"train.images_per_class": [10**12, 0, 0]}, "less than or equal to"),
        ({"train.shards": ["x"] * 19, "train.files": []}, "train has 19 files for 18 images"),
        ({"train.unreadable": {"99": ["a", "b"]}}, "an unreadable image that is none of its 18"),
        ({"train.groups": [1, 2]}, "has 2 groups for 18 images"),
        ({"train.files": ["x", "y"]}, "has 2 fingerprints for 1 files"),
    ],
)
def test_an_index_that_does_not_fit_together_is_refused(out: Path, change: dict[str, Any], said: str) -> None:
    index = json.loads((out / "prepared.json").read_text())
    for name, value in change.items():
        part, _, field = name.rpartition(".")
        if name == "parts":
            value = {new: index["parts"][old] for new, old in value.items()}
        (index["parts"][part] if part else index)[field] = value
    (out / "prepared.json").write_text(json.dumps(index))
    with pytest.raises(DataError, match=said):
        read_index(out)


@pytest.mark.parametrize("content", ["nothing", "head", "pixels"])
def test_a_file_of_other_content_is_named(out: Path, content: str) -> None:
    shard = out / "train-00000.npy"
    size = shard.stat().st_size
    other = {"nothing": b"\0" * size, "head": shard.read_bytes().replace(b"{'descr'", b"{'d(scr'")}.get(content)
    np.save(shard, np.zeros(size // 4, np.float32)) if other is None else shard.write_bytes(other)
    shards = read_index(out).shards(out)["train"]
    with pytest.raises(DataError, match=r"train-00000\.npy (cannot be read|holds float32 of shape)"):
        shards.read(0)


@pytest.mark.parametrize(
    "content", ["{", '{"format": 1}', '{"format": 9, "size": 1, "source": "", "classes": [], "parts": {}}']
)
def test_an_index_of_another_kind_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "prepared.json").write_text(content)
    with pytest.raises(DataError, match=r"prepared\.json is (no index|of format 9)"):
        open_set(Data(name="imagefolder", root=str(tmp_path)))
