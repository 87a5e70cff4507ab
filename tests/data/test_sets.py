import pytest

from dcasearch.config.data_set import Data
from dcasearch.data import DATASETS
from dcasearch.data.classes import open_set
from dcasearch.errors import UserError


def test_the_known_data_sets() -> None:
    known = ["cifar10", "coco", "digits", "imagefolder", "imagelist", "imagenet", "shapes", "shapes_boxes"]
    assert sorted(DATASETS) == known


def test_an_unknown_data_set_names_the_nearest_one() -> None:
    with pytest.raises(UserError, match="'cifar' is not a data set; did you mean 'cifar10'"):
        open_set(Data(name="cifar"))


def test_a_data_set_is_opened_once_per_process() -> None:
    assert open_set(Data(name="digits")) is open_set(Data(name="digits", split_seed=3))
