from pathlib import Path

import numpy as np
import pytest

from dcasearch.config.data_set import Data
from dcasearch.data.cifar10 import CLASSES
from dcasearch.data.classes import open_set
from dcasearch.data.sets import DataSet, MemoryPart, Pixels
from dcasearch.errors import DataError
from tests.data.support import write_batch, write_folder, write_image


def cifar(root: Path) -> DataSet:
    return open_set(Data(name="cifar10", root=str(root)))


def pixels_of(dataset: DataSet, artifacts: Path | None = None) -> Pixels:
    assert isinstance(dataset.train, MemoryPart)
    return dataset.train.read(artifacts)


@pytest.mark.parametrize("folder", [".", "cifar-10-batches-bin"])
def test_binary_batches_are_read_in_order(tmp_path: Path, folder: str) -> None:
    first = write_batch(tmp_path / folder / "data_batch_1.bin", [3, 1, 4], seed=1)
    second = write_batch(tmp_path / folder / "data_batch_2.bin", [1, 5], seed=2)
    write_batch(tmp_path / folder / "test_batch.bin", [9, 2], seed=3)
    dataset = cifar(tmp_path)
    assert dataset.classes == CLASSES
    assert dataset.train.labels.tolist() == [3, 1, 4, 1, 5]
    assert dataset.test.labels.tolist() == [9, 2]
    np.testing.assert_array_equal(pixels_of(dataset).array, np.concatenate([first, second]))


def test_the_content_of_a_batch_is_its_fingerprint(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_batch(tmp_path / name / "data_batch_1.bin", [3, 1, 4], seed=seed)
        write_batch(tmp_path / name / "test_batch.bin", [9, 2])
    a, b, c = (cifar(tmp_path / name).fingerprint for name in "abc")
    assert a == b != c


def test_a_batch_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    write_batch(tmp_path / "test_batch.bin", [1])
    write_batch(tmp_path / "data_batch_1.bin", [1, 2])
    (tmp_path / "data_batch_1.bin").write_bytes((tmp_path / "data_batch_1.bin").read_bytes()[:-1])
    with pytest.raises(DataError, match=r"data_batch_1.bin has 6145 bytes, no multiple of 3073"):
        cifar(tmp_path)


def test_a_label_that_cifar_does_not_have_is_refused(tmp_path: Path) -> None:
    write_batch(tmp_path / "test_batch.bin", [1])
    write_batch(tmp_path / "data_batch_1.bin", [1, 10])
    with pytest.raises(DataError, match="label 10"):
        cifar(tmp_path)


def test_binary_test_images_without_training_batches_are_refused(tmp_path: Path) -> None:
    write_batch(tmp_path / "test_batch.bin", [1])
    with pytest.raises(DataError, match=r"has no data_batch_1\.bin"):
        cifar(tmp_path)


def test_pickled_batches_are_refused_without_being_read(tmp_path: Path) -> None:
    (tmp_path / "cifar-10-batches-py").mkdir()
    (tmp_path / "cifar-10-batches-py" / "data_batch_1").write_bytes(b"cos\nsystem\n(S'touch pwned'\ntR.")
    with pytest.raises(DataError, match=r"pickled.*take the binary version"):
        cifar(tmp_path)


def test_an_image_folder_is_decoded_in_the_order_of_its_files(tmp_path: Path) -> None:
    write_folder(tmp_path, suffix=".png")
    dataset = cifar(tmp_path)
    assert dataset.classes == ("cat", "dog", "eel")
    assert dataset.train.labels.tolist() == [0] * 6 + [1] * 6 + [2] * 6
    expected = np.random.RandomState(1002).randint(0, 256, (32, 32, 3), dtype=np.uint8)
    np.testing.assert_array_equal(pixels_of(dataset).array[8], expected.transpose(2, 0, 1))


def test_decoded_images_are_kept_and_mapped(tmp_path: Path) -> None:
    dataset = cifar(write_folder(tmp_path / "data"))
    decoded = pixels_of(dataset).array
    kept = pixels_of(dataset, tmp_path / "artifacts").array
    assert isinstance(kept, np.memmap)
    np.testing.assert_array_equal(kept, decoded)
    for image in (tmp_path / "data" / "train").rglob("*.jpg"):
        image.unlink()
    np.testing.assert_array_equal(pixels_of(dataset, tmp_path / "artifacts").array, decoded)


def test_an_image_that_is_broken_or_of_another_size_is_named(tmp_path: Path) -> None:
    write_folder(tmp_path)
    (tmp_path / "train" / "cat" / "00.jpg").write_bytes(b"")
    write_image(tmp_path / "train" / "dog" / "01.jpg", seed=0, size=(33, 32))
    unreadable = pixels_of(cifar(tmp_path), tmp_path / "artifacts").unreadable
    assert list(unreadable) == [0, 7]
    assert unreadable[7] == (str(tmp_path / "train" / "dog" / "01.jpg"), "33x32 pixels, not 32x32")


def test_a_root_with_neither_layout_is_refused_with_both(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no folder `train`; expected train/<class>/<image>.*data_batch_1.bin"):
        cifar(tmp_path)
