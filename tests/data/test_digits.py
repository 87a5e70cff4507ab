import numpy as np
from sklearn.datasets import load_digits

from dcasearch.config.data_set import Data
from dcasearch.data import digits
from dcasearch.data.classes import open_set
from dcasearch.data.sets import MemoryPart


def test_digits_are_all_the_images_split_once_and_for_all() -> None:
    dataset = open_set(Data(name="digits"))
    assert isinstance(dataset.train, MemoryPart)
    assert isinstance(dataset.test, MemoryPart)
    assert (len(dataset.train.labels), len(dataset.test.labels)) == (1438, 359)
    train, test = (part.read(None).array for part in (dataset.train, dataset.test))
    assert train.shape == (1438, 3, 8, 8)
    assert train.max() == test.max() == 255
    assert len(np.unique(np.concatenate([train, test]).reshape(1797, -1), axis=0)) > 1790
    assert dataset.val is dataset.test


def test_the_test_split_is_stratified() -> None:
    dataset = open_set(Data(name="digits"))
    counts = np.bincount(dataset.test.labels)
    assert counts.min() >= 34
    assert counts.max() <= 38


def test_the_statistics_are_those_of_the_training_part() -> None:
    dataset = open_set(Data(name="digits"))
    assert isinstance(dataset.train, MemoryPart)
    pixels = dataset.train.read(None).array / 255
    np.testing.assert_allclose(dataset.mean, pixels.mean((0, 2, 3)), atol=2e-3)
    np.testing.assert_allclose(dataset.std, pixels.std((0, 2, 3)), atol=2e-3)


def test_the_fingerprint_of_digits_is_known() -> None:
    assert open_set(Data(name="digits")).fingerprint == "2de02eaad621ef7a"


def test_the_digits_are_those_that_scikit_learn_loads() -> None:
    source = load_digits()
    rows = digits._rows()
    assert np.array_equal(rows[:, :-1], source.data)
    assert np.array_equal(rows[:, -1], source.target)
    assert digits.open_digits(None).classes == tuple(map(str, source.target_names))
